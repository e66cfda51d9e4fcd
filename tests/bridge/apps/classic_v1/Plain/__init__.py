import azure.functions as func
import both  # noqa: F401
import witness  # noqa: F401


def main(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("plain")
