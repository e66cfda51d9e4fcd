"""The command line that a Functions host starts its workers with."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

SCRIPT_ROOT_SETTING = "AzureWebJobsScriptRoot"
"""The environment variable that names the app's folder."""


_LAST_PORT = 65_535


class Options(NamedTuple):
    """What a host starts a worker with.

    :ivar address: where it listens, ``name:port``.
    :ivar worker_id: what it calls the worker.
    :ivar request_id: what the worker's own messages carry.
    """

    address: str
    worker_id: str
    request_id: str

    @property
    def host(self) -> str:
        """The name or number of the host's machine, which is the worker's."""
        return self.address.rpartition(":")[0].strip("[]")


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line, in the older form of it or in the newer; a host may give both.

    Whatever else a host gives is ignored: newer ones give more. Messages are not limited in size, whatever
    ``--grpcMaxMessageLength`` says: it is the host that does not send what it holds too large.

    :raises SystemExit: if it does not say where the host is.
    """
    parser = ArgumentParser(prog="worker-ext worker", allow_abbrev=False)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--workerId", default="")
    parser.add_argument("--requestId", default="")
    parser.add_argument("--grpcMaxMessageLength")
    parser.add_argument("--functions-uri")
    parser.add_argument("--functions-worker-id")
    parser.add_argument("--functions-request-id")
    parser.add_argument("--functions-grpc-max-message-length")
    given, _ = parser.parse_known_args(arguments)
    if given.functions_uri:
        address = _address_of(given.functions_uri)
        if not address:
            parser.error(f"--functions-uri is {given.functions_uri!r}; it must be such as http://127.0.0.1:7071")
    elif given.host and given.port:
        if not 0 < given.port <= _LAST_PORT:
            parser.error(f"--port is {given.port}; there are ports from 1 to {_LAST_PORT}")
        address = f"{given.host}:{given.port}"
    else:
        parser.error("it is started by a Functions host, which says --functions-uri, or --host and --port")
    return Options(
        address,
        worker_id=given.functions_worker_id or given.workerId,
        request_id=given.functions_request_id or given.requestId,
    )


def _address_of(uri: str) -> str:
    """The ``name:port`` of a URI, empty if it has none."""
    try:
        parts = urlsplit(uri)
        return parts.netloc if parts.scheme == "http" and parts.hostname and parts.port else ""
    except ValueError:  # of a port or a bracket
        return ""
