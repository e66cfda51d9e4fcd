"""One call of a function, without a hub and without rules."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from ...errors import ConfigurationError, InvocationError
from ...runtimes.baetyl.message import Message
from .. import process
from ..console import Console
from . import application
from .application import Application
from .pool import FunctionPool
from .settings_manager import Pool

_TIMEOUT = 30.0


def call(folder: Path, function: str, payload: bytes, *, verbose: bool) -> int:
    """Call a function and write its reply to standard output, all else to standard error.

    :param folder: the app's folder.
    :returns: the exit status: 0 if the function succeeded, else 1.
    :raises ConfigurationError: if a setting is wrong, or there is no such function.
    """
    app = application.read(folder.resolve())
    pool = _pool(app, function)
    status = 1

    async def main() -> None:
        nonlocal status
        status = await _call(app, pool, payload, Console(sys.stderr, verbose=verbose))

    process.run(main)
    return status


async def _call(app: Application, pool: Pool, payload: bytes, console: Console) -> int:
    loop = asyncio.get_running_loop()
    console.attach(loop)
    ended: asyncio.Future[bytes | InvocationError] = loop.create_future()
    runner = FunctionPool(pool, app.functions[pool.service], app.root, os.environ, console)

    def interrupt() -> None:
        ended.cancel()

    process.on_signals(loop, interrupt)
    try:
        await runner.start()
        runner.call(Message(payload), "It was called from the command line.", ended.set_result)
        outcome = await ended
    except asyncio.CancelledError:
        return 130
    finally:
        runner.kill()
        await runner.close()
        console.flush()
    if isinstance(outcome, InvocationError):
        return 1
    sys.stdout.buffer.write(outcome + b"\n" if outcome else b"")
    sys.stdout.buffer.flush()
    return 0


def _pool(app: Application, function: str) -> Pool:
    """The function's limits, as a manager says them; a function that none names has its own."""
    for manager in app.managers.values():
        if function in manager.pools:
            return manager.pools[function]
    names = []
    for service, settings in app.functions.items():
        for entry in settings.functions:
            if entry.name == function:
                return Pool(function, service, least=0, most=1, idle_time=_TIMEOUT, timeout=_TIMEOUT)
            names.append(entry.name)
    raise ConfigurationError(
        f"there is no function {function!r}", file=app.file, hint=f"There are: {', '.join(names) or 'none'}"
    )
