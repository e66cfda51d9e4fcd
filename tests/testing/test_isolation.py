"""Clients know nothing of each other, and leave the process as it was."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import json
import os
import sys
import textwrap
import threading
from typing import ClassVar

import azure.functions as func
import pytest
from azure.functions import AppExtensionBase, FuncExtensionBase
from azure.functions.extension import ExtensionMeta
from support.hosting import wait_until

from worker_ext import ConfigurationError
from worker_ext.hooks import sdk
from worker_ext.testing import AsyncFunctionAppClient, FunctionAppClient, RecordingExtension

EXTENSION = """
import azure.functions as func

LOADED = []

class Suffix(func.AppExtensionBase):
    suffix = "?"
    seen = []

    @classmethod
    def configure(cls, suffix):
        cls.suffix = suffix

    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args, func_ret, *args, **kwargs):
        cls.seen.append(context.function_name)
        func_ret.headers["suffix"] = f"{cls.suffix}{len(cls.seen)}"
"""

APP = """
import os
import azure.functions as func
from suffix_extension import Suffix

Suffix.configure(os.environ["SUFFIX"])
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
count = 0

@app.route("hello")
def hello(req):
    global count
    count += 1
    from suffix_extension import Suffix as late
    assert late is Suffix
    return func.HttpResponse(f"{count} {os.environ['SUFFIX']}")
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages, with the extension."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "suffix_extension.py").write_text(EXTENSION)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("suffix_extension", None)


@pytest.fixture
def app(site, function_app_folder):
    return function_app_folder({"function_app.py": APP})


@pytest.fixture
def own_extensions():
    """What registers during the test is forgotten."""
    before = sdk.switch(sdk.Extensions())
    yield
    sdk.switch(before)


@pytest.fixture
def unchanged():
    """What the process has one of is as it was when the test has ended."""

    def state():
        tables = ExtensionMeta._app_exts, dict(ExtensionMeta._func_exts), ExtensionMeta.get_registered_extensions_json()
        environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return environ, list(sys.path), tables, sys.stdout, sys.stderr

    modules, before, threads = dict(sys.modules), state(), threading.active_count()
    yield
    wait_until(lambda: threading.active_count() <= threads, "the end of the clients' threads")
    ours = {name for name in sys.modules if name.startswith(("function_app", "suffix_extension", "__app__"))}
    assert ours == {name for name in modules if name in ours}
    assert all(sys.modules[name] is modules[name] for name in ours)
    assert state() == before


def answer(response):
    response.raise_for_status()
    return response.text, response.headers["suffix"]


def clients(app, *suffixes):
    return [FunctionAppClient(app, settings={"SUFFIX": suffix}) for suffix in suffixes]


@pytest.mark.usefixtures("unchanged", "own_extensions")
class TestFolders:
    def test_one_after_the_other(self, app):
        for suffix in ("a", "b"):
            with FunctionAppClient(app, settings={"SUFFIX": suffix}) as client:
                assert answer(client.get("/api/hello")) == (f"1 {suffix}", f"{suffix}1")

    @pytest.mark.parametrize("order", sorted(set(itertools.permutations("aabb"))), ids="".join)
    def test_at_the_same_time_in_any_order(self, app, order):
        a, b = clients(app, "a", "b")
        counts = {"a": 0, "b": 0}
        with a, b:
            for name in order:
                counts[name] += 1
                client = a if name == "a" else b
                assert answer(client.get("/api/hello")) == (f"{counts[name]} {name}", f"{name}{counts[name]}")

    def test_closed_in_the_order_in_which_they_were_opened(self, app):
        a, b = clients(app, "a", "b")
        with contextlib.ExitStack() as second:
            with a:
                second.enter_context(b)
                assert answer(a.get("/api/hello")) == ("1 a", "a1")
            assert answer(b.get("/api/hello")) == ("1 b", "b1")

    def test_while_one_is_open_its_modules_are_those_that_are_imported(self, app):
        (client,) = clients(app, "a")
        with client:
            import suffix_extension

            assert importlib.import_module("function_app").Suffix is suffix_extension.Suffix
            suffix_extension.Suffix.configure("changed")
            assert answer(client.get("/api/hello")) == ("1 a", "changed1")
            assert importlib.import_module("function_app").count == 1

    def test_an_extension_that_the_test_has_imported_before_is_another_one(self, app, own_extensions):
        mine = importlib.import_module("suffix_extension")
        mine.Suffix.configure("mine")
        try:
            with clients(app, "a")[0] as client:
                assert answer(client.get("/api/hello")) == ("1 a", "a1")
                assert client.extensions == ["Suffix"]
            assert (mine.Suffix.suffix, mine.Suffix.seen) == ("mine", [])
            assert sys.modules["suffix_extension"] is mine
        finally:
            del sys.modules["suffix_extension"]

    def test_an_app_without_the_extension_does_not_get_it(self, app, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        (other / "function_app.py").write_text(
            "import azure.functions as func\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
            "@app.route('hello')\ndef hello(req): return 'other'\n"
        )
        with clients(app, "a")[0] as one, FunctionAppClient(other) as two:
            assert (one.extensions, two.extensions) == (["Suffix"], [])
            assert two.get("/api/hello").text == "other"
            assert answer(one.get("/api/hello")) == ("1 a", "a1")

    def test_an_app_that_calls_another_one(self, app, function_app_folder, tmp_path):
        outer = tmp_path / "outer"
        outer.mkdir()
        (outer / "function_app.py").write_text(
            "import os, azure.functions as func\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
            "other = None\n"
            "@app.route('ask')\ndef ask(req): return other.get('/api/hello').text + os.environ['SUFFIX']\n"
        )
        with clients(app, "inner")[0] as inner, FunctionAppClient(outer, settings={"SUFFIX": "outer"}) as client:
            sys.modules["function_app"].other = inner
            assert client.get("/api/ask").raise_for_status().text == "1 innerouter"

    def test_from_threads_at_the_same_time(self, app):
        pair = clients(app, "a", "b")
        found = {"a": [], "b": []}
        together = threading.Barrier(4)

        def call(client, name):
            together.wait()
            for _ in range(10):
                found[name].append(client.get("/api/hello").raise_for_status().headers["suffix"])

        with pair[0], pair[1]:
            threads = [threading.Thread(target=call, args=(pair[i % 2], "ab"[i % 2])) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for name, suffixes in found.items():
            assert {suffix[0] for suffix in suffixes} == {name}
            assert len(suffixes) == 20

    def test_as_tasks_at_the_same_time(self, app):
        async def main():
            async with (
                AsyncFunctionAppClient(app, settings={"SUFFIX": "a"}) as a,
                AsyncFunctionAppClient(app, settings={"SUFFIX": "b"}) as b,
            ):
                calls = [client.get("/api/hello") for _ in range(5) for client in (a, b)]
                return [answer(response)[1][0] for response in await asyncio.gather(*calls)]

        assert asyncio.run(main()) == ["a", "b"] * 5

    def test_a_file_that_was_written_again_is_read_again(self, app):
        for suffix in "xyz":
            (app / "function_app.py").write_text(APP.replace('os.environ["SUFFIX"]', f'"{suffix}"'))
            with clients(app, "-")[0] as client:
                assert answer(client.get("/api/hello"))[1] == f"{suffix}1"


class Configured(AppExtensionBase):
    """An extension of this module, as an author's tests import it from the package under test."""

    options: ClassVar[dict] = {}
    level = 0
    seen: ClassVar[list] = []

    @classmethod
    def configure(cls, level, **options):
        cls.level = level
        cls.options.update(options)
        cls.configured = True

    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
        cls.seen.append(cls.level)
        logger.info("%s %s %s", cls.level, json.dumps(cls.options), hasattr(cls, "configured"))


class Child(Configured):
    """Inherits what was configured."""


app_object = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app_object.route("hello")
def hello(req):
    return "hello"


PACKAGE = {
    "__init__.py": """
        import azure.functions as func
        from .settings import CONFIG, FROZEN, Named, Slotted, Threaded, levels, set_level
        from . import settings

        class Suffix(func.AppExtensionBase):
            inner = {"levels": []}
            options = levels

            @classmethod
            def configure(cls, to):
                set_level(to)
                levels["deep"]["er"].append(to)
                cls.inner["levels"].append(to)
                CONFIG.name, CONFIG.inner.name = to, to
                Named.name = to
                Slotted.ONE.name = to
                Threaded.ONE.name = to
                object.__setattr__(FROZEN, "name", to)

            @classmethod
            def post_invocation_app_level(cls, logger, context, func_args, func_ret, *args, **kwargs):
                assert cls.options is levels
                found = [settings.level, *levels["deep"]["er"], *cls.inner["levels"], CONFIG.name, CONFIG.inner.name]
                logger.info(" ".join(map(str, [*found, Named.name, Slotted.ONE.name, FROZEN.name])))
        """,
    "settings.py": """
        import dataclasses, threading

        class Config:
            def __init__(self, inner=None):
                self.name, self.inner = 0, inner

        class Named:
            name = 0

        class Slotted:
            __slots__ = ("name", "__weakref__")

        Slotted.ONE = Slotted()
        Slotted.ONE.name = 0

        class Threaded(threading.Thread):
            pass

        Threaded.ONE = Threaded()

        @dataclasses.dataclass(frozen=True)
        class Frozen:
            name: int = 0

        level, levels, CONFIG, FROZEN = 0, {"deep": {"er": []}}, Config(Config()), Frozen()

        def set_level(to):
            global level
            level = to
        """,
}

SET_BY_THE_APP = """
import os
import azure.functions as func
from suffix_extension import Suffix

Suffix.configure(os.environ["SUFFIX"])
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello")
def hello(req):
    return "hello"
"""

level = 0
looked_at = []


class InThisModule(AppExtensionBase):
    """Keeps its configuration in a variable of the module of the tests."""

    @classmethod
    def configure(cls, to):
        global level
        level = to

    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
        looked_at.append(level)
        logger.info(str(level))


@pytest.mark.usefixtures("unchanged", "own_extensions")
class TestVariables:
    """Of the modules of an extension's package, and what is inside them and inside its attributes."""

    @pytest.fixture
    def site(self, site):
        (site / "suffix_extension.py").unlink()
        for name, text in PACKAGE.items():
            path = site / "suffix_extension" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
        yield site
        sys.modules.pop("suffix_extension.settings", None)

    @pytest.mark.parametrize("order", ["aabb", "abab", "bbaa", "baab"])
    def test_belong_to_clients_of_folders(self, site, function_app_folder, order):
        app = function_app_folder({"function_app.py": SET_BY_THE_APP})
        opened = dict(zip("ab", clients(app, "a", "b"), strict=True))
        with opened["a"], opened["b"]:
            for name in order:
                assert opened[name].get("/api/hello").messages == [" ".join(name * 8)]

    @pytest.mark.parametrize("order", ["aabb", "abab", "bbaa", "baab"])
    @pytest.mark.parametrize("source", ["module", "app object"])
    def test_belong_to_clients_of_a_module_or_an_app_object(self, site, source, order):
        suffix = importlib.import_module("suffix_extension").Suffix
        app = sys.modules[__name__] if source == "module" else app_object
        made = {to: FunctionAppClient(app, extensions=[suffix, lambda to=to: suffix.configure(to)]) for to in "ab"}
        with made["a"], made["b"]:
            for name in order:
                assert made[name].get("/api/hello").messages == [" ".join(name * 8)]
        with FunctionAppClient(app, extensions=[suffix]) as as_it_was:
            assert as_it_was.get("/api/hello").messages == ["0 0 0 0 0 0"]

    def test_what_has_a_library_s_state_is_left_alone(self, site):
        """A thread that an extension has started goes on, and cannot be put back to before that."""
        package = importlib.import_module("suffix_extension")
        with FunctionAppClient(app_object, extensions=[package.Suffix]):
            package.Threaded.ONE.start()
            package.Threaded.ONE.join()
        package.Threaded.ONE.join()

    def test_a_module_that_is_imported_meanwhile_stays_an_attribute_of_its_package(self, site):
        (site / "suffix_extension" / "late.py").write_text("name = 1\n")
        package = importlib.import_module("suffix_extension")
        with FunctionAppClient(app_object, extensions=[package.Suffix]):
            importlib.import_module("suffix_extension.late")
        assert package.late is sys.modules.pop("suffix_extension.late")

    def test_of_a_module_of_tests_only_what_configure_names(self):
        made = [
            FunctionAppClient(app_object, extensions=[InThisModule, lambda to=to: InThisModule.configure(to)])
            for to in (1, 2)
        ]
        with made[0], made[1]:
            for client in (0, 1, 0):
                made[client].get("/api/hello")
        assert (level, looked_at) == (0, [1, 2, 1])
        looked_at.clear()


@pytest.mark.usefixtures("unchanged", "own_extensions")
class TestTheSameModule:
    """Clients of an app that exists already share its modules and classes, but not what was configured in these."""

    def client(self, *extensions):
        return FunctionAppClient(sys.modules[__name__], extensions=extensions or [Configured])

    def test_one_after_the_other(self):
        with self.client() as client:
            Configured.configure(1, a=1)
            assert client.get("/api/hello").messages == ['1 {"a": 1} True']
            assert Configured.seen == [1]
        assert (Configured.level, Configured.options, Configured.seen) == (0, {}, [])
        with self.client() as client:
            assert client.get("/api/hello").messages == ["0 {} False"]

    @pytest.mark.parametrize("order", sorted(set(itertools.permutations("aabb"))), ids="".join)
    def test_at_the_same_time_in_any_order(self, order):
        with self.client() as a:
            Configured.configure(1, a=1)
            with self.client() as b:
                Configured.configure(2, b=2)
                for name in order:
                    expected = {"a": '1 {"a": 1} True', "b": '2 {"b": 2} True'}[name]
                    assert (a if name == "a" else b).get("/api/hello").messages == [expected]
        assert (Configured.level, Configured.options, hasattr(Configured, "configured")) == (0, {}, False)

    def test_what_the_test_configured_before_holds_for_all(self):
        Configured.configure(5)
        try:
            with self.client() as a, self.client() as b:
                Configured.configure(6)
                assert b.get("/api/hello").messages == ["6 {} True"]
                assert a.get("/api/hello").messages == ["5 {} True"]
        finally:
            Configured.level = 0
            del Configured.configured

    def test_the_configuration_of_a_base_class(self):
        with self.client(Child) as a, self.client(Child) as b:
            Configured.configure(7)
            assert b.get("/api/hello").messages == ["7 {} True"]
            assert a.get("/api/hello").messages == ["0 {} False"]

    def test_without_a_choice_those_that_the_functions_modules_know(self):
        class Unrelated(AppExtensionBase):
            __module__ = "elsewhere"

        class Grandchild(Child):
            pass

        with FunctionAppClient(app_object) as client:
            assert client.extensions == ["Grandchild"]

    def test_only_the_extensions_that_were_asked_for_run(self):
        with self.client(Child) as client:
            assert client.extensions == ["Child"]
        with FunctionAppClient(app_object, extensions=[]) as client:
            assert client.extensions == []

    def test_function_level_instances(self, own_extensions, monkeypatch, tmp_path):
        monkeypatch.setenv("AzureWebJobsScriptRoot", str(tmp_path))

        class Label(FuncExtensionBase):
            def __init__(self, file_path):
                super().__init__(file_path)
                self.label = "none"

            def pre_invocation(self, logger, context, func_args, *args, **kwargs):
                logger.info(self.label)

        label = Label(str(tmp_path / "hello" / "__init__.py"))
        with FunctionAppClient(app_object, extensions=[label]) as a:
            label.label = "a"
            with FunctionAppClient(app_object, extensions=[label]) as b:
                assert b.get("/api/hello").messages == ["none"]
                assert a.get("/api/hello").messages == ["a"]
        assert label.label == "none"

    def test_a_recording_beside_others(self):
        recording = RecordingExtension()
        with self.client(recording, Configured) as client:
            client.get("/api/hello")
        assert recording.hooks[-2:] == ["post_invocation_app_level", "on_shutdown"]


@pytest.mark.usefixtures("unchanged", "own_extensions")
class TestNamedBySettings:
    """Extensions that no module imports."""

    @pytest.mark.parametrize("with_folder", [True, False])
    def test_they_run_as_the_settings_of_the_client_say(self, function_app_folder, with_folder):
        source = (
            "import azure.functions as func\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
            "@app.route('hello')\ndef hello(req): return func.HttpResponse('hello')\n"
        )
        app = function_app_folder({"function_app.py": source}) if with_folder else app_object
        named = {"WORKER_EXT_EXTENSIONS": "timer"}
        with (
            FunctionAppClient(app, settings={**named, "WORKER_EXT_TIMER__SERVER_TIMING": "true"}) as one,
            FunctionAppClient(app, settings=named) as other,
            FunctionAppClient(app, extensions=[]) as none,
        ):
            assert (one.extensions, other.extensions, none.extensions) == (["TimerExtension"], ["TimerExtension"], [])
            assert ("server-timing" in one.get("/api/hello").headers) == with_folder  # a plain text has no headers
            assert "server-timing" not in other.get("/api/hello").headers
            assert len(one.get("/api/hello").messages) == len(other.get("/api/hello").messages) == 2
            assert none.get("/api/hello").messages == []

    def test_so_does_one_that_was_imported_when_others_were_shown(self):
        import python_worker_extension_timer  # noqa: F401

        before = sdk.switch(sdk.Extensions())
        try:
            with FunctionAppClient(app_object, settings={"WORKER_EXT_EXTENSIONS": "timer"}) as client:
                assert client.extensions == ["TimerExtension"]
        finally:
            sdk.switch(before)

    def test_one_that_cannot_be_used_is_told(self):
        with (
            pytest.raises(ConfigurationError, match="carrier-pigeon"),
            FunctionAppClient(app_object, settings={"WORKER_EXT_EXTENSIONS": "carrier-pigeon"}),
        ):
            pass


def test_what_is_no_extension_is_refused():
    with pytest.raises(Exception, match="is no extension"):
        FunctionAppClient(app_object, extensions=["TimerExtension"])


def test_a_function_level_class_is_refused():
    class Mine(FuncExtensionBase):
        """Runs as an instance."""

    with pytest.raises(ConfigurationError, match="Mine is a function-level extension, of which an instance runs"):
        FunctionAppClient(app_object, extensions=[Mine])


@pytest.mark.parametrize("setting", [{"LEVEL": 1}, {"LEVEL=": "1"}], ids=["a number", "a name that cannot be one"])
def test_a_setting_that_cannot_be_one_leaves_nothing(unchanged, setting):
    with pytest.raises((ConfigurationError, ValueError, OSError)), FunctionAppClient(app_object, settings=setting):
        pass


def test_a_setting_is_a_text():
    with pytest.raises(ConfigurationError, match="the setting LEVEL is 1, but settings are texts"):
        FunctionAppClient(app_object, settings={"LEVEL": 1})


def test_a_failing_maker_of_an_extension_leaves_nothing(unchanged):
    def fail():
        raise RuntimeError("no extension today")

    with pytest.raises(RuntimeError, match="no extension today"), FunctionAppClient(app_object, extensions=[fail]):
        pass
