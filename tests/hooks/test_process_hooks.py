"""Hooks that belong to the worker process: ``on_startup``, ``on_shutdown``, ``ready``; and what is kept for a call."""

from __future__ import annotations

import asyncio

import pytest

from worker_ext import AppExtensionBase, FuncExtensionBase

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
def lifecycle(trace, tmp_path):
    """An extension of each level, one with async hooks."""

    class Func(FuncExtensionBase):
        def on_startup(self):
            trace.append("function-level starts")

        def on_shutdown(self):
            trace.append("function-level stops")

    class App(AppExtensionBase):
        @classmethod
        async def on_startup(cls):
            await asyncio.sleep(0)
            trace.append("application-level starts")

        @classmethod
        async def on_shutdown(cls):
            await asyncio.sleep(0)
            trace.append("application-level stops")

    Func(str(tmp_path / "HttpTrigger" / "__init__.py"))
    return App


class TestStartAndEnd:
    def test_once_and_in_opposite_order(self, worker, trace, lifecycle):
        for _ in range(2):
            worker.run(worker.worker.startup())
        assert trace == ["application-level starts", "function-level starts"]
        trace.clear()
        for _ in range(2):
            worker.run(worker.worker.shutdown())
        assert trace == ["function-level stops", "application-level stops"]

    def test_not_where_extensions_are_off(self, make_worker, trace, lifecycle):
        worker = make_worker(enabled=False)
        worker.run(worker.worker.startup())
        worker.run(worker.worker.shutdown())
        assert trace == []

    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=["error", "exit"])
    def test_what_one_raises_is_logged_and_the_others_go_on(self, worker, trace, lifecycle, error):
        class Failing(AppExtensionBase):
            priority = 1

            @classmethod
            def on_startup(cls):
                raise error

            @classmethod
            async def on_shutdown(cls):
                raise error

        worker.run(worker.worker.startup())
        worker.run(worker.worker.shutdown())
        assert len(trace) == 4
        assert [message.splitlines()[0] for message in worker.messages()] == [
            f"on_startup failed: {error!r}",
            f"on_shutdown failed: {error!r}",
        ]

    def test_an_end_that_takes_too_long_is_not_waited_for(self, worker, trace, lifecycle):
        class Hanging(AppExtensionBase):
            @classmethod
            async def on_shutdown(cls):
                await asyncio.Event().wait()

        worker.run(worker.worker.shutdown(limit=0.01))
        assert worker.messages() == ["on_shutdown took longer than 0.01 s and is not waited for"]


class TestReady:
    def test_without_extensions_a_worker_is(self, worker):
        assert worker.run(worker.worker.ready()) == (True, [])

    def test_the_reasons_of_those_that_are_not(self, worker, extensions, tmp_path):
        class Fine(AppExtensionBase):
            @classmethod
            def ready(cls):
                return True

        class Waiting(AppExtensionBase):
            @classmethod
            async def ready(cls):
                return "the cache is cold"

        class Silent(AppExtensionBase):
            @classmethod
            def ready(cls):
                return False

        class Broken(FuncExtensionBase):
            def ready(self):
                raise OSError("no database")

        Broken(str(tmp_path / "HttpTrigger" / "__init__.py"))
        ok, reasons = worker.run(worker.worker.ready())
        assert not ok
        assert reasons == [
            ("Waiting", "the cache is cold"),
            ("Silent", "not ready"),
            ("Broken", "OSError('no database')"),
        ]


class TestData:
    @kinds
    def test_each_extension_has_its_own_and_each_invocation_a_new_one(self, worker, trace, tmp_path, kind):
        seen = []

        class Func(FuncExtensionBase):
            def pre_invocation(self, logger, context, func_args):
                self.data(context)["begun"] = self

            def post_invocation(self, logger, context, func_args, func_ret):
                seen.append(self.data(context))

        class App(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                seen.append(dict(cls.data(context)))
                cls.data(context)["begun"] = context.invocation_id

            @classmethod
            def post_invocation_app_level(cls, logger, context, func_args, func_ret):
                seen.append(cls.data(context))

        first, second = (Func(str(tmp_path / "HttpTrigger" / "__init__.py")) for _ in range(2))
        function = worker.load(trace.function(kind))
        for number in ("1", "2"):
            worker.invoke(function)
            assert seen == [{}, {"begun": first}, {"begun": second}, {"begun": number}]
            seen.clear()


class TestDetach:
    @kinds
    def test_hooks_run_no_more_from_the_next_invocation_on(self, worker, trace, tmp_path, kind):
        app = trace.app_extension("App", AppExtensionBase)
        instance = trace.function_extension("Func", FuncExtensionBase)(str(tmp_path / "HttpTrigger" / "__init__.py"))
        function = worker.load(trace.function(kind))
        trace.clear()
        worker.invoke(function)
        app.detach()
        worker.invoke(function)
        instance.detach()
        worker.invoke(function)
        assert trace.names == [
            *("App.pre", "Func.pre", "function", "Func.post", "App.post"),
            *("Func.pre", "function", "Func.post"),
            "function",
        ]
        assert worker.registry.extensions() == []

    def test_a_base_stays_quiet_when_what_derives_from_it_goes(self, worker, trace):
        base = trace.app_extension("Base", AppExtensionBase)

        class Derived(base):
            pass

        Derived.detach()
        worker.invoke(worker.load(trace.function("sync")))
        assert trace.names == ["function"]

    def test_the_sdk_forgets_it_too(self, trace, tmp_path):
        from azure.functions import ExtensionMeta

        trace.app_extension("App", AppExtensionBase).detach()
        stays = trace.app_extension("Stays", AppExtensionBase)
        trace.function_extension("Func", FuncExtensionBase)(str(tmp_path / "HttpTrigger" / "main.py")).detach()
        assert [hook.ext_name for hook in ExtensionMeta.get_application_hooks().pre_invocation_app_level] == ["Stays"]
        assert ExtensionMeta.get_function_hooks("HttpTrigger").pre_invocation == []
        assert stays


def test_a_higher_priority_comes_first(worker, trace):
    base = trace.app_extension("Plain", AppExtensionBase)
    low, high = trace.app_extension("Low", AppExtensionBase), trace.app_extension("High", AppExtensionBase)
    low.priority, high.priority = -1, 1
    function = worker.load(trace.function("sync"))
    trace.clear()
    worker.invoke(function)
    assert trace.names == ["High.pre", "Plain.pre", "Low.pre", "function", "High.post", "Plain.post", "Low.post"]
    assert base
