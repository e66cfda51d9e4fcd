"""To which functions an extension applies, and in which order several do."""

from __future__ import annotations

import functools

import azure.functions as sdk
import pytest

from worker_ext import AppExtensionBase, FuncExtensionBase, scope


@pytest.fixture
def extension(trace):
    """A function-level extension that notes for which functions it runs."""

    class Noting(FuncExtensionBase):
        def pre_invocation(self, logger, context, func_args):
            trace.append(context.function_name)

    return Noting


@pytest.fixture
def ran_for(worker, trace):
    """Load the functions of an app and invoke each; gives the names of those that the extension ran for."""

    def ran_for(app: sdk.FunctionApp) -> list[str]:
        for function in app.get_functions():
            trigger = function.get_trigger().get_dict_repr()["type"]
            loaded = worker.load(function.get_user_function(), function.get_function_name(), trigger=str(trigger))
            assert worker.invoke(loaded).error is None
        return list(trace)

    return ran_for


@pytest.fixture
def app():
    """An app with two functions of one blueprint."""
    blueprint, app = sdk.Blueprint(), sdk.FunctionApp()

    @blueprint.route("orders")
    def Orders(req, context):
        pass

    @blueprint.queue_trigger("req", "queue", "connection")
    async def OrderQueue(req, context):
        pass

    app.register_functions(blueprint)
    return app


def add(app, name, decorate=lambda function: function):
    """Add a function to an app; ``decorate`` is beneath the SDK's decorators."""

    def function(req, context):
        pass

    return app.function_name(name)(app.route(name)(decorate(function)))


class TestAttach:
    def test_not_at_all(self, extension, ran_for, app):
        extension()
        assert ran_for(app) == []

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["Orders"], ["Orders"]),
            (["orders"], ["Orders"]),
            (["Order*"], ["Orders", "OrderQueue"]),
            (["*"], ["Orders", "OrderQueue"]),
            (["OrderQueue", "*Queue", "OrderQ????"], ["OrderQueue"]),
            (["Order"], []),
        ],
    )
    def test_by_name(self, extension, ran_for, app, names, expected):
        attached = extension()
        for name in names:
            attached.attach(name)
        assert ran_for(app) == expected

    def test_as_a_decorator_beneath_those_of_the_sdk(self, extension, ran_for, app):
        add(app, "Audited", extension().attach)
        assert ran_for(app) == ["Audited"]

    def test_as_a_decorator_above_those_of_the_sdk(self, extension, ran_for, app):
        audited = extension()
        builder = audited.attach(add(app, "Audited"))
        app.queue_output("out", "queue", "connection")(builder)  # it gives back what it was given
        assert ran_for(app) == ["Audited"]

    def test_as_a_decorator_beneath_one_of_the_users_own(self, extension, ran_for, app):
        def wrapping(call):
            @functools.wraps(call)
            def wrapper(req, context):
                return call(req, context)

            return wrapper

        audited = extension()
        add(app, "Audited", lambda function: wrapping(audited.attach(function)))
        assert ran_for(app) == ["Audited"]

    def test_as_a_decorator_in_the_v1_model(self, extension, worker, trace):
        @extension().attach
        def main(req, context):
            pass

        worker.invoke(worker.load(main, "Folder"))
        worker.invoke(worker.load(lambda req, context: None, "Another"))
        assert trace == ["Folder"]

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_blueprint_with_what_comes_later(self, extension, ran_for, app, moment):
        blueprint, audited = sdk.Blueprint(), extension()
        if moment == "before":
            audited.attach(blueprint)
        add(blueprint, "One")
        add(blueprint, "Two")
        if moment == "after":
            audited.attach(blueprint)
        app.register_functions(blueprint)
        assert ran_for(app) == ["One", "Two"]

    def test_in_several_ways_it_still_runs_once(self, extension, ran_for, app):
        audited = extension()
        audited.attach("Audited")
        audited.attach(app)
        add(app, "Audited", audited.attach)
        assert ran_for(app) == ["Orders", "OrderQueue", "Audited"]

    def test_while_the_app_is_running(self, extension, worker, trace):
        audited, function = extension(), worker.load(lambda req, context: None)
        worker.invoke(function)
        audited.attach("HttpTrigger")
        worker.invoke(function)
        audited.detach()
        worker.invoke(function)
        audited.attach("HttpTrigger")
        worker.invoke(function)
        assert trace == ["HttpTrigger"] * 2

    @pytest.mark.parametrize("nonsense", [None, 1, ["Orders"]])
    def test_to_something_else(self, extension, nonsense):
        with pytest.raises(TypeError, match="takes a function, its name, or a blueprint"):
            extension().attach(nonsense)


class TestPatterns:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"include": "Orders"}, ["Orders"]),
            ({"include": ["*queue", "orders"]}, ["Orders", "OrderQueue"]),
            ({"include": "*", "exclude": "*Queue"}, ["Orders"]),
            ({"include": "*", "exclude": ("Order*",)}, []),
            ({"triggers": "queueTrigger"}, ["OrderQueue"]),
            ({"triggers": ["timer", "http"]}, ["Orders"]),
            ({"triggers": "http", "exclude": "Orders"}, []),
            ({"exclude": "Orders"}, []),  # this attaches it to nothing
        ],
    )
    def test_of_a_function_level_extension(self, extension, ran_for, app, options, expected):
        extension(**options)
        assert ran_for(app) == expected

    @pytest.mark.parametrize("how", ["class", "scope"])
    def test_of_an_application_level_extension(self, trace, ran_for, app, how):
        class Noting(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                trace.append(context.function_name)

        if how == "class":
            Noting.triggers = "queue"
        else:
            Noting.scope(triggers="queue")
        assert ran_for(app) == ["OrderQueue"]

    def test_they_narrow_what_it_is_attached_to(self, extension, ran_for, app):
        audited = extension()
        audited.attach(app)
        audited.scope(exclude="Orders")
        assert ran_for(app) == ["OrderQueue"]

    def test_they_can_be_changed_while_the_app_is_running(self, extension, worker, trace):
        audited, function = extension(include="*"), worker.load(lambda req, context: None)
        worker.invoke(function)
        audited.scope(exclude="Http*")
        worker.invoke(function)
        assert trace == ["HttpTrigger"]


class TestExtensionsOnTheBasesOfTheSdk:
    """They know nothing of scopes: the app narrows them, and attributes of such names are their own."""

    @pytest.fixture
    def classic(self, trace):
        class Classic(sdk.AppExtensionBase):
            include, priority = "its own business", "high"

            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                trace.append(context.function_name)

        return Classic

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, ["Orders", "OrderQueue"]),
            ({"include": "Orders"}, ["Orders"]),
            ({"exclude": ["Orders"]}, ["OrderQueue"]),
            ({"triggers": ["httpTrigger"]}, ["Orders"]),
            ({"triggers": "queue", "exclude": "*"}, []),
        ],
    )
    def test_by_patterns(self, classic, ran_for, app, options, expected):
        scope(classic, **options)
        assert ran_for(app) == expected
        assert (classic.include, classic.priority) == ("its own business", "high")

    def test_what_is_left_out_stays(self, classic, ran_for, app):
        scope(classic, include="Orders")
        scope(classic, priority=3)
        assert ran_for(app) == ["Orders"]

    def test_by_priority(self, classic, trace, ran_for, app):
        class Later(sdk.AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                trace.append("later")

        scope(Later, include="Orders", priority=1)
        assert ran_for(app) == ["later", "Orders", "OrderQueue"]

    @pytest.mark.parametrize("nonsense", [None, "TimerExtension", object])
    def test_takes_extensions_only(self, nonsense):
        with pytest.raises(TypeError, match="takes an extension"):
            scope(nonsense, include="*")


class TestFamilies:
    """Parents and children, and siblings that are configured differently."""

    @pytest.fixture
    def base(self, trace):
        class Base(AppExtensionBase):
            mark = "base"

            @classmethod
            def configure(cls, mark):
                cls.mark = mark

            @classmethod
            def around_invocation_app_level(cls, logger, context, func_args):
                trace.append(cls.mark)
                return (yield)

        return Base

    def test_a_child_takes_the_place_of_its_parent(self, worker, trace, base):
        class Child(base):
            pass

        base.configure("of the parent")
        worker.invoke(worker.load(lambda req, context: None))
        assert trace == ["of the parent"]  # which the child inherits

    def test_siblings_run_once_each_with_what_they_were_configured_with(self, worker, trace, base):
        class First(base):
            pass

        class Second(base):
            pass

        First.configure("first")
        Second.configure("second")
        worker.invoke(worker.load(lambda req, context: None))
        assert trace == ["first", "second"]

    def test_a_child_that_calls_its_parent_runs_both_once(self, worker, trace, base):
        class Child(base):
            @classmethod
            def around_invocation_app_level(cls, logger, context, func_args):
                trace.append("child")
                return (yield from super().around_invocation_app_level(logger, context, func_args))

        worker.invoke(worker.load(lambda req, context: None))
        assert trace == ["child", "base"]

    def test_instances_of_one_class_run_each_with_their_own(self, worker, trace):
        class Marking(FuncExtensionBase):
            def __init__(self, mark):
                super().__init__(include="*")
                self.mark = mark

            def around_invocation(self, logger, context, func_args):
                trace.append(self.mark)
                return (yield)

        for mark in ("one", "two"):
            Marking(mark)
        worker.invoke(worker.load(lambda req, context: None))
        assert trace == ["one", "two"]

    def test_priority_before_registration_and_level_before_priority(self, worker, trace):
        class Func(FuncExtensionBase):
            def around_invocation(self, logger, context, func_args):
                trace.append(f"func {self.priority}")
                return (yield)

        for priority in (0, 7, 0):
            Func(include="*", priority=priority)
        for priority in (1, 2):

            class App(AppExtensionBase):
                @classmethod
                def around_invocation_app_level(cls, logger, context, func_args):
                    trace.append(f"app {cls.priority}")
                    return (yield)

            App.priority = priority
        worker.invoke(worker.load(lambda req, context: None))
        assert trace == ["app 2", "app 1", "func 7", "func 0", "func 0"]


class TestMistakes:
    """What can be no scope is refused where it is said."""

    MISTAKES = (
        ({"include": 5}, "the include of Wrong is a pattern"),
        ({"exclude": ["a", None]}, "the exclude of Wrong is a pattern"),
        (
            {"triggers": iter(["http"])},
            "the triggers of Wrong is a pattern",
        ),  # it would be used up by the first function
        ({"priority": "high"}, "the priority of Wrong is a number, not 'high'"),
    )

    @pytest.mark.parametrize(("said", "message"), MISTAKES, ids=lambda each: "".join(each))
    def test_in_the_class(self, extensions, said, message):
        for base in (AppExtensionBase, FuncExtensionBase):
            with pytest.raises(TypeError, match=message):
                type("Wrong", (base,), said)

    @pytest.mark.parametrize(("said", "message"), MISTAKES, ids=lambda each: "".join(each))
    def test_by_the_app(self, extensions, said, message):
        ours = type("Wrong", (AppExtensionBase,), {})
        classic = type("Wrong", (sdk.AppExtensionBase,), {})
        for extension in (ours, classic):
            with pytest.raises(TypeError, match=message):
                scope(extension, **said)
        with pytest.raises(TypeError, match=message):
            type("Wrong", (FuncExtensionBase,), {})(**said)
