"""Orders: a blueprint, which ``function_app.py`` registers with the app.

The answers are plain text, because the app has the timer extension write at the end of every body. An API that
answers with JSON would use its other option, ``TimerExtension.configure(server_timing=True)``, which puts the time
into a header.
"""

from __future__ import annotations

from itertools import count

import azure.functions as func

blueprint = func.Blueprint()

# In memory for brevity: gone when the worker restarts, and each worker has its own. A real app uses a database.
_orders: dict[int, str] = {}
_numbers = count(1)


@blueprint.route(route="orders", methods=["POST"])
def PlaceOrder(req: func.HttpRequest) -> func.HttpResponse:
    """Take an order such as ``{"item": "tea"}``."""
    try:
        body = req.get_json()
    except ValueError:
        body = None
    item = body.get("item") if isinstance(body, dict) else None
    if not isinstance(item, str):
        return func.HttpResponse('Send a JSON object such as {"item": "tea"}.', status_code=400)
    number = next(_numbers)
    _orders[number] = item
    return func.HttpResponse(f"Order {number}: {item}", status_code=201, headers={"Location": f"/api/orders/{number}"})


@blueprint.route(route="orders/{id:int}", methods=["GET"])
def GetOrder(req: func.HttpRequest) -> func.HttpResponse:
    """Show an order. The route's ``:int`` means that only numbers get here."""
    number = int(req.route_params["id"])
    if number not in _orders:
        return func.HttpResponse(f"There is no order {number}.", status_code=404)
    return func.HttpResponse(f"Order {number}: {_orders[number]}")
