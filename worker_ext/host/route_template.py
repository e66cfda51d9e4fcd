r"""Route templates of ASP.NET Core, as the Azure Functions host reads them in HTTP triggers.

::

    products/{id}              a parameter                  /products/7
    products/{id?}             an optional one              /products  or  /products/7
    products/{id=1}            one with a default           /products  means  /products/1
    products/{id:int:min(1)}   with constraints             /products/7, but not /products/abc
    files/{*path}              the rest, slashes included   /files/a/b.txt  or  /files
    {name}.{extension?}        several parts in a segment   /readme.md  or  /readme
    {{braces}}                 a literal with braces        /{braces}

The rules are those of dotnet/aspnetcore, ``src/Http/Routing/src``: ``Patterns/RoutePatternParser.cs`` and
``RouteParameterParser.cs`` for the grammar, ``Patterns/RoutePatternMatcher.cs`` for segments of several parts,
``Template/RoutePrecedence.cs`` for the rank of a segment. For constraints see :mod:`worker_ext.host.route_constraints`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from worker_ext.errors import ConfigurationError
from worker_ext.host.route_constraints import Constraint, make_constraint


def fold(text: str) -> str:
    """Give ``text`` the form in which two texts are equal if .NET finds them equal in ``OrdinalIgnoreCase``.

    The length never changes, so that a position in the result is a position in ``text``: for that reason ``ß`` and
    the like, whose upper case is longer, stay as they are (as in .NET).
    """
    if text.isascii():
        return text.upper()
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in text)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a route template.

    :param name: its name, in the case in which it was written.
    :param default: its value when the path has none.
    :param optional: written with ``?``: when the path has no value, there is no value.
    :param catch_all: written with ``*`` or ``**``: its value is the rest of the path.
    :param constraints: what the value must satisfy, all of them.
    """

    name: str
    default: str | None = None
    optional: bool = False
    catch_all: bool = False
    constraints: tuple[Constraint, ...] = ()

    @property
    def omittable(self) -> bool:
        """Whether a path may end before this parameter."""
        return self.optional or self.catch_all or self.default is not None

    def accepts(self, value: str | None) -> bool:
        """Say whether the constraints allow ``value``, where ``None`` is the value that the path does not have."""
        if value is None:
            # Of all constraints only ``nonfile`` lets an empty catch-all pass (NonFileNameRouteConstraint.cs).
            return self.optional or all(constraint.name == "nonfile" for constraint in self.constraints)
        return all(constraint.accepts(value) for constraint in self.constraints)


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two slashes of a template.

    :param parts: literal texts, folded, and parameters in turn; never two of a kind side by side.
    """

    parts: tuple[str | Parameter, ...]

    @property
    def literal(self) -> str | None:
        """The folded text of a segment without parameters."""
        return part if len(self.parts) == 1 and isinstance(part := self.parts[0], str) else None

    @property
    def parameter(self) -> Parameter | None:
        """The parameter of a segment that is nothing else."""
        return part if len(self.parts) == 1 and isinstance(part := self.parts[0], Parameter) else None

    @property
    def omittable(self) -> bool:
        """Whether a path may end before this segment."""
        return self.parameter is not None and self.parameter.omittable

    @property
    def rank(self) -> int:
        """How specific it is: 1, a literal; 2, several parts, or a constrained parameter; 3, a parameter; 4, a
        constrained catch-all; 5, a catch-all.
        """
        if self.literal is not None:
            return 1
        if self.parameter is None:
            return 2
        return (5 if self.parameter.catch_all else 3) - bool(self.parameter.constraints)

    @property
    def shape(self) -> tuple[object, ...]:
        """Equal for two segments that accept the same texts, whatever their parameters are called."""
        return tuple(
            part if isinstance(part, str) else (frozenset(part.constraints), part.omittable, part.catch_all)
            for part in self.parts
        )

    def capture(self, text: str) -> dict[str, str] | None:
        """Match one segment of a path and return the values of the parameters in it, or ``None``.

        Constraints are not looked at. Parts are placed from right to left, each literal as far right as it can be,
        and nothing is tried twice: ``{a}-{b}`` makes ``x-y-z`` into ``a=x-y``, ``b=z``.
        """
        values = _capture(self.parts, text)
        last = self.parts[-1]
        if values is None and isinstance(last, Parameter) and last.optional and not text.endswith("."):
            values = _capture(self.parts[:-2], text)  # without the optional parameter and the period before it
        return values


def _capture(parts: tuple[str | Parameter, ...], text: str) -> dict[str, str] | None:
    folded = fold(text)
    values = {}
    end = len(text)  # everything right of it has been placed
    pending: Parameter | None = None  # waits for the literal on its left to know where it begins
    for part in reversed(parts):
        if isinstance(part, Parameter):
            pending = part
            continue
        # The parameter on the right keeps at least one character; a last literal must end the text.
        start = folded.rfind(part, 0, max(end - 1, 0)) if pending else end - len(part)
        if start < 0 or not folded.startswith(part, start):
            return None
        if pending:
            values[pending.name] = text[start + len(part) : end]
            pending = None
        end = start
    if pending and end > 0:
        values[pending.name] = text[:end]
    elif pending or end > 0:
        return None
    return values


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A template that has been read.

    :param template: its text.
    :param segments: what stands between its slashes.
    """

    template: str
    segments: tuple[Segment, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, from left to right."""
        return tuple(part for segment in self.segments for part in segment.parts if isinstance(part, Parameter))


def parse_template(text: str) -> RouteTemplate:
    """Read a route template.

    :param text: the template; a slash before or after it is tolerated.
    :raises ConfigurationError: it is malformed, or has an unknown constraint or two parameters of one name.
    """
    return _Parser(text).template()


_LITERAL = re.compile(r"(?:[^{}/]|\{\{|\}\})+")
_INSIDE = re.compile(r"(?:[^{}]|\{\{|\}\})*")  # two braces in a parameter are always an escaped one, never its end
_NAME = re.compile(r".[^:=]*", re.DOTALL)  # the first character belongs to the name, even if it is ``:`` or ``=``
_CONSTRAINT_NAME = re.compile(r"[^:=(]*")


def _unescape(text: str) -> str:
    return text.replace("}}", "}").replace("{{", "{")


class _Parser:
    """Reads one template; positions are indices into its text, which errors show counted from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._names: set[str] = set()

    def _error(self, position: int, problem: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"route {self._text!r}, position {position + 1}: {problem}", hint=hint)

    def template(self) -> RouteTemplate:
        position = 1 if self._text.startswith("/") else 0
        segments: list[Segment] = []
        while position < len(self._text):
            if segments and (last := segments[-1].parameter) and last.catch_all:
                raise self._error(position, f"nothing can follow the catch-all parameter {last.name!r}")
            segment, position = self._segment(position)
            segments.append(segment)
            position += 1  # the slash
        return RouteTemplate(self._text, tuple(segments))

    def _segment(self, start: int) -> tuple[Segment, int]:
        parts: list[str | Parameter] = []
        position = start
        while position < len(self._text) and self._text[position] != "/":
            if match := _LITERAL.match(self._text, position):
                if "?" in match.group():
                    raise self._error(self._text.index("?", position), "a literal cannot contain '?'")
                parts.append(fold(_unescape(match.group())))
                position = match.end()
            elif self._text[position] == "}":
                raise self._error(position, "this '}' closes nothing", "Write '}}' for a brace in the path.")
            else:
                parameter, end = self._parameter(position)
                self._check_place(parts, parameter, position, end)
                parts.append(parameter)
                position = end
        if not parts:
            raise self._error(start, "two slashes follow each other")
        return Segment(tuple(parts)), position

    def _check_place(self, before: list[str | Parameter], parameter: Parameter, start: int, end: int) -> None:
        last_in_segment = end == len(self._text) or self._text[end] == "/"
        if before and isinstance(before[-1], Parameter):
            raise self._error(start, "two parameters need some text between them")
        if parameter.catch_all and (before or not last_in_segment):
            raise self._error(start, "a catch-all parameter must be a whole segment")
        if parameter.optional and not last_in_segment:
            raise self._error(start, "an optional parameter must be the last of its segment")
        if parameter.optional and before and before[-1] != ".":
            raise self._error(start, "in a segment of several parts only '.' may stand before an optional parameter")

    def _parameter(self, start: int) -> tuple[Parameter, int]:
        inside = _INSIDE.match(self._text, start + 1)
        assert inside is not None  # it matches the empty text
        end = inside.end()
        if end == len(self._text):
            raise self._error(start, "this '{' is not closed", "In a parameter '}}' is an escaped brace.")
        if self._text[end] == "{":
            hint = "Write '{{' and '}}', as in {id:regex(^[0-9]{{3}}$)}."
            raise self._error(end, "a '{' in a parameter must be doubled", hint)
        stop = end - 1 if self._text[end - 1] == "?" and end - 1 > start else end
        optional = stop < end
        position = start + 1
        while position < min(start + 3, stop) and self._text[position] == "*":
            position += 1
        catch_all = position > start + 1
        name, position = self._name(position, stop)
        constraints, position = self._constraints(position, stop)
        default = _unescape(self._text[position + 1 : stop]) if position < stop else None
        if optional and catch_all:
            raise self._error(start, "a catch-all parameter cannot be optional", "It matches an empty rest anyway.")
        if optional and default is not None:
            raise self._error(start, "an optional parameter cannot have a default", "Leave out the '?'.")
        return Parameter(name, default, optional, catch_all, constraints), end + 1

    def _name(self, start: int, stop: int) -> tuple[str, int]:
        match = _NAME.match(self._text, start, stop)
        if match is None:
            raise self._error(start, "a parameter needs a name")
        name = _unescape(match.group())
        if bad := next((character for character in name if character in "/{}?*"), None):
            hint = "The '?' comes last, as in {id:int?}." if bad == "?" else None
            raise self._error(start, f"a parameter's name cannot contain {bad!r}", hint)
        if fold(name) in self._names:
            raise self._error(start, f"there are two parameters with the name {name!r}")
        self._names.add(fold(name))
        return name, match.end()

    def _constraints(self, position: int, stop: int) -> tuple[tuple[Constraint, ...], int]:
        constraints = []
        while position < stop and self._text[position] == ":":
            start = position + 1
            position = self._constraint_end(start, stop)
            if start < position:  # ASP.NET skips an empty one
                try:
                    constraints.append(make_constraint(_unescape(self._text[start:position])))
                except ConfigurationError as error:
                    raise self._error(start, error.message, error.hint) from None
        return tuple(constraints), position

    def _constraint_end(self, start: int, stop: int) -> int:
        name = _CONSTRAINT_NAME.match(self._text, start, stop)
        assert name is not None  # it matches the empty text
        position = name.end()
        if self._text[position] != "(":
            return position
        while position < stop:
            character = self._text[position]
            if character == ")" and (position + 1 == stop or self._text[position + 1] in ":="):
                return position + 1
            if character in ":=":
                # Part of the argument up to a later parenthesis; which is then passed by, as in RouteParameterParser.
                closing = self._text.find(")", position + 1, stop)
                if closing < 0:
                    return position
                position = closing
            position += 1
        return stop
