"""The sample app, set up as its readme says."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosting import host_environ

SAMPLE = Path(__file__).resolve().parents[2] / "sample_app" / "baetyl"
CODE = "var/db/baetyl/function-sayhi-code"


def func(*words: str, **environ: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "worker_ext", *words],
        capture_output=True,
        text=True,
        env=host_environ(environ),
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the app, with `requests` unpacked beside its handlers."""
    app = tmp_path_factory.mktemp("sample") / "app"
    shutil.copytree(SAMPLE, app, ignore=lambda folder, names: [n for n in names if n in (".venv", "__pycache__")])
    for folder in [entry for entry in (app / CODE).iterdir() if entry.is_dir()]:
        shutil.rmtree(folder)
    func("pack", "--target", str(app / CODE), "requests")
    return app


@pytest.fixture
def website() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_function_that_asks_a_web_server(app, website):
    assert (app / CODE / "requests" / "__init__.py").is_file()
    reply = json.loads(func("call", "sayhi3", '{"action": "A"}', "--script-root", str(app), SITE=website))
    assert reply["info"]["Server"].startswith("SimpleHTTP")


def test_the_function_that_computes(app):
    event = json.dumps({"action": "B", "matrix": [[2, 0], [0, 4]]})
    reply = json.loads(func("call", "calc", event, "--script-root", str(app)))
    assert reply["info"]["determinant"] == pytest.approx(8)
    assert reply["info"]["inverse"] == [[0.5, 0], [0, 0.25]]
