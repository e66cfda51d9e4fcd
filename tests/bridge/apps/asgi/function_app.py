import azure.functions as func
import witness  # noqa: F401
from python_worker_extension_timer import TimerExtension

import worker_ext  # noqa: F401

TimerExtension.configure(append_to_http_response=True)


async def page(scope, receive, send):
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"asgi " + scope["path"].encode()})


app = func.AsgiFunctionApp(app=page, http_auth_level=func.AuthLevel.ANONYMOUS)
