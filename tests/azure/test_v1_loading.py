"""The v1 programming model: folders with a ``function.json``, and what is said when one of them is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.hosting import write_app
from support.worker_driving import DrivenWorker, driven_worker

TRIGGER = {"type": "httpTrigger", "direction": "in", "name": "req"}
RETURN = {"type": "http", "direction": "out", "name": "$return"}


def declare(*bindings: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A ``function.json``; with an HTTP trigger and response if no bindings are given."""
    return {**more, "bindings": list(bindings) or [TRIGGER, RETURN]}


# One app in which everything works

APP: Mapping[str, str | dict[str, Any]] = {
    "Plain/function.json": declare(),
    "Plain/__init__.py": "def main(req): return 'plain'",
    # Comments and trailing commas, as the real host takes them.
    "Commented/function.json": (
        '{\n // a comment\n "bindings": [{"type": "httpTrigger", "name": "req",},'
        ' {"type": "http", "direction": "out", "name": "$return"}],\n}'
    ),
    "Commented/__init__.py": "async def main(req): return 'commented'",
    "Elsewhere/function.json": declare(scriptFile="../shared/handlers.py", entryPoint="elsewhere"),
    "Beside/function.json": declare(scriptFile="run.py", entryPoint="start"),
    "Beside/run.py": "from .helper import TEXT\n\ndef start(req): return TEXT",
    "Beside/helper.py": "TEXT = 'beside'",
    "Imports/function.json": declare(),
    "Imports/__init__.py": """
import shared_module
from shared.names import NAME
from ..shared.names import NAME as relative
from __app__.shared.names import NAME as absolute
from . import near

def main(req): return " ".join([shared_module.NAME, NAME, relative, absolute, near.NAME])
""",
    "Imports/near.py": "NAME = 'near'",
    "shared_module.py": "NAME = 'module'",
    "shared/__init__.py": "",
    "shared/names.py": "NAME = 'shared'",
    "shared/handlers.py": "def elsewhere(req): return 'elsewhere'",
    # A folder that is called like a module of Python hides it from nobody.
    "colorsys/function.json": declare(),
    "colorsys/__init__.py": "from colorsys import rgb_to_hsv\n\ndef main(req): return rgb_to_hsv.__name__",
    "with-hyphen/function.json": declare(),
    "with-hyphen/__init__.py": "def main(req, context): return context.function_directory",
    "Off/function.json": declare(disabled=True),
    "Off/__init__.py": "def main(req): ...",
    "OffBySetting/function.json": declare(disabled="IS_OFF"),
    "OffBySetting/__init__.py": "def main(req): ...",
    "OffByName/function.json": declare(disabled="%IS_OFF%"),
    "OffByName/__init__.py": "def main(req): ...",
    "OnBySetting/function.json": declare(disabled="IS_ON"),
    "OnBySetting/__init__.py": "def main(req): ...",
    "Retried/function.json": declare(
        {"type": "timerTrigger", "name": "timer", "schedule": "* * * * * *"},
        retry={"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:01"},
    ),
    "Retried/__init__.py": "def main(timer): ...",
    "Wsgi/function.json": declare(),
    "Wsgi/__init__.py": """
import azure.functions as func

def web(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]

main = func.WsgiMiddleware(web).main
""",
    ".hidden/function.json": "{",
    "no_function/readme.txt": "just a folder",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenWorker]:
    folder = write_app(tmp_path_factory.mktemp("v1"), APP)
    with driven_worker(folder, environ={"IS_OFF": "True", "IS_ON": "false"}) as worker:
        assert worker.problems == {}
        yield worker


def test_every_folder_with_a_function_json_is_a_function(app: DrivenWorker) -> None:
    expected = sorted(Path(name).parent.name for name in APP if name.endswith("/function.json") and name[0] != ".")
    assert sorted(app.functions) == expected


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("Plain", "plain"),
        ("Commented", "commented"),
        ("Elsewhere", "elsewhere"),
        ("Beside", "beside"),
        ("Imports", "module shared shared shared near"),
        ("colorsys", "rgb_to_hsv"),
        ("Wsgi", "/"),
    ],
)
def test_a_function_is_found_wherever_its_declaration_says(name: str, answer: str, app: DrivenWorker) -> None:
    assert app.http(name).text == answer


def test_the_directory_of_a_function_is_its_folder(app: DrivenWorker) -> None:
    assert Path(app.http("with-hyphen").text).name == "with-hyphen"


def test_a_function_is_turned_off_by_its_declaration_or_by_the_setting_that_it_names(app: DrivenWorker) -> None:
    assert [name for name, function in app.functions.items() if function["disabled"]] == [
        "Off",
        "OffByName",
        "OffBySetting",
    ]


def test_the_retry_policy_of_a_function_is_told(app: DrivenWorker) -> None:
    assert app.functions["Retried"]["retry"]["maxRetryCount"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    write_app(tmp_path / "elsewhere", {"F/function.json": declare(), "F/__init__.py": "def main(req): return 'linked'"})
    folder = write_app(tmp_path / "app", {})
    (folder / "F").symlink_to(tmp_path / "elsewhere" / "F")
    with driven_worker(folder) as worker:
        assert worker.http("F").text == "linked"


# One app in which everything is wrong but one function

MAIN = "def main(req): return 'fine'"

WRONG: Mapping[str, tuple[Any, str | None, tuple[str, int | None], str]] = {
    # function: (function.json, __init__.py, where: (file, line), what is said)
    "BadJson": ('{\n  "bindings": [\n  ]]\n}', MAIN, ("function.json", 3), 'must be closed with "}"'),
    "NotUtf8": (b'{"bindings": "\xff"}', MAIN, ("function.json", 1), "the file is not UTF-8"),
    "Empty": ("", MAIN, ("function.json", 1), "the file is empty"),
    "NoObject": ("[]", MAIN, ("function.json", 1), "a JSON object was expected"),
    "NoBindings": ('{\n"scriptFile": "__init__.py"}', MAIN, ("function.json", 1), 'a list called "bindings"'),
    "BindingsNoList": ('{\n"bindings": {}}', MAIN, ("function.json", 2), 'a list called "bindings"'),
    "BindingNoObject": ('{"bindings": [\n"http"]}', MAIN, ("function.json", 2), "a binding must be a JSON object"),
    "NoType": ('{"bindings": [\n{"name": "req"}]}', MAIN, ("function.json", 2), "a binding called 'req' has no type"),
    "NoName": ('{"bindings": [\n{"type": "blob"}]}', MAIN, ("function.json", 2), "its blob binding has no name"),
    "NumberAsName": ('{"bindings": [\n{"type": "blob", "name": 1}]}', MAIN, ("function.json", 2), "has no name"),
    "InOut": (
        '{"bindings": [\n{"type": "blob", "name": "b", "direction": "inout"}]}',
        MAIN,
        ("function.json", 2),
        'its binding b has the direction \'inout\'; it can be "in" or "out"',
    ),
    "ReturnIn": (
        '{"bindings": [\n{"type": "blob", "name": "$return"}]}',
        MAIN,
        ("function.json", 2),
        'its $return binding must have the direction "out"',
    ),
    "NoTrigger": (declare(RETURN), MAIN, ("__init__.py", 1), "has exactly one trigger; this one has none"),
    "TwoTriggers": (
        declare(TRIGGER, {"type": "queueTrigger", "name": "message"}),
        MAIN,
        ("__init__.py", 1),
        "this one has httpTrigger, queueTrigger",
    ),
    "TwoOfOneName": (declare(TRIGGER, TRIGGER), MAIN, ("__init__.py", 1), "it has two bindings called 'req'"),
    "NoScript": (declare(), None, ("function.json", None), "its file NoScript/__init__.py does not exist"),
    "OtherScript": (declare(scriptFile="x.py"), MAIN, ("function.json", 2), "its file OtherScript/x.py does not exist"),
    "Outside": (declare(scriptFile="../../x.py"), MAIN, ("function.json", 2), "must be a .py file in the app's folder"),
    "Absolute": (declare(scriptFile="/x.py"), MAIN, ("function.json", 2), "must be a .py file in the app's folder"),
    "NoPython": (declare(scriptFile="index.js"), MAIN, ("function.json", 2), "must be a .py file in the app's folder"),
    "ScriptNoText": (declare(scriptFile=5), MAIN, ("function.json", 2), "scriptFile must be text"),
    "with.dot": (declare(), MAIN, ("function.json", None), "'with.dot' contains a dot"),
    "EntryNoText": (declare(entryPoint=["main"]), MAIN, ("function.json", 2), "entryPoint must be text"),
    "NoEntry": (declare(entryPoint="start"), MAIN, ("__init__.py", None), "is to be start(), which this file does not"),
    "EntryNoFunction": (declare(), "main = 5", ("__init__.py", None), "is to be main(), which this file does not"),
    "RetryNoObject": (declare(retry="often"), MAIN, ("function.json", 2), "retry must be a JSON object"),
    "BadSyntax": (declare(), "\ndef main(req:", ("__init__.py", 2), "SyntaxError"),
    "Raises": (declare(), "import json\n\nraise OSError('no disk')", ("__init__.py", 3), "OSError: no disk"),
    "Exits": (declare(), "raise SystemExit", ("__init__.py", 1), "ended the process with exit status None"),
    "NoPackage": (declare(), "\nimport nothere", ("__init__.py", 2), "No module named 'nothere'"),
    "NoModule": (declare(), "from __app__.shared import x", ("__init__.py", 1), "No module named '__app__.shared'"),
    "Misfit": (declare(), "x = 1\ndef main(request): ...", ("__init__.py", 2), "its parameters 'request' are declared"),
    "Fine": (declare(), MAIN, ("", None), ""),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenWorker]:
    files = {f"{name}/function.json": declared for name, (declared, *_) in WRONG.items()}
    files |= {f"{name}/__init__.py": script for name, (_, script, *_) in WRONG.items() if script is not None}
    with driven_worker(write_app(tmp_path_factory.mktemp("wrong"), files)) as worker:
        yield worker


@pytest.mark.parametrize("name", [name for name in WRONG if name != "Fine"])
def test_a_broken_function_is_located(name: str, wrong: DrivenWorker) -> None:
    _, _, (file, line), message = WRONG[name]
    error = wrong.problems[name]
    assert message in error.message
    assert error.file is not None
    assert Path(error.file).parts[-2:] == (name, file)
    if line is not None:
        assert error.line == line


def test_a_broken_function_does_not_hide_the_others(wrong: DrivenWorker) -> None:
    assert list(wrong.functions) == ["Fine"]
    assert wrong.http("Fine").text == "fine"


def test_a_missing_module_of_the_app_is_not_looked_for_on_pypi(wrong: DrivenWorker) -> None:
    assert wrong.problems["NoModule"].hint == "There is no module 'shared' in the app's folder."
    assert "pip install" in str(wrong.problems["NoPackage"].hint)


def test_a_key_that_stands_twice_is_warned_of(tmp_path: Path) -> None:
    declared = '{"disabled": true,\n"disabled": false, "bindings": [{"type": "httpTrigger", "name": "req"}]}'
    with driven_worker(write_app(tmp_path, {"F/function.json": declared, "F/__init__.py": MAIN})) as worker:
        assert list(worker.functions) == ["F"]
        [(_, line)] = worker.logs
        assert 'function.json:2: the key "disabled" stands here again' in line.message
