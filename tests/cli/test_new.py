"""``func new``."""

from __future__ import annotations

import io
import json
import logging
import runpy
import sys

import azure.functions
import pytest
from support.terminal import Terminal
from support.worker_driving import driven_worker

from worker_ext.cli.main import main

HELLO = "Hello, Ada. This HTTP triggered function executed successfully."
NO_NAME = (
    "This HTTP triggered function executed successfully. "
    "Pass a name in the query string or in the request body for a personalized response."
)


@pytest.fixture
def v2_app(folder):
    main(["init", "--python"])
    return folder


@pytest.fixture
def v1_app(folder):
    main(["init", "--python", "-m", "v1"])
    return folder


@pytest.fixture
def empty_app(folder):
    """A folder that only has a host.json, and so does not show its model."""
    (folder / "host.json").write_text('{"version": "2.0"}')
    return folder


def functions(folder):
    """The functions that azure-functions sees in a v2 app, by name."""
    namespace = runpy.run_path(str(folder / "function_app.py"))
    (app,) = (value for value in namespace.values() if isinstance(value, azure.functions.FunctionApp))
    return {function.get_function_name(): function for function in app.get_functions()}


def loaded(folder):
    """The names of the functions that the worker loads."""
    with driven_worker(folder) as worker:
        assert worker.problems == {}
        return list(worker.functions)


def binding(function, type_):
    (found,) = (binding for binding in function.get_bindings_dict()["bindings"] if binding["type"] == type_)
    return found


def request(body=b"", **params):
    return azure.functions.HttpRequest("POST", "/api/x", params=params, body=body)


class TestHttpTrigger:
    def test_v2(self, v2_app, capsys):
        assert main(["new", "-t", "HttpTrigger", "-n", "HttpTrigger", "-a", "anonymous"]) == 0

        (function,) = functions(v2_app).values()
        assert function.get_function_name() == "HttpTrigger"
        trigger = binding(function, "httpTrigger")
        assert trigger["route"] == "HttpTrigger"
        assert trigger["authLevel"] == azure.functions.AuthLevel.ANONYMOUS
        printed = capsys.readouterr().out
        assert '"HttpTrigger"' in printed
        assert "func host start" in printed

    def test_v1(self, v1_app):
        assert main(["new", "-t", "HttpTrigger", "-n", "HttpTrigger", "-a", "anonymous", "-m", "v1"]) == 0

        assert json.loads((v1_app / "HttpTrigger" / "function.json").read_text()) == {
            "scriptFile": "__init__.py",
            "bindings": [
                {
                    "type": "httpTrigger",
                    "direction": "in",
                    "name": "req",
                    "authLevel": "anonymous",
                    "methods": ["get", "post"],
                },
                {"type": "http", "direction": "out", "name": "$return"},
            ],
        }
        assert not (v1_app / "function_app.py").exists()
        assert {path.name for path in (v1_app / "HttpTrigger").iterdir()} == {"__init__.py", "function.json"}

    @pytest.fixture(params=["v1", "v2"])
    def call(self, request, folder):
        """The Python function that was made, in either model."""
        main(["init", "--python", "-m", request.param])
        main(["new", "-t", "HttpTrigger", "-n", "Hello", "-m", request.param])
        if request.param == "v2":
            return functions(folder)["Hello"].get_user_function()
        return runpy.run_path(str(folder / "Hello" / "__init__.py"))["main"]

    @pytest.mark.parametrize(
        ("req", "answer"),
        [
            (request(name="Ada"), HELLO),
            (request(b'{"name": "Ada"}'), HELLO),
            (request(b'{"name": "Bob"}', name="Ada"), HELLO),
            (request(), NO_NAME),
            (request(b"{}"), NO_NAME),
            (request(b'["no", "object"]'), NO_NAME),
            (request(b"no JSON"), NO_NAME),
        ],
    )
    def test_its_answers(self, call, req, answer, caplog):
        caplog.set_level(logging.INFO)
        response = call(req)
        assert response.get_body().decode() == answer
        assert response.status_code == 200
        assert "Python HTTP trigger function processed a request." in caplog.messages

    @pytest.mark.parametrize(
        ("option", "level"), [([], "function"), (["-a", "admin"], "admin"), (["--authlevel", "Anonymous"], "anonymous")]
    )
    def test_authorization_level(self, v2_app, option, level):
        main(["new", "-t", "HttpTrigger", "-n", "Hello", *option])
        assert binding(functions(v2_app)["Hello"], "httpTrigger")["authLevel"].value == level


class TestTimerTrigger:
    SCHEDULE = "0 */5 * * * *"

    @pytest.mark.parametrize("past_due", [True, False])
    def test_v2(self, v2_app, past_due, caplog):
        caplog.set_level(logging.INFO)
        assert main(["new", "-t", "TimerTrigger", "-n", "Cleanup"]) == 0

        function = functions(v2_app)["Cleanup"]
        trigger = binding(function, "timerTrigger")
        assert trigger["schedule"] == self.SCHEDULE
        function.get_user_function()(**{trigger["name"]: azure.functions.timer.TimerRequest(past_due=past_due)})
        assert ("The timer is past due." in caplog.messages) is past_due

    def test_v1(self, v1_app):
        assert main(["new", "-t", "TimerTrigger", "-n", "Cleanup", "-m", "v1"]) == 0

        (trigger,) = json.loads((v1_app / "Cleanup" / "function.json").read_text())["bindings"]
        assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", self.SCHEDULE)
        call = runpy.run_path(str(v1_app / "Cleanup" / "__init__.py"))["main"]
        call(**{trigger["name"]: azure.functions.timer.TimerRequest()})

    def test_has_no_authorization_level(self, v2_app, capsys):
        assert main(["new", "-t", "TimerTrigger", "-n", "Cleanup", "-a", "anonymous"]) == 1
        assert "--authlevel" in capsys.readouterr().err
        assert functions(v2_app) == {}


@pytest.mark.parametrize("template", ["HttpTrigger", "httptrigger", "HTTP trigger", "Http  Trigger"])
def test_a_template_by_its_name_or_title_in_any_case(v2_app, template):
    assert main(["new", "--template", template, "--name", "Hello"]) == 0
    assert "Hello" in functions(v2_app)


def test_several_functions(v2_app):
    for template, name in [("HttpTrigger", "First"), ("TimerTrigger", "Second"), ("HttpTrigger", "Third")]:
        assert main(["new", "-t", template, "-n", name]) == 0
    assert set(functions(v2_app)) == {"First", "Second", "Third"}
    assert (v2_app / "function_app.py").read_text().count("import logging") == 1


class TestNames:
    @pytest.mark.parametrize("name", ["a", "Hello_2", "my-function", "class", "app", "func", "logging", "print"])
    def test_any_name_that_the_host_allows(self, v2_app, name):
        assert main(["new", "-t", "HttpTrigger", "-n", name]) == 0
        assert main(["new", "-t", "HttpTrigger", "-n", "Another"]) == 0
        made = functions(v2_app)
        assert set(made) == {name, "Another"}
        assert binding(made[name], "httpTrigger")["route"] == name
        assert made[name].get_user_function()(request(name="Ada")).get_body().decode() == HELLO

    @pytest.mark.parametrize("name", ["", "2nd", "_x", "a b", "a/b", "../up", "né", "x" * 129, "host", "Host", "a\n"])
    @pytest.mark.parametrize("model", ["v1", "v2"])
    def test_names_that_it_does_not_allow(self, empty_app, capsys, name, model):
        assert main(["new", "-t", "HttpTrigger", f"--name={name}", "-m", model]) == 1
        assert f"{name!r} cannot be a function's name" in capsys.readouterr().err
        assert [path.name for path in empty_app.iterdir()] == ["host.json"]

    @pytest.mark.parametrize("second", ["Hello", "hello"])
    def test_one_that_is_taken_v2(self, v2_app, capsys, second):
        main(["new", "-t", "HttpTrigger", "-n", "Hello"])
        before = (v2_app / "function_app.py").read_text()
        assert main(["new", "-t", "HttpTrigger", "-n", second, "--force"]) == 1
        assert (
            "function_app.py:9: there is a function Hello already".replace("Hello", second) in capsys.readouterr().err
        )
        assert (v2_app / "function_app.py").read_text() == before

    @pytest.mark.parametrize("second", ["Hello", "hello"])
    def test_one_that_is_taken_v1(self, v1_app, capsys, second):
        main(["new", "-t", "HttpTrigger", "-n", "Hello", "-m", "v1"])
        assert main(["new", "-t", "TimerTrigger", "-n", second]) == 1
        assert "there is a function Hello already" in capsys.readouterr().err

    def test_a_v1_function_can_be_replaced(self, v1_app):
        main(["new", "-t", "HttpTrigger", "-n", "Hello", "-m", "v1"])
        assert main(["new", "-t", "TimerTrigger", "-n", "Hello", "--force"]) == 0
        assert "timerTrigger" in (v1_app / "Hello" / "function.json").read_text()
        assert "httpTrigger" in (v1_app / "Hello" / "function.json.bak").read_text()

    def test_the_folder_of_a_package_is_not_taken_over(self, v1_app, capsys):
        (v1_app / "shared").mkdir()
        (v1_app / "shared" / "__init__.py").write_text("# code of the app")
        assert main(["new", "-t", "HttpTrigger", "-n", "shared", "-m", "v1"]) == 1
        assert "exists already" in capsys.readouterr().err
        assert not (v1_app / "shared" / "function.json").exists()


class TestModel:
    def test_v2_is_the_default(self, empty_app):
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello"]) == 0
        assert set(functions(empty_app)) == {"Hello"}

    def test_that_of_the_functions_that_are_there(self, v1_app):
        main(["new", "-t", "HttpTrigger", "-n", "First", "-m", "v1"])
        assert main(["new", "-t", "HttpTrigger", "-n", "Second"]) == 0
        assert (v1_app / "Second" / "function.json").exists()

    def test_v1_in_a_v2_app(self, v2_app, capsys):
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "-m", "v1"]) == 1
        assert "never be loaded" in capsys.readouterr().err
        assert not (v2_app / "Hello").exists()

    def test_v2_in_a_v1_app(self, v1_app, capsys):
        main(["new", "-t", "HttpTrigger", "-n", "First", "-m", "v1"])
        assert main(["new", "-t", "HttpTrigger", "-n", "Second", "-m", "v2"]) == 1
        assert "switch off its functions (First)" in capsys.readouterr().err
        assert not (v1_app / "function_app.py").exists()

    def test_both_in_one_folder(self, v2_app, capsys):
        (v2_app / "Old").mkdir()
        (v2_app / "Old" / "function.json").write_text("{}")
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello"]) == 1
        assert "both models" in capsys.readouterr().err
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "-m", "v2"]) == 0


def test_not_in_the_folder_of_an_app(folder, capsys):
    assert main(["new", "-t", "HttpTrigger", "-n", "Hello"]) == 1
    error = capsys.readouterr().err
    assert "host.json" in error
    assert "func init --python" in error


class TestQuestions:
    @pytest.fixture
    def answer(self, monkeypatch):
        """Answers questions, on what claims to be a terminal."""

        def set_answers(*answers):
            terminal = io.StringIO("".join(f"{answer}\n" for answer in answers))
            terminal.isatty = lambda: True
            monkeypatch.setattr(sys, "stdin", terminal)
            monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

        return set_answers

    @pytest.mark.parametrize("template", ["2", "TimerTrigger", "timer trigger"])
    def test_template_and_name(self, v2_app, answer, template, capsys):
        answer(template, "Cleanup")
        assert main(["new"]) == 0
        assert binding(functions(v2_app)["Cleanup"], "timerTrigger")
        printed = capsys.readouterr().out
        assert "1. HTTP trigger\n2. Timer trigger\n" in printed

    def test_name_and_authorization_level_have_defaults(self, v2_app, answer):
        answer("1", "", "")
        assert main(["new"]) == 0
        assert binding(functions(v2_app)["HttpTrigger"], "httpTrigger")["authLevel"].value == "function"

    @pytest.mark.parametrize("level", ["2", "anonymous", "Anonymous"])
    def test_authorization_level(self, v2_app, answer, level):
        answer(level)
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello"]) == 0
        assert binding(functions(v2_app)["Hello"], "httpTrigger")["authLevel"].value == "anonymous"

    def test_an_authorization_level_that_is_none(self, v2_app, answer, capsys):
        answer("everybody")
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello"]) == 1
        assert "'everybody' is no authorization level" in capsys.readouterr().err
        assert functions(v2_app) == {}

    def test_what_is_said_is_not_asked(self, v2_app, answer):
        answer()
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "-a", "admin"]) == 0

    def test_no_answer(self, v2_app, answer, capsys):
        answer()
        assert main(["new"]) == 1
        assert "no answer" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "missing"), [(["-n", "Hello"], "--template"), (["-t", "HttpTrigger"], "--name")]
    )
    def test_without_a_terminal_nothing_is_asked(self, func, v2_app, options, missing):
        finished = func("new", *options)
        assert finished.returncode == 1
        assert missing in finished.stderr

    def test_without_a_terminal_the_templates_are_listed(self, func, v2_app):
        assert "HttpTrigger, TimerTrigger" in func("new").stderr


class TestBlueprints:
    """``--file``, in the v2 model."""

    def test_a_new_one_is_registered(self, v2_app, capsys):
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "--file", "greetings.py"]) == 0
        assert main(["new", "-t", "TimerTrigger", "-n", "Cleanup", "-f", "greetings.py"]) == 0
        assert "greetings" in (v2_app / "function_app.py").read_text()
        assert "def " not in (v2_app / "function_app.py").read_text()
        assert "Registering it in function_app.py" in capsys.readouterr().out
        assert set(loaded(v2_app)) == {"Hello", "Cleanup"}

    def test_two_of_them(self, v2_app):
        for name in ("first", "second"):
            assert main(["new", "-t", "HttpTrigger", "-n", name, "--file", f"{name}_functions.py"]) == 0
        assert set(loaded(v2_app)) == {"first", "second"}

    def test_after_an_import_below_the_app(self, v2_app):
        (v2_app / "function_app.py").write_text(
            "import azure.functions as func\napp = func.FunctionApp()\nimport logging\n"
        )
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "--file", "more.py"]) == 0
        assert set(loaded(v2_app)) == {"Hello"}

    def test_a_name_that_the_app_has_already(self, v2_app, capsys):
        main(["new", "-t", "HttpTrigger", "-n", "Hello"])
        assert main(["new", "-t", "HttpTrigger", "-n", "hello", "--file", "more.py"]) == 1
        assert "function_app.py:9: there is a function hello already" in capsys.readouterr().err

    def test_the_app_s_own_file(self, v2_app):
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "--file", "function_app.py"]) == 0
        assert set(functions(v2_app)) == {"Hello"}

    @pytest.mark.parametrize("file", ["more", "../more.py", "more.txt", "sub/more.py", "a-b.py"])
    def test_a_file_that_no_import_could_find(self, v2_app, file, capsys):
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "--file", file]) == 1
        assert "no name of a Python module" in capsys.readouterr().err

    def test_one_without_a_blueprint(self, v2_app, capsys):
        (v2_app / "more.py").write_text("x = 1\n")
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "--file", "more.py"]) == 1
        assert "more.py: there is no Blueprint" in capsys.readouterr().err

    def test_v1_has_none(self, v1_app, capsys):
        assert main(["new", "-t", "HttpTrigger", "-n", "Hello", "-m", "v1", "--file", "more.py"]) == 1
        assert "--file is for the v2 model" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--language", "python"], ["-l", "Python"], ["--csx"]])
def test_options_of_the_stock_tool_that_change_nothing(v2_app, options):
    assert main(["new", "-t", "HttpTrigger", "-n", "Hello", *options]) == 0
    assert set(functions(v2_app)) == {"Hello"}


def test_by_the_stock_tool_s_longer_name(v2_app):
    assert main(["function", "new", "--template", "HTTP trigger", "--name", "Hello", "--authlevel", "anonymous"]) == 0
    assert set(functions(v2_app)) == {"Hello"}


def test_what_is_asked_at_a_real_terminal(v2_app):
    with Terminal([sys.executable, "-m", "worker_ext", "new"], cwd=v2_app) as terminal:
        terminal.wait_for("28. HTTP trigger with a worker extension")
        terminal.type("1\n")
        terminal.wait_for("Function name [HttpTrigger]: ")
        terminal.type("Hello\n")
        terminal.wait_for("Authorization level (number or name) [function]: ")
        terminal.type("anonymous\n")
        assert terminal.wait() == 0
    assert binding(functions(v2_app)["Hello"], "httpTrigger")["authLevel"].value == "anonymous"
