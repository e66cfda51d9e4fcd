import azure.functions as func
from witness import FunctionWitness

FunctionWitness(__file__)

orders = func.Blueprint()


@orders.route("ordering")
def ordering(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ordered")
