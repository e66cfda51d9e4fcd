"""The page, as somebody uses it in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.hosting import RunningHost, free_port, running_host, steady_requests, wait_until, write_app

Open = Callable[..., Page]

APP = """
import asyncio, json, logging
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class Outer(func.AppExtensionBase):
    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
        logger.info("outer before")

    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args, func_ret, *args, **kwargs):
        logger.info("outer after")


class Inner(func.AppExtensionBase):
    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
        raise LookupError("a hook that fails")


@app.route(route="items/{id:int}/{*rest}", methods=["GET", "POST"])
def Items(req):
    logging.warning("look at this")
    return func.HttpResponse(json.dumps({
        "method": req.method, "route": dict(req.route_params), "query": dict(req.params),
        "header": req.headers.get("x-mine"), "body": req.get_body().decode(),
    }), mimetype="application/json")


@app.route(route="fail")
def Fail(req):
    return divide(1, 0)


def divide(a, b):
    return a / b  # here it goes wrong


@app.route(route="html")
def Html(req):
    return func.HttpResponse("<script>document.title = 'owned'</script><h1>no markup</h1>", mimetype="text/html")


@app.route(route="slow")
async def Slow(req):
    logging.info("waiting")
    while not globals().pop("released", None):
        await asyncio.sleep(0.01)
    return "released"


@app.route(route="release")
async def Release(req):
    globals()["released"] = True


@app.service_bus_queue_trigger(arg_name="message", queue_name="orders", connection="bus")
def Ordered(message: func.ServiceBusMessage):
    logging.info("ordered: %s", message.get_body().decode())
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("shop"), {"function_app.py": APP})
    with running_host(folder, environ={"PYTHON_ENABLE_WORKER_EXTENSIONS": "1"}) as host:
        yield host


@pytest.fixture
def page(host: RunningHost, open_page: Open) -> Page:
    page = open_page(host.port)
    expect(page.locator("#state")).to_have_text("Running")
    return page


def rows(page: Page, text: str = "") -> Any:
    return page.locator("#invocations li").filter(has_text=text)


def choose(page: Page, function: str) -> None:
    """Open the form of a function."""
    page.locator("#functions").get_by_role("link", name=function).click()
    expect(page.locator("#detail-title")).to_have_text(function)


class TestWhatIsServed:
    """The column on the left."""

    def test_functions_with_their_triggers(self, page: Page) -> None:
        """In the order of the console: those that answer requests, then the others, each by name."""
        shown = page.locator("#functions li").all_inner_texts()
        assert [" ".join(text.split()) for text in shown] == [
            "Fail ANY /api/fail",
            "Html ANY /api/html",
            "Items GET POST /api/items/{id:int}/{*rest}",
            "Release ANY /api/release",
            "Slow ANY /api/slow",
            "Ordered Service Bus orders",
        ]

    def test_extensions_in_their_order(self, page: Page) -> None:
        expect(page.locator("#extensions li")).to_have_text(["Outer", "Inner"])

    def test_the_filter(self, page: Page) -> None:
        page.get_by_label("Filter functions and invocations").fill("service bus")
        expect(page.locator("#functions li:visible")).to_have_text([re.compile("Ordered")])


class TestRunning:
    """The forms."""

    def test_an_http_function(self, page: Page) -> None:
        choose(page, "Items")
        expect(page.get_by_label("Address")).to_have_text("/api/items/{id}")
        page.get_by_label("Method").select_option("POST")
        page.get_by_label("id").fill("7")
        page.get_by_label("rest").fill("a b/c")
        page.get_by_role("button", name="Add a query parameter").click()
        page.get_by_label("Name of query parameter").fill("q")
        page.get_by_label("Value of query parameter").fill("1&2")
        page.get_by_role("button", name="Add a header").click()
        page.get_by_label("Name of header").fill("X-Mine")
        page.get_by_label("Value of header").fill("yes")
        page.get_by_label("Body", exact=True).fill("some body")
        expect(page.get_by_label("Address")).to_have_text("/api/items/7/a%20b/c?q=1%262")
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".answer .code")).to_have_text("200 OK")
        answered = json.loads(page.get_by_label("Body of the answer").inner_text())
        assert answered == {
            "method": "POST",
            "route": {"id": "7", "rest": "a b/c"},
            "query": {"q": "1&2"},
            "header": "yes",
            "body": "some body",
        }
        expect(rows(page).first).to_contain_text("POST /api/items/7/a%20b/c?q=1%262")
        page.get_by_role("link", name="What happened").click()
        expect(page.locator("#detail-title")).to_have_text(re.compile("Items"))
        expect(page.get_by_label("Logs")).to_contain_text("WARNING look at this")

    def test_needs_what_its_route_needs(self, page: Page) -> None:
        choose(page, "Items")
        page.get_by_role("button", name="Run").click()
        assert page.get_by_label("id").evaluate("field => field.validity.valueMissing")
        expect(page.locator(".answer")).to_be_empty()

    def test_any_other_function(self, page: Page) -> None:
        choose(page, "Ordered")
        page.get_by_label("Input").fill("two teas")
        page.get_by_role("button", name="Run").click()
        expect(page.locator(".answer")).to_have_text("Started; see the invocations.")
        rows(page, "Ordered").first.click()
        expect(page.get_by_label("Logs")).to_contain_text("ordered: two teas")

    def test_what_a_function_answers_is_shown_as_text(self, page: Page) -> None:
        choose(page, "Html")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_label("Body of the answer")).to_contain_text("<h1>no markup</h1>")
        assert "owned" not in page.title()

    def test_a_form_keeps_what_was_written(self, page: Page) -> None:
        choose(page, "Ordered")
        page.get_by_label("Input").fill("kept")
        choose(page, "Fail")
        choose(page, "Ordered")
        expect(page.get_by_label("Input")).to_have_value("kept")


class TestWhatHappens:
    """Invocations, live."""

    def test_appear_as_they_run(self, page: Page, host: RunningHost) -> None:
        request = host.begin("/api/slow")
        row = rows(page, "Slow")
        expect(row.get_by_role("img", name="running")).to_be_visible()
        expect(page.locator("#rate-chart")).to_contain_text("1 running")
        row.click()
        expect(page.get_by_label("Logs")).to_contain_text("waiting")
        assert host.get("/api/release").status == 204
        assert request.answer().text == "released"
        expect(row.get_by_role("img", name="succeeded")).to_be_visible()
        expect(page.locator(".meta")).to_contain_text("answered 200")

    def test_tell_how_they_failed(self, page: Page, host: RunningHost) -> None:
        assert host.get("/api/fail").status == 500
        row = rows(page, "ZeroDivisionError: division by zero").first
        expect(row.get_by_role("img", name="failed")).to_be_visible()
        row.click()
        expect(page.locator(".error-box")).to_have_text("ZeroDivisionError: division by zero")
        expect(page.locator(".place figcaption")).to_have_text(
            [re.compile(r"^function_app\.py:\d+ in divide$"), re.compile(r"^function_app\.py:\d+ in Fail$")]
        )
        expect(page.locator(".place .line.here").first).to_contain_text("return a / b  # here it goes wrong")
        page.get_by_text("Traceback", exact=True).click()
        expect(page.locator("details .raw")).to_contain_text("in divide")

    def test_show_every_hook_and_the_function_as_bars(self, page: Page, host: RunningHost) -> None:
        host.get("/api/html?bars")
        rows(page, "html?bars").click()
        steps = page.get_by_label("Timeline").locator("li:not(.axis)")
        labels = steps.filter(has_not_text="waiting").locator(".label")
        expect(labels).to_have_text(["Outer pre", "Inner pre", "Html", "Outer post"])
        kinds = steps.filter(has_not_text="waiting").locator(".bar")
        expect(kinds.nth(1)).to_have_class("bar hook failed")  # the hook that raises
        expect(kinds.nth(2)).to_have_class("bar function")
        boxes = [kinds.nth(at).bounding_box() for at in range(4)]
        starts = [box["x"] for box in boxes if box is not None]
        assert starts == sorted(starts)
        assert len(set(starts)) > 1
        expect(steps.filter(has_text="Inner")).to_contain_text("raises LookupError('a hook that fails')")

    def test_are_found_by_their_trace(self, page: Page, host: RunningHost) -> None:
        trace = "0af7651916cd43dd8448eb211c80319c"
        host.get("/api/html?code=secret-key", {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        rows(page, "code=…").click()
        expect(page.locator(".meta")).to_contain_text(trace)
        expect(page.locator(".meta")).to_contain_text("GET /api/html?code=…")
        page.get_by_role("button", name="Copy the trace id").click()
        expect(page.get_by_role("button", name="Copy the trace id")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == trace
        page.get_by_label("Filter functions and invocations").fill(trace)
        expect(page.locator("#invocations li:visible")).to_have_count(1)

    def test_can_be_paused_and_chosen(self, page: Page, host: RunningHost) -> None:
        host.get("/api/html?first")
        expect(rows(page, "html?first")).to_have_count(1)
        shown = rows(page).count()
        page.get_by_role("button", name="Pause").click()
        host.get("/api/fail")
        host.get("/api/html?second")
        expect(page.locator("#live")).to_contain_text("Fail failed")  # so the page has been told
        expect(rows(page)).to_have_count(shown)
        page.get_by_role("button", name="Pause").click()
        expect(rows(page, "html?second")).to_have_count(1)
        page.get_by_role("radio", name="Failed").check(force=True)
        expect(page.locator("#invocations li:visible").first).to_contain_text("Fail")
        expect(rows(page, "html?second")).to_be_hidden()

    def test_are_right_in_the_end_however_many_there_are(self, page: Page, host: RunningHost) -> None:
        with steady_requests(host, "/api/html?many", clients=4) as outcomes:
            wait_until(lambda: sum(outcomes.values()) > 600, "600 requests")
        host.get("/api/html?last")
        expect(rows(page, "html?last")).to_have_count(1)
        expect(rows(page)).to_have_count(250)
        expect(page.locator("#invocations .mark.running")).to_have_count(0)
        expect(rows(page).first).to_contain_text("html?last")

    def test_are_counted(self, page: Page, host: RunningHost) -> None:
        for _ in range(5):
            host.get("/api/html")
        rate = page.locator("#rate-chart svg")
        expect(rate).to_have_attribute("aria-label", re.compile("in the last two minutes [1-9]"))
        expect(rate.locator("rect.ok").first).to_be_attached()
        expect(page.locator("#latency-chart .p50").first).to_be_attached()
        expect(page.locator("#functions li").filter(has_text="Html")).to_contain_text(re.compile(r"[1-9]\d* · .* ms"))

    def test_of_an_earlier_visit_are_still_there(self, page: Page, host: RunningHost) -> None:
        host.get("/api/html")
        expect(rows(page, "Html").first).to_be_visible()
        page.reload()
        expect(rows(page, "Html").first).to_be_visible()


class TestKeyboard:
    """All of it without a mouse."""

    def test_run_a_function_and_look_at_it(self, page: Page) -> None:
        page.keyboard.press("/")
        page.keyboard.type("html")
        page.keyboard.press("Escape")
        page.keyboard.press("f")
        expect(page.locator("#functions a:focus")).to_contain_text("Html")
        page.keyboard.press("Enter")
        expect(page.locator("#detail")).to_be_focused()
        page.keyboard.press("r")
        expect(page.locator(".answer .code")).to_have_text("200 OK")
        expect(page.get_by_role("link", name="What happened")).to_be_visible()
        page.keyboard.press("j")
        expect(page.locator("#detail-title")).to_contain_text("Html")
        expect(rows(page).first.locator("a")).to_have_attribute("aria-current", "true")
        page.keyboard.press("Escape")
        expect(page.locator("#detail")).to_contain_text("Choose a function")

    def test_tab_reaches_everything_and_shows_where_it_is(self, page: Page) -> None:
        choose(page, "Ordered")
        reached: list[str] = []
        for _ in range(40):
            page.keyboard.press("Tab")
            found = page.evaluate(
                """() => {
                    const element = document.activeElement;
                    const style = getComputedStyle(element.closest("label") ?? element);
                    return [element.id || element.textContent.trim(), style.outlineStyle];
                }"""
            )
            if found[0] and found[1] != "none":
                reached.append(found[0])
        for name in ("filter", "theme", "pause", "Run"):
            assert any(name in text for text in reached), (name, reached)

    def test_help(self, page: Page) -> None:
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("j")  # is not heard by the page behind it
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()

    def test_skip_link(self, page: Page) -> None:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the invocations")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#activity")).to_be_focused()


def brightness(page: Page) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


class TestLooks:
    """Dark and light, small and large, for eyes and for screen readers."""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_follow_the_system(self, host: RunningHost, open_page: Open, scheme: str) -> None:
        page = open_page(host.port, color_scheme=scheme)
        assert (brightness(page) > 128) is (scheme == "light")

    def test_can_be_chosen_and_are_kept(self, page: Page) -> None:
        button = page.locator("#theme")
        for theme, is_light in (("light", True), ("dark", False)):
            button.click()
            expect(button).to_have_text(f"Theme: {theme}")
            assert (brightness(page) > 128) is is_light
        page.reload()
        expect(button).to_have_text("Theme: dark")
        assert brightness(page) < 128

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_are_accessible(self, host: RunningHost, open_page: Open, scheme: str) -> None:
        page = open_page(host.port, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
        host.get("/api/fail")
        host.get("/api/items/1/x")
        rows(page, "Fail").first.click()
        expect(page.locator(".place").first).to_be_visible()
        for view in ("invocation", "form"):
            if view == "form":
                choose(page, "Items")
                page.get_by_role("button", name="Add a header").click()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()

    def test_fit_a_small_screen(self, host: RunningHost, open_page: Open) -> None:
        page = open_page(host.port)
        host.get("/api/fail")
        rows(page, "Fail").first.click()
        expect(page.locator(".place").first).to_be_visible()
        for width in (360, 768, 1119, 1120, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


class TestAroundIt:
    """What changes while the page is open."""

    def test_an_edit_and_a_mistake(self, tmp_path: Path, open_page: Open) -> None:
        folder = write_app(tmp_path, {"function_app.py": APP})
        with running_host(folder) as host:
            page = open_page(host.port)
            expect(page.locator("#functions li")).to_have_count(6)
            (folder / "function_app.py").write_text(APP.replace("def Html", "def Renamed"))
            expect(page.locator("#functions")).to_contain_text("Renamed")
            (folder / "function_app.py").write_text(APP + "\n1 / 0\n")
            expect(page.locator("#problem")).to_contain_text("ZeroDivisionError: division by zero")
            expect(page.locator("#functions")).to_contain_text("Renamed")
            (folder / "function_app.py").write_text(APP)
            expect(page.locator("#problem")).to_be_hidden()

    def test_an_app_that_cannot_be_loaded(self, tmp_path: Path, open_page: Open) -> None:
        folder = write_app(tmp_path, {"function_app.py": "import nothing_like_this\n"})
        with running_host(folder, port=free_port(), ready="No functions are being served") as host:
            page = open_page(host.port)
            expect(page.locator("#state")).to_have_text("Error")
            expect(page.locator("#problem")).to_contain_text("No module named 'nothing_like_this'")

    def test_a_host_that_is_started_anew(self, tmp_path: Path, open_page: Open) -> None:
        folder, port = write_app(tmp_path, {"function_app.py": APP}), free_port()
        with running_host(folder, port=port):
            page = open_page(port, expect_errors="403")
            expect(page.locator("#state")).to_have_text("Running")
        expect(page.locator("#state")).to_have_text("Disconnected")
        with running_host(folder, port=port) as host:
            expect(page.locator("#state")).to_have_text("Running", timeout=20_000)
            host.get("/api/html")
            expect(rows(page, "Html")).to_have_count(1)

    def test_keys(self, tmp_path: Path, open_page: Open) -> None:
        source = APP.replace("ANONYMOUS", "FUNCTION")
        with running_host(write_app(tmp_path, {"function_app.py": source}), "--enableAuth") as host:
            master = host.wait_for(r"master key \(opens everything\): (\S+)")[1]
            page = open_page(host.port, expect_errors="401")
            dialog = page.get_by_role("dialog", name="Master key")
            for key in ("wrong", master):
                expect(dialog).to_be_visible()
                dialog.get_by_label("Master key").fill(key)
                page.keyboard.press("Enter")
            expect(page.locator("#state")).to_have_text("Running")
            expect(page.locator("#no-invocations")).to_contain_text("Nothing has run")
            choose(page, "Html")
            page.get_by_role("button", name="Run").click()
            expect(page.locator(".answer .code")).to_have_text("200 OK")
            assert master not in page.content()

    def test_https(self, tmp_path: Path, open_page: Open) -> None:
        with running_host(write_app(tmp_path, {"function_app.py": APP}), "--useHttps") as host:
            page = open_page(host.port, ignore_https_errors=True)
            expect(page.locator("#state")).to_have_text("Running")
            choose(page, "Html")
            page.get_by_role("button", name="Run").click()
            expect(page.locator(".answer .code")).to_have_text("200 OK")
