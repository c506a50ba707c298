"""Finds the endpoint of a path, as it was sent: still percent-encoded.

Segments are decoded after the match, so that an id may hold a slash, sent as `%2F`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.endpoint import Endpoint


class Match(NamedTuple):
    """An endpoint, and the decoded parameters of the path."""

    endpoint: Endpoint
    path: dict[str, str]


class _Shape(NamedTuple):
    """Where the paths of some endpoints have literal segments, and the endpoints by those segments."""

    literal: tuple[int, ...]
    parameters: tuple[int, ...]
    endpoints: dict[tuple[str, ...], dict[str, Endpoint]]
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
            by_method = shape.endpoints.get(tuple([segments[at] for at in shape.literal]))
            if by_method is None or not all(segments[at] for at in shape.parameters):
                continue
            endpoint = by_method.get(method)
            if endpoint is not None:
                return Match(endpoint, _parameters(endpoint, segments, shape.parameters))
            allowed.update(by_method)
        if not allowed:
            return None
        names = ", ".join(sorted(allowed))
        raise Problem("method_not_allowed", f"this path supports {names}", headers={"Allow": names})

    def _add(self, endpoint: Endpoint) -> None:
        segments = endpoint.path.split("/")
        parameters = tuple(at for at, part in enumerate(segments) if part.startswith("{"))
        literal = tuple(at for at in range(len(segments)) if at not in parameters)
        shapes = self._shapes.setdefault(len(segments), [])
        shape = next((one for one in shapes if one.literal == literal), None)
        if shape is None:
            shape = _Shape(literal, parameters, {})
            shapes.append(shape)
        by_method = shape.endpoints.setdefault(tuple(segments[at] for at in literal), {})
        if endpoint.method in by_method:
            raise ValueError(f"two endpoints for {endpoint.name}")
        by_method[endpoint.method] = endpoint


def _parameters(
    endpoint: Endpoint, segments: Sequence[str], places: Sequence[int]
) -> dict[str, str]:
    names = endpoint.parameters
    return {name: _decoded(name, segments[at]) for name, at in zip(names, places, strict=True)}


def _decoded(name: str, segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Problem("invalid_id", f"`{name}` in the path is not UTF-8", field=name) from None
