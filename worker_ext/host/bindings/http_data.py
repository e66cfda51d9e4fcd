"""What the binding expressions of an HTTP function can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ...transports.http1 import Exchange
from .expressions import json_properties


def http_data(exchange: Exchange, route: Mapping[str, str]) -> dict[str, Any]:
    """The route's parameters, ``query``, ``headers``, and the properties of a JSON body.

    :param route: the values of the route's parameters.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers}
    query = dict(parse_qsl(exchange.query, keep_blank_values=True))
    return {**json_properties(exchange.body), **query, **route, "query": query, "headers": headers}
