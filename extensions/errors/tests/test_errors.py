"""What becomes of errors, for clients and for those who are told of them."""

from __future__ import annotations

import azure.functions as func
import pytest
from python_worker_extension_errors import ErrorsExtension, Problem

from worker_ext.testing import FunctionAppClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class OutOfStock(LookupError):
    """Something that an app raises."""


@app.route("raise/{kind}")
def fail(req: func.HttpRequest) -> func.HttpResponse:
    raise {
        "lookup": LookupError("no such item"),
        "stock": OutOfStock("none left"),
        "value": ValueError("the password is 1234"),
        "problem": Problem(
            429, detail="Slow down", headers={"Retry-After": "5"}, type="https://example.com/slow", limit=3
        ),
        "own": Problem(503, "Closed"),
        "exit": SystemExit(1),
    }[req.route_params["kind"]]


@app.route("async/{kind}")
async def fail_async(req: func.HttpRequest) -> func.HttpResponse:
    raise LookupError("no such item")


@app.route("fine")
def fine(req: func.HttpRequest) -> str:
    return "fine"


@app.timer_trigger("timer", schedule="0 0 * * * *")
def Tick(timer: func.TimerRequest) -> None:
    raise ValueError("no time")


@pytest.fixture
def client():
    with FunctionAppClient(app, extensions=[ErrorsExtension]) as client:
        yield client


@pytest.fixture
def reported(client):
    """What is reported, with statuses for some errors."""
    found = []
    ErrorsExtension.configure(
        statuses={LookupError: 404, OutOfStock: 409}, report=lambda error, context: found.append((error, context))
    )
    return found


def test_what_nobody_expected_is_a_problem_that_tells_nothing(client):
    response = client.get("/api/raise/value")
    assert (response.status_code, response.error) == (500, None)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "title": "Internal Server Error",
        "status": 500,
        "instance": f"urn:uuid:{response.invocation_id}",
    }
    assert any("fail failed: ValueError" in line and "Traceback" in line for line in response.messages)


def test_details_can_be_told(client):
    ErrorsExtension.configure(details=True)
    assert client.get("/api/raise/value").json()["detail"] == "the password is 1234"


@pytest.mark.parametrize("path", ["raise/lookup", "async/lookup"])
def test_errors_have_statuses(client, reported, path):
    response = client.get(f"/api/{path}")
    assert response.status_code == 404
    assert response.json()["detail"] == "no such item"
    assert reported == []


def test_the_nearest_base_class_counts(client, reported):
    assert client.get("/api/raise/stock").status_code == 409


def test_a_problem_says_it_all(client, reported):
    response = client.get("/api/raise/problem")
    assert response.status_code == 429
    assert response.headers["retry-after"] == "5"
    assert response.json() == {
        "type": "https://example.com/slow",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Slow down",
        "limit": 3,
        "instance": f"urn:uuid:{response.invocation_id}",
    }
    assert client.get("/api/raise/own").json()["title"] == "Closed"
    assert reported == []


def test_what_nobody_expected_is_reported_once_with_its_context(client, reported):
    response = client.get("/api/raise/value")
    ((error, context),) = reported
    assert isinstance(error, ValueError)
    assert context.invocation_id == response.invocation_id


def test_a_report_that_fails_is_logged_and_costs_no_answer(client):
    ErrorsExtension.configure(report=lambda error, context: 1 / 0)
    response = client.get("/api/raise/value")
    assert response.status_code == 500
    assert any("could not be reported" in line for line in response.messages)


def test_other_triggers_are_reported_and_fail_as_ever(client, reported):
    result = client.trigger("Tick")
    assert isinstance(result.error, ValueError)
    assert len(reported) == 1


def test_an_exit_is_no_error(client, reported):
    assert isinstance(client.get("/api/raise/exit").error, SystemExit)
    assert reported == []


def test_functions_that_do_not_raise_are_left_alone(client):
    assert client.get("/api/fine").text == "fine"


async def report_async(error, context):
    """A report that nobody would await."""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"statuses": {LookupError: 200}}, ValueError),
        ({"statuses": {KeyboardInterrupt: 500}}, TypeError),
        ({"statuses": {"LookupError": 404}}, TypeError),
        ({"report": "mail"}, TypeError),
        ({"report": report_async}, TypeError),
        ({"reports": print}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options, error):
    with pytest.raises(error):
        ErrorsExtension.configure(**options)
