"""The life of a worker process: from its start by ``boot.py`` until the host says stop, or is gone."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import sleep  # user code may replace time.sleep, as gevent does
from typing import NoReturn

from ..errors import WorkerExtError
from ..worker.logs import LogCollector, PrintStream
from .protocol import EVENT_PREFIX, EVENTS_VARIABLE, SECRET_VARIABLE
from .worker_session import WorkerSession, end_cut_off

_logger = logging.getLogger("worker_ext")

GRACE = 0.75
"""Seconds that a worker has to end by itself once its host is gone."""


def main(address: str, kind: str, script_root: str) -> NoReturn:
    """Run a worker process of the local host, which starts it through ``boot.py``.

    :param address: where the host listens.
    :param kind: the kind of app.
    :param script_root: the app's folder.
    """
    from .session import Session  # a worker of another kind of host needs none of it

    secret = os.environ.pop(SECRET_VARIABLE, "")
    _end_with_the_host()
    _tell_tools()
    live(lambda loop: Session(kind, Path(script_root).resolve(), loop, address, secret))


def live(make_session: Callable[[asyncio.AbstractEventLoop], WorkerSession]) -> NoReturn:
    """Run a session, and end this process with it.

    :param make_session: makes the session; it is given the loop that it runs on.
    """
    faulthandler.enable(sys.__stderr__ or sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C may reach all processes; the host says when to stop
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    session = make_session(loop)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _in_forked_child(session))
    running = loop.create_task(session.run())
    running.add_done_callback(lambda _: loop.stop())
    while not running.done():
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:  # of a task that user code started: it harms no other
            _logger.error("a task of the app raised %r; only that task has ended", error)
        except OSError:  # of the loop itself, which has nothing left to wait on
            end_cut_off()
    _release(session.logs)
    failure = running.exception()
    if isinstance(failure, WorkerExtError):
        _logger.error("%s", failure)
    elif failure is not None:
        _logger.error("the worker cannot go on", exc_info=failure)
    _run_exit_handlers()
    if failure is None and not session.finished:
        _end_all()
    os._exit(0 if failure is None else 1)  # threads that still run functions are not waited for


def stand_by(kind: str) -> NoReturn:
    """Get ready for an app of a kind, and wait on standard input for the order to run one; end if none comes.

    :param kind: the kind of app.
    """
    from .app_session import prepare

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(Exception):  # what is missing is told when the app is loaded
        prepare(kind)
    line = b""
    while not line.endswith(b"\n"):
        received = os.read(0, 65_536)
        if not received:
            os._exit(0)
        line += received
    order = json.loads(line)
    for name in order["unset"]:
        os.environ.pop(name, None)
    os.environ.update(order["environ"])
    main(*order["arguments"])


def _tell_tools() -> None:
    """Tell an editor, if one has started the host, which process its debugger can attach to."""
    if os.environ.get(EVENTS_VARIABLE, "").lower() == "true":
        print(f'{EVENT_PREFIX}{{"name":"python-worker-startup","workerProcessId":{os.getpid()}}}', flush=True)


def _end_with_the_host() -> None:
    """End this process when the host is gone, even if user code blocks the event loop.

    The host holds the other end of our standard input and never writes to it. User code gets an empty one instead.
    """
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        os.read(lifeline, 1)
        end_without_host()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def end_without_host() -> NoReturn:
    """End this process after :data:`GRACE`, whatever its other threads do meanwhile."""
    sleep(GRACE)
    _end_all()


def _end_all() -> NoReturn:
    """End this process, and what the app has started if it runs in a group of its own."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _in_forked_child(session: WorkerSession) -> None:
    session.abandon()
    _release(session.logs)


def _release(logs: LogCollector) -> None:
    """Have what is logged and printed go to this process's own streams: nobody collects it any more."""
    if isinstance(sys.stdout, PrintStream) and sys.__stdout__ is not None:
        sys.stdout = sys.__stdout__
    if isinstance(sys.stderr, PrintStream) and sys.__stderr__ is not None:
        sys.stderr = sys.__stderr__
    root = logging.getLogger()
    root.removeHandler(logs)
    root.addHandler(logging.StreamHandler(sys.__stderr__))


def _run_exit_handlers() -> None:
    """Run what the app registered with ``atexit``, as the interpreter would."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):  # user code may have put anything there
            stream.flush()  # type: ignore[union-attr]
