"""What the extension can be told, and what it says if that is wrong."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
from opencensus.trace import config_integration, integrations

ROOT = Path(__file__).resolve().parents[1]
MODULE = "python_worker_extension_telemetry"
SETTING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
needs_requests = pytest.mark.skipif(not importlib.util.find_spec("requests"), reason="takes the extra requests")


class TestWrongOptions:
    @pytest.mark.parametrize(
        ("args", "kwargs"), [((), {"instrumentation_key": "k"}), (([], None), {}), ((), {"library": [], "export": 1})]
    )
    def test_unknown_ones_are_refused_with_those_there_are(self, worker, args, kwargs):
        with pytest.raises(TypeError, match="libraries, sampler, exporter and connection_string") as raised:
            worker.extension.configure(*args, **kwargs)
        assert all(name in str(raised.value) for name in kwargs)

    @pytest.mark.parametrize(
        ("kwargs", "expected"),
        [
            ({"exporter": object()}, "exporter.*export()"),
            ({"exporter": "http://localhost"}, "exporter.*export()"),
            ({"sampler": 0.5}, "sampler.*should_sample()"),
            ({"libraries": [1]}, "libraries"),
            ({"libraries": ["../evil"]}, "libraries.*evil"),
        ],
    )
    def test_values_of_the_wrong_kind(self, worker, kwargs, expected):
        with pytest.raises(TypeError, match=expected):
            worker.extension.configure(**kwargs)

    def test_two_destinations(self, worker, recorder):
        with pytest.raises(ValueError, match="not both"):
            worker.extension.configure(exporter=recorder, connection_string="InstrumentationKey=k")

    def test_a_call_that_fails_changes_nothing(self, worker, recorder):
        with pytest.raises(ImportError):
            worker.extension.configure(libraries=["no_such_library"])
        worker.invoke(lambda _: None)
        worker.extension.flush()
        assert len(recorder.spans) == 1


class TestLibraries:
    @pytest.fixture
    def integration(self, monkeypatch):
        """An integration package, ``opencensus-ext-acme-db``, that notes each integration."""
        calls = []
        module = ModuleType("opencensus.ext.acme_db.trace")
        module.trace_integration = lambda tracer=None: calls.append(tracer)
        for name in "opencensus.ext.acme_db", "opencensus.ext.acme_db.trace":
            monkeypatch.setitem(sys.modules, name, module)
        return calls

    def test_are_integrated_once(self, worker, integration):
        worker.extension.configure(["acme_db"])
        worker.extension.configure(libraries=["acme_db", "acme_db"])
        worker.extension.configure(libraries="acme_db")
        assert integration == [None]

    @needs_requests
    def test_that_the_app_has_integrated_itself_are_not_integrated_again(self, worker, monkeypatch):
        import requests

        monkeypatch.setattr(requests.Session, "request", requests.Session.request)  # undoes the integration
        monkeypatch.setattr(integrations, "_INTEGRATIONS_BIT_MASK", 0)
        config_integration.trace_integrations(["requests"])
        integrated = requests.Session.__dict__["request"]
        worker.extension.configure(libraries=["requests"])
        assert requests.Session.__dict__["request"] is integrated

    def test_whose_package_is_missing_name_it(self, worker):
        with pytest.raises(ImportError, match=r"pip install opencensus-ext-acme-db$"):
            worker.extension.configure(libraries=["acme_db"])

    def test_that_are_missing_themselves(self, worker, monkeypatch, tmp_path):
        package = tmp_path / "opencensus" / "ext" / "acme_db"
        package.mkdir(parents=True)
        (package / "trace.py").write_text("import acme_driver\n")
        import opencensus.ext

        monkeypatch.setattr(opencensus.ext, "__path__", [*opencensus.ext.__path__, str(package.parent)])
        with pytest.raises(ImportError, match=r"opencensus-ext-acme-db is installed, but acme_driver.* is not"):
            worker.extension.configure(libraries=["acme_db"])

    def test_whose_integration_fails(self, worker, integration, monkeypatch):
        monkeypatch.setattr(sys.modules["opencensus.ext.acme_db.trace"], "trace_integration", None)
        with pytest.raises(RuntimeError, match="integration of acme_db failed"):
            worker.extension.configure(libraries=["acme_db"])


class TestApplicationInsights:
    @pytest.fixture
    def missing(self, monkeypatch):
        """As if the extra ``azure`` were not installed."""
        monkeypatch.setitem(sys.modules, "opencensus.ext.azure.trace_exporter", None)

    def test_without_its_package_a_connection_string_is_an_error(self, worker, missing):
        with pytest.raises(ImportError, match=r'pip install "python-worker-extension-telemetry\[azure\]"'):
            worker.extension.configure(connection_string="InstrumentationKey=k")

    def test_without_its_package_the_setting_is_not(self, worker, missing, monkeypatch, caplog):
        # Azure sets it in apps that have Application Insights on, for the host.
        monkeypatch.setenv(SETTING, "InstrumentationKey=k")
        worker.extension.configure()
        assert worker.invoke(lambda context: context.tracer)
        (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert SETTING in warning
        assert "[azure]" in warning

    def test_an_exporter_comes_before_the_setting(self, worker, recorder, missing, monkeypatch, caplog):
        monkeypatch.setenv(SETTING, "InstrumentationKey=k")
        worker.extension.configure(exporter=recorder)
        worker.invoke(lambda _: None)
        worker.extension.flush()
        assert len(recorder.spans) == 1
        assert caplog.messages == []

    @pytest.mark.parametrize("wrong", ["nonsense", "InstrumentationKey=not-a-uuid", "IngestionEndpoint=http://x"])
    def test_a_wrong_connection_string(self, worker, monkeypatch, wrong):
        pytest.importorskip("opencensus.ext.azure")
        with pytest.raises(ValueError, match=r"^connection_string is not .*: I") as raised:
            worker.extension.configure(connection_string=wrong)
        assert wrong not in str(raised.value)  # it may hold a key
        monkeypatch.setenv(SETTING, wrong)
        with pytest.raises(ValueError, match=rf"^the setting {SETTING} is not .*: I"):
            worker.extension.configure()


class TestAnAppThatNeverCallsConfigure:
    def test_goes_by_the_setting(self, worker, monkeypatch, caplog):
        monkeypatch.setitem(sys.modules, "opencensus.ext.azure.trace_exporter", None)
        monkeypatch.setenv(SETTING, "InstrumentationKey=k")
        worker.load("First")
        worker.load("Second")
        assert len([message for message in caplog.messages if SETTING in message]) == 1

    def test_is_told_once_of_a_wrong_setting(self, worker, monkeypatch):
        pytest.importorskip("opencensus.ext.azure")
        monkeypatch.setenv(SETTING, "nonsense")
        with pytest.raises(ValueError, match=SETTING):
            worker.load("First")
        worker.load("Second")
        assert worker.invoke(lambda context: context.tracer)

    def test_but_not_one_that_has_called_it(self, worker, recorder, monkeypatch, caplog):
        monkeypatch.setenv(SETTING, "InstrumentationKey=k")
        worker.load()
        worker.invoke(lambda _: None)
        worker.extension.flush()
        assert len(recorder.spans) == 1
        assert caplog.messages == []


def test_functions_that_configure_the_same_share_an_exporter(worker, recorder):
    threads = threading.active_count()
    for _ in range(3):
        worker.extension.configure(exporter=recorder)
    assert threading.active_count() == threads


def test_an_exporter_may_be_anything_that_exports(worker):
    class Spans(list):
        """Empty at first, and equal to any other that is empty."""

        export = list.extend

    first, second = Spans(), Spans()
    worker.extension.configure(exporter=first)
    worker.extension.configure(exporter=second)
    worker.invoke(lambda _: None)
    assert worker.extension.flush()
    assert (len(first), len(second)) == (0, 1)


def test_importing_it_is_cheap():
    """The packages for Application Insights and for requests are imported only if they are wanted."""
    code = f"import sys, {MODULE}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"requests", "azure.identity", "opencensus.ext.azure"} & set(printed.stdout.split())
