"""What settings and options do, as clients and the app's code see it. test_settings.py shows how they are read."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import RunningHost, free_port, running_host, write_app

APP = """
import json, os, sys, time
from pathlib import Path
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="environ")
def environ(req):
    return json.dumps(dict(os.environ))

@app.route(route="python")
def python(req):
    return json.dumps({"dev_mode": sys.flags.dev_mode, "cwd": os.getcwd()})

@app.route(route="off")
def off(req):
    return "not off"

@app.route(route="until/{file}")
def until(req):
    file = Path(req.route_params["file"])
    while not file.exists():
        time.sleep(0.01)
    return "done"

@app.route(route="asked_only")
def asked_only(req):
    return "asked"

@app.route(route="own_cors")
def own_cors(req):
    return func.HttpResponse("x", headers={"Access-Control-Allow-Origin": "*"})
"""
ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    local = {
        "IsEncrypted": False,
        "Values": {"TEXT": "as it is", "NUMBER": 5, "FLAG": True, "OURS": "lost", "AzureWebJobs.off.Disabled": "true"},
        "ConnectionStrings": {"Db": "Server=x"},
        "Host": {"LocalHttpPort": free_port(), "CORS": f"{ORIGIN},http://other.example", "CORSCredentials": True},
    }
    host = {
        "version": "2.0",
        "extensions": {
            "http": {"routePrefix": "v1/api", "maxOutstandingRequests": 2, "customHeaders": {"X-Env": "dev"}}
        },
    }
    files = {"function_app.py": APP, "local.settings.json": local, "host.json": host}
    return write_app(tmp_path_factory.mktemp("app"), files)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[RunningHost]:
    with running_host(folder, port=None, environ={"OURS": "won"}) as host:
        yield host


def test_values_and_connection_strings_are_the_apps_environment(host: RunningHost, folder: Path) -> None:
    environ = host.get("/v1/api/environ").json()
    assert (environ["TEXT"], environ["NUMBER"], environ["FLAG"]) == ("as it is", "5", "true")
    assert environ["ConnectionStrings:Db"] == "Server=x"
    assert environ["OURS"] == "won"
    assert environ["AZURE_FUNCTIONS_ENVIRONMENT"] == "Development"
    assert environ["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert environ["AzureWebJobsScriptRoot"] == str(folder)
    assert "WORKER_EXT_SECRET" not in environ


def test_the_app_runs_in_its_folder(host: RunningHost, folder: Path) -> None:
    assert host.get("/v1/api/python").json()["cwd"] == str(folder)


def test_the_prefix_is_where_the_functions_are(host: RunningHost) -> None:
    assert host.get("/api/environ").status == 404
    host.wait_for(f"http://localhost:{host.port}/v1/api/environ")


def test_a_disabled_function_is_told_and_not_served(host: RunningHost) -> None:
    assert host.get("/v1/api/off").status == 404
    host.wait_for("The 'off' function is disabled")


def test_custom_headers_are_on_every_answer(host: RunningHost) -> None:
    for path in ("/", "/v1/api/environ", "/v1/api/none"):
        assert host.get(path).header("x-env") == "dev"


def test_browsers_of_listed_origins_may_read_answers(host: RunningHost) -> None:
    answer = host.get("/v1/api/environ", {"Origin": ORIGIN})
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert answer.header("access-control-allow-credentials") == "true"
    answer = host.get("/v1/api/own_cors", {"Origin": "https://evil.example"})
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") is None


def test_preflights_are_answered_without_a_function(host: RunningHost) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    answer = host.request("OPTIONS", "/v1/api/asked_only", headers=headers)
    assert (answer.status, answer.header("access-control-allow-methods")) == (204, "PUT")
    answer = host.request("OPTIONS", "/v1/api/asked_only", headers={**headers, "Origin": "https://evil.example"})
    assert (answer.status, answer.header("access-control-allow-origin")) == (204, None)
    host.get("/v1/api/python")
    host.wait_for("Functions.python")
    assert "Functions.asked_only" not in host.console


def test_more_than_the_outstanding_requests_are_turned_away(host: RunningHost, folder: Path) -> None:
    seen = len(host.lines)
    running = [host.begin("/v1/api/until/go") for _ in range(2)]
    host.wait_for("Executing 'Functions.until'", count=2, since=seen)
    assert host.get("/v1/api/environ").status == 429
    (folder / "go").touch()
    assert [request.answer().status for request in running] == [200, 200]
    assert host.get("/v1/api/environ").status == 200


def test_the_port_of_the_settings_is_used_unless_an_option_names_one(folder: Path, host: RunningHost) -> None:
    assert host.port == json.loads((folder / "local.settings.json").read_text())["Host"]["LocalHttpPort"]
    with running_host(folder, port=0) as second:
        assert second.port != host.port
        assert second.get("/v1/api/python").status == 200


def test_the_environment_replaces_host_json(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": APP})
    environ = {"AzureFunctionsJobHost__extensions__http__routePrefix": ""}
    with running_host(tmp_path, environ=environ) as host:
        assert host.get("/environ").status == 200


def test_only_the_functions_that_are_asked_for(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": APP})
    with running_host(tmp_path, "--functions", "python", "OFF,none") as host:
        assert host.get("/api/off").status == 200
        assert host.get("/api/python").status == 200
        assert host.get("/api/environ").status == 404
        host.wait_for("there is no function 'none', which is asked for; the app has: asked_only, environ, ")


def test_an_address_of_ones_own(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": APP})
    with running_host(tmp_path, "--address", "127.0.0.1", "--verbose") as host:
        assert host.get("/api/python").status == 200
        host.wait_for(f"App: {tmp_path}")


@pytest.mark.parametrize("options", [["--language-worker=-X dev"], ["--language-worker", "--", "-X dev"]], ids=str)
def test_arguments_for_the_apps_python(tmp_path: Path, options: list[str]) -> None:
    write_app(tmp_path, {"function_app.py": APP})
    with running_host(tmp_path, *options) as host:
        assert host.get("/api/python").json()["dev_mode"] is True


DEBUGGER = """
import runpy, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_a_debugger_has_one_worker_at_a_time(tmp_path: Path) -> None:
    """Its port could not be had by a second one. So an edit ends the worker first, and requests wait for the next."""
    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    debugger = tmp_path / "debugger.py"
    debugger.write_text(DEBUGGER)
    environ = {"languageWorkers__python__arguments": f"{debugger} {free_port()}"}
    with running_host(folder, environ=environ) as host:
        [first] = host.worker_pids()
        running = host.begin("/api/until/go")
        host.wait_for("Executing 'Functions.until'")
        (folder / "function_app.py").write_text(APP + "\n# edited\n")
        host.wait_for("signaling restart")
        waiting = host.begin("/api/python")
        host.wait_for("Executing 'Functions.python'")
        for _ in range(20):  # longer than a second worker would need to find that the port is taken
            assert host.worker_pids() == [first]
            time.sleep(0.01)
        (folder / "go").touch()
        assert (running.answer().status, waiting.answer().status) == (200, 200)
        assert host.worker_pids() != [first]
        assert "ended with exit status" not in host.console
