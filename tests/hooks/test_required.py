"""Extensions that must not be skipped: where they cannot do their work, nothing is served."""

from __future__ import annotations

import pytest

from worker_ext import AppExtensionBase, FuncExtensionBase, IndexingError
from worker_ext.hooks.required import STOCK, refusals


class Body:
    """What a required extension has at least."""

    @classmethod
    def around_invocation_app_level(cls, logger, context, func_args):
        return (yield)


def define(**members):
    return type("Auth", (Body, AppExtensionBase), {"required": True, **members})


def refusal(worker):
    """Why the worker does not start, and that a function that is called nevertheless is not run either."""
    called = []
    function = worker.load(lambda req, context: called.append(req))
    with pytest.raises(IndexingError) as raised:
        worker.run(worker.worker.startup())
    assert str(worker.invoke(function).error) == str(raised.value)
    assert called == []
    return str(raised.value)


def test_where_it_can_work_the_app_is_served(worker, extensions):
    define()
    worker.run(worker.worker.startup())
    assert worker.invoke(worker.load(lambda req, context: req)).value == "req"


def test_extensions_are_off(make_worker, extensions):
    define()
    assert refusal(make_worker(enabled=False)) == (
        "the extension Auth is required, but the setting PYTHON_ENABLE_WORKER_EXTENSIONS is off; "
        "the app does not run without it\n"
        "  Set PYTHON_ENABLE_WORKER_EXTENSIONS to 1, or take the extension out of the app."
    )


def test_function_level(make_worker, extensions, tmp_path):
    class Auth(FuncExtensionBase):
        required = True

        def around_invocation(self, logger, context, func_args):
            return (yield)

    Auth(str(tmp_path / "HttpTrigger" / "__init__.py"))
    assert "PYTHON_ENABLE_WORKER_EXTENSIONS is off" in refusal(make_worker(enabled=False))


def test_it_has_no_around(worker, extensions):
    type("Auth", (AppExtensionBase,), {"required": True, "pre_invocation_app_level": classmethod(lambda *args: None)})
    assert "it has no around_invocation_app_level, which alone can keep a function from being called" in refusal(worker)


def test_a_hook_of_the_wrong_kind(worker, extensions):
    define(around_invocation_app_level=classmethod(lambda cls, logger, context, func_args: None))
    assert "cannot be run: it is declared as" in (text := refusal(worker))
    assert "neither yields nor is async def" in text


def test_a_hook_of_the_wrong_signature(worker, extensions):
    define(post_invocation_app_level=classmethod(lambda cls: None))
    assert "its post_invocation_app_level cannot be run" in refusal(worker)


def test_its_start_fails(worker, extensions):
    def fail(cls):
        raise OSError("no key server")

    define(on_startup=classmethod(fail))
    assert "its on_startup failed: OSError('no key server')" in refusal(worker)


def test_one_that_comes_late_is_not_skipped_either(make_worker, extensions):
    worker = make_worker(enabled=False)
    function = worker.load(lambda req, context: req)
    worker.run(worker.worker.startup())
    assert worker.invoke(function).value == "req"
    extension = define()
    assert isinstance(worker.invoke(function).error, IndexingError)
    assert worker.run(worker.worker.ready()).ok is False
    extension.detach()
    assert worker.invoke(function).value == "req"


class TestStockWorkers:
    """What the bridge asks before it lets an app serve on a worker that is not ours."""

    def test_it_does_not_run_around_hooks(self, extensions):
        (found,) = refusals([define()], enabled=True, abilities=STOCK)
        assert found.extension == "Auth"
        assert found.reason == "this worker does not run around_invocation_app_level"

    def test_it_never_awaits_a_hook(self, extensions):
        async def pre(cls, logger, context, func_args):
            pass

        extension = define(pre_invocation_app_level=classmethod(pre))
        (found,) = refusals([extension], enabled=True, abilities=STOCK._replace(hooks=STOCK.hooks | {AROUND}))
        assert found.reason == "its pre_invocation_app_level is async def, which this worker would never await"

    def test_others_are_never_refused(self, extensions):
        assert refusals([type("Fine", (Body, AppExtensionBase), {})], enabled=False, abilities=STOCK) == []


AROUND = "around_invocation_app_level"
