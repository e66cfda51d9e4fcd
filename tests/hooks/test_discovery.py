"""Extensions that the settings name: found among the installed packages, told apart when something is wrong."""

from __future__ import annotations

import json
import re
import sys

import pytest
from support.hosting import running_host, write_app

from worker_ext import ConfigurationError
from worker_ext.hooks.discovery import load_named

SOURCE = """
from worker_ext import AppExtensionBase

class Counter(AppExtensionBase):
    told = []
    @classmethod
    def configure(cls, *, start: int = 0, label: str = ""):
        if start < 0:
            raise ValueError("start is negative")
        cls.told.append((start, label))
"""


@pytest.fixture
def install(extensions, tmp_path, monkeypatch):
    """Put a package into a folder of the path, as pip leaves it there."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    modules = set(sys.modules)

    def install(name, source=SOURCE, *, requires=(), package="", attribute="Counter"):
        package = package or f"python-worker-extension-{name}"
        module = package.replace("-", "_")
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        info = folder / f"{module}-1.2.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n{needs}")
        (info / "entry_points.txt").write_text(f"[worker_ext.extensions]\n{name} = {module}:{attribute}\n")
        return module

    yield install
    for name in set(sys.modules) - modules:
        if name.startswith("python_worker_extension_"):
            del sys.modules[name]


def load(names, **settings):
    return load_named({"WORKER_EXT_EXTENSIONS": names, **settings}, {"worker-ext": "1.0"})


def refusal(names, **settings):
    with pytest.raises(ConfigurationError) as raised:
        load(names, **settings)
    return str(raised.value)


class TestNames:
    @pytest.mark.parametrize("environ", [{}, {"WORKER_EXT_EXTENSIONS": ""}, {"WORKER_EXT_EXTENSIONS": " , "}])
    def test_none(self, install, extensions, environ):
        install("one")
        assert load_named(environ) == []
        assert extensions.apps == []

    def test_in_the_order_in_which_they_are_listed(self, install, worker):
        for name in ("one", "two"):
            install(name, SOURCE.replace("Counter", name.capitalize()), attribute=name.capitalize())
        assert [name for name, _ in load("two, one,two")] == ["two", "one"]
        assert worker.registry.extensions() == ["Two", "One"]

    def test_all_by_name(self, install):
        install("one")
        install("another")
        names = [name for name, _ in load("*")]
        assert names == sorted(names)
        assert {"one", "another"} <= set(names)

    def test_some_before_all_others(self, install):
        for name in ("a-one", "b-one", "c-one"):
            install(name)
        names = [name for name, _ in load("c-one, *, b-one") if name.endswith("-one")]
        assert names == ["c-one", "a-one", "b-one"]

    def test_one_that_the_app_imports_as_well_registers_once(self, install, worker):
        module = install("one")
        load("one")
        __import__(module)
        assert worker.registry.extensions() == ["Counter"]


class TestTroubles:
    """Each is told from the others."""

    def test_not_installed(self, install):
        install("counter")
        text = refusal("conter")
        assert text.startswith("WORKER_EXT_EXTENSIONS names conter, which no installed package offers; there are: ")
        assert text.endswith("Did you mean counter?")
        assert "-m pip install -r requirements.txt" in refusal("something-else")
        assert "names of entry points in the group 'worker_ext.extensions'" in refusal("something-else")

    @pytest.mark.parametrize("name", ["my_extensions", "my_extensions.Greeter", "my_extensions:Greeter"])
    def test_a_module_of_the_app_where_an_entry_point_is_meant(self, install, tmp_path, monkeypatch, name):
        install("counter")
        (tmp_path / "my_extensions.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        text = refusal(name)
        assert "counter" in text.partition("there are: ")[2]
        assert f"{name} is a module." in text
        assert "imported in the app's code instead" in text

    def test_installed_but_its_import_fails(self, install):
        module = install("one", "import json\nimport a_module_that_is_nowhere\n")
        text = refusal("one")
        assert re.search(rf"{module}\.py:2: the extension one \(python-worker-extension-one 1\.2\) is installed", text)
        assert "cannot be imported: ModuleNotFoundError: No module named 'a_module_that_is_nowhere'" in text
        assert "--force-reinstall python-worker-extension-one" in text

    @pytest.mark.parametrize("source", ["raise SystemExit(3)", "1 / 0", "def :"])
    def test_installed_but_its_code_fails(self, install, source):
        install("one", source)
        assert "is installed but cannot be imported: " in refusal("one")

    def test_the_place_of_a_mistake_is_where_it_was_made(self, install):
        module = install("one", "import json\ndef :")
        assert re.search(rf"{module}\.py:2: the extension one .* SyntaxError", refusal("one"))
        install("two", attribute="Other")
        assert refusal("two").startswith("the extension two ")  # and no place in what imports it

    def test_installed_but_damaged(self, install, tmp_path):
        module = install("one")
        (tmp_path / "site-packages" / f"{module}.py").unlink()
        assert f"its package has no module {module}: its installation is damaged" in refusal("one")

    def test_what_it_offers_is_not_there(self, install):
        install("one", attribute="Other")
        assert "has no attribute 'Other'" in refusal("one")

    def test_what_it_offers_is_no_extension(self, install):
        install("one", "Counter = 3")
        assert "is 3, which is no extension" in refusal("one")

    def test_it_needs_another_version_than_is_installed(self, install):
        needs = ["azure-functions>=99", "pytest>=1", "worker-ext>=98", "not-installed>=1", "pytest<0.1; extra == 'x'"]
        install("one", "raise AssertionError('it is not even imported')", requires=needs)
        text = refusal("one")
        assert re.search(r"needs azure-functions>=99, but [\w.]+ is installed and worker-ext>=98, but 1\.0 is", text)
        assert "pytest" not in text
        assert "pip install --upgrade python-worker-extension-one" in text

    def test_two_packages_offer_one(self, install):
        install("one")
        install("one", package="another-package")
        assert "more than one package offers" in refusal("one")
        assert "another-package 1.2 and python-worker-extension-one 1.2" in refusal("one")


class TestConfiguration:
    """``WORKER_EXT_<NAME>__<OPTION>`` settings; how texts are converted is in test_configuration.py."""

    def test_the_options_are_given_converted(self, install):
        install("one")
        ((_, counter),) = load("one", WORKER_EXT_ONE__START="3", worker_ext_one__label="x, y")
        assert counter.told == [(3, "x, y")]

    def test_without_any_configure_is_not_called(self, install):
        install("one")
        ((_, counter),) = load("one")
        assert counter.told == []

    def test_what_the_app_says_comes_later(self, install):
        install("one")
        ((_, counter),) = load("one", WORKER_EXT_ONE__START="3")
        counter.configure(start=4)
        assert counter.told[-1] == (4, "")

    def test_a_name_that_no_setting_could_have(self, install):
        install("one-more")
        ((_, counter),) = load("one-more", WORKER_EXT_ONE_MORE__START="3")
        assert counter.told == [(3, "")]

    def test_an_option_that_does_not_exist(self, install):
        install("one")
        assert refusal("one", WORKER_EXT_ONE__STRAT="3") == (
            "the setting WORKER_EXT_ONE__STRAT is no option of Counter.configure(); its options are start, label\n"
            "  Did you mean WORKER_EXT_ONE__START?"
        )

    def test_a_value_that_is_none(self, install):
        install("one")
        assert refusal("one", WORKER_EXT_ONE__START="three") == (
            "the setting WORKER_EXT_ONE__START cannot be a int, as configure() wants it:"
            " invalid literal for int() with base 10: 'three'\n"
            "  For example  WORKER_EXT_ONE__START=10"
        )

    def test_a_value_that_configure_does_not_take(self, install):
        install("one")
        assert "does not take what WORKER_EXT_ONE__START say: start is negative" in refusal(
            "one", WORKER_EXT_ONE__START="-1"
        )

    def test_an_extension_that_cannot_be_configured(self, install):
        install("one", "from worker_ext import AppExtensionBase\nclass Counter(AppExtensionBase): pass")
        assert "its options are none" in refusal("one", WORKER_EXT_ONE__START="1")

    def test_a_setting_for_none_that_is_named_is_warned_of(self, install, caplog):
        install("one")
        load("one", WORKER_EXT_OTHER__START="1", WORKER_EXT_ONE__START="1")
        (warning,) = caplog.messages
        assert "WORKER_EXT_OTHER__START has no effect" in warning


class TestForSomeFunctions:
    """A function-level extension: its ``configure`` makes the instance, and says for which functions."""

    SOURCE = """
from worker_ext import FuncExtensionBase

class Guard(FuncExtensionBase):
    @classmethod
    def configure(cls, *, include: list[str]):
        cls(include=include)
"""

    def test_is_for_those_that_the_settings_say(self, install, worker):
        install("guard", self.SOURCE, attribute="Guard")
        load("guard", WORKER_EXT_GUARD__INCLUDE="Order*, Pay")
        (made,) = worker.registry.function_level()
        assert made.include == ["Order*", "Pay"]

    @pytest.mark.parametrize(("names", "warnings"), [("guard", 1), ("*", 0)])
    def test_one_that_is_told_of_no_function_is_warned_of_if_it_was_meant(
        self, install, worker, caplog, names, warnings
    ):
        install("guard", self.SOURCE, attribute="Guard")
        load(names)
        assert worker.registry.function_level() == []
        told = [line for line in caplog.messages if "no setting WORKER_EXT_GUARD__… says for which functions" in line]
        assert len(told) == warnings

    def test_without_configure_it_cannot_be_named(self, install):
        install("guard", self.SOURCE.replace("def configure", "def other"), attribute="Guard")
        assert "has no configure() that settings could tell for which" in refusal("guard")


APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello")
def Hello(req): return func.HttpResponse("hello")
"""


def settings(**values):
    common = {"FUNCTIONS_WORKER_RUNTIME": "python", "PYTHON_ENABLE_WORKER_EXTENSIONS": "1"}
    return {"local.settings.json": json.dumps({"IsEncrypted": False, "Values": {**common, **values}})}


class TestThroughTheHost:
    """An app that imports no extension."""

    def test_the_settings_alone_bring_the_timer_in(self, tmp_path):
        named = settings(WORKER_EXT_EXTENSIONS="timer", WORKER_EXT_TIMER__APPEND_TO_HTTP_RESPONSE="true")
        with running_host(write_app(tmp_path, {"function_app.py": APP, **named})) as host:
            assert re.fullmatch(r"hello \(TimeElapsed: \S+ sec\)", host.get("/api/hello").text)
            host.wait_for("Time taken to execute Hello")

    def test_what_is_wrong_is_told_and_nothing_served(self, tmp_path):
        named = settings(WORKER_EXT_EXTENSIONS="timre")
        with running_host(write_app(tmp_path, {"function_app.py": APP, **named}), ready="no installed package") as host:
            host.wait_for("Did you mean timer")
