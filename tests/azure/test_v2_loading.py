"""The v2 programming model: what is loaded from ``function_app.py``, and what is said when it is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.hosting import write_app
from support.worker_driving import DrivenWorker, LoadBroken, driven_worker

HEAD = "import azure.functions as func\n\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"


def line_of(text: str, marked: str) -> int:
    """The number of the line that contains ``marked``."""
    return 1 + next(number for number, line in enumerate(text.splitlines()) if marked in line)


# A file that cannot be loaded

UNLOADABLE: Mapping[str, tuple[str, str | None, str]] = {
    # what is wrong: (the file, the part of it that is to be named, what is to be said)
    "a syntax error": ("import logging\n\ndef f(:\n    pass\n", "def f(:", "SyntaxError: invalid syntax"),
    "wrong indentation": ("if True:\npass\n", "pass", "IndentationError: expected an indented block"),
    "bytes that are no text": ("x = 1\n\0\n", None, "null bytes"),
    "a missing package": ("import azure.functions\nimport nothere\n", "nothere", "No module named 'nothere'"),
    "a name that a package lacks": ("from json import nothere\n", "nothere", "cannot import name 'nothere'"),
    "the end of the process": ("import sys\nsys.exit(3)\n", "exit", "ended the process with exit status 3"),
    "an exception": ("import json\njson.loads('{')  # here\n", "here", "JSONDecodeError: Expecting property name"),
    "an exception without a message": ("raise KeyError\n", "raise", "KeyError: (no message)"),
    "an interrupt": ("raise KeyboardInterrupt\n", "raise", "KeyboardInterrupt"),
    "no app": ("import azure.functions\n", None, "this file defines no function app"),
    "just a blueprint": (
        "import azure.functions as func\norders = func.Blueprint()\n",
        None,
        "this file defines no function app; orders is just a blueprint",
    ),
    "two apps": (HEAD + "other = func.FunctionApp()\n", None, "this file defines 2 function apps: app, other"),
    "no functions": (HEAD, None, "no functions found: the app of this file has none"),
    "a relative import": ("from . import orders\n", "orders", "attempted relative import with no known parent package"),
    "a function without a trigger": (
        HEAD + '@app.function_name("Lost")\ndef f(req): ...\n',
        "@app.function_name",
        "the function Lost has no trigger",
    ),
    "two functions of one name": (
        HEAD + '@app.route("a")\ndef f(req): ...\n@app.route("b")  # again\ndef f(req): ...\n',
        "again",
        "there are two functions called f; the first is in ",
    ),
    "two triggers": (
        HEAD + '@app.route("a")\n@app.timer_trigger(arg_name="t", schedule="* * * * * *")\ndef f(req, t): ...\n',
        '@app.route("a")',
        "A trigger was already registered to this function",
    ),
}


@pytest.mark.parametrize("case", UNLOADABLE)
def test_a_file_that_cannot_be_loaded_is_located(case: str, tmp_path: Path, broken: LoadBroken) -> None:
    text, marked, message = UNLOADABLE[case]
    error = broken({"function_app.py": text})
    assert message in error.message
    assert error.file == str(tmp_path / "function_app.py")
    if marked is not None:
        assert error.line == line_of(text, marked)


def test_the_user_is_told_how_to_install_a_missing_package(broken: LoadBroken) -> None:
    error = broken({"function_app.py": "import nothere.deeply\n"})
    assert error.hint is not None
    assert "'nothere'" in error.hint
    assert f"{sys.executable} -m pip install -r requirements.txt" in error.hint


def test_what_a_module_of_the_app_lacks_is_told_at_the_line_that_asks_for_it(
    tmp_path: Path, broken: LoadBroken
) -> None:
    """A module that is missing is told apart from one whose own import fails."""
    error = broken({"function_app.py": "import orders.prices\n", "orders/__init__.py": "\nimport nothere\n"})
    assert (error.file, error.line) == (str(tmp_path / "orders" / "__init__.py"), 2)
    assert error.detail is not None
    assert 'function_app.py", line 1' in error.detail
    assert "worker_ext" not in error.detail  # the machinery is of no interest
    assert "importlib" not in error.detail


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"function_app.py": "import orders.prices", "orders/__init__.py": ""}, "folder 'orders'"),
        ({"function_app.py": "import orders.prices", "orders.py": ""}, "no module 'orders.prices'"),
        ({"function_app.py": "from .orders import x", "orders.py": "x = 1"}, "without a leading dot"),
    ],
)
def test_a_mistake_in_an_import_of_the_apps_own_is_explained(
    files: dict[str, str], hint: str, broken: LoadBroken
) -> None:
    assert hint in str(broken(files).hint)


def test_an_error_in_a_library_is_told_at_the_line_of_the_app_that_called_it(
    tmp_path: Path, broken: LoadBroken
) -> None:
    error = broken(
        {
            "function_app.py": "import library\n\nlibrary.call()\n",
            ".python_packages/lib/site-packages/library.py": "def call():\n    raise OSError('no network')\n",
        }
    )
    assert error.message == "OSError: no network"
    assert (error.file, error.line) == (str(tmp_path / "function_app.py"), 3)
    assert "library.py" in str(error.detail)


# Functions that do not fit their bindings

MISFITS = {
    # function: (its definition, what is to be said)
    "Unbound": ("def Unbound(req, other): ...", "its parameters 'other' are declared in Python but have no binding"),
    "Nameless": ("def Nameless(): ...", "its bindings 'req' have no parameter of that name in Python"),
    "Unknown": ('def Unknown(req: "func.HttpReqest"): ...', "its annotations cannot be read: module"),
    "NoType": ("def NoType(req: 5): ...", "its parameter req is annotated 5, which a httpTrigger binding cannot give"),
    "WrongType": ("def WrongType(req: int): ...", "is annotated int, which a httpTrigger binding cannot give"),
    "OfNone": ("def OfNone(req: func.HttpRequest | None): ...", "which a httpTrigger binding cannot give"),
    "InOut": ("def InOut(req: func.Out[str]): ...", "is annotated azure.functions.Out, but its binding is an input"),
    "Returns": ("def Returns(req) -> dict: ...", "to return dict, which its $return binding (http) cannot take"),
    "ReturnsOut": ("def ReturnsOut(req) -> func.Out[str]: ...", "which its $return binding (http) cannot take"),
    "NoContext": ("def NoContext(req, context: dict): ...", "context is annotated dict; it can be azure.func"),
    "CatchAll": ("def CatchAll(*args, **kwargs): ...", "it takes *args, **kwargs, which no binding can fill"),
    "Positional": ("def Positional(req, /): ...", "its parameter req cannot be given by name"),
}
OUTPUTS = {
    "NotOut": ("def NotOut(req, message: str): ...", "its parameter message is an output, but is not annotated"),
    "BareOut": ("def BareOut(req, message: func.Out): ...", "must say what it is an Out of, as in Out[str]"),
    "Builtin": (
        "def Builtin(req, message: func.Out[list[str]]): ...",
        "annotated list[str], which a queue binding cannot take; the SDK knows typing.List[...], not list[...]",
    ),
    "OutOfInt": ("def OutOfInt(req, message: func.Out[int]): ...", "annotated int, which a queue binding cannot take"),
}
MISFIT_APP = (
    HEAD
    + "".join(f'\n@app.route("{name}")\n{definition}\n' for name, (definition, _) in MISFITS.items())
    + "".join(
        f'\n@app.route("{name}")\n@app.queue_output(arg_name="message", queue_name="q", connection="c")\n{definition}\n'
        for name, (definition, _) in OUTPUTS.items()
    )
    + '\n@app.generic_trigger(arg_name="req", type="HTTPTrigger")\ndef Capitals(req): ...\n'
    + '\n@app.generic_trigger(arg_name="req", type="httpTrigger", odd=object())\ndef Odd(req): ...\n'
    + '\n@app.route("Fine")\ndef Fine(req: func.HttpRequest, context: func.Context) -> str:\n    return "fine"\n'
)


@pytest.fixture(scope="module")
def misfits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenWorker]:
    folder = write_app(tmp_path_factory.mktemp("misfits"), {"function_app.py": MISFIT_APP})
    with driven_worker(folder) as worker:
        yield worker


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, message) for name, (_, message) in (MISFITS | OUTPUTS).items()),
        ("Capitals", "its binding req has the type 'HTTPTrigger'; it is written 'httpTrigger'"),
        ("Odd", "not JSON serializable"),
    ],
)
def test_a_function_that_does_not_fit_its_bindings_is_located(name: str, message: str, misfits: DrivenWorker) -> None:
    error = misfits.problems[name]
    assert error.message.startswith(f"the function {name} cannot be loaded: ")
    assert message in error.message
    assert str(error.file).endswith("function_app.py")
    first_decorator = line_of(MISFIT_APP, f'route("{name}")') if name in MISFITS | OUTPUTS else error.line
    assert error.line == first_decorator


def test_functions_that_do_not_fit_do_not_hide_the_others(misfits: DrivenWorker) -> None:
    assert list(misfits.functions) == ["Fine"]
    assert misfits.http("Fine").text == "fine"


# What is loaded

LOADED_APP = (
    HEAD
    + """
from blueprints.orders import blueprint
from blueprints.tracing import traced

app.register_functions(blueprint)
again = app  # another name for the same app is no second app

@app.route("hello/{name}", methods=["GET", "POST"])
@traced
def Hello(req): return "hello"

@app.function_name("Renamed")
@app.route("renamed")
async def original(req): return "renamed"

@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
def Tick(timer: func.TimerRequest) -> None: ...
"""
)
BLUEPRINT = """
import azure.functions as func
from .prices import PRICE

blueprint = func.Blueprint()

@blueprint.route("price")
def Price(req): return PRICE
"""


DECORATOR = """
import functools

def traced(call):
    @functools.wraps(call)
    def traced_call(*args, **kwargs):
        return call(*args, **kwargs)
    return traced_call
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenWorker]:
    files = {
        "function_app.py": LOADED_APP,
        "blueprints/__init__.py": "",
        "blueprints/orders.py": BLUEPRINT,
        "blueprints/prices.py": "PRICE = '5'",
        "blueprints/tracing.py": DECORATOR,
    }
    with driven_worker(write_app(tmp_path_factory.mktemp("loaded"), files)) as worker:
        yield worker


def test_the_host_is_told_what_the_functions_are(loaded: DrivenWorker) -> None:
    assert loaded.problems == {}
    assert list(loaded.functions) == ["Price", "Hello", "Renamed", "Tick"]
    hello: dict[str, Any] = loaded.functions["Hello"]
    assert Path(hello["file"]).name == "function_app.py"
    assert [(binding["type"], binding["direction"], binding["name"]) for binding in hello["bindings"]] == [
        ("httpTrigger", "IN", "req"),
        ("http", "OUT", "$return"),
    ]
    assert (hello["bindings"][0]["route"], hello["bindings"][0]["methods"]) == ("hello/{name}", ["GET", "POST"])
    assert [name for name, function in loaded.functions.items() if function["isAsync"]] == ["Renamed"]


def test_the_retry_policy_of_a_function_is_told(loaded: DrivenWorker) -> None:
    retry = loaded.functions["Tick"]["retry"]
    assert (retry["strategy"], retry["max_retry_count"]) == ("fixed_delay", "3")
    assert loaded.functions["Hello"]["retry"] is None


def test_a_function_of_a_blueprint_is_the_file_of_its_blueprint(loaded: DrivenWorker) -> None:
    assert Path(loaded.functions["Price"]["file"]).parts[-2:] == ("blueprints", "orders.py")
    assert loaded.http("Price").text == "5"


@pytest.mark.parametrize("kind", ["Asgi", "Wsgi"])
def test_the_function_of_a_web_app_is_the_apps_although_the_sdk_defines_it(kind: str, tmp_path: Path) -> None:
    """Its folder is not that of the SDK, even if the SDK is installed within the app's folder."""
    text = f"import azure.functions as func\napp = func.{kind}FunctionApp(app=lambda *_: None, function_name='Web')"
    with driven_worker(write_app(tmp_path, {"function_app.py": text})) as worker:
        assert worker.functions["Web"]["file"] == str(tmp_path / "function_app.py")
        assert worker.functions["Web"]["bindings"][0]["route"] == "/{*route}"


def test_a_setting_names_another_file(tmp_path: Path) -> None:
    text = HEAD + '@app.route("x")\ndef X(req): ...\n'
    folder = write_app(tmp_path, {"my-app.py": text, "function_app.py": "raise OSError"})
    with driven_worker(folder, environ={"PYTHON_SCRIPT_FILE_NAME": "my-app.py"}) as worker:
        assert list(worker.functions) == ["X"]


@pytest.mark.parametrize("name", ["../function_app.py", "function_app", "function_app.pyc", "a b.py", ".py"])
def test_the_setting_must_name_a_file_of_the_app(name: str, broken: LoadBroken) -> None:
    error = broken({"function_app.py": HEAD}, environ={"PYTHON_SCRIPT_FILE_NAME": name})
    assert error.message.startswith(f"the setting PYTHON_SCRIPT_FILE_NAME is {name!r}, ")


@pytest.mark.parametrize("name", ["json.py", "sys.py"])
def test_a_file_called_as_a_module_of_python_cannot_be_found_by_import(
    name: str, tmp_path: Path, broken: LoadBroken
) -> None:
    error = broken({name: HEAD}, environ={"PYTHON_SCRIPT_FILE_NAME": name})
    assert f"another module is called {name.removesuffix('.py')}" in error.message
    assert error.file == str(tmp_path / name)
