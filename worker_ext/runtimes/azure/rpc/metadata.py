"""What the host is told of an app's functions, and a function loaded from what the host tells of it."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ....errors import IndexingError
from .. import v1, v2
from ..bindings import Binding, BoundFunction
from . import functions_rpc_pb2 as pb
from .status import failure, sendable

_INTERVAL = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9])")
_NO_LIMIT = 2**31 - 1  # seconds: the stock worker's for a retry policy that names no longest delay


def function_id(name: str) -> str:
    """The id of a function: the same in every process, as a host may ask one worker and load in another."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, sendable(name)))


def describe_app(
    functions: Iterable[BoundFunction], problems: Iterable[IndexingError], script_root: Path
) -> list[pb.RpcFunctionMetadata]:
    """What the host is told of a v2 app: its functions, and those that cannot be loaded, with the reason.

    :param functions: the functions that can.
    :param problems: why others cannot.
    :param script_root: the app's folder.
    """
    script = v2.script_file(script_root).name
    told, problems = [], list(problems)
    for bound in functions:
        try:
            told.append(_describe(bound, script_root, script))
        except ValueError as error:
            name, file = bound.function.name, bound.function.file
            message = f"the function {name} cannot be loaded: {error}"
            problems.append(IndexingError(message, function=name, file=file))
    for problem in problems:
        name = sendable(problem.function or "")
        metadata = pb.RpcFunctionMetadata(name=name, function_id=function_id(name), language="python")
        metadata.status.CopyFrom(failure(problem))
        told.append(metadata)
    return told


def _describe(bound: BoundFunction, script_root: Path, script: str) -> pb.RpcFunctionMetadata:
    name = bound.function.name
    metadata = pb.RpcFunctionMetadata(
        name=name,
        function_id=function_id(name),
        directory=str(script_root),
        script_file=script,
        entry_point=name,
        language="python",
        properties={"worker_indexed": "True"},
    )
    for binding in bound.bindings:
        info = metadata.bindings[binding.name]
        info.type = binding.type
        info.direction = pb.BindingInfo.Direction.Value(binding.direction)
        info.data_type = _data_type(binding.raw.get("dataType"))
    metadata.raw_bindings.extend(map(json.dumps, bound.raw_bindings()))
    if bound.retry:
        _describe_retry(bound.retry, metadata.retry_options)
    return metadata


def _data_type(declared: Any) -> int:
    name = str(declared or "undefined").lower()
    number: int = dict(pb.BindingInfo.DataType.items()).get(name, 0)
    return number


def _describe_retry(retry: Mapping[str, Any], options: pb.RpcRetryOptions) -> None:
    count, strategy = str(retry.get("max_retry_count") or 0), retry.get("strategy") or "exponential_backoff"
    try:
        options.max_retry_count = int(count)
    except ValueError:
        raise ValueError(f"its retry policy has the max_retry_count {count!r}, which is no whole number") from None
    if strategy not in ("fixed_delay", "exponential_backoff"):
        choice = "fixed_delay or exponential_backoff"
        raise ValueError(f"its retry policy has the strategy {strategy!r}; it can be {choice}")
    options.retry_strategy = pb.RpcRetryOptions.RetryStrategy.Value(strategy)
    if strategy == "fixed_delay":
        options.delay_interval.seconds = _seconds(retry, "delay_interval", 0)
    else:
        options.minimum_interval.seconds = _seconds(retry, "minimum_interval", 0)
        options.maximum_interval.seconds = _seconds(retry, "maximum_interval", _NO_LIMIT)


def _seconds(retry: Mapping[str, Any], name: str, default: int) -> int:
    """The seconds of ``hh:mm:ss``."""
    text = retry.get(name)
    if not text:
        return default
    parts = _INTERVAL.fullmatch(str(text))
    if parts is None:
        raise ValueError(f"its retry policy has the {name} {text!r}; it must be such as 00:00:05")
    hours, minutes, seconds = map(int, parts.groups())
    return (hours * 60 + minutes) * 60 + seconds


def load_told(metadata: pb.RpcFunctionMetadata, script_root: Path) -> BoundFunction:
    """Load the function of a v1 app that the host tells of, having read its ``function.json``.

    :param metadata: what the host tells.
    :param script_root: the app's folder.
    :raises IndexingError: if it cannot be loaded.
    """
    name, folder = metadata.name, Path(metadata.directory)
    script = Path(metadata.script_file or "__init__.py")
    script = Path(os.path.normpath(folder / script))  # whose folder may be a link: it is not resolved
    if script.suffix != ".py" or not script.is_relative_to(script_root) or not script.is_file():
        message = f"the function {name} cannot be loaded: {script} is no Python file in the app's folder, {script_root}"
        raise IndexingError(message, function=name, file=folder / "function.json")
    try:
        bindings = [_told_binding(name, info) for name, info in sorted(metadata.bindings.items())]
    except ValueError as error:
        message = f"the function {name} cannot be loaded: {error}"
        raise IndexingError(message, function=name, file=folder / "function.json") from None
    return v1.load_one(name, folder, script, metadata.entry_point, bindings, script_root)


def _told_binding(name: str, info: pb.BindingInfo) -> Binding:
    direction = pb.BindingInfo.Direction.Name(info.direction)
    return Binding({"name": name, "type": info.type, "direction": direction})
