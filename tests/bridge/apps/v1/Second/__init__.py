import azure.functions as func
from witness import FunctionWitness

import worker_ext  # noqa: F401

FunctionWitness(__file__)


async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(f"second {context.greeting}")
