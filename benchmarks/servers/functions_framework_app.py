"""The sample app's greeting for Google's functions-framework."""

import logging

import flask
import functions_framework


@functions_framework.http
def greet(request: flask.Request) -> str:
    """Greet whoever is named in the query string."""
    logging.info("Python HTTP trigger function processed a request.")
    return f"Hello, {request.args.get('name')}. This HTTP triggered function executed successfully."
