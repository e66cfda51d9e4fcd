"""The error tree. Every error that this project raises for a person to read is one of these::

    WorkerExtError
    ├── ConfigurationError   a setting, option or file that the user wrote is wrong
    ├── IndexingError        a function app, or one function of it, cannot be loaded
    ├── ProtocolError        bytes from the other side do not follow the protocol
    └── InvocationError      one invocation could not be carried out
        ├── WorkerLost       its worker process ended while it was running
        ├── WorkerBusy       no worker could take it within the limits of number and time
        └── FunctionTimeout  it ran longer than `functionTimeout`

An error says what went wrong, where, and what to do: ``where`` (file, line, setting or function) goes
before the message, ``hint`` after it, on a line of its own.
"""

from __future__ import annotations

from pathlib import Path


class WorkerExtError(Exception):
    """Base of all errors of this package.

    :param message: what went wrong, one sentence without a final line break.
    :param file: the file in which it went wrong, if it is about one.
    :param line: the line in ``file``, counted from 1.
    :param hint: what the reader can do about it.
    """

    def __init__(
        self, message: str, *, file: str | Path | None = None, line: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = str(file) if file is not None else None
        self.line = line
        self.hint = hint

    @property
    def where(self) -> str:
        """``file:line``, ``file``, or the empty string."""
        if self.file is None:
            return ""
        return f"{self.file}:{self.line}" if self.line is not None else self.file

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


class ConfigurationError(WorkerExtError):
    """A setting, a command-line option, or a settings file is wrong."""


class IndexingError(WorkerExtError):
    """A function app, or one of its functions, cannot be loaded.

    :param function: the function's name, if the error is about one function.
    :param detail: the traceback of the user's own code, if it raised.
    """

    def __init__(
        self,
        message: str,
        *,
        function: str | None = None,
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, file=file, line=line, hint=hint)
        self.function = function
        self.detail = detail


class ProtocolError(WorkerExtError):
    """Bytes from the other side do not follow the protocol."""


class InvocationError(WorkerExtError):
    """One invocation could not be carried out; others are not affected."""


class WorkerLost(InvocationError):
    """The worker process that ran the invocation ended before it answered."""


class WorkerBusy(InvocationError):
    """No worker could take the invocation within the limits of number and time."""


class FunctionTimeout(InvocationError):
    """The function ran longer than ``functionTimeout`` in host.json allows."""
