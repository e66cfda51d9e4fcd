"""Runs an app in Microsoft's own runtime: a script for the Python of ``stock_runtime.py``, told what to do as JSON.

It sends the runtime the messages that its worker would pass on from the host, each the real thing: initialisation,
the functions' metadata, loading, then invocations. What comes of them is printed as JSON, on one line.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import sys
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Job = dict[str, Any]

REPORT = "what came of it: "
"""What the line begins with that holds the report, as JSON."""

DIRECTIONS = {"in": 0, "out": 1, "inout": 2}


serving: ContextVar[str | None] = ContextVar("serving", default=None)
"""The id of the invocation that a task is for; the worker notes it on the task."""


class Lines(logging.Handler):
    """Keeps what is logged, with the id of the invocation that the worker would count it to."""

    def __init__(self, runtime: ModuleType) -> None:
        super().__init__()
        self._on_thread = runtime.invocation_id_cv
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        line = {
            "logger": record.name,
            "level": record.levelname,
            "text": text,
            "invocation": serving.get() or self._on_thread.get(),
        }
        self.lines.append(line)


class Driver:
    """What a Functions host does to the runtime.

    :param runtime: the package that runs v2 or v1 apps.
    :param folder: the app's folder.
    """

    def __init__(self, runtime: ModuleType, protos: ModuleType, folder: Path) -> None:
        self._runtime = runtime
        self._protos = protos
        self._folder = folder
        self._ids: dict[str, str] = {}
        self._properties = {"protos": protos, "host": "127.0.0.1"}

    async def run(self, job: Job) -> dict[str, Any]:
        init = self._protos.WorkerInitRequest(host_version="4.0.0", function_app_directory=str(self._folder))
        failure = _failure(await self._ask("worker_init_request", worker_init_request=init))
        if failure is not None:
            return {"failure": failure}
        self._runtime.start_threadpool_executor()
        functions, failures = await self._load(job.get("load"))
        answers = await self._invoke_all(job.get("calls", []), job.get("at_once", False))
        self._runtime.stop_threadpool_executor()
        return {"failure": None, "functions": functions, "load_failures": failures, "answers": answers}

    async def _load(self, names: list[str] | None) -> tuple[list[str], dict[str, Any]]:
        request = self._protos.FunctionsMetadataRequest(function_app_directory=str(self._folder))
        known = await self._ask("functions_metadata_request", functions_metadata_request=request)
        found = list(known.function_metadata_results)
        if known.use_default_metadata_indexing:
            found = [self._from_file(file) for file in sorted(self._folder.glob("*/function.json"))]
        if names is not None:
            found = sorted((one for one in found if one.name in names), key=lambda one: names.index(one.name))
        failures = {}
        for metadata in found:
            self._ids[metadata.name] = metadata.function_id
            load = self._protos.FunctionLoadRequest(function_id=metadata.function_id, metadata=metadata)
            failure = _failure(await self._ask("function_load_request", function_load_request=load))
            if failure is not None:
                failures[metadata.name] = failure
        return [metadata.name for metadata in found], failures

    def _from_file(self, file: Path) -> Any:
        """What the host reads from a ``function.json``."""
        declared = json.loads(file.read_text(encoding="utf-8"))
        bindings = {
            one["name"]: self._protos.BindingInfo(type=one["type"], direction=DIRECTIONS[one.get("direction", "in")])
            for one in declared["bindings"]
        }
        return self._protos.RpcFunctionMetadata(
            name=file.parent.name,
            function_id=f"id of {file.parent.name}",
            directory=str(file.parent),
            script_file=str(file.parent / declared.get("scriptFile", "__init__.py")),
            entry_point=declared.get("entryPoint", ""),
            bindings=bindings,
        )

    async def _invoke_all(self, calls: list[Job], at_once: bool) -> list[Any]:
        tasks = []
        for number, call in enumerate(calls):
            # As in the worker, each invocation is a task of its own.
            tasks.append(asyncio.ensure_future(self._invoke(f"invocation-{number}", call)))
            if not at_once:
                await tasks[-1]
        return [await task for task in tasks]

    async def _invoke(self, invocation_id: str, call: Job) -> dict[str, Any]:
        inputs = [
            self._protos.ParameterBinding(name=name, data=self._typed(data))
            for name, data in call.get("inputs", {}).items()
        ]
        trace = self._protos.RpcTraceContext(trace_parent=call.get("trace_parent", ""))
        serving.set(invocation_id)
        request = self._protos.InvocationRequest(
            invocation_id=invocation_id,
            function_id=self._ids[call["function"]],
            input_data=inputs,
            trace_context=trace,
        )
        answer = await self._ask("invocation_request", invocation_request=request)
        outputs = {one.name: self._untyped(one.data) for one in answer.output_data}
        returned = self._untyped(answer.return_value) if answer.HasField("return_value") else None
        return {"failure": _failure(answer), "returned": returned, "outputs": outputs}

    def _typed(self, data: Job) -> Any:
        """``{"string": "text"}``, ``{"json": "text"}``, or ``{"http": {"url": ..., "body": ...}}``."""
        ((kind, value),) = data.items()
        if kind == "http":
            body = self._protos.TypedData(bytes=value.pop("body", "").encode())
            return self._protos.TypedData(http=self._protos.RpcHttp(**{"method": "GET", **value}, body=body))
        return self._protos.TypedData(**{kind: value})

    def _untyped(self, data: Any) -> Any:
        kind = data.WhichOneof("data")
        if kind is None:
            return None
        value = getattr(data, kind)
        if kind != "http":
            return value.decode() if isinstance(value, bytes) else value
        headers = {**value.headers, **{name: each.value for name, each in value.nullable_headers.items()}}
        return {"status": value.status_code, "headers": headers, "body": self._untyped(value.body)}

    async def _ask(self, handler: str, **content: Any) -> Any:
        message = self._protos.StreamingMessage(**content)
        return await getattr(self._runtime, handler)(SimpleNamespace(request=message, properties=self._properties))


def _failure(answer: Any) -> dict[str, str] | None:
    if answer.result.status == 1:
        return None
    return {"message": answer.result.exception.message, "traceback": answer.result.exception.stack_trace}


def _load_protos(file: str) -> ModuleType:
    """The message types. Their module lies in ``worker_ext``, which the app is to be the first to import."""
    spec = importlib.util.spec_from_file_location("protos", file)
    assert spec is not None
    assert spec.loader is not None
    protos = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(protos)
    return protos


def main(folder: Path) -> None:
    """Run the app in ``folder`` as the job on standard input says."""
    job: Job = json.load(sys.stdin)
    sys.argv += job.get("options", [])
    os.environ["AzureWebJobsScriptRoot"] = str(folder)  # noqa: SIM112
    sys.path.insert(0, str(folder))
    is_v2 = (folder / "function_app.py").exists()
    runtime = importlib.import_module("azure_functions_runtime" if is_v2 else "azure_functions_runtime_v1")
    if job.get("as_classic"):
        importlib.import_module("classic_worker").disguise(runtime)
    handler = Lines(runtime)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    outcome = asyncio.run(Driver(runtime, _load_protos(job["protos"]), folder).run(job))
    print(REPORT + json.dumps({**outcome, "lines": handler.lines}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
