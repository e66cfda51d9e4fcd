"""A worker extension for Azure Functions in Python that tries failed functions again, by the policies of tenacity.

The host's own retry policies run the whole invocation again, and only for some triggers; this runs the function again
within its invocation, whatever the trigger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from logging import Logger
from typing import Any, ClassVar

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

    _configured: ClassVar[RetryExtension | None] = None

    @classmethod
    def configure(
        cls,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        triggers: Sequence[str] = (),
        tries: int = 3,
        first_wait: float = 0.1,
        longest_wait: float = 10,
    ) -> RetryExtension:
        """Make a policy in words that settings can say, such as ``WORKER_EXT_RETRY__TRIES=5``.

        A later call replaces what an earlier one has made; other policies stay.

        :param include: names of functions that it is for, with wildcards; all of ``triggers`` if left out.
        :param exclude: names of functions that it is not for.
        :param triggers: types of triggers that it is for; all of ``include`` if left out.
        :param tries: how often a function is run at most.
        :param first_wait: seconds before the second try, at most: a random part of it; twice that before the third, ...
        :param longest_wait: seconds that are waited between two tries at most.
        :raises ValueError: if it is not said for which functions, or there would be no try.
        """
        if not include and not triggers:
            raise ValueError("include or triggers must say for which functions; include=* is for all of them")
        if tries < 1 or first_wait < 0 or longest_wait < 0:
            raise ValueError("tries must be at least 1, and the waits must not be negative")
        if cls._configured is not None:
            cls._configured.detach()
        wait = wait_random_exponential(multiplier=first_wait, max=longest_wait)
        policy: dict[str, Any] = {"stop": stop_after_attempt(tries), "wait": wait}
        cls._configured = cls(include=include or None, exclude=exclude, triggers=triggers or None, **policy)
        return cls._configured

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
