import azure.functions as func


async def main(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("no such order")
