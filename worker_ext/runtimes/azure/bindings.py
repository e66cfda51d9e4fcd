"""Bindings: what a function declares as its inputs and outputs, and how its Python signature must match them.

The rules are those of the stock worker's function registry; the conversions are the SDK's own converters.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import azure.functions as sdk
from azure.functions import meta

from ...errors import IndexingError
from ...function import Function

T = TypeVar("T")

RETURN = "$return"


class Out(sdk.Out, Generic[T]):  # type: ignore[misc]
    """An output parameter: the function sets it, the worker reads it afterwards."""

    def __init__(self) -> None:
        self._value: T | None = None

    def set(self, val: T) -> None:
        """Set the value that is sent to the binding."""
        self._value = val

    def get(self) -> T | None:
        """The value that was set last, ``None`` if there is none: then nothing is sent."""
        return self._value


class Binding:
    """One binding of a function, as ``function.json`` or the decorators give it.

    :param raw: the binding's JSON object.
    :raises ValueError: if it has no name, no type, or an unknown direction.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = dict(raw)
        self.name, self.type = raw.get("name"), raw.get("type")
        if not isinstance(self.type, str) or not self.type:
            raise ValueError(f"the binding {dict(raw)!r} has no type")
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"the {self.type} binding has no name")
        self.direction = str(raw.get("direction", "in")).lower()
        if self.direction not in ("in", "out"):
            raise ValueError(
                f"the binding {self.name} has the direction {raw['direction']!r}; it can be \"in\" or \"out\""
            )
        if self.name == RETURN and self.direction != "out":
            raise ValueError('the $return binding must have the direction "out"')

    @property
    def is_trigger(self) -> bool:
        """Whether this binding starts the function."""
        return str(self.type).lower().endswith("trigger")

    @property
    def is_output(self) -> bool:
        """Whether the function writes it."""
        return self.direction == "out"


class Parameter(typing.NamedTuple):
    """One bound parameter: the binding, its converter and the type that the function annotates."""

    binding: Binding
    converter: Any
    pytype: type | None


class BoundFunction:
    """A function with its bindings.

    :ivar function: the function as the worker runs it.
    :ivar trigger: the parameter that starts it.
    :ivar inputs: its input parameters by name, the trigger among them.
    :ivar outputs: its ``Out`` parameters by name.
    :ivar returns: where its return value goes, ``None`` if it may have none.
    :ivar wants_context: whether it declares a ``context`` parameter that is not a binding.
    :ivar retry: its retry policy as declared, if it has one.
    :ivar disabled: whether its declaration turns it off.
    """

    retry: Mapping[str, Any] | None = None
    disabled = False

    def __init__(self, name: str, call: Callable[..., Any], bindings: list[Binding], *, directory: str, file: str):
        self.bindings = bindings
        triggers = [binding for binding in bindings if binding.is_trigger]
        if len(triggers) != 1:
            found = ", ".join(str(binding.type) for binding in triggers) or "none"
            raise ValueError(f"a function has exactly one trigger; this one has {found}")
        declared = dict(inspect.signature(call).parameters)
        annotations = _annotations(call)
        bound = {str(binding.name): binding for binding in bindings if binding.name != RETURN}

        self.wants_context = "context" in declared and "context" not in bound
        if self.wants_context:
            del declared["context"]
            annotated = annotations.get("context")
            if annotated is not None and getattr(annotated, "__name__", "") != "Context":
                raise ValueError(f"its context parameter is annotated {annotated!r}, not azure.functions.Context")
        if unbound := sorted(declared.keys() - bound.keys()):
            raise ValueError(f"its parameters {_listed(unbound)} are declared in Python but have no binding")
        if missing := sorted(bound.keys() - declared.keys()):
            raise ValueError(f"its bindings {_listed(missing)} have no parameter of that name in Python")

        parameters = {name: _parameter(bound[name], annotations) for name in declared}
        self.trigger = parameters[str(triggers[0].name)]
        self.inputs = {name: parameter for name, parameter in parameters.items() if not parameter.binding.is_output}
        self.outputs = {name: parameter for name, parameter in parameters.items() if parameter.binding.is_output}
        self.returns = _return_parameter(bindings, annotations)
        accepted = frozenset(parameters) | ({"context"} if self.wants_context else frozenset())
        self.function = Function(name, call, directory=directory, file=file, parameters=accepted)

    def encode_outputs(self, arguments: Mapping[str, Any], *, besides: str = "") -> dict[str, meta.Datum]:
        """The outputs that the function has set, converted. Unset ones are left out.

        :param besides: a binding type that is left out as well.
        :raises TypeError: if a value is of a kind that its binding cannot take.
        """
        found = {}
        for name, parameter in self.outputs.items():
            value = arguments[name].get()
            if value is not None and parameter.binding.type != besides:
                found[name] = _encode(parameter, value)
        return found

    def encode_return(self, value: Any) -> meta.Datum | None:
        """The return value, converted.

        :raises RuntimeError: if there is one and the function has no binding for it.
        :raises TypeError: if it is of a kind that its binding cannot take.
        """
        if self.returns is None:
            if value is not None:
                raise RuntimeError(
                    f"the function {self.function.name} has no $return binding but returned a value"
                    f" of type {type(value).__name__}"
                )
            return None
        return _encode(self.returns, value)


class GenericConverter:
    """Converts for binding types that the SDK has no converter for: text and bytes as they are, JSON as text."""

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Whether a parameter may be annotated so."""
        return issubclass(pytype, (str, bytes))

    @classmethod
    def check_output_type_annotation(cls, pytype: type) -> bool:
        """Whether an output may be annotated so."""
        return issubclass(pytype, (str, bytes, bytearray))

    @classmethod
    def decode(cls, data: meta.Datum, *, trigger_metadata: Any) -> Any:
        """What the function gets."""
        return data.value

    @classmethod
    def encode(cls, obj: Any, *, expected_type: type | None) -> meta.Datum:
        """What the binding gets.

        :raises NotImplementedError: if ``obj`` is neither text, bytes, nor JSON.
        """
        if obj is None:
            return meta.Datum(None, None)
        if isinstance(obj, str):
            return meta.Datum(obj, "string")
        if isinstance(obj, (bytes, bytearray)):
            return meta.Datum(bytes(obj), "bytes")
        if isinstance(obj, (dict, list, int, float)):
            return meta.Datum(sdk._jsonutils.json.dumps(obj), "json")
        raise NotImplementedError


def _converter(binding_type: str | None) -> Any:
    return sdk.meta.get_binding_registry().get(binding_type) or GenericConverter


def has_implicit_return(binding: Binding) -> bool:
    """Whether the function's return value goes to this binding although none is called ``$return``."""
    converter = _converter(binding.type)
    if converter is GenericConverter:
        return binding.type != "durableClient"
    return bool(getattr(converter, "has_implicit_output", bool)())


def _parameter(binding: Binding, annotations: Mapping[str, Any]) -> Parameter:
    name, annotation = str(binding.name), annotations.get(str(binding.name))
    pytype = annotation
    if annotation is not None:
        is_out = typing.get_origin(annotation) is sdk.Out or annotation is sdk.Out
        if binding.is_output and not is_out:
            raise ValueError(f"its parameter {name} is an output, but is not annotated azure.functions.Out[...]")
        if is_out and not binding.is_output:
            raise ValueError(f"its parameter {name} is annotated azure.functions.Out, but the binding is an input")
        if is_out:
            arguments = typing.get_args(annotation)
            if len(arguments) != 1:
                raise ValueError(f"its parameter {name} must say what it is an Out of, as in Out[str]")
            pytype = arguments[0]
    # As the stock worker has it: whoever annotates plain text or bytes gets the data as it is.
    plain = pytype in (str, bytes) and not has_implicit_return(binding)
    converter = GenericConverter if plain else _converter(binding.type)
    if isinstance(pytype, type) and typing.get_origin(pytype) is None:
        check = converter.check_output_type_annotation if binding.is_output else converter.check_input_type_annotation
        if not check(pytype):
            raise ValueError(
                f"its parameter {name} is annotated {pytype.__name__}, which a {binding.type} binding cannot give"
            )
    return Parameter(binding, converter, pytype if isinstance(pytype, type) else None)


def _return_parameter(bindings: list[Binding], annotations: Mapping[str, Any]) -> Parameter | None:
    explicit = next((binding for binding in bindings if binding.name == RETURN), None)
    binding = explicit or next((b for b in bindings if has_implicit_return(b)), None)
    if binding is None:
        return None
    pytype, converter = annotations.get("return"), _converter(binding.type)
    pytype = pytype if isinstance(pytype, type) and typing.get_origin(pytype) is None else None
    if explicit is not None and pytype not in (None, type(None)):
        if pytype is sdk.Out:
            raise ValueError("its return type cannot be azure.functions.Out")
        if not converter.check_output_type_annotation(pytype):
            raise ValueError(
                f"it is declared to return {pytype.__name__}, which its $return binding ({binding.type}) cannot take"
            )
    return Parameter(binding, converter, pytype)


def _encode(parameter: Parameter, value: Any) -> meta.Datum:
    try:
        return parameter.converter.encode(value, expected_type=parameter.pytype)
    except NotImplementedError:
        raise TypeError(
            f"the binding {parameter.binding.name} ({parameter.binding.type}) cannot take a value"
            f" of type {type(value).__name__}"
        ) from None


def _annotations(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(call)
    except Exception as error:
        raise ValueError(f"its annotations cannot be read: {error}") from None


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def bind(
    name: str, call: Callable[..., Any], raw: list[Mapping[str, Any]], *, directory: str, file: str, line: int | None
) -> BoundFunction:
    """Bind a function to its bindings.

    :param raw: the JSON objects of the bindings.
    :param line: where the function is defined, for the error.
    :raises IndexingError: if the bindings and the function's signature do not fit together.
    """
    try:
        return BoundFunction(name, call, [Binding(item) for item in raw], directory=directory, file=file)
    except ValueError as error:
        raise IndexingError(f"the function {name} cannot be loaded: {error}", function=name, file=file, line=line) \
            from None
