"""A small app in the v2 programming model, with two worker extensions around all of its functions."""

import asyncio
import logging

import azure.functions as func
from blueprints.orders import blueprint as orders

# Two lines for each are all that an app does to use an extension.
from python_worker_extension_telemetry import OpenCensusExtension
from python_worker_extension_timer import TimerExtension

OpenCensusExtension.configure()  # where its spans go, the setting APPLICATIONINSIGHTS_CONNECTION_STRING can say
TimerExtension.configure(append_to_http_response=True)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(orders)


@app.route(route="HttpTrigger")
def HttpTrigger(req: func.HttpRequest) -> func.HttpResponse:
    """Greet whoever is named in the query string or in a JSON body. A plain function runs on a pool thread."""
    logging.info("Python HTTP trigger function processed a request.")
    return greeting(req)


@app.route(route="AsyncTrigger")
async def AsyncTrigger(req: func.HttpRequest) -> func.HttpResponse:
    """Greet, too. An async function runs on the worker's event loop, which serves others whenever this one waits."""
    logging.info("Python HTTP trigger function processed a request.")
    await asyncio.sleep(0)  # where a real one would await a database or another service
    return greeting(req)


def greeting(req: func.HttpRequest) -> func.HttpResponse:
    """Make the answer of both."""
    name = req.params.get("name")
    if not name:
        try:
            body = req.get_json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            name = body.get("name")

    if name:
        return func.HttpResponse(f"Hello, {name}. This HTTP triggered function executed successfully.")
    return func.HttpResponse(
        "This HTTP triggered function executed successfully. "
        "Pass a name in the query string or in the request body for a personalized response."
    )


@app.route(route="fail")
def Fail(req: func.HttpRequest) -> func.HttpResponse:
    """Fail, to show what that looks like: status 500, the traceback in the log, and no post-invocation hook."""
    raise RuntimeError("This function always fails.")
