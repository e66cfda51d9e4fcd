"""What the ``service.yml`` of a function service says, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtimes.baetyl.service import FunctionEntry
from ..settings_tree import REQUIRED, Setting
from .settings import Resolve, file_of, uniquely
from .settings_units import duration, size


@dataclass(frozen=True)
class ServerSettings:
    """The gRPC server of a function instance.

    :ivar address: where it listens, ``host:port``; empty if that comes from the environment.
    :ivar workers: how many calls may run at a time.
    :ivar concurrent: how many calls may be there at a time; ``None`` for any number.
    :ivar message_length: the largest message in bytes.
    :ivar timeout: seconds that a call may take; ``None`` for any time.
    :ivar ca: the file of certificates that clients must be signed by.
    :ivar key: the file of the server's key.
    :ivar cert: the file of the server's certificate.
    """

    address: str = ""
    workers: int | None = None
    concurrent: int | None = None
    message_length: int = 4 * 1024 * 1024
    timeout: float | None = None
    ca: Path | None = None
    key: Path | None = None
    cert: Path | None = None


@dataclass(frozen=True)
class LoggerSettings:
    """Where a service writes its log.

    :ivar path: the file; ``None`` for standard error.
    :ivar level: a level's name.
    :ivar days: days that a file is kept.
    :ivar backups: how many older files are kept.
    """

    path: Path | None = None
    level: str = "info"
    days: int = 15
    backups: int = 15


@dataclass(frozen=True)
class ServiceSettings:
    """The ``service.yml`` of a function service."""

    functions: Sequence[FunctionEntry]
    server: ServerSettings
    logger: LoggerSettings


def service_settings(root: Setting, resolve: Resolve) -> ServiceSettings:
    """The settings of a function service.

    :param resolve: finds the files and folders that they name.
    :raises ConfigurationError: if one is wrong, with the place.
    """
    functions = []
    for setting in uniquely(root["functions"].elements(), "name"):
        handler = setting["handler"].text(REQUIRED)
        module, _, name = handler.rpartition(".")
        if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise setting["handler"].error("module.function, such as get.handler")
        codedir = resolve(setting["codedir"].text(REQUIRED))
        functions.append(FunctionEntry(setting["name"].text(REQUIRED), handler, str(codedir)))
    if not functions:
        raise root["functions"].error("a list with a function at least")
    return ServiceSettings(functions, _server(root["server"], resolve), _logger(root["logger"], resolve))


def _server(setting: Setting, resolve: Resolve) -> ServerSettings:
    server = ServerSettings(
        address=setting["address"].text(""),
        workers=setting["workers"]["max"].integer(None, minimum=1),
        concurrent=setting["concurrent"]["max"].integer(None, minimum=1),
        message_length=size(setting["message"]["length"]["max"], ServerSettings.message_length),
        timeout=duration(setting["timeout"], None),
        ca=file_of(setting["ca"], resolve),
        key=file_of(setting["key"], resolve),
        cert=file_of(setting["cert"], resolve),
    )
    if (server.key is None) != (server.cert is None):
        raise setting["key" if server.key is None else "cert"].error("a file, as there is a key or cert")
    return server


def _logger(setting: Setting, resolve: Resolve) -> LoggerSettings:
    return LoggerSettings(
        path=file_of(setting["path"], resolve),
        level=setting["level"].choice("info", ("debug", "info", "warn", "error", "fatal")),
        days=setting["age"]["max"].integer(15, minimum=1),
        backups=setting["backup"]["max"].integer(15, minimum=0),
    )
