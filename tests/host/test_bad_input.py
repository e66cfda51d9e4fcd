"""Mistakes: each is told in a sentence that says where it is, and harms nothing else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosting import RunningHost, free_port, running_host, start_fails, write_app

GOOD = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="good")
def good(req):
    return "good"
"""


class TestAHostThatCannotStart:
    """It says why in one message on standard error, and ends with status 1."""

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"host.json": '{"version": "2.0",\n  "logging": {]\n}'}, r"host\.json:2: .*\n"),
            ({"host.json": "[]"}, r"host\.json:1: the document must be an object, found a list\n"),
            ({"host.json": "{'version': '2.0'}"}, r"host\.json:1: .*\n"),
            ({"host.json": b'\xff\xfe{\x00"\x00'}, r"host\.json.*\n"),
            (
                {"host.json": '{"version": "1.0"}'},
                r'host\.json:1: version must be "2\.0" in quotes, found "1\.0"\n  .*\n',
            ),
            ({"host.json": '{"a": 1}'}, r"host\.json:1: host\.json must say which version it has, .*\n  .*\n"),
            (
                {"host.json": '{"version": "2.0",\n\n"functionTimeout": "5 minutes"}'},
                r'host\.json:3: functionTimeout must be a duration like .* found "5 minutes"\n',
            ),
            (
                {"host.json": '{"version": "2.0",\n"logging": {"logLevel": {"default": "Loud"}}}'},
                r'host\.json:2: logging\.logLevel\.default must be one of Trace, .*, found "Loud"\n',
            ),
            (
                {"host.json": '{"version": "2.0",\n"extensions": {"http": {"routePrefix": "admin"}}}'},
                r"host\.json:2: routePrefix 'admin': .*\n  .*\n",
            ),
            ({"local.settings.json": '{"Values": {"A": "b",}\n"x"}'}, r"local\.settings\.json:2: .*\n"),
            (
                {"local.settings.json": '{"IsEncrypted": true,\n"Values": {"A": "secret-text"}}'},
                r"local\.settings\.json:1: IsEncrypted is true: .*\n  .*\n",
            ),
            (
                {"local.settings.json": '{"Values":\n{"A": ["secret-text"]}}'},
                r"local\.settings\.json:2: Values\.A must be a text, found a list\n",
            ),
            (
                {"local.settings.json": '{"Host": {\n"LocalHttpPort": 70000}}'},
                r"local\.settings\.json:2: Host\.LocalHttpPort must be a whole number from 0 to 65535, found .*\n",
            ),
            (
                {"local.settings.json": {"Values": {"FUNCTIONS_WORKER_RUNTIME": "node"}}},
                r"FUNCTIONS_WORKER_RUNTIME is 'node'; this host runs Python functions\n  .*\n",
            ),
        ],
        ids=lambda value: re.sub(r"\s+", " ", str(next(iter(value.values()))))[:40] if isinstance(value, dict) else "",
    )
    def test_for_its_settings(self, tmp_path: Path, files: dict[str, Any], message: str) -> None:
        write_app(tmp_path, {"function_app.py": GOOD, **files})
        told = start_fails(tmp_path)
        assert re.fullmatch(f"(?:{re.escape(str(tmp_path))}/)?{message}", told), told
        assert "secret-text" not in told

    def test_without_a_host_json(self, tmp_path: Path) -> None:
        told = start_fails(tmp_path)
        assert "there is no such file, so this folder is not a function app" in told
        assert "func init" in told

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--cors", "*", "--cors-credentials"], "--cors-credentials cannot be combined with the origin *"),
            (
                ["--language-worker", "-X 'dev"],
                "--language-worker cannot be split into arguments: No closing quotation",
            ),
            (["stray"], "'stray' belongs to no option"),
        ],
        ids=["cors", "quotes", "stray"],
    )
    def test_for_its_options(self, tmp_path: Path, options: list[str], message: str) -> None:
        write_app(tmp_path, {"function_app.py": GOOD})
        told = start_fails(tmp_path, *options)
        assert told.startswith(message)
        assert "Traceback" not in told

    def test_in_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert start_fails(tmp_path / "none") == f"--script-root '{tmp_path / 'none'}' is not a folder\n"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, RunningHost]]:
    """A host that has never served anything, because its app is broken; tests break it in other ways."""
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": "import nothing_like_this\n"})
    with running_host(folder, port=free_port(), ready="No functions are being served") as host:
        yield folder, host


class TestAnAppThatCannotBeLoaded:
    """The host says why, answers 503 with the reason, and waits for an edit."""

    def test_from_the_start(self, broken: tuple[Path, RunningHost]) -> None:
        folder, host = broken
        host.wait_for(
            re.escape(f"{folder}/function_app.py:1: ModuleNotFoundError: No module named 'nothing_like_this'")
        )
        host.wait_for("Is the package that holds 'nothing_like_this' in requirements.txt")

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("def f(:\n", r"function_app\.py:1: SyntaxError: invalid syntax"),
            ("x = 1\n1 / 0\n", r"function_app\.py:2: ZeroDivisionError: division by zero"),
            ("import sys\nsys.exit(3)\n", r"function_app\.py:2: SystemExit: the module ended the process"),
            ("raise KeyboardInterrupt\n", r"function_app\.py:1: KeyboardInterrupt"),
            ("x = 1\n", r"function_app\.py: this file defines no function app"),
            (GOOD + "other = func.FunctionApp()\n", r"function_app\.py: this file defines 2 function apps: app, other"),
            (GOOD.partition("@app")[0], r"no functions"),
            (
                GOOD + "@app.route(route='second')\ndef good(req):\n    return 'second'\n",
                r"function_app\.py:\d+: .*two functions.* good",
            ),
            (GOOD + "@app.function_name('x')\ndef alone(req):\n    pass\n", r"function_app\.py:\d+: .*no trigger"),
            (b'x = "\xff"\n', r"function_app\.py.*SyntaxError"),
            ("\0", r"SyntaxError: source code .*null bytes"),
            (None, r"no functions found: there is neither a function_app\.py .* nor a folder with a function\.json"),
        ],
        ids=[
            "syntax", "raises", "exit", "interrupt", "no-app", "two-apps", "no-functions", "same-name", "no-trigger",
            "no-utf-8", "null", "no-file",
        ],
    )  # fmt: skip
    def test_for_its_code(self, broken: tuple[Path, RunningHost], source: str | bytes | None, reason: str) -> None:
        folder, host = broken
        seen = len(host.lines)
        path = folder / "function_app.py"
        if source is None:
            path.unlink()
        else:
            path.write_bytes(source if isinstance(source, bytes) else source.encode())
        host.wait_for("No functions are being served", since=seen)
        assert re.search(reason, "\n".join(host.lines[seen:])), host.console
        answer = host.get("/api/good")
        assert (answer.status, bool(re.search(reason, answer.text))) == (503, True)

    def test_because_it_ends_the_process(self, broken: tuple[Path, RunningHost]) -> None:
        folder, host = broken
        seen = len(host.lines)
        (folder / "function_app.py").write_text("import os\nprint('the last words')\nos._exit(7)\n")
        died = r"Worker process \d+ ended with exit status 7 while it was loading the app; a new one starts in "
        host.wait_for(f"{died}0.5 s", since=seen)
        host.wait_for("An edit of it starts a new process at once", since=seen)
        told = "\n".join(host.lines[seen:])
        assert told.index("the last words") < told.index("ended with exit status 7 while it was loading the app")
        assert told.count(f"The code in {folder}, or a package that it imports, has ended the process.") == 1
        assert "func host start --language-worker=-v" in told
        (folder / "function_app.py").write_text(GOOD)
        host.wait_for("Functions:", since=seen)
        assert host.get("/api/good").text == "good"


MIXED = (
    GOOD
    + """
import logging

@app.route(route="good")
def twin(req):
    return "twin"

@app.route(route="typo")
@app.generic_output_binding(arg_name="out", type="queueu", queue_name="q", connection="c")
def typo(req, out: func.Out[str]):
    return "typo"

@app.route(route="reads")
@app.cosmos_db_input(arg_name="docs", database_name="d", container_name="c", connection="c")
def reads(req, docs: func.DocumentList):
    return "reads"

@app.route(route="unbound")
def unbound(req, more):
    return "unbound"

@app.route(route="{broken")
def template(req):
    return "template"

@app.route(route="admin/secrets")
def admin(req):
    return "admin"

@app.route(route="writes")
@app.event_hub_output(arg_name="out", event_hub_name="h", connection="c")
def writes(req, out: func.Out[str]):
    out.set("message")
    return "written"

@app.route(route="bad_logs")
def bad_logs(req):
    logging.info("%s %s", "one argument is missing")
    return "logged"

class WrongSignature(func.AppExtensionBase):
    @classmethod
    def pre_invocation_app_level(cls, context):
        logging.error("the hook has been called")

class Raises(func.AppExtensionBase):
    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args, func_ret):
        raise SystemExit("not even this")
"""
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": MIXED})
    with running_host(folder, environ={"PYTHON_ENABLE_WORKER_EXTENSIONS": "1"}, ready=r"/api/writes") as host:
        host.port = int(re.search(r"localhost:(\d+)", host.console)[1])  # type: ignore[index]
        yield host


class TestAMistakeInOneFunction:
    """It is told, and the other functions are served."""

    @pytest.mark.parametrize(
        "told",
        [
            r"The 'twin' function is in error: functions 'good' and 'twin' both answer every method on .*/api/good",
            r"The 'typo' function is in error: the binding 'out' has the unknown type 'queueu'\n  Did you mean 'queue'",
            r"The 'reads' function is in error: its input binding 'docs' \(cosmosDB\) is not available on this host",
            r"The 'unbound' function is in error: .*function_app\.py:\d+: .*'more'.*no binding",
            r"The 'template' function is in error: function 'template'",
            r"The 'admin' function is in error: .*'admin' or 'runtime'",
            r"WrongSignature\] pre_invocation_app_level is not run",
        ],
    )
    def test_is_told(self, mixed: RunningHost, told: str) -> None:
        mixed.wait_for(told)

    @pytest.mark.parametrize("path", ["typo", "reads", "unbound", "broken", "admin/secrets", "template"])
    def test_keeps_that_function_from_being_served(self, mixed: RunningHost, path: str) -> None:
        assert mixed.get(f"/api/{path}").status == 404

    def test_lets_the_others_be_served(self, mixed: RunningHost) -> None:
        answer = mixed.get("/api/good")
        assert (answer.status, answer.text) == (200, "good")

    def test_hooks_that_fail_fail_no_invocation(self, mixed: RunningHost) -> None:
        seen = len(mixed.lines)
        assert mixed.get("/api/good").status == 200
        mixed.wait_for(r"ERROR: \[Raises\] .*post_invocation_app_level", since=seen)
        assert "the hook has been called" not in mixed.console

    def test_an_output_that_goes_nowhere_is_told(self, mixed: RunningHost) -> None:
        seen = len(mixed.lines)
        assert mixed.get("/api/writes").text == "written"
        mixed.wait_for(r"The output 'out' \(eventHub, 7 bytes\) is not delivered by this host", since=seen)

    def test_a_log_call_with_wrong_arguments_is_told_and_does_no_harm(self, mixed: RunningHost) -> None:
        seen = len(mixed.lines)
        assert mixed.get("/api/bad_logs").text == "logged"
        mixed.wait_for("cannot be formatted", since=seen)


V1 = '{"scriptFile": "main.py", "bindings": [%s{"type": "http", "direction": "out", "name": "$return"}]}'
TRIGGER = '{"type": "httpTrigger", "direction": "in", "name": "req"%s},'


def test_mistakes_in_function_json(tmp_path: Path) -> None:
    code = "def main(req):\n    return 'v1'\n"
    write_app(
        tmp_path,
        {
            "good/main.py": code, "good/function.json": V1 % (TRIGGER % ""),
            "methods/main.py": code, "methods/function.json": V1 % (TRIGGER % ', "methods": "get"'),
            "syntax/main.py": code, "syntax/function.json": '{\n"bindings": [}',
            "none/main.py": code, "none/function.json": "{}",
            "trigger/main.py": code, "trigger/function.json": V1 % "",
            "missing/function.json": V1 % (TRIGGER % ""),
            "raises/main.py": "1 / 0\n", "raises/function.json": V1 % (TRIGGER % ""),
            "entry/main.py": "x = 1\n", "entry/function.json": V1 % (TRIGGER % ""),
        },
    )  # fmt: skip
    with running_host(tmp_path) as host:
        for told in (
            r"""The 'methods' function is in error: "methods" must be a list such as \["get"\], found 'get'""",
            r"The 'syntax' function is in error: .*syntax/function\.json:2: ",
            r"The 'none' function is in error: .*none/function\.json.*: .*bindings",
            r"The 'trigger' function is in error: .*exactly one trigger",
            r"The 'missing' function is in error: .*missing/main\.py does not exist",
            r"The 'raises' function is in error: .*raises/main\.py:1: ZeroDivisionError",
            r"The 'entry' function is in error: .*entry/main\.py: .* does not define",
        ):
            host.wait_for(told)
        assert host.get("/api/good").text == "v1"
        assert host.get("/api/raises").status == 404


def test_an_app_of_which_nothing_can_be_served(tmp_path: Path) -> None:
    source = GOOD.replace('route="good"', 'route="{good"')
    write_app(tmp_path, {"function_app.py": source})
    with running_host(tmp_path, port=free_port(), ready="No functions found: every function of this app") as host:
        assert host.get("/api/good").status == 404
        (tmp_path / "function_app.py").write_text(GOOD)
        host.wait_for("Functions:")
        assert host.get("/api/good").status == 200


def test_an_app_whose_folder_is_removed_goes_on_as_long_as_its_worker_lives(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    write_app(folder, {"function_app.py": GOOD})
    with running_host(folder) as host:
        seen = len(host.lines)
        with contextlib.ExitStack() as stack:
            for path in (folder / "function_app.py", folder / "host.json"):
                stack.callback(path.write_bytes, path.read_bytes())
                path.unlink()
            host.wait_for("The settings before this edit stay in force", since=seen)
            assert host.get("/api/good").status == 200
        host.wait_for("Functions:", since=seen)
        assert host.get("/api/good").status == 200
