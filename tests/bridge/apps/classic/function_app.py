import worker_ext  # noqa: F401, I001
import azure.durable_functions as df
import azure.functions as func
import witness  # noqa: F401
import both  # noqa: F401

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("plain")


@app.route("asynchronous")
async def asynchronous(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(f"async {context.greeting}")


@app.route("failing")
def failing(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("no such order")


@app.entity_trigger(context_name="context")
def counting(context: df.DurableEntityContext):
    context.set_state(1)
