"""What the console tells, as JSON: an object a line, for editors and other programs (``--enable-json-output``).

A line of the console has ``timestamp``, ``level`` (as ``host.json`` names it), ``category`` and ``message``. Events
have a ``name``: of a worker process that has started (``python-worker-startup`` with ``workerProcessId``, as the
.NET worker of Azure tells its debugger), and what other workers and functions print after :data:`PREFIX`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ..errors import ConfigurationError
from ..runtimes.protocol import EVENT_PREFIX

_LEVELS = {
    logging.DEBUG: "Debug",
    logging.INFO: "Information",
    logging.WARNING: "Warning",
    logging.ERROR: "Error",
    logging.CRITICAL: "Critical",
}


class JsonLines:
    """Writes JSON objects, one a line.

    :param write: takes a line without its end.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def line(self, level: int, category: str, message: str) -> None:
        """Write a line of the console; one without text is layout and left out.

        :param level: its level as a number of :mod:`logging`.
        :param category: as in ``logging.logLevel`` of ``host.json``.
        """
        message = message.strip()
        if not message:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        name = _LEVELS.get(level // 10 * 10, "Information")
        self._object({"timestamp": stamp, "level": name, "category": category, "message": message})

    def printed(self, text: str) -> bool:
        """Write the event that a worker has printed; whether ``text`` is one."""
        if not text.startswith(EVENT_PREFIX):
            return False
        try:
            event = json.loads(text.removeprefix(EVENT_PREFIX))
        except ValueError:
            return False
        self._object(event)
        return True

    def _object(self, value: object) -> None:
        self._write(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def open_json_file(path: Path) -> TextIO:
    """A file that JSON lines are added to.

    :raises ConfigurationError: it cannot be written.
    """
    try:
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigurationError(
            f"--json-output-file cannot be written: {error.strerror}", file=path, hint="Its folder must exist."
        ) from None
