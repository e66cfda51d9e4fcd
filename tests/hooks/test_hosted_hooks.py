"""Hooks beyond the stock contract, in apps that a real local host runs."""

from __future__ import annotations

import json

import pytest
from support.hosting import running_host, write_app

APP = """
import asyncio, logging, time
from contextvars import ContextVar
import azure.functions as func
from worker_ext import AppExtensionBase, FuncExtensionBase

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
user = ContextVar("user", default="nobody")


class Process(AppExtensionBase):
    @classmethod
    async def on_startup(cls):
        logging.info("the process starts")

    @classmethod
    def on_shutdown(cls):
        print("the process stops")


class Auth(AppExtensionBase):
    required = True
    exclude = "Hang*"

    @classmethod
    async def around_invocation_app_level(cls, logger, context, func_args, call_next):
        token = func_args["req"].headers.get("authorization")
        if not token:
            return func.HttpResponse("who are you?", status_code=401)
        user.set(token)
        return await call_next()

    @classmethod
    def on_log(cls, record):
        record.message = record.message.replace("secret", "***")


class Errors(FuncExtensionBase):
    def around_invocation(self, logger, context, func_args):
        try:
            return (yield)
        except LookupError as error:
            return func.HttpResponse(str(error), status_code=404)


errors = Errors()


@app.route("sync")
@errors.attach
def Sync(req):
    logging.info("a secret line")
    return user.get()


@errors.attach
@app.route("async")
async def Async(req):
    raise LookupError(user.get())


class Hanging(FuncExtensionBase):
    def pre_invocation(self, logger, context, func_args):
        time.sleep(60)


hanging = Hanging()


@app.route("hang")
@hanging.attach
async def Hang(req): pass


@app.route("hang-on-a-thread")
@hanging.attach
def HangOnThread(req): pass
"""


def settings(flag="1"):
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", "PYTHON_ENABLE_WORKER_EXTENSIONS": flag}
    return {"local.settings.json": json.dumps({"IsEncrypted": False, "Values": values})}


def test_what_an_app_gets_of_them(tmp_path):
    with running_host(write_app(tmp_path, {"function_app.py": APP, **settings()})) as host:
        host.wait_for("the process starts")
        assert (host.get("/api/sync").status, host.get("/api/async").status) == (401, 401)
        mary = {"authorization": "mary"}
        assert host.get("/api/sync", mary).text == "mary"
        host.wait_for(r"a \*\*\* line")
        answer = host.get("/api/async", mary)
        assert (answer.status, answer.text) == (404, "mary")
        host.stop()
        host.wait_for("the process stops")


def test_a_required_extension_that_is_off_keeps_the_app_from_being_served(tmp_path):
    reason = "the extension Auth is required, but the setting PYTHON_ENABLE_WORKER_EXTENSIONS is off"
    with running_host(write_app(tmp_path, {"function_app.py": APP, **settings("0")}), ready=reason) as host:
        host.wait_for("Set PYTHON_ENABLE_WORKER_EXTENSIONS to 1, or take the extension out of the app.")


@pytest.mark.parametrize("path", ["hang", "hang-on-a-thread"])
def test_a_hook_that_hangs_is_named_and_bounded_by_the_functions_time(tmp_path, path):
    host_json = {"version": "2.0", "functionTimeout": "00:00:02"}
    with running_host(write_app(tmp_path, {"function_app.py": APP, "host.json": host_json, **settings()})) as host:
        assert host.get(f"/api/{path}").status >= 500
        host.wait_for("Hanging.pre_invocation has (been running for|blocked the event loop for)")
        host.wait_for("did not finish within the functionTimeout")


def test_attached_in_the_v1_model(tmp_path):
    script = """
from worker_ext import FuncExtensionBase

class Shout(FuncExtensionBase):
    def around_invocation(self, logger, context, func_args):
        return (yield).upper()

shout = Shout()

@shout.attach
def main(req):
    return "quiet"
"""
    other = "import __app__.One as one\none.shout.attach('Three')\ndef main(req): return 'quiet'"
    bindings = [
        {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous"},
        {"type": "http", "direction": "out", "name": "$return"},
    ]
    files = {}
    for name, source in {"One": script, "Two": other, "Three": other}.items():
        files |= {f"{name}/__init__.py": source, f"{name}/function.json": {"bindings": bindings}}
    with running_host(write_app(tmp_path, {**files, **settings()})) as host:
        assert [host.get(f"/api/{name}").text for name in ("One", "Two", "Three")] == ["QUIET", "quiet", "QUIET"]
