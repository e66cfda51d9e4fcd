"""Functions: which of them are async."""

from __future__ import annotations

from functools import partial, wraps

import pytest

from worker_ext.function import Function


def sync_function(req): ...


async def async_function(req): ...


class Callable:
    def __call__(self, req): ...


class AsyncCallable:
    async def __call__(self, req): ...

    async def method(self, req): ...


@wraps(async_function)
def sync_wrapper(*args, **kwargs):
    return async_function(*args, **kwargs)


@pytest.mark.parametrize(
    ("call", "is_async"),
    [
        (sync_function, False),
        (async_function, True),
        (lambda req: None, False),
        (partial(sync_function, req=1), False),
        (partial(async_function, req=1), True),
        (Callable(), False),
        (AsyncCallable(), True),
        (partial(AsyncCallable(), req=1), True),
        (partial(partial(AsyncCallable()), req=1), True),
        (AsyncCallable().method, True),
        (AsyncCallable, False),  # makes an object, which nobody awaits
        (sync_wrapper, False),
        (print, False),
    ],
)
def test_which_functions_are_awaited(call, is_async):
    function = Function("Name", call, directory="folder", file="file", parameters=frozenset())
    assert function.is_async is is_async
    assert repr(function) == "<Function Name of file>"
