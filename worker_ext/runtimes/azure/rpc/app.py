"""The app of a worker behind a Functions host: which functions it has, and which the host has had loaded."""

from __future__ import annotations

from pathlib import Path

from ....errors import IndexingError, WorkerExtError
from ....worker.logs import LogCollector
from ....worker.worker import Worker
from ...user_code import located
from .. import loader, v2
from ..bindings import BoundFunction
from . import functions_rpc_pb2 as pb
from . import metadata
from .status import failure, success


class FunctionsApp:
    """An app.

    The host reads the ``function.json`` files of a v1 app by itself and tells of each function as it has it loaded. The
    functions of a v2 app are found here.

    :param script_root: its folder, whose modules can be imported already.
    :param worker: runs its functions.
    :param logs: collects what it writes.
    :ivar loaded: the functions that can be invoked, by the id that the host has for them.
    """

    def __init__(self, script_root: Path, worker: Worker, logs: LogCollector) -> None:
        self._script_root = script_root
        self._worker = worker
        self._logs = logs
        self._found: dict[str, BoundFunction] = {}  # the v2 app's functions, by name
        self._problems: list[IndexingError] = []
        self._error: WorkerExtError | None = None
        self._indexed = False
        self.loaded: dict[str, BoundFunction] = {}

    def index(self) -> None:
        """Import the app if it is a v2 app, once. What went wrong is told when the host asks."""
        if self._indexed:
            return
        self._indexed = True
        try:
            if v2.script_file(self._script_root).is_file():
                with self._logs.without_delay():
                    functions, self._problems = loader.load(self._script_root)
                self._found = {bound.function.name: bound for bound in functions}
        except WorkerExtError as error:
            self._error = error
        except BaseException as error:  # of what the app has put in the place of functions
            self._error = located(error, self._script_root, v2.script_file(self._script_root))

    def describe(self) -> pb.FunctionMetadataResponse:
        """What the host is told of the app's functions; it finds those of a v1 app by itself."""
        self.index()
        if self._error is not None:
            return pb.FunctionMetadataResponse(result=failure(self._error))
        if not self._found and not self._problems:
            return pb.FunctionMetadataResponse(result=success(), use_default_metadata_indexing=True)
        told = metadata.describe_app(self._found.values(), self._problems, self._script_root)
        return pb.FunctionMetadataResponse(result=success(), function_metadata_results=told)

    def load(self, request: pb.FunctionLoadRequest) -> pb.FunctionLoadResponse:
        """Load the function that the host names, so that it can be invoked."""
        response = pb.FunctionLoadResponse(function_id=request.function_id)
        try:
            if not self._is_loaded(request):
                bound = self._find(request)
                self._worker.load(bound.function)
                self.loaded[request.function_id] = bound
            response.result.CopyFrom(success())
        except BaseException as error:  # each is answered by its id, or the host waits for it
            response.result.CopyFrom(failure(error))
        return response

    def _is_loaded(self, request: pb.FunctionLoadRequest) -> bool:
        """Whether the host has had this function loaded, and not another under its id."""
        loaded = self.loaded.get(request.function_id)
        return loaded is not None and request.metadata.name in ("", loaded.function.name)

    def _find(self, request: pb.FunctionLoadRequest) -> BoundFunction:
        self.index()  # it may have been another worker that told the host of the functions
        if self._error is not None:
            raise self._error
        name = request.metadata.name
        bound = self._found.get(name) or self._by_id(request.function_id)
        if bound is not None:
            return bound
        problem = next((problem for problem in self._problems if name and problem.function == name), None)
        if problem is not None:
            raise problem
        if self._found or not request.metadata.bindings:
            raise IndexingError(f"this app has no function {name or request.function_id}", function=name)
        with self._logs.without_delay():
            return metadata.load_told(request.metadata, self._script_root)

    def _by_id(self, function_id: str) -> BoundFunction | None:
        return next((bound for name, bound in self._found.items() if metadata.function_id(name) == function_id), None)
