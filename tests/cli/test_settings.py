"""``func settings list``, ``add`` and ``delete``."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest
from support.terminal import Terminal

from worker_ext.cli.main import main
from worker_ext.host.settings import load_local_settings

FILE = "local.settings.json"


@pytest.fixture
def app(folder):
    (folder / "host.json").write_text('{"version": "2.0"}')
    return folder


@pytest.fixture
def settings(app):
    """Writes the settings file, and gives what is in it."""

    def write(text: str | bytes) -> None:
        (app / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def values(folder):
    return dict(load_local_settings(folder).values)


class TestAdd:
    def test_to_a_file_that_is_not_there(self, app, capsys):
        assert main(["settings", "add", "KEY", "value"]) == 0
        assert values(app)["KEY"] == "value"
        assert values(app)["FUNCTIONS_WORKER_RUNTIME"] == "python"
        assert capsys.readouterr().out == "KEY is set in local.settings.json.\n"

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
    def test_nobody_else_can_read_a_file_that_it_makes(self, app):
        main(["settings", "add", "KEY", "s3cret"])
        assert (app / FILE).stat().st_mode & 0o777 == 0o600

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
    def test_permissions_stay(self, app, settings):
        settings("{}")
        (app / FILE).chmod(0o640)
        main(["settings", "add", "KEY", "value"])
        assert (app / FILE).stat().st_mode & 0o777 == 0o640
        assert [path.name for path in app.iterdir() if "settings" in path.name] == [FILE]

    def test_comments_and_order_stay(self, app, settings):
        settings('{\n  // mine\n  "Values": {\n    "B": "1", // one\n    "A": "2"\n  }\n}\n')
        main(["settings", "add", "C", "3"])
        assert (app / FILE).read_text() == (
            '{\n  // mine\n  "Values": {\n    "B": "1", // one\n    "A": "2",\n    "C": "3"\n  }\n}\n'
        )

    def test_one_that_is_there_already_in_whatever_case(self, app, settings):
        settings('{"values": {"Key": "1"}}')
        main(["settings", "add", "KEY", "2"])
        assert (app / FILE).read_text() == '{"values": {"Key": "2"}}'

    @pytest.mark.parametrize("text", ['{"IsEncrypted": false}', '{"Values": null}', "{}"])
    def test_where_there_are_no_values_yet(self, app, settings, text):
        settings(text)
        assert main(["settings", "add", "KEY", "value"]) == 0
        assert values(app) == {"KEY": "value"}

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
    def test_the_encoding_stays(self, app, settings, encoding):
        settings('{"Values": {"A": "é"}}'.encode(encoding))
        main(["settings", "add", "KEY", "ü"])
        assert '"A": "é", "KEY": "ü"' in (app / FILE).read_bytes().decode(encoding)

    def test_a_connection_string(self, app):
        main(["settings", "add", "SQL", "Server=here;Password=x", "--connectionString"])
        assert load_local_settings(app).connection_strings == {"SQL": "Server=here;Password=x"}

    def test_a_connection_string_in_its_long_form(self, app, settings):
        settings('{"ConnectionStrings": {"SQL": {"ConnectionString": "old", "ProviderName": "Other"}}}')
        main(["settings", "add", "SQL", "new", "--connectionString"])
        assert json.loads((app / FILE).read_text())["ConnectionStrings"]["SQL"] == {
            "ConnectionString": "new",
            "ProviderName": "Other",
        }

    def test_a_value_from_the_input_stays_out_of_the_shell_s_history(self, app, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\n"))
        assert main(["settings", "add", "KEY", "-"]) == 0
        assert values(app)["KEY"] == "s3cret"

    def test_a_value_is_asked_for_at_a_terminal_without_showing_it(self, app):
        with Terminal([sys.executable, "-m", "worker_ext", "settings", "add", "KEY"], cwd=app) as terminal:
            terminal.wait_for("Value of KEY: ")
            terminal.type("s3cret\n")
            assert terminal.wait() == 0
            terminal.wait_for("KEY is set")
            assert "s3cret" not in terminal.shown
        assert values(app)["KEY"] == "s3cret"

    def test_without_a_terminal_nothing_is_asked(self, func, app):
        finished = func("settings", "add", "KEY")
        assert finished.returncode == 1
        assert "func settings add NAME VALUE" in finished.stderr

    @pytest.mark.parametrize("words", [["KEY=s3cret", "x"], ["", "s3cret"], ["KEY", "s3cret\0"]])
    def test_what_cannot_be_a_variable(self, app, capsys, words):
        assert main(["settings", "add", *words]) == 1
        error = capsys.readouterr().err
        assert "environment variable" in error
        assert "s3cret" not in error


class TestDelete:
    def test_one(self, app, settings):
        settings('{\n  "Values": {\n    "A": "1",\n    "B": "2"\n  }\n}\n')
        assert main(["settings", "delete", "a"]) == 0
        assert (app / FILE).read_text() == '{\n  "Values": {\n    "B": "2"\n  }\n}\n'

    def test_one_that_stands_there_twice(self, app, settings):
        settings('{"Values": {"A": "1", "B": "2", "A": "3"}}')
        main(["settings", "delete", "A"])
        assert values(app) == {"B": "2"}

    def test_a_connection_string(self, app, settings):
        settings('{"Values": {"A": "1"}, "ConnectionStrings": {"A": "2"}}')
        main(["settings", "delete", "A", "--connectionString"])
        assert values(app) == {"A": "1"}
        assert load_local_settings(app).connection_strings == {}

    def test_one_that_is_not_there(self, settings, capsys):
        settings('{"Values": {"A": "s3cret"}}')
        assert main(["settings", "delete", "B"]) == 1
        error = capsys.readouterr().err
        assert f"{FILE}: there is no setting 'B' in Values" in error
        assert "There are: A." in error
        assert "s3cret" not in error


class TestList:
    TEXT = (
        '{"Values": {"A": "s3cret", "B": true}, "ConnectionStrings": {"C": {"ConnectionString": "p4ssword"}, "D": "x"}}'
    )

    def test_values_are_hidden(self, settings, capsys):
        settings(self.TEXT)
        assert main(["settings", "list"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("App Settings:\n   -> Name: A\n      Value: *****\n\n   -> Name: B\n")
        assert "Connection Strings:\n   -> Name: C\n      Value: *****\n" in printed
        assert "s3cret" not in printed
        assert "p4ssword" not in printed

    @pytest.mark.parametrize("option", ["-a", "--showValue", "--show-value"])
    def test_values_are_shown_to_who_asks(self, settings, capsys, option):
        settings(self.TEXT)
        main(["settings", "list", option])
        shown = [line.partition("Value: ")[2] for line in capsys.readouterr().out.splitlines() if "Value:" in line]
        assert shown == ["s3cret", "true", "p4ssword", "x"]

    @pytest.mark.parametrize("option", ["--json", "--enable-json-output"])
    def test_json(self, settings, capsys, option):
        settings(self.TEXT)
        main(["settings", "list", "--showValue", option])
        assert json.loads(capsys.readouterr().out) == {
            "Values": [{"name": "A", "value": "s3cret"}, {"name": "B", "value": "true"}],
            "ConnectionStrings": [{"name": "C", "value": "p4ssword"}, {"name": "D", "value": "x"}],
        }

    def test_without_a_file(self, app, capsys):
        assert main(["settings", "list"]) == 0
        printed = capsys.readouterr()
        assert printed.out == "App Settings:\nConnection Strings:\n"
        assert "There is no local.settings.json here" in printed.err


@pytest.mark.parametrize("words", [["list"], ["add", "KEY", "value"], ["delete", "KEY"]])
class TestAFileThatCannotBeUsed:
    def test_not_in_the_folder_of_an_app(self, folder, capsys, words):
        assert main(["settings", *words]) == 1
        assert "func init --python" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("{", ":1: column 2: "),
            ("[]", ":1: the document must be an object"),
            ('{\n"Values": []}', ":2: Values must be an object"),
            ('{"Values": {},\n"IsEncrypted": true}', ":2: the settings are encrypted"),
        ],
    )
    def test_it_is_left_as_it_is(self, app, settings, capsys, words, text, complaint):
        settings(text)
        assert main(["settings", *words]) == 1
        assert f"{FILE}{complaint}" in capsys.readouterr().err
        assert (app / FILE).read_text() == text


def test_templates_can_be_listed(capsys):
    assert main(["templates", "list"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Python Templates:\n  HttpTrigger ")
    assert "Durable Functions entity" in printed


def test_templates_as_json(capsys):
    assert main(["templates", "list", "-l", "python", "--json"]) == 0
    templates = {template["name"]: template for template in json.loads(capsys.readouterr().out)}
    assert templates["HttpTrigger"] == {
        "name": "HttpTrigger",
        "title": "HTTP trigger",
        "requirements": [],
        "http": True,
    }


def test_templates_for_another_language_are_the_stock_tool_s(func, core_tools):
    assert func("templates", "list", "-l", "java", path=[core_tools.folder]).returncode == core_tools.EXIT_STATUS
