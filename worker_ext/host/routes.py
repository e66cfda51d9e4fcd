"""Which function answers a request: the routes of an app's HTTP triggers.

How the Functions host 4.x does it, and where this router follows it:

- A route is ``routePrefix`` + ``/`` + the function's route, and is matched in any case (``WebJobsRouteBuilder.cs`` in
  Azure/azure-webjobs-sdk-extensions, ``RoutePatternMatcher.cs`` in dotnet/aspnetcore).
- No function for the request's method is the same as no function: the answer is 404, not 405. ``HEAD`` and ``OPTIONS``
  get nothing that is not in a function's list (Azure/azure-functions-host issues 10098 and 11625).
- A parameter that the path leaves out and that has no default reaches the function as no value at all, not as an empty
  one (``FunctionInvocationMiddleware.cs``, ``GrpcMessageConversionExtensions.cs`` in Azure/azure-functions-host).
- Routes that begin with ``admin`` or ``runtime`` are refused, and so is the second function for the same route and
  method (``ScriptHost.ValidateHttpFunction``); nothing below ``/admin`` reaches a function (``WebJobsRouter.cs``).
- The path is decoded as Kestrel does (``UrlDecoder.cs``, ``PathNormalizer.cs`` in dotnet/aspnetcore): UTF-8, ``%2F``
  stays encoded, ``.`` and ``..`` are resolved after decoding. Escapes that Kestrel would leave in the path because they
  are malformed (``%zz``, invalid UTF-8) match nothing here.

One thing is ASP.NET Core's and not the Functions host's: if several routes match, the most specific one wins
(``RoutePrecedence.cs``). The Functions host takes the function whose name comes first in the alphabet
(Azure/azure-functions-host issue 9876); :meth:`Router.differences` tells where that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from worker_ext.errors import ConfigurationError
from worker_ext.host.route_template import RouteTemplate, fold, parse_template

T = TypeVar("T")

MAX_PATH = 16 * 1024
"""A longer path, in characters, matches nothing."""

_RESERVED = ("admin", "runtime")
_ADMIN = fold("admin")
_ANY_METHOD = ""
_MALFORMED_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class Match(NamedTuple, Generic[T]):
    """What :meth:`Router.match` found.

    :param target: what was registered with the route.
    :param values: the parameters' values by name; a parameter without a value is not in it.
    """

    target: T
    values: dict[str, str]


class _Route(Generic[T]):
    """A template with what it leads to; what a request needs of the template is worked out once."""

    def __init__(self, template: RouteTemplate, methods: Iterable[str], target: T, owner: str, number: int) -> None:
        self.template = template
        self.methods = frozenset(method.upper() for method in methods)  # empty means all
        self.target = target
        self.owner = owner
        self.order = (tuple(segment.rank for segment in template.segments), number)
        self.shape = tuple(segment.shape for segment in template.segments)
        self._variable = tuple(
            (index, segment.parameter, segment)
            for index, segment in enumerate(template.segments)
            if segment.literal is None
        )
        self._constrained = tuple(parameter for parameter in template.parameters if parameter.constraints)

    def allows(self, method: str) -> bool:
        return not self.methods or method in self.methods

    def values(self, segments: list[str], count: int) -> dict[str, str] | None:
        """Return the parameters' values, or ``None`` if the path turns out not to match.

        :param segments: a path whose literals are known to match.
        :param count: how many of them there are without the empty one after a trailing slash.
        """
        values: dict[str, str] = {}
        for index, parameter, segment in self._variable:
            if parameter is None:
                captured = segment.capture(segments[index])
                if captured is None:
                    return None
                values.update(captured)
                continue
            value = "/".join(segments[index:]) if parameter.catch_all else segments[index] if index < count else ""
            if value:
                values[parameter.name] = value
            elif parameter.default is not None:
                values[parameter.name] = parameter.default
        if all(parameter.accepts(values.get(parameter.name)) for parameter in self._constrained):
            return values
        return None


@dataclass(slots=True, eq=False)
class _Node(Generic[T]):
    """A place in the tree of all routes, reached by a path's first segments."""

    literals: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None  # behind every segment that is not a literal, whatever it accepts
    ends: list[_Route[T]] = field(default_factory=list)  # routes that may end here
    catch_alls: list[_Route[T]] = field(default_factory=list)  # routes that take everything from here on


class Router(Generic[T]):
    """Finds the function for a request.

    A route of literals is found by one look-up in a dict. The other routes form a tree of segments which is walked
    breadth first, so a request takes at most (segments of its path) × (number of routes) steps and never more: no
    choice is taken back.

    :param prefix: ``extensions.http.routePrefix`` of host.json; may be empty.
    :raises ConfigurationError: the prefix is malformed or reserved.
    """

    def __init__(self, prefix: str = "api") -> None:
        self._prefix = prefix.strip("/")
        self._literals: dict[str, dict[str, _Route[T]]] = {}  # folded path → method → route
        self._root: _Node[T] = _Node()
        self._by_shape: dict[tuple[object, ...], list[_Route[T]]] = {}
        self._count = 0
        try:
            segments = parse_template(self._prefix).segments
        except ConfigurationError as error:
            raise ConfigurationError(f"routePrefix {prefix!r}: {error.message}", hint=error.hint) from None
        if segments and segments[0].literal == _ADMIN:
            raise ConfigurationError(
                f"routePrefix {prefix!r}: the Functions host keeps every path below '/admin' for itself",
                hint="Choose another routePrefix in host.json.",
            )

    def add(self, template: str, methods: Iterable[str], target: T, *, owner: str) -> None:
        """Register a route.

        :param template: the route without the prefix; a leading slash is tolerated. The empty route is the prefix
            itself: for a trigger without a route, pass the function's name, as the Functions host does.
        :param methods: the HTTP methods, in any case; none means all.
        :param target: what :meth:`match` returns for it.
        :param owner: the function's name, for error messages.
        :raises ConfigurationError: the template is malformed or reserved, or the route is taken.
        """
        route = self._route(template, methods, target, owner)
        self._check_free(route)
        segments = route.template.segments
        if all(segment.literal is not None for segment in segments):
            key = "/" + "/".join(segment.literal or "" for segment in segments)
            # A key with ``%`` would be compared with a path that has not been decoded.
            if "%" not in key:
                self._literals.setdefault(key, {}).update(dict.fromkeys(route.methods or (_ANY_METHOD,), route))
        self._plant(route)
        self._count += 1

    def match(self, method: str, path: str) -> Match[T] | None:
        """Find the function for a request.

        :param method: the HTTP method.
        :param path: the path as it is in the request: still percent-encoded, without the query.
        :return: ``None`` if there is none for this path and method, and for a path that is malformed.
        """
        if not path.isascii():
            return None
        method = method.upper()
        by_method = self._literals.get(path.upper())
        if by_method is not None:
            route = by_method.get(method) or by_method.get(_ANY_METHOD)
            if route is not None:
                return Match(route.target, {})
        segments = _split(path)
        if segments is None or fold(segments[0]) == _ADMIN:
            return None
        count = len(segments) - (segments[-1] == "")
        for route in self._candidates(segments, count):
            if route.allows(method):
                values = route.values(segments, count)
                if values is not None:
                    return Match(route.target, values)
        return None

    def differences(self) -> list[str]:
        """Where a route of literals wins here and would not in Azure, a sentence each."""
        found = []
        literal = (route for routes in self._by_shape.values() for route in routes if not route.template.parameters)
        for route in literal:
            segments = [segment.literal or "" for segment in route.template.segments]
            for other in self._candidates(segments, len(segments)):
                shared = not route.methods or not other.methods or route.methods & other.methods
                first = other.owner.upper() < route.owner.upper()
                if first and shared and other.values(segments, len(segments)) is not None:
                    found.append(
                        f"/{route.template.template} is answered by {route.owner} here, as the more specific route; in"
                        f" Azure by {other.owner} (/{other.template.template}), whose name comes first in the alphabet."
                    )
        return found

    def _route(self, template: str, methods: Iterable[str], target: T, owner: str) -> _Route[T]:
        if template.strip("/").lower().startswith(_RESERVED):
            raise ConfigurationError(
                f"function {owner!r}: the Functions host keeps routes that begin with 'admin' or 'runtime' for itself, "
                f"and does not load a function with the route {template!r}",
                hint="Choose a route that begins with something else.",
            )
        text = f"{self._prefix}/{template.removeprefix('/')}" if self._prefix else template
        try:
            parsed = parse_template(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"function {owner!r}: {error.message}", hint=error.hint) from None
        return _Route(parsed, methods, target, owner, self._count)

    def _check_free(self, route: _Route[T]) -> None:
        same_shape = self._by_shape.setdefault(route.shape, [])
        for other in same_shape:
            if not route.methods or not other.methods or route.methods & other.methods:
                shared = sorted(route.methods & other.methods or route.methods or other.methods)
                raise ConfigurationError(
                    f"functions {other.owner!r} and {route.owner!r} both answer {'/'.join(shared) or 'every method'} "
                    f"on the route {'/' + other.template.template!r}",
                    hint="Give one of them another route or other methods.",
                )
        same_shape.append(route)

    def _plant(self, route: _Route[T]) -> None:
        node = self._root
        segments = route.template.segments
        for index, segment in enumerate(segments):
            if all(later.omittable for later in segments[index:]):
                node.ends.append(route)
            if segment.parameter is not None and segment.parameter.catch_all:
                node.catch_alls.append(route)
                return
            if segment.literal is not None:
                node = node.literals.setdefault(segment.literal, _Node())
            else:
                node.parameter = node.parameter or _Node()
                node = node.parameter
        node.ends.append(route)

    def _candidates(self, segments: list[str], count: int) -> list[_Route[T]]:
        """Return the routes whose literals and number of segments fit the path, the most specific first."""
        found: list[_Route[T]] = []
        nodes = [self._root]
        for segment in segments[:count]:
            folded = fold(segment)
            reached: list[_Node[T]] = []
            # An empty segment is taken only by a catch-all that began before it.
            for node in nodes if segment else ():
                found += node.catch_alls
                literal = node.literals.get(folded)
                if literal is not None:
                    reached.append(literal)
                if node.parameter is not None:
                    reached.append(node.parameter)
            nodes = reached
            if not nodes:
                break
        for node in nodes:
            found += node.ends
        found.sort(key=lambda route: route.order)
        return found


def _split(path: str) -> list[str] | None:
    """Decode a path and split it at its slashes; ``None`` if it is malformed or too long.

    A trailing slash makes the last segment empty; ``/`` is one empty segment.
    """
    if len(path) > MAX_PATH or not path.startswith("/") or "\0" in path:
        return None
    if "%" in path:
        if _MALFORMED_ESCAPE.search(path):
            return None
        kept = path.replace("%2F", "%252F").replace("%2f", "%252f")
        try:
            path = unquote_to_bytes(kept).decode("utf-8")
        except UnicodeDecodeError:
            return None
        if "\0" in path:
            return None
    segments = path[1:].split("/")
    return _without_dots(segments) if "/." in path else segments


def _without_dots(segments: list[str]) -> list[str]:
    """Resolve ``.`` and ``..`` as RFC 3986, 5.2.4, says."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return [*kept, ""] if segments[-1] in (".", "..") else kept
