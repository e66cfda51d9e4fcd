"""Which extensions there are, and for which functions their hooks run."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from azure.functions import AppExtensionBase, FuncExtensionBase

from worker_ext.context import Context
from worker_ext.function import Function
from worker_ext.hooks.pipeline import Pipeline
from worker_ext.hooks.registry import Registry, extensions_enabled
from worker_ext.invocation import Invocation


@pytest.fixture
def function(worker, trace):
    """A function without any extension yet."""
    return worker.load(trace.function("sync"))


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "True", "t", "T", "yes", "Yes", "y", " 1 "])
def test_the_flag_is_on(text):
    assert extensions_enabled({"PYTHON_ENABLE_WORKER_EXTENSIONS": text})


@pytest.mark.parametrize("environ", [{}, *({"PYTHON_ENABLE_WORKER_EXTENSIONS": t} for t in ("", "0", "false", "on"))])
def test_the_flag_is_off(environ):
    assert not extensions_enabled(environ)


class TestTime:
    def test_a_late_extension_applies_from_the_next_invocation_on(self, worker, trace, function):
        worker.invoke(function)
        assert trace.names == ["function"]
        trace.app_extension("Late")
        worker.invoke(function)
        assert trace.names == ["function", "Late.pre", "function", "Late.post"]  # and no load hook

    def test_a_late_function_level_extension_does_too(self, worker, trace, function, tmp_path):
        worker.invoke(function)
        trace.function_extension("Late")(str(tmp_path / "HttpTrigger" / "__init__.py"))
        worker.invoke(function)
        assert trace.names == ["function", "Late.pre", "function", "Late.post"]

    def test_an_extension_that_the_function_itself_defines_does_not_apply_to_that_invocation(self, worker, trace):
        def main(req, context):
            trace.app_extension(f"During{req}")

        function = worker.load(main)
        worker.invoke(function, 1)
        worker.invoke(function, 2)
        assert trace.names == ["During1.pre", "During1.post"]

    def test_a_late_extension_has_its_load_hook_called_for_functions_that_are_loaded_later(
        self, worker, trace, function
    ):
        trace.app_extension("Late")
        worker.load(trace.function("sync"), "Second")
        assert [(step.name, step.function) for step in trace] == [("Late.load", "Second")]

    def test_what_registered_before_anybody_looked_applies_in_the_same_order(self, tmp_path):
        script = """
            import os
            os.environ["AzureWebJobsScriptRoot"] = os.getcwd()
            from azure.functions import AppExtensionBase, FuncExtensionBase

            class Base(AppExtensionBase):
                @classmethod
                def pre_invocation_app_level(cls, logger, context, func_args): ...
            class Derived(Base): ...
            class Other(AppExtensionBase):
                @classmethod
                def pre_invocation_app_level(cls, logger, context, func_args): ...
            class Static(AppExtensionBase):
                post_function_load_app_level = staticmethod(lambda name, directory: None)
                pre_invocation_app_level = staticmethod(lambda logger, context, func_args: None)
                post_invocation_app_level = staticmethod(lambda logger, context, func_args, func_ret: None)
            class Func(FuncExtensionBase):
                def __init__(self, file):
                    super().__init__(file)
                def pre_invocation(self, logger, context, func_args): ...
            Func("HttpTrigger/__init__.py")

            from worker_ext.function import Function
            from worker_ext.hooks.registry import Registry
            registry = Registry(enabled=True)
            function = Function("httptrigger", print, directory="", file="", parameters=frozenset())
            assert registry.extensions() == ["Derived", "Other", "Static", "Func"], registry.extensions()
            hooks = [hook.extension for hook in registry.hooks_for(function).before]
            assert hooks == ["Derived", "Other", "Static", "Func"], hooks
            """
        root = str(Path(__file__).resolve().parents[2])
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{dedent(script)}"],
            check=True,
            cwd=tmp_path,
        )


class TestInheritance:
    def test_inherited_hooks_run_once_through_the_derived_class(self, worker, trace, function):
        base = trace.app_extension("Base")

        class Derived(base):
            pass

        worker.invoke(function)
        assert trace.names == ["Derived.pre", "function", "Derived.post"]
        assert worker.registry.extensions() == ["Derived"]

    def test_an_overridden_hook_runs_instead_of_the_inherited_one(self, worker, trace, function):
        base = trace.app_extension("Base")

        class Derived(base):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
                trace.note("overridden", context.function_name, func_args)

        worker.invoke(function)
        assert trace.names == ["overridden", "function", "Derived.post"]

    def test_siblings_run_both(self, worker, trace, function):
        base = trace.app_extension("Base")

        class First(base):
            pass

        class Second(base):
            pass

        worker.invoke(function)
        assert trace.names == ["First.pre", "Second.pre", "function", "First.post", "Second.post"]

    def test_a_helper_base_in_between_does_not_run_by_itself(self, worker, trace, function):
        class Helper(AppExtensionBase):
            @staticmethod
            def helped():
                return True

        trace.app_extension("Concrete", Helper)
        worker.invoke(function)
        assert trace.names == ["Concrete.pre", "function", "Concrete.post"]

    def test_inherited_static_hooks_run_once(self, worker, trace, function):
        class Base(AppExtensionBase):
            @staticmethod
            def pre_invocation_app_level(logger, context, func_args=None, *args, **kwargs):
                trace.note("static", context.function_name, func_args)

        class Derived(Base):
            pass

        worker.invoke(function)
        assert trace.names == ["static", "function"]

    def test_a_class_whose_init_fails_leaves_its_base_in_place(self, worker, trace, function):
        base = trace.app_extension("Base")
        with pytest.raises(RuntimeError, match="no licence"):

            class Derived(base):
                @classmethod
                def init(cls):
                    raise RuntimeError("no licence")

        worker.invoke(function)
        assert trace.names == ["Base.pre", "function", "Base.post"]

    def test_each_instance_of_a_function_level_extension_runs(self, worker, trace, function, tmp_path):
        base = trace.function_extension("Func")

        class Derived(base):
            pass

        for extension in (base, Derived):
            extension(str(tmp_path / "HttpTrigger" / "__init__.py"))
        worker.invoke(function)
        assert trace.names == ["Func.pre", "Func.pre", "function", "Func.post", "Func.post"]


class TestAttachment:
    """Which functions a function-level extension applies to."""

    @pytest.fixture
    def extension(self, trace):
        return trace.function_extension("Func")

    def ran_for(self, worker, trace, function):
        trace.clear()
        worker.invoke(function)
        return {"function"} < set(trace.names)

    @pytest.mark.parametrize(
        ("name", "applies"),
        [("HttpTrigger", True), ("httptrigger", True), ("HTTPTRIGGER", True), ("HttpTrigger2", False)],
    )
    def test_by_name_in_the_v1_model(self, worker, trace, extension, tmp_path, name, applies):
        extension(str(tmp_path / "HttpTrigger" / "__init__.py"))
        function = worker.load(trace.function("sync"), name, file=str(tmp_path / "shared" / "code.py"))
        assert self.ran_for(worker, trace, function) is applies

    @pytest.mark.parametrize("made_in", ["function_app.py", "blueprints/orders.py"])
    def test_by_file_in_the_v2_model(self, worker, trace, extension, tmp_path, made_in):
        extension(str(tmp_path / made_in))
        applies = {
            name: self.ran_for(worker, trace, worker.load(trace.function("sync"), name, file=str(tmp_path / file)))
            for name, file in {
                "one": "function_app.py",
                "another": "function_app.py",
                "order": "blueprints/orders.py",
                "customer": "blueprints/customers.py",
            }.items()
        }
        of_app = made_in == "function_app.py"
        assert applies == {"one": of_app, "another": of_app, "order": not of_app, "customer": False}

    def test_a_file_is_known_by_all_its_names(self, worker, trace, extension, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        extension("./blueprints/../function_app.py")
        function = worker.load(trace.function("sync"), file=str(tmp_path.resolve() / "function_app.py"))
        assert self.ran_for(worker, trace, function)

    def test_a_function_of_an_unknown_file_is_not_taken_for_one_of_an_unknown_extension(self, worker, trace):
        class Handmade(FuncExtensionBase):
            def __init__(self):
                self._trigger_name = "other"

            def pre_invocation(self, logger, context, func_args=None, *args, **kwargs):
                trace.note("Handmade.pre", context.function_name, func_args)

        Handmade()
        assert not self.ran_for(worker, trace, worker.load(trace.function("sync"), file=""))

    def test_in_the_order_in_which_they_were_made(self, worker, trace, tmp_path):
        by_name = str(tmp_path / "HttpTrigger" / "__init__.py")
        by_file = str(tmp_path / "function_app.py")
        for name, file in {"A": by_file, "B": by_name, "C": by_file, "D": by_name}.items():
            trace.function_extension(name)(file)
        worker.invoke(worker.load(trace.function("sync"), file=by_file))
        hooks = [name for name in trace.names if name.endswith((".pre", ".post"))]
        assert hooks == ["A.pre", "B.pre", "C.pre", "D.pre", "A.post", "B.post", "C.post", "D.post"]

    def test_an_extension_with_static_hooks_only(self, worker, trace, function, tmp_path):
        class Static(FuncExtensionBase):
            def __init__(self, file_path):
                super().__init__(file_path)

            @staticmethod
            def post_function_load(name, directory):
                trace.note("load", name, {})

            @staticmethod
            def pre_invocation(logger, context, func_args):
                trace.note("pre", context.function_name, {})

            @staticmethod
            def post_invocation(logger, context, func_args, func_ret):
                trace.note("post", context.function_name, {})

        Static(str(tmp_path / "HttpTrigger" / "__init__.py"))
        worker.invoke(worker.load(trace.function("sync")))
        assert trace.names == ["load", "pre", "function", "post"]

    def test_one_that_cannot_be_attached_is_the_makers_error(self, worker, trace, function, extension, tmp_path):
        with pytest.raises(Exception, match="Failed to parse trigger name"):
            extension(str(tmp_path.parent / "elsewhere.py"))

        class Nameless(FuncExtensionBase):
            def __init__(self):
                pass

        with pytest.raises(AttributeError, match="_trigger_name"):
            Nameless()
        assert not self.ran_for(worker, trace, function)


class TestSignatures:
    """A hook that cannot be called is refused, once, and the others go on."""

    def test_the_mismatch_is_told_with_its_place(self, worker, trace):
        trace.app_extension("Before")

        class Wrong(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context):
                raise AssertionError("not to be called")

            @classmethod
            def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None):
                trace.note("Wrong.post", context.function_name, func_args)

        trace.app_extension("After")
        function = worker.load(trace.function("sync"))
        trace.clear()
        for _ in range(2):
            worker.invoke(function)
        one = ["Before.pre", "After.pre", "function", "Before.post", "Wrong.post", "After.post"]
        assert trace.names == one * 2
        line = Wrong.pre_invocation_app_level.__func__.__code__.co_firstlineno
        assert errors(worker) == [
            (
                "Wrong",
                "pre_invocation_app_level is not run: it is declared as"
                f" {Wrong.__qualname__}.pre_invocation_app_level(logger, context) ({__file__}:{line})"
                " but is called with (logger, context, func_args): too many positional arguments",
            )
        ]

    def test_it_is_told_when_functions_are_loaded_not_when_they_are_called(self, worker, trace):
        class Wrong(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls):
                pass

        worker.load(trace.function("sync"))
        assert len(errors(worker)) == 1
        worker.invoke(worker.load(trace.function("sync"), "Second"))
        assert len(errors(worker)) == 1

    @pytest.mark.parametrize(
        ("hook", "declared"),
        [
            ("post_function_load", lambda self: None),
            ("pre_invocation", lambda self, logger, *, context: None),
            ("post_invocation", lambda self, logger, context, func_args, func_ret, more: None),
        ],
    )
    def test_function_level(self, worker, trace, tmp_path, hook, declared):
        def init(self, file_path):
            FuncExtensionBase.__init__(self, file_path)

        extension = type("Wrong", (FuncExtensionBase,), {"__init__": init, hook: declared})
        extension(str(tmp_path / "HttpTrigger" / "__init__.py"))
        worker.invoke(worker.load(trace.function("sync")))
        ((name, text),) = errors(worker)
        assert (name, text.split()[0]) == ("Wrong", hook)

    @pytest.mark.parametrize(
        "accepted",
        [
            lambda cls, *args: None,
            lambda cls, *args, **kwargs: None,
            lambda cls, logger, context, func_args: None,
            lambda cls, log, ctx, arguments, extra=1: None,
        ],
    )
    def test_what_can_be_called_is_accepted(self, worker, function, accepted):
        type("Fine", (AppExtensionBase,), {"pre_invocation_app_level": classmethod(accepted)})
        assert worker.invoke(function).lines == []
        assert errors(worker) == []

    def test_what_cannot_be_called_is_told_for_each_that_has_it(self, worker, trace):
        for name in ("One", "Other"):
            type(name, (AppExtensionBase,), {"pre_invocation_app_level": 5})
        assert worker.invoke(worker.load(trace.function("sync"))).lines == []
        text = "pre_invocation_app_level is not run: it is 5, which cannot be called"
        assert errors(worker) == [("One", text), ("Other", text)]

    @pytest.mark.parametrize("is_async", [False, True], ids=["generator", "async generator"])
    def test_a_hook_that_yields_would_never_run(self, worker, trace, is_async):
        def generator(cls, logger, context, func_args):
            yield

        async def async_generator(cls, logger, context, func_args):
            yield

        hook = classmethod(async_generator if is_async else generator)
        type("Yielding", (AppExtensionBase,), {"pre_invocation_app_level": hook})
        assert worker.invoke(worker.load(trace.function("sync"))).lines == []
        ((_, text),) = errors(worker)
        assert text.endswith(", which yields: nothing in it would ever run, as only an around hook may do that")

    def test_a_hook_of_the_other_kind_of_extension_is_told(self, worker, trace, tmp_path):
        class ForAll(AppExtensionBase):
            @classmethod
            def pre_invocation(cls, logger, context, func_args):
                raise AssertionError("not to be called")

        class ForOne(FuncExtensionBase):
            def __init__(self, file_path):
                super().__init__(file_path)

            def post_invocation_app_level(self, logger, context, func_args, func_ret):
                raise AssertionError("not to be called")

        class WithBoth(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                cls.pre_invocation(context)

            @classmethod
            def pre_invocation(cls, context):
                trace.note("pre", context.function_name, {})

        ForOne(str(tmp_path / "HttpTrigger" / "__init__.py"))
        function = worker.load(trace.function("sync"))
        worker.invoke(function)
        worker.invoke(function)
        assert trace.names == ["pre", "function"] * 2
        assert errors(worker) == [
            (
                "ForAll",
                f"pre_invocation is not run: {ForAll.__qualname__} is application-level, and this is a hook of"
                " function-level extensions; its own is called pre_invocation_app_level",
            ),
            (
                "ForOne",
                f"post_invocation_app_level is not run: {ForOne.__qualname__} is function-level, and this is a hook of"
                " application-level extensions; its own is called post_invocation",
            ),
        ]

    @pytest.mark.parametrize("defaults", [(), (None,)], ids=["as declared", "with a default"])
    def test_a_forgotten_classmethod_is_recognised(self, worker, trace, defaults):
        def pre_invocation_app_level(self, logger, context, func_args):
            raise AssertionError("not to be called")

        pre_invocation_app_level.__defaults__ = defaults
        type("Forgetful", (AppExtensionBase,), {"pre_invocation_app_level": pre_invocation_app_level})
        worker.load(trace.function("sync"))
        ((_, text),) = errors(worker)
        assert text.endswith("its self would be given the logger; is @classmethod missing?")

    def test_static_hooks_need_no_decorator(self, worker, trace, function):
        def pre_invocation_app_level(logger, context, func_args):
            trace.note("pre", context.function_name, func_args)

        type("Plain", (AppExtensionBase,), {"pre_invocation_app_level": pre_invocation_app_level})
        worker.invoke(function)
        assert trace.names == ["pre", "function"]


class TestCost:
    """Hooks that nobody overrides are not called at all."""

    @pytest.fixture
    def bare(self):
        return Function("HttpTrigger", print, directory="", file="", parameters=frozenset())

    def test_no_extension(self, extensions, bare):
        assert steps(bare, Registry(enabled=True)) is None

    def test_an_extension_that_overrides_nothing(self, extensions, bare, tmp_path):
        class App(AppExtensionBase):
            pass

        class Func(FuncExtensionBase):
            def __init__(self, file_path):
                super().__init__(file_path)

        Func(str(tmp_path / "HttpTrigger" / "__init__.py"))
        registry = Registry(enabled=True)
        assert registry.extensions() == ["App", "Func"]
        assert steps(bare, registry) is None
        assert registry.load_hooks_for(bare) == ()

    def test_the_flag_is_off(self, trace, bare):
        trace.app_extension("App")
        registry = Registry(enabled=False)
        assert steps(bare, registry) is None
        assert registry.extensions() == []

    def test_only_what_is_overridden(self, extensions, bare):
        class Post(AppExtensionBase):
            @classmethod
            def post_invocation_app_level(cls, logger, context, func_args, func_ret):
                pass

        hooks = Registry(enabled=True).hooks_for(bare)
        assert hooks.before == ()
        assert [(hook.extension, hook.name) for hook in hooks.after] == [("Post", "post_invocation_app_level")]

    def test_a_hook_that_is_switched_off_with_none(self, trace, bare):
        base = trace.app_extension("Base")

        class Quiet(base):
            pre_invocation_app_level = None

        hooks = Registry(enabled=True).hooks_for(bare)
        assert [hook.name for hook in (*hooks.before, *hooks.after)] == ["post_invocation_app_level"]


def steps(function, registry):
    """What a pipeline makes of an invocation."""
    context = Context(function.name, function.directory, "1")
    return Pipeline(function, registry).steps(Invocation(function, {}, context))


def errors(worker):
    """Logger and text of the errors that were told outside invocations."""
    worker.logs.flush_all()
    return [(line.name, line.message) for owner, line in worker.shipped if not owner and line.level >= logging.ERROR]
