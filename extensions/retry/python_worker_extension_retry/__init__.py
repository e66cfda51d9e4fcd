"""A worker extension for Azure Functions in Python that tries failed functions again, by the policies of tenacity.

The host's own retry policies run the whole invocation again, and only for some triggers; this runs the function again
within its invocation, whatever the trigger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Any

from azure.functions import Context
from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_random_exponential

from worker_ext import FuncExtensionBase

__all__ = ["RetryExtension"]

_POLICY = {"stop": stop_after_attempt(3), "wait": wait_random_exponential(multiplier=0.1, max=10), "reraise": True}


class RetryExtension(FuncExtensionBase):
    """A policy, and the functions that it is for.

    Made with ``__file__`` it is for the functions of that file, with ``include`` or ``triggers`` for those whose names
    or triggers fit; ``attach`` is for one function, a name, or a blueprint, and can be used as a decorator.

    :param file_path: ``__file__``, see above.
    :param policy: what ``tenacity.AsyncRetrying`` takes: ``stop``, ``wait``, ``retry``, ... What is left out: three
        tries, a random wait that doubles from a tenth of a second on, and in the end what the function raised.
    :raises TypeError: for what tenacity does not take.
    """

    def __init__(
        self,
        file_path: str | None = None,
        *,
        include: Any = None,
        exclude: Any = None,
        triggers: Any = None,
        priority: int | None = None,
        **policy: Any,
    ) -> None:
        super().__init__(file_path, include=include, exclude=exclude, triggers=triggers, priority=priority)
        self._policy = {**_POLICY, **policy}
        AsyncRetrying(**self._policy)  # what is wrong with it is wrong here, not in the first invocation

    async def around_invocation(
        self,
        logger: Logger,
        context: Context,
        func_args: dict[str, Any],
        call_next: Callable[[], Awaitable[Any]],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Run the function until it succeeds or the policy gives up. Waiting keeps no thread and no event loop busy."""
        own = self._policy.get("before_sleep")

        async def before_sleep(state: RetryCallState) -> None:
            _log(logger, context, state)
            told = own(state) if own is not None else None
            if isinstance(told, Awaitable):
                await told

        return await AsyncRetrying(**{**self._policy, "before_sleep": before_sleep})(call_next)


def _log(logger: Logger, context: Context, state: RetryCallState) -> None:
    outcome, wait = state.outcome, state.next_action.sleep if state.next_action is not None else 0.0
    assert outcome is not None
    ended = f"raised {outcome.exception()!r}" if outcome.failed else f"returned {outcome.result()!r}"
    logger.warning(
        "Try %d of %s %s; the next one is in %.3g s", state.attempt_number, context.function_name, ended, wait
    )
