"""What hooks and function are given, and what becomes of it when hooks change it."""

from __future__ import annotations

import pytest
from azure.functions import AppExtensionBase, FuncExtensionBase

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


def make_async(function):
    async def wrapper(req, context=None):
        return function(req, context)

    return wrapper


def of_kind(kind, function):
    return function if kind == "sync" else make_async(function)


@pytest.fixture
def seen():
    """What was seen where."""
    return {}


@pytest.fixture
def both_scopes(extensions, seen, tmp_path):
    """An extension of each scope that keeps what its hooks are given."""

    class App(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            seen["app pre"] = (logger, context, func_args)

        @classmethod
        def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            seen["app post"] = (logger, context, func_args, func_ret)

    class Func(FuncExtensionBase):
        def __init__(self, file_path):
            super().__init__(file_path)

        def pre_invocation(self, logger, context, func_args=None, *args, **kwargs):
            seen["func pre"] = (logger, context, func_args)

        def post_invocation(self, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            seen["func post"] = (logger, context, func_args, func_ret)

    Func(str(tmp_path / "HttpTrigger" / "__init__.py"))


@kinds
def test_all_hooks_are_given_the_very_same_objects(worker, both_scopes, seen, kind):
    result = object()

    def main(req, context):
        seen["function"] = context
        return result

    assert worker.invoke(worker.load(of_kind(kind, main))).value is result
    _, context, func_args = seen["app pre"]
    assert context is seen["function"]
    assert func_args["context"] is context
    for hook in ("app pre", "func pre", "func post", "app post"):
        assert seen[hook][1] is context, hook
        assert seen[hook][2] is func_args, hook
    assert seen["func post"][3] is seen["app post"][3] is result


@kinds
def test_loggers_are_named_after_the_extensions(worker, both_scopes, seen, kind):
    worker.invoke(worker.load(of_kind(kind, lambda req, context: None)))
    assert {hook: seen[hook][0].name for hook in seen} == {
        "app pre": "App",
        "func pre": "Func",
        "func post": "Func",
        "app post": "App",
    }


@kinds
def test_the_context_says_which_invocation_it_is(worker, both_scopes, seen, kind):
    function = worker.load(of_kind(kind, lambda req, context: None), "Named", directory="its folder")
    worker.invoke(function, id="42")
    _, context, _ = seen["app pre"]
    assert (context.function_name, context.function_directory, context.invocation_id) == ("Named", "its folder", "42")


@kinds
def test_what_a_hook_sets_on_the_context_is_seen_by_function_and_post_hook(worker, seen, kind):
    class Marking(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            context.mark = [context.invocation_id]

        @classmethod
        def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            seen[context.invocation_id] = context.mark

    function = worker.load(of_kind(kind, lambda req, context: context.mark.append("function")))
    worker.invoke(function, id="1")
    worker.invoke(function, id="2")
    assert seen == {"1": ["1", "function"], "2": ["2", "function"]}


def changing(change):
    """An extension whose pre hook changes the arguments."""

    class Changing(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            change(func_args)


@kinds
def test_the_function_gets_what_a_hook_puts_in_place_of_an_argument(worker, kind):
    changing(lambda arguments: arguments.update(req="another"))
    assert worker.invoke(worker.load(of_kind(kind, lambda req, context: req))).value == "another"


@kinds
def test_an_argument_that_a_hook_removes_is_missing(worker, kind):
    changing(lambda arguments: arguments.pop("req"))
    answer = worker.invoke(worker.load(of_kind(kind, lambda req, context: req)))
    assert isinstance(answer.error, TypeError)
    assert "missing 1 required positional argument: 'req'" in str(answer.error)


@kinds
def test_a_default_takes_the_place_of_an_argument_that_a_hook_removes(worker, kind):
    changing(lambda arguments: arguments.pop("context"))
    assert worker.invoke(worker.load(of_kind(kind, lambda req, context=None: context))).value is None


@kinds
def test_arguments_that_the_function_does_not_declare_are_dropped_with_a_warning(worker, seen, kind):
    changing(lambda arguments: arguments.update({"token": "1", 2: 3}))

    class Looking(AppExtensionBase):
        @classmethod
        def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            seen["post"] = sorted(map(str, func_args))

    answer = worker.invoke(worker.load(of_kind(kind, lambda req, context: "fine")))
    assert answer.value == "fine"
    assert seen["post"] == ["2", "context", "req", "token"]
    assert [(line.name, line.message) for line in answer.lines] == [
        (
            "worker_ext",
            "HttpTrigger is called without 'token', 2: a hook added it to the arguments, but the function does not"
            " declare it",
        )
    ]


@kinds
def test_what_hooks_return_is_ignored(worker, kind):
    class Returning(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            return {"req": "changed"}

        @classmethod
        def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            return "another answer"

    answer = worker.invoke(worker.load(of_kind(kind, lambda req, context: f"answer to {req}")))
    assert (answer.value, answer.lines) == ("answer to req", [])


@kinds
def test_a_hook_that_renames_the_invocation_harms_nobody(worker, kind):
    class Renaming(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            context.invocation_id = "another"
            logger.info("renamed")

    function = worker.load(of_kind(kind, lambda req, context: context.invocation_id))
    for _ in range(2):
        answer = worker.invoke(function)
        assert (answer.value, answer.messages) == ("another", ["renamed"])
    assert worker.answers == ["1", "2"]
