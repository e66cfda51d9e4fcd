"""What the extension does around an invocation."""

from __future__ import annotations

import gc
import json
import re
import sys
import weakref
from dataclasses import dataclass

import pytest
from azure.functions import ExtensionMeta, HttpResponse

ELAPSED = r"\d+(\.\d+)?(e-\d+)?"
"""The repr of a float of seconds: ``0.0009996891021728516``, or ``8.1e-06``."""


@dataclass(eq=False)
class Context:
    """What the extension uses of a context, and that any attribute can be set on it."""

    function_name: str
    invocation_id: str = "1"


def test_importing_the_module_registers_it(worker):
    assert json.loads(ExtensionMeta.get_registered_extensions_json()) == {"AppExtension": ["TimerExtension"]}


class TestLog:
    def test_two_lines_an_invocation_whatever_the_function_returns(self, worker, caplog):
        worker.invoke(lambda: None, name="Cleanup")

        first, second = caplog.messages
        assert first == "Start time of Cleanup recorded"
        assert re.fullmatch(rf"Time taken to execute Cleanup is {ELAPSED} sec", second)
        assert {record.levelname for record in caplog.records} == {"INFO"}

    def test_the_time_is_that_of_the_function(self, worker, caplog, monkeypatch):
        clock = iter([100.0, 100.25])
        monkeypatch.setitem(worker.extension.pre_invocation_app_level.__globals__, "perf_counter", lambda: next(clock))

        worker.invoke(lambda: None)

        assert caplog.messages[1] == "Time taken to execute HttpTrigger is 0.25 sec"

    def test_invocations_that_overlap_are_timed_apart(self, worker, caplog, monkeypatch):
        clock = iter([1.0, 2.0, 2.5, 4.0])
        monkeypatch.setitem(worker.extension.pre_invocation_app_level.__globals__, "perf_counter", lambda: next(clock))

        worker.invoke(lambda: worker.invoke(lambda: None, name="Inner"), name="Outer")

        assert caplog.messages[2:] == [
            "Time taken to execute Inner is 0.5 sec",
            "Time taken to execute Outer is 3.0 sec",
        ]

    def test_first_imported_during_an_invocation_it_skips_that_one(self, worker, caplog):
        hooks = ExtensionMeta.get_application_hooks()
        (post,) = hooks.post_invocation_app_level
        worker.extension.configure(append_to_http_response=True)
        response = HttpResponse("body")

        post.ext_impl(worker.logger, Context("Late"), {}, response)

        assert caplog.messages == []
        assert response.get_body() == b"body"

    def test_nothing_is_kept_for_an_invocation_that_failed(self, worker):
        def fail():
            raise RuntimeError("the function failed")

        context = Context("Fail", "an id that is nowhere else")
        with pytest.raises(RuntimeError):
            worker.invoke(fail, context=context)

        # Neither by its id, nor as the object itself:
        state = [vars(worker.extension), vars(sys.modules[worker.extension.__module__])]
        assert context.invocation_id not in repr(state)
        collected = weakref.ref(context)
        del context
        gc.collect()
        assert collected() is None


class TestAppendToHttpResponse:
    @pytest.fixture(autouse=True)
    def configured(self, worker):
        worker.extension.configure(append_to_http_response=True)

    @staticmethod
    def assert_appended(body: str, original: str) -> None:
        assert re.fullmatch(rf"{re.escape(original)} \(TimeElapsed: {ELAPSED} sec\)", body), body

    def test_text(self, worker):
        response = worker.invoke(lambda: HttpResponse("Hello, Zoë."))
        self.assert_appended(response.get_body().decode(), "Hello, Zoë.")

    def test_the_body_tells_the_same_time_as_the_log(self, worker, caplog):
        response = worker.invoke(lambda: HttpResponse("done"))
        (logged,) = re.findall(rf"is ({ELAPSED}) sec", caplog.messages[1])
        assert response.get_body().decode() == f"done (TimeElapsed: {logged[0]} sec)"

    def test_bytes(self, worker):
        response = worker.invoke(lambda: HttpResponse(b"\x00\xff"))
        self.assert_appended(response.get_body().decode("latin-1"), "\x00\xff")

    def test_no_body(self, worker):
        response = worker.invoke(HttpResponse)
        self.assert_appended(response.get_body().decode(), "")

    @pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp500"])
    @pytest.mark.parametrize("text", ["", "café"])
    def test_in_the_charset_of_the_response(self, worker, charset, text):
        response = worker.invoke(lambda: HttpResponse(text, charset=charset))
        self.assert_appended(response.get_body().decode(charset), text)

    def test_bytes_with_a_charset_that_python_does_not_know(self, worker):
        response = worker.invoke(lambda: HttpResponse(b"raw", charset="x-mine"))
        self.assert_appended(response.get_body().decode(), "raw")

    def test_a_content_length_is_corrected(self, worker):
        response = worker.invoke(lambda: HttpResponse("body", headers={"Content-Length": "4"}))
        assert int(response.headers["content-length"]) == len(response.get_body()) > 4

    @pytest.mark.parametrize("status", [204, 304])
    def test_a_response_that_has_no_body_gets_none(self, worker, status):
        assert worker.invoke(lambda: HttpResponse(status_code=status)).get_body() == b""

    @pytest.mark.parametrize("result", ["text", b"bytes", {"a": 1}, None])
    def test_other_results_are_left_alone(self, worker, result):
        assert worker.invoke(lambda: result) is result

    def test_a_subclass_of_the_response(self, worker):
        class Teapot(HttpResponse):
            def __init__(self):
                super().__init__("I'm a teapot", status_code=418)

        self.assert_appended(worker.invoke(Teapot).get_body().decode(), "I'm a teapot")

    def test_a_response_class_that_keeps_its_body_elsewhere_is_warned_of_once(self, worker, caplog):
        def response():
            instance = HttpResponse("body")
            del instance._HttpResponse__body
            return instance

        worker.invoke(response)
        worker.invoke(response)

        warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == 1
        assert "azure-functions" in warnings[0]


class TestServerTiming:
    @pytest.fixture(autouse=True)
    def configured(self, worker):
        worker.extension.configure(server_timing=True)

    def test_header_in_milliseconds_and_the_body_as_it_was(self, worker, monkeypatch):
        clock = iter([1.0, 1.25])
        monkeypatch.setitem(worker.extension.pre_invocation_app_level.__globals__, "perf_counter", lambda: next(clock))

        response = worker.invoke(lambda: HttpResponse('{"a": 1}', mimetype="application/json"))

        assert response.headers["Server-Timing"] == "HttpTrigger;dur=250.000"
        assert response.get_body() == b'{"a": 1}'

    def test_is_added_to_what_the_function_measured_itself(self, worker):
        response = worker.invoke(lambda: HttpResponse(headers={"server-timing": "db;dur=3"}))
        assert re.fullmatch(r"db;dur=3, HttpTrigger;dur=\d+\.\d{3}", response.headers["Server-Timing"])

    def test_a_name_that_no_header_could_carry(self, worker):
        response = worker.invoke(HttpResponse, name="my function; né\r\n")
        assert re.fullmatch(r"my_function__n___;dur=\d+\.\d{3}", response.headers["Server-Timing"])

    def test_together_with_the_text_in_the_body(self, worker):
        worker.extension.configure(server_timing=True, append_to_http_response=True)
        response = worker.invoke(lambda: HttpResponse("done"))
        assert b"TimeElapsed" in response.get_body()
        assert "Server-Timing" in response.headers


class TestConfigure:
    def test_without_it_responses_are_left_alone(self, worker):
        response = worker.invoke(lambda: HttpResponse("body"))
        assert response.get_body() == b"body"
        assert "Server-Timing" not in response.headers

    def test_what_is_left_out_is_off(self, worker):
        worker.extension.configure(append_to_http_response=True)
        worker.extension.configure()
        assert worker.invoke(lambda: HttpResponse("body")).get_body() == b"body"

    @pytest.mark.parametrize(("args", "kwargs"), [((), {"append_to_response": True}), ((True,), {})])
    def test_what_it_does_not_know_it_refuses_and_says_what_it_knows(self, worker, args, kwargs):
        with pytest.raises(TypeError, match=r"append_to_http_response and server_timing") as raised:
            worker.extension.configure(*args, **kwargs)
        assert all(name in str(raised.value) for name in kwargs)
