"""Where an extension can keep what it is told, and what of a test's own modules is none of that."""

from __future__ import annotations

import importlib
import sys
import textwrap

import azure.functions as func
import pytest
from azure.functions import AppExtensionBase

from worker_ext.hooks import sdk
from worker_ext.testing import FunctionAppClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
level = 0
levels: list = []


@app.route("hello")
def hello(req):
    global level
    level += 1
    levels.append(level)
    return "hello"


@pytest.fixture(autouse=True)
def alone():
    """What registers during a test is forgotten."""
    before = sdk.switch(sdk.Extensions())
    yield
    sdk.switch(before)


WAYS = {
    "a class that derives from dict": """
        class Options(dict): pass
        OPTIONS = Options(level=0)
        def put(level): OPTIONS["level"] = level
        def get(): return OPTIONS["level"]
    """,
    "an attribute of one": """
        class Options(dict): level = 0
        OPTIONS = Options()
        def put(level): OPTIONS.level = level
        def get(): return OPTIONS.level
    """,
    "a class that derives from UserDict": """
        import collections
        class Options(collections.UserDict): pass
        OPTIONS = Options(level=0)
        def put(level): OPTIONS["level"] = level
        def get(): return OPTIONS["level"]
    """,
    "a ChainMap": """
        import collections
        OPTIONS = collections.ChainMap({}, {"level": 0})
        def put(level): OPTIONS["level"] = level
        def get(): return OPTIONS["level"]
    """,
    "a list in a named tuple": """
        import typing
        class Options(typing.NamedTuple): levels: list
        OPTIONS = Options([0])
        def put(level): OPTIONS.levels[0] = level
        def get(): return OPTIONS.levels[0]
    """,
    "a SimpleNamespace": """
        import types
        OPTIONS = types.SimpleNamespace(level=0)
        def put(level): OPTIONS.level = level
        def get(): return OPTIONS.level
    """,
    "a global variable with two underscores": """
        __level = 0
        def put(level):
            global __level
            __level = level
        def get(): return __level
    """,
    "a private slot": """
        class Options:
            __slots__ = ("__level",)
            def put(self, level): self.__level = level
            def get(self): return self.__level
        OPTIONS = Options()
        OPTIONS.put(0)
        put, get = OPTIONS.put, OPTIONS.get
    """,
    "a descriptor that checks": """
        class Checked:
            def __get__(self, owner, cls=None): return vars(owner).get("checked", 0)
            def __set__(self, owner, value): vars(owner)["checked"] = int(value)
        class Options: checked = Checked()
        OPTIONS = Options()
        def put(level): OPTIONS.checked = level
        def get(): return OPTIONS.checked
    """,
    "a class that refuses a change": """
        class Once:
            def __init__(self): vars(self)["level"] = 0
            def __setattr__(self, name, value):
                if vars(self)[name]: raise AttributeError(name)
                vars(self)[name] = value
        OPTIONS = Once()
        def put(level): OPTIONS.level = level
        def get(): return OPTIONS.level
    """,
    "a variable around functions": """
        def make():
            level = 0
            def put(value):
                nonlocal level
                level = value
            return put, lambda: level
        put, get = make()
    """,
    "a decorator's dict": """
        def remembering(function):
            known = {"level": 0}
            def call(*levels):
                known.update(level=function(known["level"], *levels))
                return known["level"]
            return call
        @remembering
        def get(known, *levels): return levels[0] if levels else known
        put = get
    """,
    "a function's attribute": """
        def get(): return get.level
        get.level = 0
        def put(level): get.level = level
    """,
    "a default value": """
        def get(level=None, known={"level": 0}):
            if level is not None: known["level"] = level
            return known["level"]
        put = get
    """,
    "a method's default value": """
        class Options:
            @staticmethod
            def get(level=None, known={"level": 0}):
                if level is not None: known["level"] = level
                return known["level"]
        put = get = Options.get
    """,
    "a cache of what was computed": """
        import functools
        known = 0
        def put(level):
            global known
            known = level
        @functools.lru_cache
        def get(): return known
    """,
    "beside an object that is loaded when one looks": """
        class Lazy:
            @property
            def __class__(self): raise RuntimeError("there is no request")
        LAZY, known = Lazy(), 0
        def put(level):
            global known
            known = level
        def get(): return known
    """,
}

KEEPING = """

import azure.functions as func

class Keeping(func.AppExtensionBase):
    @classmethod
    def configure(cls, level):
        put(level)

    @classmethod
    def pre_invocation_app_level(cls, logger, context, *args, **kwargs):
        logger.info(str(get()))
"""


@pytest.mark.parametrize("way", WAYS)
def test_it_is_every_client_s_own(way, tmp_path, monkeypatch):
    (tmp_path / "keeping_extension.py").write_text(textwrap.dedent(WAYS[way]) + KEEPING)
    monkeypatch.syspath_prepend(str(tmp_path))
    package = importlib.import_module("keeping_extension")
    monkeypatch.delitem(sys.modules, "keeping_extension")  # when the test has ended
    sys.modules["keeping_extension"] = package

    def client(to):
        return FunctionAppClient(app, extensions=[package.Keeping, lambda: package.Keeping.configure(to)])

    with client(1) as one, client(2) as two:
        for expected, opened in [("1", one), ("2", two), ("2", two), ("1", one)]:
            assert opened.get("/api/hello").messages == [expected]
    assert package.get() == 0


class Config:
    """An object beside an extension."""

    level = 0


class Settings:
    """A class beside an extension."""

    level = 0


CONFIG = Config()


class Beside(AppExtensionBase):
    """Keeps its configuration in what stands beside it, in a module of tests."""

    level = 0

    @classmethod
    def configure(cls, to):
        cls.level = CONFIG.level = Settings.level = to
        cls.levels = [to]

    @classmethod
    def pre_invocation_app_level(cls, logger, context, *args, **kwargs):
        logger.info(f"{CONFIG.level} {Settings.level}")


class TestAModuleOfTests:
    def client(self, to):
        return FunctionAppClient(app, extensions=[Beside, lambda: Beside.configure(to)])

    def test_what_configure_names_is_every_client_s_own_with_what_is_in_it(self):
        with self.client(1) as one, self.client(2) as two:
            assert one.get("/api/hello").messages == ["1 1"]
            assert two.get("/api/hello").messages == ["2 2"]
        assert (CONFIG.level, Settings.level) == (0, 0)

    def test_a_variable_is_not_meant_by_an_attribute_of_the_same_name(self):
        calls = len(levels)
        with self.client(1) as client:
            client.get("/api/hello")
        assert (level, len(levels)) == (calls + 1, calls + 1)

    def test_what_a_test_has_around_a_hook_is_the_test_s(self):
        calls = []

        class Local(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, *args, **kwargs):
                calls.append(context.function_name)

        with FunctionAppClient(app, extensions=[Local]) as client:
            client.get("/api/hello")
        assert calls == ["hello"]


TESTS_IN_A_PACKAGE = """
import azure.functions as func
from .helpers import Count, calls
from worker_ext.testing import FunctionAppClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

class Counting(func.AppExtensionBase):
    @classmethod
    def pre_invocation_app_level(cls, logger, context, *args, **kwargs):
        calls.append(context.function_name)
        Count.calls += 1

@app.route("hello")
def hello(req):
    return "hello"

with FunctionAppClient(app, extensions=[Counting]) as client:
    client.get("/api/hello")
found = calls, Count.calls
"""


def test_modules_beside_the_tests_are_the_tests_own(tmp_path, monkeypatch):
    """Those of a package of tests: not all of the package of an extension that a test defines is the extension's."""
    folder = tmp_path / "own" / "tests"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    (folder / "helpers.py").write_text("calls = []\nclass Count:\n    calls = 0\n")
    (folder / "test_it.py").write_text(TESTS_IN_A_PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    try:
        assert importlib.import_module("own.tests.test_it").found == (["hello"], 1)
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("own"):
                del sys.modules[name]
