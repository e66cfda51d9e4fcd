"""The files that ``func init``, ``func new`` and ``func extensions new`` write, and the table of function templates.

``project/`` has the files of a new app, ``extension/`` those of the package of a new extension. Each function template
is a folder of three files, or more:

- ``function.py.template``: imports, then the function; all of ``__init__.py`` in the v1 model, if there is no
- ``v1.py.template``: all of ``__init__.py`` in the v1 model;
- ``decorators.py.template``: its trigger and bindings in the v2 model;
- ``function.json.template``: the same in the v1 model;
- ``readme.md.template``: what to know of the function, beside it in the v1 model: where Core Tools write one.

Another template is such a folder and a line in :data:`TEMPLATES`. The files are filled in as
:class:`string.Template`, in which ``$$`` stands for a dollar sign.
"""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import NamedTuple

_DURABLE = ("azure-functions-durable>=1.2.10,<2",)


class FunctionTemplate(NamedTuple):
    """A kind of function that ``func new`` can make.

    :param name: its name, as in ``--template HttpTrigger``.
    :param title: its name in prose, accepted as well.
    :param folder: where its files are.
    :param other_titles: what Azure's own tool calls it, in one model or the other.
    :param is_http: whether it answers HTTP requests, and so has an authorization level.
    :param requirements: what the code needs, as lines of ``requirements.txt``.
    :param settings: app settings that its bindings refer to, for ``local.settings.json``: name and first value.
    """

    name: str
    title: str
    folder: str
    other_titles: tuple[str, ...] = ()
    is_http: bool = False
    requirements: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


def _empty(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "") for name in names)


TEMPLATES = (
    FunctionTemplate("HttpTrigger", "HTTP trigger", "http_trigger", is_http=True),
    FunctionTemplate("TimerTrigger", "Timer trigger", "timer_trigger"),
    FunctionTemplate("QueueTrigger", "Queue trigger", "queue_trigger", ("Azure Queue Storage trigger",)),
    FunctionTemplate("BlobTrigger", "Blob trigger", "blob_trigger", ("Azure Blob Storage trigger",)),
    FunctionTemplate(
        "EventGridBlobTrigger",
        "Blob trigger by Event Grid",
        "event_grid_blob_trigger",
        ("EventGrid Blob trigger", "Azure Blob Storage trigger (using Event Grid)"),
    ),
    FunctionTemplate(
        "ServiceBusQueueTrigger",
        "Service Bus queue trigger",
        "service_bus_queue_trigger",
        ("Azure Service Bus Queue trigger", "ServiceBus trigger"),
        settings=_empty("ServiceBusConnectionString"),
    ),
    FunctionTemplate(
        "ServiceBusTopicTrigger",
        "Service Bus topic trigger",
        "service_bus_topic_trigger",
        ("Azure Service Bus Topic trigger",),
        settings=_empty("ServiceBusConnectionString"),
    ),
    FunctionTemplate(
        "EventHubTrigger",
        "Event Hub trigger",
        "event_hub_trigger",
        ("Azure Event Hub trigger",),
        settings=_empty("EventHubConnectionString"),
    ),
    FunctionTemplate("EventGridTrigger", "Event Grid trigger", "event_grid_trigger", ("Azure Event Grid trigger",)),
    FunctionTemplate(
        "CosmosDBTrigger",
        "Cosmos DB trigger",
        "cosmos_db_trigger",
        ("Azure Cosmos DB trigger",),
        settings=_empty("CosmosDBConnectionString"),
    ),
    FunctionTemplate(
        "DurableFunctionsOrchestrator",
        "Durable Functions orchestrator",
        "durable_orchestrator",
        ("Durable Functions orchestration",),
        requirements=_DURABLE,
    ),
    FunctionTemplate(
        "DurableFunctionsActivity", "Durable Functions activity", "durable_activity", requirements=_DURABLE
    ),
    FunctionTemplate(
        "DurableFunctionsHttpStart",
        "Durable Functions HTTP starter",
        "durable_http_starter",
        is_http=True,
        requirements=_DURABLE,
    ),
    FunctionTemplate("DurableFunctionsEntity", "Durable Functions entity", "durable_entity", requirements=_DURABLE),
    FunctionTemplate("KafkaTrigger", "Kafka trigger", "kafka_trigger", settings=_empty("KafkaBrokers")),
    FunctionTemplate("KafkaOutput", "Kafka output", "kafka_output", is_http=True, settings=_empty("KafkaBrokers")),
    FunctionTemplate(
        "RabbitMQTrigger", "RabbitMQ trigger", "rabbitmq_trigger", settings=_empty("RabbitMQConnectionString")
    ),
    FunctionTemplate("SqlTrigger", "SQL trigger", "sql_trigger", settings=_empty("SqlConnectionString")),
    FunctionTemplate(
        "SqlInputBinding", "SQL input binding", "sql_input", is_http=True, settings=_empty("SqlConnectionString")
    ),
    FunctionTemplate(
        "SqlOutputBinding", "SQL output binding", "sql_output", is_http=True, settings=_empty("SqlConnectionString")
    ),
    FunctionTemplate("MySqlTrigger", "MySQL trigger", "mysql_trigger", settings=_empty("MySqlConnectionString")),
    FunctionTemplate(
        "MySqlInputBinding",
        "MySQL input binding",
        "mysql_input",
        is_http=True,
        settings=_empty("MySqlConnectionString"),
    ),
    FunctionTemplate(
        "MySqlOutputBinding",
        "MySQL output binding",
        "mysql_output",
        is_http=True,
        settings=_empty("MySqlConnectionString"),
    ),
    FunctionTemplate(
        "DaprServiceInvocationTrigger", "Dapr service invocation trigger", "dapr_service_invocation_trigger"
    ),
    FunctionTemplate("DaprTopicTrigger", "Dapr topic trigger", "dapr_topic_trigger"),
    FunctionTemplate("DaprPublishOutputBinding", "Dapr publish output binding", "dapr_publish_output"),
    FunctionTemplate("MCPToolTrigger", "MCP tool trigger", "mcp_tool_trigger"),
    FunctionTemplate(
        "HttpTriggerWithExtension",
        "HTTP trigger with a worker extension",
        "http_trigger_with_extension",
        is_http=True,
        requirements=("python-worker-extension-timer",),
        settings=(("PYTHON_ENABLE_WORKER_EXTENSIONS", "1"),),
    ),
)
"""In the order in which people are shown them."""


def find_template(name: str) -> FunctionTemplate | None:
    """The template of that name or title; case and spaces do not matter."""
    wanted = _normalized(name)
    for template in TEMPLATES:
        if wanted in map(_normalized, (template.name, template.title, *template.other_titles)):
            return template
    return None


def render(path: str, **values: str) -> str:
    """A template file with its placeholders filled in.

    :param path: the file below this package, with slashes and without ``.template``.
    :param values: what to fill in. Every placeholder needs a value.
    """
    text = (files(__name__) / f"{path}.template").read_text(encoding="utf-8")
    return Template(text).substitute(values)


def exists(path: str) -> bool:
    """Whether there is such a template file; ``path`` as for :func:`render`."""
    return (files(__name__) / f"{path}.template").is_file()


def _normalized(name: str) -> str:
    return "".join(name.split()).casefold()
