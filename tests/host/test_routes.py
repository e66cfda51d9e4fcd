"""Routes: which function answers which request, and with which values."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext.errors import ConfigurationError
from worker_ext.host.route_template import parse_template
from worker_ext.host.routes import MAX_PATH, Match, Router


def router_of(*templates: str, prefix: str = "api") -> Router[str]:
    """A router whose targets are the templates themselves, for all methods."""
    router = Router[str](prefix)
    for number, template in enumerate(templates):
        router.add(template, (), template, owner=f"function{number}")
    return router


def values_of(template: str, path: str) -> dict[str, str] | None:
    """The values that ``template`` alone, without a prefix, finds in ``path``; ``None`` if it does not match."""
    match = router_of(template, prefix="").match("GET", path)
    return None if match is None else match.values


# --- what a template matches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("hello", "/hello", {}),
        ("hello", "/Hello/", {}),
        ("hello", "/hello//", None),
        ("hello", "/hello/world", None),
        ("/hello/", "/hello", {}),
        ("", "/", {}),
        ("products/{id}", "/products/7", {"id": "7"}),
        ("products/{id}", "/PRODUCTS/Seven/", {"id": "Seven"}),
        ("products/{id}", "/products", None),
        ("products/{id}", "/products//", None),
        ("products/{Id}", "/products/7", {"Id": "7"}),
        ("products/{id?}", "/products/7", {"id": "7"}),
        ("products/{id?}", "/products", {}),
        ("products/{id?}", "/products/", {}),
        ("products/{id=1}", "/products", {"id": "1"}),
        ("products/{id=1}", "/products/2", {"id": "2"}),
        ("{controller=Home}/{action=Index}/{id?}", "/", {"controller": "Home", "action": "Index"}),
        ("{controller=Home}/{action=Index}/{id?}", "/a/b/3", {"controller": "a", "action": "b", "id": "3"}),
        ("{first?}/last", "/last", None),
        ("{first?}/last", "/x/last", {"first": "x"}),
        ("files/{*path}", "/files/a/b.txt", {"path": "a/b.txt"}),
        ("files/{**path}", "/files/a//b/", {"path": "a//b/"}),
        ("files/{*path}", "/files", {}),
        ("files/{*path}", "/files/", {}),
        ("files/{*path}", "/files//a", None),
        ("files/{*path=index.html}", "/files", {"path": "index.html"}),
        ("{name}.{extension?}", "/readme.txt", {"name": "readme", "extension": "txt"}),
        ("{name}.{extension?}", "/readme", {"name": "readme"}),
        ("{name}.{extension?}", "/a.b.c", {"name": "a.b", "extension": "c"}),
        ("{name}.{extension?}", "/readme.", None),
        ("v{major}-{minor}", "/V1-2", {"major": "1", "minor": "2"}),
        ("v{major}-{minor}", "/v1-", None),
        ("v{major}-{minor}", "/xv1-2", None),
        ("{a}-{b}", "/x-y-z", {"a": "x-y", "b": "z"}),
        ("{size}px", "/12px", {"size": "12"}),
        ("{size}px", "/px", None),
        ("x{a}x{b}", "/x1x2", {"a": "1", "b": "2"}),
        ("x{a}x{b}", "/x12", None),
        ("{{id}}/{id}", "/{id}/7", {"id": "7"}),
    ],
)
def test_what_a_template_matches(template: str, path: str, values: dict[str, str] | None) -> None:
    assert values_of(template, path) == values


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("a%20b", "a b"),
        ("caf%C3%A9", "café"),
        ("a+b", "a+b"),
        ("a%2Fb%2fc", "a%2Fb%2fc"),
        ("100%25", "100%"),
        ("%252F", "%2F"),
        ("a%3Fb", "a?b"),
        ("...", "..."),
    ],
)
def test_values_are_decoded_once_except_for_slashes(raw: str, value: str) -> None:
    assert values_of("items/{id}", f"/items/{raw}") == {"id": value}


def test_a_literal_is_compared_after_decoding() -> None:
    router = router_of("straße/100%")
    assert router.match("GET", "/api/STRA%C3%9Fe/100%25") == Match("straße/100%", {})
    assert router.match("GET", "/api/strasse/100%25") is None
    assert router_of("caf%C3%A9").match("GET", "/api/caf%C3%A9") is None


@pytest.mark.parametrize("path", ["/a/./items/../items/7", "/b/%2e%2E/a/items/7", "/../a/items/7"])
def test_dot_segments_are_resolved_before_matching(path: str) -> None:
    assert values_of("a/items/{id}", path) == {"id": "7"}


def test_a_final_dot_segment_leaves_a_slash() -> None:
    assert values_of("files/{*path}", "/files/a/b/..") == {"path": "a/"}
    assert values_of("{*path}", "/..") == {}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "api/items/7",
        "/api/items/%",
        "/api/items/%4",
        "/api/items/%zz",
        "/api/items/%ff",
        "/api/items/%C3",
        "/api/items/%ED%A0%80",
        "/api/items/%00",
        "/api/items/\0",
        "/api/items/é",
        "/api/items/" + "x" * MAX_PATH,
    ],
)
def test_a_malformed_path_matches_nothing(path: str) -> None:
    assert router_of("items/{id}", "{*rest}").match("GET", path) is None


# --- constraints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused"),
    [
        ("int", ["123456789", "-5", "+5", " 7 ", "007", "2147483647"], ["", "1.0", "2147483648", "٣", "0x1", "1_0"]),
        ("long", ["123456789", "-9223372036854775808"], ["9223372036854775808", "1" * 5000]),
        ("bool", ["true", "FALSE"], ["yes", "1"]),
        (
            "datetime",
            [
                *(
                    "2016-12-31",
                    "2016-12-31 7:32pm",
                    "2024-02-29T10:00:00.123+02:00",
                    "12/31/2016",
                    "12/31/16",
                    "1/1/00",
                ),
                *("Fri, 05 Jan 2024 10:00:00 GMT", "January 5, 2024", "5 Jan 2024", "May 2024", "10:30", "5 PM"),
            ],
            ["2016-13-31", "2023-02-29", "31/12/2016", "tomorrow", "5", "25:00", "13 PM", "10:61", "0000-01-01"],
        ),
        ("decimal", ["49.99", "-1,000.01", ".5", "5.", "5-", "9" * 28], ["1e3", ".", ",1", "+5-", "9" * 29, "abc"]),
        ("double", ["1.234", "-1,001.01e8", "1E-3", "1e999", "NaN", "-Infinity"], ["1e", "e5", "1-", "1.2.3"]),
        ("float", ["1.234", "-1,001.01e8"], ["one"]),
        (
            "guid",
            [
                *("CD2C1638-1638-72D5-1638-DEADBEEF1638", "{CD2C1638-1638-72D5-1638-DEADBEEF1638}", "0" * 32),
                *("(cd2c1638-1638-72d5-1638-deadbeef1638)", "{0x1,0x2,0x3,{0x1,0x2,0x3,0x4,0x5,0x6,0x7,0x8}}"),
            ],
            ["CD2C1638-1638-72D5-1638-DEADBEEF163", "{CD2C1638-1638-72D5-1638-DEADBEEF1638)", "g" * 32],
        ),
        ("minlength(4)", ["Rick", "😀😀"], ["Ric"]),
        ("maxlength(8)", ["MyFile"], ["MyFile.txt"]),
        ("length(12)", ["somefile.txt"], ["somefile.tx", "somefile.text"]),
        ("length(2)", ["😀", "€€"], ["€", "😀😀"]),
        ("length(8, 16)", ["somefile.txt"], ["file.tx", "a" * 17]),
        ("min(18)", ["19", "18"], ["17", "nineteen"]),
        ("max(120)", ["91", "-1"], ["121"]),
        ("range(18,120)", ["18", "91", "120"], ["17", "121", "18.5"]),
        ("alpha", ["Rick"], ["123", "é", "a b"]),
        ("required", ["Rick"], [""]),
        ("file", ["a.txt", ".gitignore", "a/b.c"], ["", "a", "a.", "a..", "a.b/c"]),
        ("nonfile", ["", "a", "a.", "a.b/c"], ["a.txt"]),
        ("regex(^\\d{{3}}-\\d{{2}}-\\d{{4}}$)", ["123-45-6789"], ["123-456-789", "x123-45-6789"]),
        ("regex(b+)", ["abc", "ABC"], ["ac"]),
        ("regex(^(a|b:c)$)", ["a", "B:C"], ["b", "c"]),
        ("regex(^a/b=c,d$)", ["a/b=c,d"], ["ab=c,d"]),
        ("INT", ["1"], ["x"]),
        ("int:min(1)::max(9)", ["1", "9"], ["0", "10", "x"]),
    ],
)
def test_constraints(constraint: str, accepted: list[str], refused: list[str]) -> None:
    (parameter,) = parse_template(f"{{value:{constraint}}}").parameters
    assert [text for text in (*accepted, *refused) if parameter.accepts(text)] == accepted


def test_an_optional_parameter_is_constrained_only_if_it_is_there() -> None:
    assert values_of("items/{id:int?}", "/items") == {}
    assert values_of("items/{id:int?}", "/items/7") == {"id": "7"}
    assert values_of("items/{id:int?}", "/items/x") is None


def test_a_default_must_satisfy_the_constraint_too() -> None:
    assert values_of("items/{id:int=1}", "/items") == {"id": "1"}
    assert values_of("items/{id:int=one}", "/items") is None


def test_a_constrained_catch_all_needs_a_value_unless_it_only_excludes_files() -> None:
    assert values_of("x/{*rest:minlength(0)}", "/x") is None
    assert values_of("x/{*rest:nonfile}", "/x") == {}
    assert values_of("x/{*rest:nonfile}", "/x/a.b/c") == {"rest": "a.b/c"}


def test_a_template_tells_its_parameters() -> None:
    template = parse_template("a/{id:int:min(1)}/{name}.{extension?}/{*rest=x}")
    assert template.template == "a/{id:int:min(1)}/{name}.{extension?}/{*rest=x}"
    assert [parameter.name for parameter in template.parameters] == ["id", "name", "extension", "rest"]
    number, name, extension, rest = template.parameters
    assert [(constraint.name, constraint.argument) for constraint in number.constraints] == [
        ("int", None),
        ("min", "1"),
    ]
    assert (name.optional, extension.optional) == (False, True)
    assert (rest.catch_all, rest.default) == (True, "x")


# --- several routes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/api/items/list", "items/list"),
        ("/api/items/7", "items/{id:int}"),
        ("/api/items/seven", "items/{name}"),
        ("/api/items/a-b", "items/{a}-{b}"),
        ("/api/items/7/details", "items/{id:int}/details"),
        ("/api/items/x/details", "items/{name}/{what}"),
        ("/api/items/x/y/z", "items/{*rest:maxlength(5)}"),
        ("/api/items/x/y/z/long", "items/{*rest}"),
        ("/api/items", "items/{*rest}"),
        ("/api/other/list", "{kind}/list"),
        ("/api/other", "{*rest}"),
        ("/api", "{*rest}"),
    ],
)
def test_the_most_specific_route_wins_in_whatever_order_they_are_added(path: str, winner: str) -> None:
    for templates in (PRECEDENCE, PRECEDENCE[::-1], sorted(PRECEDENCE)):
        match = router_of(*templates).match("GET", path)
        assert match is not None
        assert match.target == winner


PRECEDENCE = [
    "items/list",
    "items/{id:int}",
    "items/{id:int}/details",
    "items/{a}-{b}",
    "items/{name}",
    "items/{name}/{what}",
    "items/{*rest:maxlength(5)}",
    "items/{*rest}",
    "{kind}/list",
    "{*rest}",
]


def test_it_tells_where_azure_would_choose_another_function() -> None:
    """Azure goes by the functions' names: there ``get_item`` would answer for ``items/list`` too."""
    router: Router[str] = Router()
    router.add("items/{id}", ["GET"], "get", owner="get_item")
    router.add("items/list", ["GET"], "list", owner="list_items")
    router.add("items/new", ["POST"], "new", owner="new_item")  # another method: no question
    router.add("items/all", ["GET"], "all", owner="all_items")  # its name comes first: the same in Azure
    (difference,) = router.differences()
    assert "list_items" in difference
    assert "get_item" in difference


def test_of_equally_specific_routes_the_first_wins() -> None:
    for templates in itertools.permutations(["items/{id:int}", "items/{id:min(1)}"]):
        match = router_of(*templates).match("GET", "/api/items/5")
        assert match is not None
        assert match.target == templates[0]


def test_functions_may_share_a_route_and_differ_in_methods() -> None:
    router = Router[str]()
    router.add("items", ["GET", "head"], "read", owner="read")
    router.add("items", ["POST"], "write", owner="write")
    router.add("items/{id}", ["get"], "read one", owner="read_one")
    router.add("items/{key}", ["DELETE"], "remove", owner="remove")
    assert [
        (match := router.match(method, path)) and match.target
        for method, path in [
            ("GET", "/api/items"),
            ("HEAD", "/api/items"),
            ("post", "/api/items/"),
            ("GET", "/api/items/1"),
            ("DELETE", "/api/items/1"),
        ]
    ] == ["read", "read", "write", "read one", "remove"]


def test_without_a_function_for_the_method_there_is_no_match() -> None:
    router = Router[str]()
    router.add("items", ["GET"], "read", owner="read")
    router.add("items/{id}", ["GET"], "read one", owner="read_one")
    for method in ("HEAD", "OPTIONS", "POST", ""):
        assert router.match(method, "/api/items") is None
        assert router.match(method, "/api/items/1") is None


def test_a_less_specific_route_answers_the_methods_that_a_more_specific_one_does_not() -> None:
    router = Router[str]()
    router.add("items/list", ["POST"], "make a list", owner="make_list")
    router.add("items/{id}", [], "anything", owner="anything")
    assert router.match("POST", "/api/items/list") == Match("make a list", {})
    assert router.match("GET", "/api/items/list") == Match("anything", {"id": "list"})


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("api", "/api/hello"), ("", "/hello"), ("/v1/public/", "/v1/Public/hello"), ("{tenant}", "/contoso/hello")],
)
def test_the_prefix_of_all_routes(prefix: str, path: str) -> None:
    router = router_of("hello", prefix=prefix)
    assert router.match("GET", path) is not None
    assert router.match("GET", "/other" + path) is None


def test_a_match_may_be_changed_by_its_receiver() -> None:
    router = router_of("hello")
    first = router.match("GET", "/api/hello")
    assert first is not None
    first.values["x"] = "y"
    assert router.match("GET", "/api/hello") == Match("hello", {})


def test_nothing_below_admin_reaches_a_function() -> None:
    router = router_of("{*path}", prefix="")
    for path in ("/admin", "/ADMIN/host/status", "/x/../admin/keys", "/%61dmin/keys"):
        assert router.match("GET", path) is None
    assert router.match("GET", "/administration") is not None


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "position", "problem"),
    [
        ("items/{id", 7, "not closed"),
        ("items/{id}}", 7, "not closed"),
        ("items/id}", 9, "closes nothing"),
        ("items/{id}/}x", 12, "closes nothing"),
        ("items/{id:regex(^\\d{3}$)}", 20, "must be doubled"),
        ("{{{id}}}", 4, "cannot contain '}'"),
        ("items/{}", 8, "needs a name"),
        ("items/{?}", 8, "needs a name"),
        ("items/{*}", 9, "needs a name"),
        ("items/{a/b}", 8, "cannot contain '/'"),
        ("items/{id?:int}", 8, "cannot contain '?'"),
        ("items/{id}/{ID}", 13, "the name 'ID'"),
        ("items//{id}", 7, "two slashes"),
        ("items/what?", 11, "cannot contain '?'"),
        ("items/{a}{b}", 10, "some text between"),
        ("{*rest}/items", 9, "catch-all parameter 'rest'"),
        ("x{*rest}", 2, "whole segment"),
        ("{*rest}.txt", 1, "whole segment"),
        ("{*rest?}", 1, "cannot be optional"),
        ("{id=5?}", 1, "cannot have a default"),
        ("{id?}-x", 1, "last of its segment"),
        ("{a}-{b?}", 5, "only '.'"),
        ("{id:integer}", 5, "no constraint 'integer'"),
        ("{id:min(1}", 5, "not closed with ')'"),
        ("{id:int(5)}", 5, "takes no argument"),
        ("{id:min}", 5, "'min(2)'"),
        ("{id:min(a)}", 5, "'min(2)'"),
        ("{id:range(5)}", 5, "'range(2,5)'"),
        ("{id:length(1,2,3)}", 5, "'length(2,5)'"),
        ("{id:minlength(-1)}", 5, "not negative"),
        ("{id:range(5,2)}", 5, "minimum, 5, above its maximum, 2"),
        ("{id:regex}", 5, "needs a pattern"),
        ("{id:int:regex([)}", 9, "Python's 're' does not accept the pattern '['"),
        ("{id:regex((?<year>x))}", 5, "Python's 're'"),
        ("{id:regex(a:b):length(3)}", 5, "the pattern 'a:b):length(3'"),  # ASP.NET, too, reads it so
    ],
)
def test_a_malformed_template_is_refused_with_its_position(template: str, position: int, problem: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_template(template)
    assert f"route {template!r}, position {position}: " in error.value.message
    assert problem in error.value.message


def test_a_refused_route_names_the_function() -> None:
    with pytest.raises(ConfigurationError) as error:
        Router[str]().add("items/{id:integer}", [], "", owner="get_item")
    assert str(error.value) == (
        "function 'get_item': route 'api/items/{id:integer}', position 15: there is no constraint 'integer'\n"
        "  Did you mean 'int'?"
    )


@pytest.mark.parametrize(
    ("written", "meant"), [("uuid", "guid"), ("boolean", "bool"), ("date", "datetime"), ("Min_Length", "minlength")]
)
def test_the_nearest_constraint_is_suggested(written: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_template(f"{{id:{written}}}")
    assert error.value.hint == f"Did you mean {meant!r}?"


def test_without_a_near_constraint_all_are_listed() -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_template("{id:xyzzy}")
    assert error.value.hint is not None
    assert "alpha, bool, datetime" in error.value.hint


@pytest.mark.parametrize("template", ["admin", "Admin/keys", "/runtime/x", "administrators/{id}"])
def test_routes_of_the_functions_host_are_reserved(template: str) -> None:
    with pytest.raises(ConfigurationError, match=r"function 'mine'.*'admin' or 'runtime'"):
        Router[str]().add(template, [], "", owner="mine")


def test_a_prefix_must_be_usable() -> None:
    with pytest.raises(ConfigurationError, match=r"routePrefix 'a//b'.*two slashes"):
        Router[str]("a//b")
    with pytest.raises(ConfigurationError, match=r"routePrefix 'Admin/x'"):
        Router[str]("Admin/x")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("items", ["GET"]), ("/Items/", ["get", "POST"])),
        (("items", []), ("items", ["GET"])),
        (("items/{id}", ["GET"]), ("items/{name}", ["GET"])),
        (("items/{id:int:min(1)?}", []), ("items/{key:MIN(1):int=5}", [])),
        (("{name}.{extension?}", []), ("{a}.{b?}", [])),
        (("{*a}", []), ("{**b}", [])),
    ],
)
def test_two_functions_cannot_have_the_same_route(first: tuple[str, list[str]], second: tuple[str, list[str]]) -> None:
    router = Router[str]()
    router.add(*first, "", owner="one")
    with pytest.raises(ConfigurationError, match=r"functions 'one' and 'two' both answer .* on the route '/api/"):
        router.add(*second, "", owner="two")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("items", ["GET"]), ("items", ["POST"])),
        (("items/{id}", []), ("items/{id?}", [])),
        (("items/{id:int}", []), ("items/{id:guid}", [])),
        (("items/{code:regex(a)}", []), ("items/{code:regex(A)}", [])),
    ],
)
def test_routes_that_differ_live_side_by_side(first: tuple[str, list[str]], second: tuple[str, list[str]]) -> None:
    router = Router[str]()
    router.add(*first, "", owner="one")
    router.add(*second, "", owner="two")


# --- properties ------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda text: text not in (".", "..")
)
WORDS = st.text("abcXYZ0189", min_size=1, max_size=5)


@st.composite
def templates_with_values(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    """A template, a path made from values, and the values."""
    template, path, values = ["t"], ["t"], {}
    for number in range(draw(st.integers(0, 4))):
        name = f"p{number}"
        match draw(st.sampled_from(["literal", "parameter", "constrained", "parts"])):
            case "literal":
                text = draw(TEXTS.filter(lambda text: "?" not in text))
                template.append(text.replace("{", "{{").replace("}", "}}"))
                path.append(quote(text.swapcase() if text.isascii() else text, safe=""))
            case "parameter":
                values[name] = draw(TEXTS)
                template.append(f"{{{name}}}")
                path.append(quote(values[name], safe=""))
            case "constrained":
                values[name] = str(draw(st.integers(-(2**31), 2**31 - 1)))
                template.append(f"{{{name}:int:required}}")
                path.append(values[name])
            case "parts":
                left, right = draw(WORDS), draw(WORDS)
                separator = draw(st.sampled_from(["-", "..", "~"]))
                values |= {f"{name}a": left, f"{name}b": right}
                template.append(f"v{{{name}a}}{separator}{{{name}b}}")
                path.append(f"V{left}{separator}{right}")
    match draw(st.sampled_from(["none", "optional", "omitted", "default", "catch-all", "empty catch-all"])):
        case "optional":
            template.append("{end?}")
            values["end"] = draw(TEXTS)
            path.append(quote(values["end"], safe=""))
        case "omitted":
            template.append("{end?}")
        case "default":
            template.append("{end=some text}")
            values["end"] = "some text"
        case "catch-all":
            template.append("{*end}")
            parts = draw(st.lists(TEXTS, min_size=1, max_size=3))
            values["end"] = "/".join(parts)
            path += [quote(part, safe="") for part in parts]
        case "empty catch-all":
            template.append("{*end}")
    return "/".join(template), "/" + "/".join(path), values


@given(templates_with_values())
def test_a_path_made_from_values_gives_the_values_back(example: tuple[str, str, dict[str, str]]) -> None:
    template, path, values = example
    assert values_of(template, path) == values


PATHS = st.one_of(
    st.text(max_size=30),
    st.text("/.%2Fe7aäé\0{}-", max_size=30).map(lambda text: "/api/" + text),
    st.binary(max_size=30).map(lambda data: "/api/" + data.decode("latin-1")),
)


@given(PATHS, st.text(max_size=5))
def test_no_path_and_no_method_raises(path: str, method: str) -> None:
    match = router_of(*PRECEDENCE, "x/{a}.{b}-{c}.{d?}").match(method, path)
    if match is not None:
        assert not any(segment in (".", "..") for value in match.values.values() for segment in value.split("/"))


@given(st.text("{}*?=:()/.a1,[]\\int", max_size=20))
def test_a_template_is_read_or_refused(template: str) -> None:
    try:
        parsed = parse_template(template)
    except ConfigurationError:
        return
    names = [parameter.name.upper() for parameter in parsed.parameters]
    assert len(names) == len(set(names))


SEGMENTS = ["a", "b", "{x}", "{x:int}", "{x?}", "{x=1}", "{x}.{y?}", "v{x}", "{*x}", "{*x:file}"]


@given(
    st.lists(st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "B", "1", "v1", "a.b", "a.", ""]), max_size=4),
)
def test_many_routes_answer_as_the_most_specific_would_alone(templates: list[list[str]], path: list[str]) -> None:
    router = Router[str]()
    alone: list[tuple[list[int], int, Match[str] | None]] = []
    url = "/api/" + "/".join(path)
    for number, segments in enumerate(templates):
        template = "/".join(
            part.replace("x", f"x{place}").replace("y", f"y{place}") for place, part in enumerate(segments)
        )
        try:
            router.add(template, [], template, owner=str(number))
        except ConfigurationError:  # malformed, or there already
            continue
        alone.append(([RANKS[part] for part in segments], number, router_of(template).match("GET", url)))
    expected = next((match for _, _, match in sorted(alone, key=lambda one: one[:2]) if match is not None), None)
    assert router.match("GET", url) == expected


RANKS = dict(zip(SEGMENTS, [1, 1, 3, 2, 3, 3, 2, 2, 5, 4], strict=True))


# --- how much work a request is --------------------------------------------------------------------------------------


def steps(call: Callable[[], Any]) -> int:
    """Count the lines of Python that ``call`` runs."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    gc.disable()  # what an earlier test left behind may have Python code of its own to run when it is collected
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


@pytest.mark.parametrize("methods", [["GET"], []])
def test_a_literal_route_is_found_in_one_step_whatever_the_number_of_routes(methods: list[str]) -> None:
    def work(size: int, path: str) -> int:
        router = Router[int]()
        for number in range(size):
            router.add(f"items/number{number}", methods, number, owner=f"function{number}")
        return steps(lambda: router.match("GET", path))

    assert work(1000, "/api/Items/Number1") == work(2, "/api/Items/Number1") < work(2, "/api/Items/Number1/") / 2


@pytest.mark.parametrize("unit", ["a/", "1.", "a-", "/", "%2F", "%61/", "./", "a/../", "v1.1-", "%C3%A9/"])
def test_the_work_grows_no_faster_than_the_path(unit: str) -> None:
    router = router_of(
        *("/".join(choice) for choice in itertools.product(["a", "{x}", "v{x}.{y}-{z}"], repeat=1)),
        *("/".join(f"{{x{n}}}.{{y{n}}}-{{z{n}}}" for n in range(length)) for length in range(2, 8)),
        *("/".join(f"{{x{n}:regex(^(a|1)+$)}}" for n in range(length)) for length in range(2, 8)),
        *("/".join(f"{{x{n}}}" for n in range(length)) + "/end" for length in range(1, 8)),
        "{*rest:int}",
    )
    size = MAX_PATH // 4 // len(unit)
    small = steps(lambda: router.match("GET", "/api/" + unit * size))
    large = steps(lambda: router.match("GET", "/api/" + unit * size * 2))
    assert large < 2.2 * small + 100


@pytest.mark.timeout(20)  # what backtracks worse than quadratically takes hours
@pytest.mark.parametrize(
    "constraint",
    ["int", "long", "bool", "datetime", "decimal", "double", "guid", "alpha", "min(1)", "length(5)"],
)
@pytest.mark.parametrize("unit", ["0", "9", ",", ".", "a", "-", "1,", "1.", "0 ", "\t", "2024-01-01 ", "1:1", "e9"])
def test_no_constraint_is_slow_on_a_long_value(constraint: str, unit: str) -> None:
    (parameter,) = parse_template(f"{{x:{constraint}}}").parameters
    value = unit * (MAX_PATH // len(unit)) + "!"
    assert not parameter.accepts(value)
    assert not parameter.accepts("1" + value)
