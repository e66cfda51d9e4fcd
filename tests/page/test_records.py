"""What the page is told: records of invocations, rates, source lines, routes as forms."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext.errors import WorkerLost
from worker_ext.host.call import Call, FunctionFailed, Result
from worker_ext.host.functions import HostedFunction
from worker_ext.host.page.functions import describe_function
from worker_ext.host.page.rates import Rates, percentiles
from worker_ext.host.page.recorder import Record, Recorder
from worker_ext.host.page.source import places_in_app
from worker_ext.invocation import LogRecord, TimelineEntry
from worker_ext.runtimes.azure.http_payload import encode_request, peek_request
from worker_ext.runtimes.protocol import pack_timeline, unpack_timeline

HTTP = HostedFunction("Hello", {"type": "httpTrigger", "route": "hello", "name": "req"})


def call(number: int = 0, url: bytes = b"http://localhost/api/hello", headers: Any = ()) -> Call:
    payload = encode_request("GET", url, None, b"", headers)
    return Call("Hello", f"00000000-0000-4000-8000-{number:012}", payload, lambda _call, _outcome: None, target=HTTP)


class TestRecords:
    """One record for each invocation, from its start to its end."""

    def test_a_success(self, tmp_path: Path) -> None:
        changed: list[str] = []
        recorder = Recorder(tmp_path, lambda record: changed.append(record.status))
        made = call()
        recorder.started(made)
        recorder.logged(made, [LogRecord(20, "root", "a line")])
        made.timeline = [TimelineEntry("", "Hello", 0.0, 0.5, "")]
        recorder.ended(made, Result(201, [], []))
        record = recorder.get(made.invocation_id)
        assert record is not None
        detail = record.detail()
        assert changed == ["running", "running", "succeeded"]
        assert (detail["subject"], detail["httpStatus"], detail["error"]) == ("GET /api/hello", 201, None)
        assert detail["traceId"] == made.invocation_id.replace("-", "")
        assert [line[1:] for line in detail["logs"]] == [(20, "root", "a line")]
        assert detail["timeline"] == [{"extension": "", "name": "Hello", "start": 0.0, "duration": 0.5, "error": ""}]
        assert recorder.rates.functions()["Hello"]["count"] == 1

    @pytest.mark.parametrize(
        ("error", "text"),
        [(FunctionFailed("KeyError", "'a'", "…"), "KeyError: 'a'"), (WorkerLost("it ended"), "WorkerLost: it ended")],
    )
    def test_a_failure(self, tmp_path: Path, error: Any, text: str) -> None:
        recorder = Recorder(tmp_path, lambda record: None)
        made = call()
        recorder.started(made)
        recorder.ended(made, error)
        [summary] = recorder.recent()
        assert (summary["status"], summary["error"]) == ("failed", text)

    def test_what_is_kept_is_bounded(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path, lambda record: None)
        for number in range(1000):
            recorder.started(call(number))
        recorder.logged(call(999), [LogRecord(20, "", "x" * 100_000)] * 2000)
        recorder.ended(call(0), Result(200, [], []))  # which has been forgotten
        kept = recorder.recent()
        assert len(kept) == 250
        record = recorder.get(kept[-1]["id"])
        assert isinstance(record, Record)
        assert (len(record.logs), record.left_out, len(record.logs[0][3])) == (500, 1500, 4000)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/a?code=secret", "GET /a?code=…"),
        (b"/a?x=1&code=secret&y=2", "GET /a?x=1&code=…&y=2"),
        (b"/a?c%6fde=secret", "GET /a?code=…"),
        (b"/a?decode=1&code", "GET /a?decode=1&code=…"),
        (b"/code=1", "GET /code=1"),
        (b"/", "GET /"),
    ],
)
def test_a_key_in_a_query_is_not_recorded(target: bytes, shown: str) -> None:
    assert peek_request(call(url=b"http://localhost" + target).payload) == (shown, "")


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        (b"nonsense", ""),
        (b"", ""),
    ],
)
def test_the_trace_of_a_request(value: bytes, trace: str) -> None:
    assert peek_request(call(headers=[(b"traceparent", value)]).payload)[1] == trace


class TestRates:
    """Counted by the second."""

    @given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
    def test_percentiles(self, durations: list[float]) -> None:
        middle, high = percentiles(durations)
        assert middle is not None
        assert high is not None
        assert sum(value <= middle for value in durations) * 2 >= len(durations)
        assert sum(value <= high for value in durations) * 100 >= len(durations) * 95
        assert {middle, high} <= set(durations)

    def test_of_nothing(self) -> None:
        assert percentiles([]) == (None, None)
        assert Rates().history() == []

    def test_seconds_in_which_nothing_happens_are_there_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr("worker_ext.host.page.rates.time.time", lambda: now)
        rates = Rates()
        rates.add("Hello", 0.1, failed=False)
        rates.add("Hello", 0.3, failed=True)
        now = 1003.5
        assert [(second["at"], second["count"], second["failed"]) for second in rates.history()] == [
            (1000, 2, 1),
            (1001, 0, 0),
            (1002, 0, 0),
        ]
        now = 9000.0
        assert {second["count"] for second in rates.history()} == {0}
        assert len(rates.history()) <= 120


class TestSource:
    """The lines of the app that an error went through, and of nothing else."""

    def test_the_lines_around(self, tmp_path: Path) -> None:
        file = tmp_path / "function_app.py"
        file.write_text("".join(f"line {number}\n" for number in range(1, 21)))
        [place] = places_in_app(f'  File "{file}", line 10, in Hello\n', tmp_path)
        assert (place["file"], place["line"], place["function"], place["first"]) == ("function_app.py", 10, "Hello", 7)
        assert place["source"] == [f"line {number}" for number in range(7, 14)]

    @pytest.mark.parametrize(
        "name", ["/etc/passwd", "{app}/../secret.py", "{app}/link.py", "{app}/.venv/x.py", "{app}/settings.json", "\0"]
    )
    def test_no_other_file_is_read(self, tmp_path: Path, name: str) -> None:
        app = tmp_path / "app"
        for file in (tmp_path / "secret.py", app / ".venv" / "x.py", app / "settings.json"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("secret\n" * 5)
        with contextlib.suppress(OSError):  # on Windows not everybody may
            (app / "link.py").symlink_to(tmp_path / "secret.py")
        assert places_in_app(f'  File "{name.replace("{app}", str(app))}", line 1, in f\n', app) == []

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        assert places_in_app(text, Path("/nonexistent")) == []


@pytest.mark.parametrize(
    ("route", "parts"),
    [
        ("hello", ["api/hello"]),
        ("{id}", ["api/", {"name": "id"}, ""]),
        ("{id:int:min(1)}/x", ["api/", {"name": "id", "rule": "int:min(1)"}, "/x"]),
        ("{id?}", ["api/", {"name": "id", "optional": True}, ""]),
        ("{id=7}", ["api/", {"name": "id", "rule": "7", "default": "7", "optional": True}, ""]),
        ("{*rest}", ["api/", {"name": "rest", "catchAll": True, "optional": True}, ""]),
        ("{a}.{b?}", ["api/", {"name": "a"}, ".", {"name": "b", "optional": True}, ""]),
        ("{{x}}/{a:regex(^\\d{{2}}$)}", ["api/{x}/", {"name": "a", "rule": "regex(^\\d{{2}}$)"}, ""]),
    ],
)
def test_a_route_becomes_the_fields_of_a_form(route: str, parts: list[Any]) -> None:
    function = HostedFunction("F", {"type": "httpTrigger", "route": route, "name": "req"})
    plain = {"rule": "", "optional": False, "default": "", "catchAll": False}
    expected = [{"text": part} if isinstance(part, str) else {**plain, **part} for part in parts]
    assert describe_function(function, Path("/app"), "api")["route"] == expected


entries = st.builds(TimelineEntry, st.text(), st.text(), st.floats(0, 1e6), st.floats(0, 1e6), st.text(max_size=1000))


@given(st.lists(entries, max_size=20))
def test_timelines_travel_as_they_are(timeline: list[TimelineEntry]) -> None:
    assert unpack_timeline(pack_timeline(timeline)) == timeline
