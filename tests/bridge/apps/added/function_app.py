import logging

import added  # noqa: F401
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    logging.warning("a %s", "secret")
    logging.warning("noise")
    logging.warning("a sound")
    return func.HttpResponse("plain")


@app.route("asynchronous")
async def asynchronous(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("async")


@app.route("failing")
def failing(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("no such order")
