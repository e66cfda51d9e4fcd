"""Adding a function to a ``function_app.py`` that a person has written."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext.cli.app_source import AppSource
from worker_ext.errors import ConfigurationError

APP = "import azure.functions as func\n\napp = func.FunctionApp()\n"
CODE = "import logging\n\nimport azure.functions as {func}\n\n\ndef {identifier}(req):\n    logging.info({func})\n"


@pytest.fixture
def read(tmp_path):
    """Makes a ``function_app.py`` of some text and reads it."""

    def make(text: str | bytes) -> AppSource:
        path = tmp_path / "function_app.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return AppSource(path)

    return make


def append(source: AppSource, name: str = "Hello") -> str:
    """Append a function; what the file has afterwards."""
    identifier = source.identifier_for(name)
    code = CODE.format(func=source.functions_module, identifier=identifier)
    source.append(code, f'@{source.app}.function_name("{name}")\n')
    return source.path.read_text(encoding="utf-8", errors="replace")


class TestTheApp:
    @pytest.mark.parametrize(
        ("text", "variable"),
        [
            (APP, "app"),
            ("import azure.functions as func\nmy_app = func.FunctionApp(http_auth_level='ANONYMOUS')", "my_app"),
            ("import azure.functions as func\napp: func.FunctionApp = func.FunctionApp()", "app"),
            ("import azure.functions\napplication = azure.functions.FunctionApp()", "application"),
            ("from azure import functions\napp = functions.FunctionApp()", "app"),
            ("from azure.functions import FunctionApp as App\napp = App()", "app"),
            ("import azure.durable_functions as df\napp = df.DFApp()", "app"),
            ("import azure.functions as func\nother = object()\n\napp = func.AsgiFunctionApp(app=other)", "app"),
        ],
    )
    def test_is_found(self, read, text, variable):
        assert read(text).app == variable

    @pytest.mark.parametrize("text", ["", "app = None", "def make():\n    app = func.FunctionApp()", "# FunctionApp()"])
    def test_is_missing(self, read, text):
        with pytest.raises(ConfigurationError, match=r"function_app\.py: there is no FunctionApp") as raised:
            read(text)
        assert "app = func.FunctionApp()" in raised.value.hint

    def test_syntax_error_with_its_line(self, read):
        with pytest.raises(ConfigurationError, match=r"function_app\.py:3: syntax error: ") as raised:
            read("import os\n\ndef broken(:\n")
        assert raised.value.line == 3

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"# coding: nonsense\n", b"app = 'caf\xe9'\n"])
    def test_not_in_the_encoding_that_it_declares(self, read, content):
        with pytest.raises(ConfigurationError, match="encoding"):
            read(content)


class TestFindFunction:
    TEXT = (
        APP
        + """
@app.route(route="x")
def Plain(req): ...

@app.function_name("Positional")
@app.route(route="x")
async def a(req): ...

@app.function_name(name="Keyword")
@app.route(route="x")
def b(req): ...

@other.route(route="x")
@app
def of_another_app(req): ...

def helper(): ...
"""
    )

    @pytest.mark.parametrize(
        ("name", "line"), [("Plain", 6), ("plain", 6), ("Positional", 10), ("KEYWORD", 14), ("a", None), ("b", None)]
    )
    def test_registered(self, read, name, line):
        assert read(self.TEXT).find_function(name) == line

    @pytest.mark.parametrize("name", ["of_another_app", "helper", "app"])
    def test_not_registered(self, read, name):
        assert read(self.TEXT).find_function(name) is None


class TestAppend:
    def test_imports_go_to_imports_and_the_function_to_the_end(self, read):
        assert append(read(APP)) == (
            "import azure.functions as func\nimport logging\n\napp = func.FunctionApp()\n\n\n"
            '@app.function_name("Hello")\ndef Hello(req):\n    logging.info(func)\n'
        )

    def test_imports_that_are_there_are_used(self, read):
        text = append(read("import logging, os\nimport azure.functions as af\n\napplication = af.FunctionApp()"))
        assert text.count("import") == 2
        assert text.endswith('@application.function_name("Hello")\ndef Hello(req):\n    logging.info(af)\n')

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ('"""An app."""\nfrom __future__ import annotations\n', ""),
            ("from azure.functions import (\n    FunctionApp,\n    HttpRequest,\n)\n", ""),
            ("", "\nif __name__ == '__main__':\n    print('not in a host')"),
            ("", "\n\n\n# the end"),
            ("", "\nvalue = '''\nimport nothing\n'''"),
            ("page = '\\\n\x0c'\n", ""),  # a form feed ends no line
        ],
    )
    def test_whatever_the_file_looks_like(self, read, before, after):
        text = append(read(before + APP + after))
        original = ast.parse(before + APP + after).body
        result = [ast.dump(statement) for statement in ast.parse(text).body]
        assert [ast.dump(statement) for statement in original] == [
            statement for statement in result if "logging" not in statement
        ]
        compile(text, "function_app.py", "exec")

    def test_a_second_time_needs_no_imports(self, read, tmp_path):
        first = append(read(APP), "First")
        second = append(AppSource(tmp_path / "function_app.py"), "Second")
        assert second.startswith(first)
        assert "import" not in second[len(first) :]

    def test_line_ends_and_encoding_stay(self, read, tmp_path):
        append(read("# coding: latin-1\r\n# café\r\n".encode("latin-1") + APP.replace("\n", "\r\n").encode()))
        content = (tmp_path / "function_app.py").read_bytes()
        assert b"# caf\xe9\r\n" in content
        assert content.count(b"\n") == content.count(b"\r\n")

    def test_byte_order_mark_stays(self, read, tmp_path):
        append(read(APP.encode("utf-8-sig")))
        assert (tmp_path / "function_app.py").read_bytes().startswith(b"\xef\xbb\xbfimport")

    def test_a_name_that_means_something_else_in_the_file(self, read, tmp_path):
        source = read(APP + "logging = 'no'\n")
        with pytest.raises(ConfigurationError, match="needs the name `logging`"):
            append(source)
        assert "Hello" not in (tmp_path / "function_app.py").read_text()

    def test_a_name_that_only_a_function_uses_does_not_matter(self, read):
        text = append(read(APP + "\ndef helper():\n    import logging\n    func = logging\n"))
        assert "\nimport logging\n" in text


@given(st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,20}", fullmatch=True))
def test_every_function_name_has_an_identifier_that_hides_nothing(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("app") / "function_app.py"
    path.write_text(APP + "taken_ = taken = 1\n")
    text = append(AppSource(path), name)
    tree = ast.parse(text)
    bound = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert len(bound) == 1
    assert bound[0] not in {"app", "func", "logging", "taken", "taken_", "print"}
    assert AppSource(path).find_function(name)
