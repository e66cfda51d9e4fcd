# First, so that extensions for single functions are seen as they are made, which the modules imported below do.
import worker_ext  # noqa: F401, I001
import azure.durable_functions as df
import azure.functions as func
from shop.orders import orders
from tutorial_timer import TimerExtension
from witness import WitnessExtension

TimerExtension.configure(append_to_http_response=True)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(orders)

WitnessExtension.tell("defining functions")


@app.route("plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("plain")


@app.route("with-context")
def with_context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(f"{context.greeting} {context.trace_context.Traceparent}")


@app.route("async-plain")
async def async_plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("async")


@app.route("async-with-context")
async def async_with_context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(f"async {context.greeting}")


@app.route("failing")
def failing(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("no such order")


@app.route("async-failing")
async def async_failing(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("no such order")


@app.queue_trigger(arg_name="message", queue_name="in", connection="Storage")
@app.queue_output(arg_name="copy", queue_name="out", connection="Storage")
def copying(message: func.QueueMessage, copy: func.Out[str]) -> None:
    copy.set(message.get_body().decode().upper())


@app.orchestration_trigger(context_name="context")
def orchestrating(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("acting", "tea"))


@app.entity_trigger(context_name="context")
def counting(context: df.DurableEntityContext):
    context.set_state(context.get_state(lambda: 0) + 1)


@app.activity_trigger(input_name="thing")
def acting(thing: str) -> str:
    return f"bought {thing}"


@app.route("starting")
@app.durable_client_input(client_name="client")
async def starting(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    return func.HttpResponse(type(client).__name__)
