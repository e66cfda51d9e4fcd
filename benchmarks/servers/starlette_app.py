"""The sample app's greeting for Starlette."""

import asyncio
import logging

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def greet(request: Request) -> PlainTextResponse:
    """Greet whoever is named in the query string."""
    logging.info("Python HTTP trigger function processed a request.")
    await asyncio.sleep(0)
    name = request.query_params.get("name")
    return PlainTextResponse(f"Hello, {name}. This HTTP triggered function executed successfully.")


app = Starlette(routes=[Route("/api/AsyncTrigger", greet)])
