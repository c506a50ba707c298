"""Finds the endpoint of a path, as it was sent: still percent-encoded.

Segments are decoded after the match, so that an id may hold a slash, sent as `%2F`.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.endpoint import Endpoint


class Match(NamedTuple):
    """An endpoint, and the decoded parameters of the path."""

    endpoint: Endpoint
    path: dict[str, str]


class _Shape(NamedTuple):
    """Where the paths of some endpoints have literal segments, and the endpoints by those segments."""

    parameters: tuple[int, ...]
    literals: Callable[[Sequence[str]], Any]
    """Returns the literal segments of a path."""
    endpoints: dict[Any, dict[str, Endpoint]]
    """By the literal segments, then by method."""


class Routes:
    """The endpoints by path and method. Literal segments come before parameters."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._shapes: dict[int, list[_Shape]] = {}
        for endpoint in endpoints:
            self._add(endpoint)
        for shapes in self._shapes.values():
            shapes.sort(key=lambda shape: shape.parameters, reverse=True)  # few and late ones first
            shapes.sort(key=lambda shape: len(shape.parameters))

    def match(self, method: str, raw_path: bytes) -> Match | None:
        """Return the endpoint of a path; None if there is none.

        Raises:
            Problem: the path has endpoints, but none for this method; or a parameter is not UTF-8.
        """
        try:
            segments = raw_path.decode("ascii").split("/")
        except UnicodeDecodeError:
            return None
        allowed: set[str] = set()
        for shape in self._shapes.get(len(segments), ()):
            by_method = shape.endpoints.get(shape.literals(segments))
            if by_method is None:
                continue
            values = [segments[at] for at in shape.parameters]
            if "" in values:
                continue
            endpoint = by_method.get(method)
            if endpoint is not None:
                return Match(endpoint, _parameters(endpoint.parameters, values))
            allowed.update(by_method)
        if not allowed:
            return None
        names = ", ".join(sorted(allowed))
        raise Problem("method_not_allowed", f"this path supports {names}", headers={"Allow": names})

    def _add(self, endpoint: Endpoint) -> None:
        segments = endpoint.path.split("/")
        parameters = tuple(at for at, part in enumerate(segments) if part.startswith("{"))
        shapes = self._shapes.setdefault(len(segments), [])
        shape = next((one for one in shapes if one.parameters == parameters), None)
        if shape is None:
            literals = itemgetter(*(at for at in range(len(segments)) if at not in parameters))
            shape = _Shape(parameters, literals, {})
            shapes.append(shape)
        by_method = shape.endpoints.setdefault(shape.literals(segments), {})
        if endpoint.method in by_method:
            raise ValueError(f"two endpoints for {endpoint.name}")
        by_method[endpoint.method] = endpoint


def _parameters(names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    return {
        name: _decoded(name, value) if "%" in value else value
        for name, value in zip(names, values, strict=True)
    }


def _decoded(name: str, segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Problem("invalid_id", f"`{name}` in the path is not UTF-8", field=name) from None
