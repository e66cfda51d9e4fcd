"""Package indexes on a free port of loopback: ``python index_server.py FOLDER...`` serves each at ``/<its name>/``.

Two indexes on one server, because twine knows two by name: ``pypi`` and ``testpypi``. The first line of standard
output is the port, standard error is the log of requests. It runs until its standard input ends, so that it cannot
outlive who started it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server
from wsgiref.util import shift_path_info

import pypiserver


class Server(ThreadingMixIn, WSGIServer):
    """pip keeps its connections open: one request after the other would wait for each to be closed."""

    daemon_threads = True


def make_app(folders: Iterable[Path]) -> Any:
    """A WSGI application with a pypiserver for each folder, below the folder's name.

    Anybody may upload; a package that is not here is not looked for anywhere else; nothing is replaced.
    """
    indexes = {
        folder.name: pypiserver.app(
            roots=[folder], authenticate=[], password_file=".", disable_fallback=True, overwrite=False
        )
        for folder in folders
    }

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        index = indexes.get(shift_path_info(environ) or "")
        if index is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such index\n"]
        return index(environ, start_response)

    return app


def main() -> None:
    """Serve the folders that the command line names."""
    with make_server("127.0.0.1", 0, make_app(map(Path, sys.argv[1:])), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
