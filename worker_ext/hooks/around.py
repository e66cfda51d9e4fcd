"""What ``around`` hooks do with the function: layers, the first one outermost, the function inside.

A generator layer is run as far as its ``yield``, and goes on when what is inside has ended; if it yields once more, all
of that runs once more. A coroutine layer is awaited, and runs what is inside by awaiting the ``call_next`` that it is
given. As in the rest of the pipeline, the ends of layers and function travel as values: an error is raised only where
a hook is to see it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from types import CoroutineType, GeneratorType
from typing import Any

from ..function import Function
from ..invocation import Invocation
from .drivers import Enclosing, Ended, Steps
from .hook import Hook

Call = Callable[[Function, dict[str, Any]], Ended]
"""Calls the function with arguments. If it is async and could be called at all, the result is still to be awaited."""

_Layer = Generator[None, Any, Any]


def surrounded(invocation: Invocation, layers: Sequence[Hook], call: Call, outer: Hook | None = None) -> Steps[Ended]:
    """The steps of calling the function with layers around it.

    :param outer: the layer that all of these are inside.
    """
    waiting: list[_Layer] = []  # the generators of the layers that wait for what is inside them
    depth = len(layers)
    while True:
        # Inwards:
        inwards = len(waiting)
        ended: Ended | None
        if inwards == depth:
            invocation.at = None
            ended = call(invocation.function, invocation.arguments)
            if invocation.function.is_async and ended[1] is None:
                ended = yield ended[0]
        elif layers[inwards].is_async:
            invocation.at = layers[inwards]
            enclosing = _enclosing(invocation, layers[inwards], layers[inwards + 1 :], call)
            ended = yield enclosing
            if ended[1] is None:
                ended = _returned(layers[inwards], ended[0], enclosing.inside)
        else:
            invocation.at = layers[inwards]
            ended = _begin(invocation, layers[inwards], waiting)
            if ended is None:
                continue
        # Outwards, as far as the layer that has what is inside it run again:
        while waiting:
            invocation.at = layer = layers[len(waiting) - 1]
            ended = _go_on(layer, waiting[-1], ended)
            if ended is None:
                break
            waiting.pop()
        else:
            invocation.at = outer
            try:
                return ended
            finally:
                del ended  # as in the pipeline: no frame on the way to an error holds it


def _begin(invocation: Invocation, layer: Hook, waiting: list[_Layer]) -> Ended | None:
    """Run a generator to its ``yield``; returns how it ended if there was none."""
    try:
        generator = layer.call(layer.logger, invocation.context, invocation.arguments)
        if type(generator) is not GeneratorType and not isinstance(generator, Generator):
            raise TypeError(f"{_named(layer)} returned {generator!r} where a generator was expected")
        said = next(generator)
    except StopIteration as end:
        return end.value, None
    except BaseException as error:
        return None, error
    if said is not None:
        return _refuse(layer, generator, said)
    waiting.append(generator)
    return None


def _go_on(layer: Hook, generator: _Layer, inside: Ended) -> Ended | None:
    """Tell a generator how what is inside it has ended; returns how it ended itself, or ``None`` for another try."""
    value, error = inside
    try:
        said = generator.send(value) if error is None else generator.throw(error)
    except StopIteration as end:
        return _returned(layer, end.value, value)
    except BaseException as raised:
        if isinstance(error, StopIteration) and isinstance(raised, RuntimeError) and raised.__cause__ is error:
            raised = error  # it let the error pass, which the language has no other way to say
        return None, raised
    finally:
        del inside, error  # this frame is in the traceback
    return None if said is None else _refuse(layer, generator, said)


def _returned(layer: Hook, value: Any, inside: Any) -> Ended:
    """How a layer has ended that returned ``value``, while what is inside it gave ``inside``."""
    if type(value) is CoroutineType and value is not inside:
        value.close()
        return None, TypeError(f"{_named(layer)} returned a coroutine that nobody awaits: `await` it, as call_next()")
    if value is None and inside is not None:  # nearly always a forgotten `return`, and the function would get the blame
        layer.logger.warning("%s returned nothing in place of what the function gave: `return` that", layer.name)
    return value, None


def _refuse(layer: Hook, generator: _Layer, said: object) -> Ended:
    """What becomes of an invocation with a layer that yields something: it takes ``yield`` for something else."""
    refusal = TypeError(f"{_named(layer)} yielded {said!r}; a bare `yield` runs the function")
    try:
        generator.close()
    except BaseException as error:
        layer.logger.error("%s failed: %r", layer.name, error, exc_info=error)
    return None, refusal


def _enclosing(invocation: Invocation, layer: Hook, inside: Sequence[Hook], call: Call) -> Enclosing:
    return Enclosing(
        partial(layer.call, layer.logger, invocation.context, invocation.arguments),
        partial(surrounded, invocation, inside, call, layer),
    )


def _named(layer: Hook) -> str:
    return f"{layer.extension}.{layer.name}"
