"""Bindings: what a function declares as its inputs and outputs, and how its Python signature must match them.

The rules are those of the stock worker's function registry.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from types import GenericAlias
from typing import Any

import azure.functions as sdk
from azure.functions import meta

from ...context import Context
from ...errors import IndexingError
from ...function import Function, signature_of
from ...invocation import Invocation
from . import deferred, http_streaming
from .converters import GenericConverter, Out, accepts, converter_of, has_implicit_return, refuse
from .deferred import DeferredConverter

sdk.Context.register(Context)  # so that isinstance(context, azure.functions.Context) holds, as type checkers believe

RETURN = "$return"

HTTP_TRIGGER, HTTP = "httpTrigger", "http"

_HTTP_TYPES = {name.lower(): name for name in (HTTP_TRIGGER, HTTP)}


class Binding:
    """One binding of a function, as ``function.json`` or the decorators give it.

    :param raw: the binding's JSON object.
    :ivar direction: ``in`` or ``out``.
    :raises ValueError: if it has no name, no type, or an unknown direction.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = dict(raw)
        name, kind, direction = raw.get("name"), raw.get("type"), raw.get("direction", "in")
        if not isinstance(kind, str) or not kind:
            raise ValueError(f"a binding{f' called {name!r}' if name else ''} has no type")
        if not isinstance(name, str) or not name:
            raise ValueError(f"its {kind} binding has no name")
        # The SDK tells types apart by case, the Functions host does not.
        if _HTTP_TYPES.get(kind.lower(), kind) != kind:
            raise ValueError(f"its binding {name} has the type {kind!r}; it is written {_HTTP_TYPES[kind.lower()]!r}")
        self.name, self.type, self.direction = name, kind, str(direction).lower()
        if self.direction not in ("in", "out"):
            raise ValueError(f'its binding {name} has the direction {direction!r}; it can be "in" or "out"')
        if name == RETURN and not self.is_output:
            raise ValueError('its $return binding must have the direction "out"')

    @property
    def is_trigger(self) -> bool:
        """Whether this binding starts the function."""
        return self.type.lower().endswith("trigger")

    @property
    def is_output(self) -> bool:
        """Whether the function writes it."""
        return self.direction == "out"


class Parameter(typing.NamedTuple):
    """A parameter, or the return value, with its binding.

    :ivar binding: where its value comes from or goes to.
    :ivar converter: converts the value.
    :ivar annotation: the type that the function annotates, ``None`` if it does not.
    """

    binding: Binding
    converter: Any
    annotation: Any

    def decode(self, datum: meta.Datum | None, trigger_metadata: Mapping[str, meta.Datum | None]) -> Any:
        """What the function gets for ``datum``.

        :param datum: what the binding carries, ``None`` if nothing.
        :param trigger_metadata: what the trigger knows besides its data; other inputs do not see it.
        :raises TypeError: if the binding cannot give data of that kind.
        """
        metadata = trigger_metadata if self.binding.is_trigger else {}
        if datum is not None:
            datum = self._plain(datum)
        try:
            return self.converter.decode(datum, trigger_metadata=metadata)
        except NotImplementedError:
            kind = "none" if datum is None else datum.type
            raise TypeError(
                f"the binding {self.binding.name} ({self.binding.type}) cannot give data of kind {kind}"
            ) from None
        except AttributeError:
            if datum is not None:
                raise
            raise TypeError(f"the binding {self.binding.name} ({self.binding.type}) came without data") from None

    def _plain(self, datum: meta.Datum) -> meta.Datum:
        """Text for whoever annotates text, bytes for bytes: a blob is given as bytes, whatever it holds."""
        if self.annotation is str and isinstance(datum.value, bytes):
            return meta.Datum(datum.value.decode(), "string")
        if self.annotation is bytes and isinstance(datum.value, str):
            return meta.Datum(datum.value.encode(), "bytes")
        return datum

    def encode(self, value: Any) -> meta.Datum:
        """What the binding gets for ``value``.

        :raises TypeError: if it cannot take such a value.
        """
        try:
            datum: meta.Datum = self.converter.encode(value, expected_type=self.annotation)
        except NotImplementedError:
            expected = f"its binding {self.binding.name} ({self.binding.type}) cannot take one"
            raise refuse(value, expected) from None
        return datum


class BoundFunction:
    """A function with its bindings.

    :param name: its name.
    :param call: what the user wrote.
    :param bindings: its bindings.
    :param directory: its folder.
    :param file: the file that defines it.
    :ivar function: the function as the worker runs it.
    :ivar trigger: the parameter that starts it.
    :ivar inputs: its input parameters by name, the trigger among them.
    :ivar outputs: its ``Out`` parameters by name.
    :ivar returns: where its return value goes, ``None`` if it may have none.
    :ivar is_http: whether an HTTP request starts it.
    :ivar returns_http: whether what it returns is the HTTP response.
    :ivar http_output: the name of its ``Out`` parameter for the HTTP response, if it has one.
    :ivar streams: whether its requests and responses go by HTTP, not inside the host's messages (``http_streaming``).
    :ivar clients: the parameters without a binding that take a client of the host's own services.
    :ivar wants_context: whether it declares a ``context`` parameter that is not a binding.
    :ivar retry: its retry policy as declared, if it has one.
    :ivar disabled: whether its declaration turns it off.
    :raises ValueError: if bindings and signature do not fit together.
    """

    def __init__(
        self, name: str, call: Callable[..., Any], bindings: Sequence[Binding], *, directory: str, file: str
    ) -> None:
        declared = dict(_signature(call).parameters)
        annotations = _annotations(call)
        bound = {binding.name: binding for binding in bindings if binding.name != RETURN}
        trigger = _the_trigger(bindings)
        self.wants_context = "context" in declared and "context" not in bound
        if self.wants_context:
            del declared["context"]
            _check_context(annotations)
        self.clients = [name for name in declared if name not in bound and deferred.is_client(annotations.get(name))]
        for name in self.clients:
            del declared[name]
        _match(declared, bound)

        parameters = {name: _parameter(bound[name], annotations.get(name)) for name in declared}
        self.bindings = bindings
        self.trigger = parameters[trigger.name]
        self.inputs = {name: parameter for name, parameter in parameters.items() if not parameter.binding.is_output}
        self.outputs = {name: parameter for name, parameter in parameters.items() if parameter.binding.is_output}
        self.returns = _return_parameter(bindings, annotations.get("return"))
        self.is_http = trigger.type == HTTP_TRIGGER
        self.streams = self.is_http and http_streaming.is_used()
        self.returns_http = self.returns is not None and self.returns.binding.type == HTTP
        self.http_output = next((name for name, output in self.outputs.items() if output.binding.type == HTTP), None)
        self.retry: Mapping[str, Any] | None = None
        self.disabled = False
        accepted = frozenset((*parameters, *self.clients, *(("context",) if self.wants_context else ())))
        self.function = Function(name, call, directory=directory, file=file, parameters=accepted, trigger=trigger.type)

    def raw_bindings(self) -> list[dict[str, Any]]:
        """Its bindings as the host is told of them: of deferred ones it must send where they are, not their content."""
        deferring = {name for name, each in self.inputs.items() if isinstance(each.converter, DeferredConverter)}
        if not deferring:
            return [binding.raw for binding in self.bindings]
        return [
            {**binding.raw, "properties": {"SupportsDeferredBinding": binding.name in deferring}}
            for binding in self.bindings
        ]

    def invocation(self, arguments: dict[str, Any], context: Context) -> Invocation:
        """One invocation of it.

        :param arguments: its inputs by name; what else it takes is added.
        :param context: what it is told about the invocation.
        """
        if self.wants_context:
            arguments["context"] = context
        for name in self.clients:
            arguments[name] = deferred.make_client()
        for name in self.outputs:
            arguments[name] = Out()
        return Invocation(self.function, arguments, context)

    def encode_outputs(self, arguments: Mapping[str, Any], returned: Any) -> dict[str, meta.Datum]:
        """The outputs that the function has set, and what it returned, converted; without an HTTP response.

        :param arguments: the arguments of the invocation, ``Out`` parameters among them.
        :param returned: what the function returned.
        :raises RuntimeError: if it returned something and has no binding for that.
        :raises TypeError: if a value is of a kind that its binding cannot take.
        """
        found = {}
        for name, parameter in self.outputs.items():
            value = arguments[name].get()
            if value is not None and name != self.http_output:
                found[name] = parameter.encode(value)
        if self.returns is not None and not self.returns_http:
            datum = self.returns.encode(returned)
            if datum.type is not None:
                found[RETURN] = datum
        elif self.returns is None and returned is not None:
            raise refuse(returned, f"{self.function.name} has no $return binding that could take it")
        return found


def bind(
    name: str, call: Callable[..., Any], bindings: Sequence[Binding], *, directory: str, file: str, line: int | None
) -> BoundFunction:
    """Bind a function to its bindings.

    :param name: its name.
    :param call: what the user wrote.
    :param bindings: its bindings.
    :param directory: its folder.
    :param file: the file that defines it.
    :param line: where in that file, for the error.
    :raises IndexingError: if the bindings and the function's signature do not fit together.
    """
    try:
        return BoundFunction(name, call, bindings, directory=directory, file=file)
    except ValueError as error:
        message = f"the function {name} cannot be loaded: {error}"
        raise IndexingError(message, function=name, file=file, line=line) from None


def _the_trigger(bindings: Sequence[Binding]) -> Binding:
    seen: set[str] = set()
    for binding in bindings:
        if binding.name in seen:
            raise ValueError(f"it has two bindings called {binding.name!r}")
        seen.add(binding.name)
    triggers = [binding for binding in bindings if binding.is_trigger]
    if len(triggers) != 1:
        found = ", ".join(binding.type for binding in triggers) or "none"
        raise ValueError(f"a function has exactly one trigger; this one has {found}")
    return triggers[0]


def _check_context(annotations: Mapping[str, Any]) -> None:
    annotation = annotations.get("context")
    if annotation is not None and getattr(annotation, "__name__", "") != "Context":
        shown = inspect.formatannotation(annotation)
        raise ValueError(f"its parameter context is annotated {shown}; it can be azure.functions.Context")


def _match(declared: Mapping[str, inspect.Parameter], bound: Mapping[str, Binding]) -> None:
    """Check that there is a binding for each parameter, and a parameter for each binding."""
    if catching := [str(each) for each in declared.values() if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]:
        raise ValueError(
            f"it takes {', '.join(catching)}, which no binding can fill;"
            " if a decorator does that, it must use functools.wraps"
        )
    if nameless := [name for name, each in declared.items() if each.kind is each.POSITIONAL_ONLY]:
        raise ValueError(f"its parameter {nameless[0]} cannot be given by name, as it stands before a /")
    if unbound := declared.keys() - bound.keys():
        raise ValueError(f"its parameters {_listed(unbound)} are declared in Python but have no binding")
    if missing := bound.keys() - declared.keys():
        raise ValueError(f"its bindings {_listed(missing)} have no parameter of that name in Python")


def _parameter(binding: Binding, annotation: Any) -> Parameter:
    if annotation is None:
        return Parameter(binding, converter_of(binding.type), None)
    is_out = typing.get_origin(annotation) is sdk.Out or annotation is sdk.Out
    if binding.is_output and not is_out:
        raise ValueError(f"its parameter {binding.name} is an output, but is not annotated azure.functions.Out[...]")
    if is_out and not binding.is_output:
        raise ValueError(f"its parameter {binding.name} is annotated azure.functions.Out, but its binding is an input")
    if not binding.is_output and (special := deferred.converter_for(binding.type, annotation)) is not None:
        return Parameter(binding, special, annotation)
    if is_out:
        arguments = typing.get_args(annotation)
        if len(arguments) != 1:
            raise ValueError(f"its parameter {binding.name} must say what it is an Out of, as in Out[str]")
        annotation = arguments[0]
    if binding.type == HTTP_TRIGGER and http_streaming.is_used():
        if not http_streaming.takes_request(annotation):
            shown = inspect.formatannotation(annotation)
            raise ValueError(f"its parameter {binding.name} is annotated {shown}; {http_streaming.EXPECTED_REQUEST}")
        return Parameter(binding, converter_of(binding.type), annotation)
    # As the stock worker has it: whoever annotates plain text or bytes gets the data as it is.
    plain = annotation in (str, bytes) and not has_implicit_return(binding.type)
    converter = GenericConverter if plain else converter_of(binding.type)
    check, verb = (
        (converter.check_output_type_annotation, "take")
        if binding.is_output
        else (converter.check_input_type_annotation, "give")
    )
    if not accepts(check, annotation):
        shown = inspect.formatannotation(annotation)
        builtin = "; the SDK knows typing.List[...], not list[...]" if isinstance(annotation, GenericAlias) else ""
        raise ValueError(
            f"its parameter {binding.name} is annotated {shown}, which a {binding.type} binding cannot {verb}{builtin}"
        )
    return Parameter(binding, converter, annotation)


def _return_parameter(bindings: Sequence[Binding], annotation: Any) -> Parameter | None:
    explicit = next((binding for binding in bindings if binding.name == RETURN), None)
    implicit = [binding for binding in bindings if has_implicit_return(binding.type)]
    if explicit is None:
        # Of several, the stock worker takes the last.
        return Parameter(implicit[-1], converter_of(implicit[-1].type), annotation) if implicit else None
    converter = converter_of(explicit.type)
    streamed = explicit.type == HTTP and http_streaming.is_used()
    check = http_streaming.gives_response if streamed else converter.check_output_type_annotation
    if annotation not in (None, type(None)) and not accepts(check, annotation):
        raise ValueError(
            f"it is declared to return {inspect.formatannotation(annotation)},"
            f" which its $return binding ({explicit.type}) cannot take"
        )
    return Parameter(explicit, converter, annotation)


def _signature(call: Callable[..., Any]) -> inspect.Signature:
    try:
        return signature_of(call)
    except (TypeError, ValueError) as error:
        raise ValueError(f"its signature cannot be read: {error}") from None


def _annotations(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(call)
    except Exception as error:
        raise ValueError(f"its annotations cannot be read: {error}") from None


def _listed(names: typing.AbstractSet[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
