"""``func keys list``."""

from __future__ import annotations

import json
import re

import pytest
from support.hosting import running_host, write_app

from worker_ext.cli.main import main

APP = """
import azure.functions as func

app = func.FunctionApp()

@app.route(route="say")
def say(req):
    return "said"
"""


@pytest.fixture
def app(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKER_EXT_STATE", str(tmp_path / "state"))
    return write_app(folder, {"function_app.py": APP})


def test_before_the_first_start(app, capsys):
    assert main(["keys", "list"]) == 0
    assert "None yet. `func host start --enableAuth` makes the first ones" in capsys.readouterr().out


def test_those_that_a_host_has_made(app, tmp_path, capsys):
    with running_host(app, "--enableAuth", environ={"WORKER_EXT_STATE": str(tmp_path / "state")}) as host:
        console = host.console
    assert main(["keys", "list", "--json"]) == 0
    printed = capsys.readouterr().out
    keys = {key["name"]: key for key in json.loads(printed)}
    assert keys["_master"]["scope"] == "systemKeys"
    assert keys["default"]["scope"] == "functionKeys"
    shown = re.findall(r"[A-Za-z0-9_-]{50,}", console)
    assert shown  # the host has shown the values
    assert not any(value in printed for value in shown)  # and nothing else can

    assert main(["keys", "list"]) == 0
    assert "   -> Name: _master\n      Scope: systemKeys\n      Created: 20" in capsys.readouterr().out
    assert main(["keys", "list", "--function", "say"]) == 0
    assert capsys.readouterr().out == "Keys:\n"


def test_not_in_the_folder_of_an_app(folder, capsys):
    assert main(["keys", "list"]) == 1
    assert "func init --python" in capsys.readouterr().err
