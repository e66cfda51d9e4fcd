"""Functions that no request triggers, run by hand through the admin API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.azurite import Azurite, unique
from support.hosting import RunningHost, running_host, write_app

APP = """
import logging, typing
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"

@app.route(route="up")
def up(req: func.HttpRequest) -> str:
    return "up"

@app.timer_trigger(arg_name="timer", schedule="0 0 0 29 2 *", use_monitor=False)
def timed(timer: func.TimerRequest) -> None:
    logging.info("timed: %s", timer.past_due)

@app.queue_trigger(arg_name="message", queue_name="%BOX%", connection=STORAGE)
@app.blob_input(arg_name="blob", path="%BOX%/{name}", connection=STORAGE)
def queued(message: func.QueueMessage, blob: str) -> None:
    logging.info("queued: %s with %s", message.get_body().decode(), blob)

@app.blob_trigger(arg_name="blob", path="%BOX%/kept/{name}", connection=STORAGE)
def stored(blob: func.InputStream) -> None:
    logging.info("stored: %s", blob.read().decode())

@app.event_grid_trigger(arg_name="event")
def happened(event: func.EventGridEvent) -> None:
    logging.info("happened: %s", event.get_json())

@app.service_bus_queue_trigger(arg_name="message", queue_name="q", connection="Bus")
def bus(message: func.ServiceBusMessage) -> None:
    logging.info("bus: %s", message.get_body().decode())

@app.event_hub_message_trigger(arg_name="event", event_hub_name="h", connection="Hub")
def one(event: func.EventHubEvent) -> None:
    logging.info("one: %s", event.get_body().decode())

@app.event_hub_message_trigger(arg_name="event", event_hub_name="h", connection="Hub", cardinality="many")
@app.retry(strategy="fixed_delay", max_retry_count="1", delay_interval="00:00:00")
def hub(event: typing.List[func.EventHubEvent], context: func.Context) -> None:
    bodies = [one.get_body().decode() for one in event]
    logging.info("hub: %s, try %s", bodies, context.retry_context.retry_count)
    raise ValueError("again")
"""


def run(host: RunningHost, name: str, value: Any) -> int:
    body = json.dumps({"input": value})
    return host.request("POST", f"/admin/functions/{name}", body, {"content-type": "application/json"}).status


def test_every_trigger_takes_what_somebody_gives(azurite: Azurite, tmp_path: Path) -> None:
    box = unique("box")
    settings = azurite.settings
    settings["Values"]["BOX"] = box
    azurite.upload(f"{box}/n", "the blob")
    folder = write_app(tmp_path, {"function_app.py": APP, "local.settings.json": settings})
    with running_host(folder) as host:
        host.wait_for(r"bus is loaded, but nothing starts it here: .* Run it by hand:  POST /admin/functions/bus")
        assert run(host, "timed", "") == 202
        host.wait_for("timed: False")
        assert run(host, "queued", '{"name": "n"}') == 202
        host.wait_for(r'queued: \{"name": "n"\} with the blob')
        azurite.upload(f"{box}/kept/k", "kept")
        host.wait_for("stored: kept")
        assert run(host, "stored", f"{box}/kept/k") == 202
        host.wait_for("stored: kept", count=2)
        event = {"id": "1", "subject": "s", "topic": "t", "eventType": "e", "dataVersion": "1", "data": {"a": 1}}
        assert run(host, "happened", {**event, "eventTime": "2026-01-01T00:00:00Z"}) == 202
        host.wait_for(r"happened: \{'a': 1\}")
        assert run(host, "bus", '{"not": "parsed"}') == 202
        host.wait_for(r'bus: \{"not": "parsed"\}')
        assert run(host, "one", "text") == 202
        host.wait_for("one: text")
        assert run(host, "hub", "text") == 202
        host.wait_for(r"hub: \['\"text\"'\], try 1")
        assert run(host, "hub", ["a", {"b": 1}]) == 202
        host.wait_for(r"""hub: \['"a"', '{"b": 1}'\], try 0""")
