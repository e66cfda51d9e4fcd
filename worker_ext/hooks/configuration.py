"""Configuration of extensions from settings: ``WORKER_EXT_<NAME>__<OPTION>``, held to the signature of ``configure``.

The texts are converted to what the option is annotated with or, where it is not, to the type of its default.
"""

from __future__ import annotations

import collections.abc
import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..function import signature_of

_TRUE, _FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")
_LISTS = (list, tuple, set, frozenset)
_ABSTRACT_LISTS = (collections.abc.Iterable, collections.abc.Sequence, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping)


def prefix_of(name: str) -> str:
    """What the settings of an extension begin with.

    :param name: its name, as ``WORKER_EXT_EXTENSIONS`` lists it.
    """
    return f"WORKER_EXT_{re.sub('[^A-Z0-9]', '_', name.upper())}__"


def configure(name: str, extension: Any, environ: Mapping[str, str]) -> bool:
    """Call the ``configure`` of an extension with what the settings say; without any, it is not called.

    :param name: the extension's name, as ``WORKER_EXT_EXTENSIONS`` lists it.
    :param extension: the extension.
    :param environ: the settings; the case of their names does not matter.
    :returns: whether there were any.
    :raises ConfigurationError: if it has no such option, or does not take such a value.
    """
    prefix = prefix_of(name)
    given = {key.upper(): value for key, value in environ.items() if key.upper().startswith(prefix)}
    if not given:
        return False
    call = extension.configure
    parameters = _options(call)
    options = {}
    for setting, text in sorted(given.items()):
        parameter = _parameter(parameters, setting, setting.removeprefix(prefix).lower(), extension.__name__)
        options[parameter.name] = _convert(text, parameter, call, setting)
    try:
        call(**options)
    except Exception as error:
        raise ConfigurationError(
            f"{extension.__name__}.configure() does not take what {', '.join(sorted(given))} say: {error}",
            hint="Correct the setting, or remove it.",
        ) from error
    return True


def _options(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    signature = signature_of(call).parameters.values()
    return {each.name: each for each in signature if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}


def _parameter(
    parameters: Mapping[str, inspect.Parameter], setting: str, option: str, extension: str
) -> inspect.Parameter:
    lowered = {name.lower(): name for name in parameters}
    if option in lowered:
        return parameters[lowered[option]]
    from difflib import get_close_matches  # for people who have mistyped

    near = get_close_matches(option, lowered, n=1)
    prefix = setting[: -len(option)]
    raise ConfigurationError(
        f"the setting {setting} is no option of {extension}.configure();"
        f" its options are {', '.join(parameters) or 'none'}",
        hint=f"Did you mean {prefix}{near[0].upper()}?" if near else "Remove it.",
    )


def _convert(text: str, parameter: inspect.Parameter, call: Callable[..., Any], setting: str) -> Any:
    annotation = _annotation_of(parameter, call)
    if annotation in (Any, object) and parameter.default not in (None, parameter.empty):
        annotation = type(parameter.default)
    try:
        return convert(text, annotation)
    except (ValueError, TypeError) as error:
        shown = inspect.formatannotation(annotation)
        raise ConfigurationError(
            f"the setting {setting} cannot be a {shown}, as configure() wants it: {error}",
            hint=_example(annotation, setting),
        ) from None


def _annotation_of(parameter: inspect.Parameter, call: Callable[..., Any]) -> Any:
    """What a parameter is annotated with, by itself: what cannot be read of others makes no difference to it."""
    if parameter.annotation is parameter.empty:
        return Any

    def holder() -> None:
        """Has no annotation but this one."""

    holder.__annotations__ = {parameter.name: parameter.annotation}
    names = getattr(inspect.unwrap(getattr(call, "__func__", call)), "__globals__", {})
    try:
        return typing.get_type_hints(holder, names)[parameter.name]
    except Exception:  # a name that is imported for type checkers only
        return Any


def convert(text: str, annotation: Any) -> Any:
    """A text as a value of a type: ``bool``, numbers, paths, durations in seconds, choices, lists with commas, JSON.

    :param text: the text.
    :param annotation: the type; text stays text where it is ``Any``.
    :raises ValueError: if the text is no such value.
    :raises TypeError: if no text can be.
    """
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _one_of(text, arguments)
    if origin is typing.Literal:
        return _choice(text, {str(value): value for value in arguments})
    if origin is bool:
        return _choice(text.lower(), dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False))
    if origin in (int, float, str, Path):
        return origin(text)
    if origin in (Any, object):
        return text
    if origin is timedelta:
        return timedelta(seconds=float(text))
    if origin in _LISTS or origin in _ABSTRACT_LISTS:
        items = [convert(item.strip(), arguments[0] if arguments else str) for item in text.split(",") if item.strip()]
        return origin(items) if origin in _LISTS else items
    if origin in _MAPPINGS:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        return value
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return _choice(text.lower(), {member.name.lower(): member for member in origin})
    raise TypeError("a setting is text; call configure() in the app's code instead")


def _one_of(text: str, alternatives: tuple[Any, ...]) -> Any:
    """The text as the first of several types that it can be; as text only if nothing else will do."""
    if type(None) in alternatives and text.lower() in ("", "none", "null"):
        return None
    errors: list[Exception] = []
    for alternative in sorted(alternatives, key=lambda one: one is str):
        if alternative is not type(None):
            try:
                return convert(text, alternative)
            except (ValueError, TypeError) as error:
                errors.append(error)
    raise errors[0]


def _choice(text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise ValueError(f"it is none of {', '.join(choices)}")
    return choices[text]


def _example(annotation: Any, setting: str) -> str:
    examples = {bool: "true", int: "10", float: "0.5", timedelta: "30"}
    return f"For example  {setting}={examples[annotation]}" if annotation in examples else "Correct it, or remove it."
