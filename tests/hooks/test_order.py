"""What runs when: the whole trace of an invocation, for every scope, kind of function, and way to fail."""

from __future__ import annotations

import pytest
from support.invoking import ERRORS, Step

SCOPES = {
    "none": ([], []),
    "app": (["App1.pre", "App2.pre"], ["App1.post", "App2.post"]),
    "function": (["Func1.pre", "Func2.pre"], ["Func1.post", "Func2.post"]),
    "both": (
        ["App1.pre", "App2.pre", "Func1.pre", "Func2.pre"],
        ["Func1.post", "Func2.post", "App1.post", "App2.post"],
    ),
}
"""Extensions of which scopes there are → what runs before the function, and what runs after it."""

kinds = pytest.mark.parametrize(("kind", "thread"), [("sync", "pool"), ("async", "loop")], ids=["sync", "async"])
scopes = pytest.mark.parametrize("scope", SCOPES)
errors = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
flags = pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])


@pytest.fixture
def invoke(trace, make_worker, tmp_path):
    """Define the extensions of a scope, load a function and invoke it."""

    def invoke(kind, scope, *, enabled=True):
        # Function-level first: the order of scopes is the worker's, not that of registration.
        if scope in ("function", "both"):
            for name in ("Func1", "Func2"):
                trace.function_extension(name)(str(tmp_path / "HttpTrigger" / "__init__.py"))
        if scope in ("app", "both"):
            for name in ("App1", "App2"):
                trace.app_extension(name)
        worker = make_worker(enabled=enabled)
        function = worker.load(trace.function(kind))
        trace.clear()  # of the load hooks
        return worker.invoke(function, "question")

    return invoke


def steps(before, after, thread):
    """The trace of an invocation with hooks before and after the function, all on the same kind of thread."""
    arguments = {"req": "question"}
    return [
        *(Step(name, "HttpTrigger", thread, arguments) for name in before),
        Step("function", "HttpTrigger", thread, arguments),
        *(Step(name, "HttpTrigger", thread, arguments, "answer to question") for name in after),
    ]


@flags
@scopes
@kinds
def test_success(invoke, trace, kind, thread, scope, enabled):
    answer = invoke(kind, scope, enabled=enabled)
    before, after = SCOPES[scope if enabled else "none"]
    assert trace == steps(before, after, thread)
    assert answer == ("answer to question", None, [])


@flags
@errors
@scopes
@kinds
def test_the_function_raises(invoke, trace, kind, thread, scope, error, enabled):
    trace.errors["function"] = error
    answer = invoke(kind, scope, enabled=enabled)
    before, _ = SCOPES[scope if enabled else "none"]
    assert trace == steps(before, [], thread)
    if kind == "async" and isinstance(error, StopIteration):  # the language lets no coroutine raise it
        assert isinstance(answer.error, RuntimeError)
        assert answer.error.__cause__ is error
    else:
        assert answer.error is error
    assert answer.value is None
    assert answer.lines == []


@errors
@pytest.mark.parametrize("hook", ["App1.pre", "Func1.pre", "Func2.post", "App2.post"])
@kinds
def test_a_hook_raises(invoke, trace, kind, thread, hook, error):
    trace.errors[hook] = error
    answer = invoke(kind, "both")
    assert trace == steps(*SCOPES["both"], thread)
    assert (answer.value, answer.error) == ("answer to question", None)
    (line,) = answer.lines
    extension, _, moment = hook.partition(".")
    scope = "_app_level" if extension.startswith("App") else ""
    assert line.name == extension
    assert line.message.startswith(f"{moment}_invocation{scope} failed: {error!r}\nTraceback ")
    assert f"in {moment}\n" in line.message  # the frame of the hook


@kinds
def test_every_hook_raises_and_so_does_the_function(invoke, trace, kind, thread):
    before, after = SCOPES["both"]
    trace.errors = {name: ValueError(name) for name in (*before, *after, "function")}
    answer = invoke(kind, "both")
    assert trace == steps(before, [], thread)
    assert str(answer.error) == "function"
    assert answer.error.__context__ is None  # no hook's failure is told as if it had led to the function's
    assert [line.message.splitlines()[0] for line in answer.lines] == [
        "pre_invocation_app_level failed: ValueError('App1.pre')",
        "pre_invocation_app_level failed: ValueError('App2.pre')",
        "pre_invocation failed: ValueError('Func1.pre')",
        "pre_invocation failed: ValueError('Func2.pre')",
    ]


@kinds
def test_a_failed_invocation_does_not_change_the_next(invoke, trace, worker, kind, thread):
    trace.app_extension("App1")
    function = worker.load(trace.function(kind))
    trace.errors["function"] = ValueError("no")
    assert worker.invoke(function).error is trace.errors.pop("function")
    trace.clear()
    assert worker.invoke(function, "question").value == "answer to question"
    assert trace == steps(["App1.pre"], ["App1.post"], thread)


@scopes
@flags
def test_load_hooks_run_function_level_first(trace, make_worker, tmp_path, scope, enabled):
    if scope in ("app", "both"):
        trace.app_extension("App1")
    if scope in ("function", "both"):
        trace.function_extension("Func1")(str(tmp_path / "HttpTrigger" / "__init__.py"))
    trace.errors["Func1.load"] = SystemExit("no")  # the next one runs nevertheless
    worker = make_worker(enabled=enabled)
    worker.load(trace.function("sync"), directory="its folder")
    expected = {"none": [], "app": ["App1.load"], "function": ["Func1.load"], "both": ["Func1.load", "App1.load"]}
    assert trace == [
        Step(name, "HttpTrigger", "MainThread", {"directory": "its folder"})
        for name in (expected[scope] if enabled else [])
    ]
    failures = [message for message in worker.messages() if message.startswith("post_function_load failed: SystemExit")]
    assert len(failures) == ("Func1.load" in trace.names)
