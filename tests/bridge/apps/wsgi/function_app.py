import azure.functions as func
import witness  # noqa: F401
from python_worker_extension_timer import TimerExtension

import worker_ext  # noqa: F401

TimerExtension.configure(append_to_http_response=True)


def page(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"wsgi " + environ["PATH_INFO"].encode()]


app = func.WsgiFunctionApp(app=page, http_auth_level=func.AuthLevel.ANONYMOUS)
