"""``GET /admin/host/health``: whether all workers, and all extensions in them, can do their work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosting import RunningHost, free_port, running_host, wait_until, write_app

APP = """
import os, threading, time
import azure.functions as func
from worker_ext import AppExtensionBase

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
how = {"Late": "warming up"}

class Late(AppExtensionBase):
    @classmethod
    async def ready(cls):
        return how["Late"]

class Moody(AppExtensionBase):
    calls = 0

    @classmethod
    def ready(cls):
        if how.get("Moody") == "raises":
            raise OSError("no database")
        if how.get("Moody") == "hangs":
            Moody.calls += 1
            threading.Event().wait()
        return True

@app.route("set/{extension}")
def Set(req):
    how[req.route_params["extension"]] = req.params.get("to") or True
    return "set"

@app.route("calls")
async def Calls(req):
    return str(Moody.calls)

@app.route("block")
async def Block(req):
    open(req.params["begun"], "w").close()
    while not os.path.exists(req.params["until"]):
        time.sleep(0.01)
    return "unblocked"

@app.route("end")
def End(req):
    os._exit(3)
"""

ENVIRON = {"PYTHON_ENABLE_WORKER_EXTENSIONS": "1"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RunningHost]:
    with running_host(write_app(tmp_path, {"function_app.py": APP}), environ=ENVIRON) as host:
        yield host


def health(host: RunningHost) -> tuple[int, dict[str, Any]]:
    """The status of the answer, and what it says of the only worker."""
    answer = host.get("/admin/host/health")
    [worker] = answer.json()["workers"]
    assert answer.json()["ready"] == worker["ready"] == (answer.status == 200)
    return answer.status, worker


def test_an_extension_that_becomes_ready_late(host: RunningHost) -> None:
    [pid] = host.worker_pids()
    waiting = [{"extension": "Late", "reason": "warming up"}]
    assert health(host) == (503, {"pid": pid, "ready": False, "notReady": waiting})
    host.get("/api/set/Late")
    assert health(host) == (200, {"pid": pid, "ready": True, "notReady": []})


def test_one_that_raises(host: RunningHost) -> None:
    host.get("/api/set/Late")
    host.get("/api/set/Moody?to=raises")
    status, worker = health(host)
    assert (status, worker["notReady"]) == (503, [{"extension": "Moody", "reason": "OSError('no database')"}])


def test_one_that_hangs_is_named_and_harms_nobody(host: RunningHost) -> None:
    host.get("/api/set/Late")
    host.get("/api/set/Moody?to=hangs")
    for _ in range(2):
        asked = host.begin("/admin/host/health")
        wait_until(lambda: host.get("/api/calls").text == "1", "its ready() being called, but once")
        assert not asked.is_answered
        answer = asked.answer()
        [worker] = answer.json()["workers"]
        hanging = [{"extension": "Moody", "reason": "its ready() has not answered within 2 s"}]
        assert (answer.status, worker["notReady"]) == (503, hanging)


def test_a_worker_that_is_blocked_and_then_is_not(host: RunningHost, tmp_path: Path) -> None:
    host.get("/api/set/Late")
    begun, until = tmp_path / "begun.txt", tmp_path / "until.txt"
    blocking = host.begin(f"/api/block?begun={begun}&until={until}")
    wait_until(begun.exists, "the function that blocks the loop")
    status, worker = health(host)
    assert (status, worker["notReady"]) == (503, [])
    assert "has not answered within 4 s" in worker["problem"]
    until.touch()
    assert blocking.answer().text == "unblocked"
    assert health(host)[0] == 200


def test_a_worker_that_ends_before_it_answers(host: RunningHost) -> None:
    host.get("/api/set/Moody?to=hangs")
    asked = host.begin("/admin/host/health")
    wait_until(lambda: host.get("/api/calls").text == "1", "its being asked")
    host.get("/api/end")
    answer = asked.answer()
    assert (answer.status, answer.json()["workers"][0]["problem"]) == (503, "it ended before it answered")


def test_every_worker_is_asked(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": APP})
    environ = {**ENVIRON, "FUNCTIONS_WORKER_PROCESS_COUNT": "2"}
    with running_host(folder, environ=environ) as host:
        host.wait_for("Worker process started and initialized", count=2)
        workers = host.get("/admin/host/health").json()["workers"]
        assert {worker["pid"] for worker in workers} == set(host.worker_pids())
        host.get("/api/set/Late")  # in one of them
        answer = host.get("/admin/host/health")
        assert sorted(worker["ready"] for worker in answer.json()["workers"]) == [False, True]
        assert answer.status == 503


def test_an_app_that_cannot_be_loaded(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": "1 / 0\n"})
    with running_host(folder, port=free_port(), ready="No functions are being served") as host:
        answer = host.get("/admin/host/health")
        assert (answer.status, answer.json()["workers"]) == (503, [])
        assert "ZeroDivisionError" in answer.json()["errors"][0]
