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


class _Node:
    __slots__ = ("endpoint", "literal", "parameter")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.endpoint: Endpoint | None = None


class Routes:
    """The endpoints by method and path. A literal segment comes before a parameter."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._roots: dict[str, _Node] = {}
        for endpoint in endpoints:
            self._add(endpoint)

    def match(self, method: str, raw_path: bytes) -> Match | None:
        """Return the endpoint of a path; None if there is none.

        Raises:
            Problem: the path has endpoints, but none for this method; or a parameter is not UTF-8.
        """
        segments = _segments(raw_path)
        if segments is None:
            return None
        root = self._roots.get(method)
        endpoint = None if root is None else _find(root, segments, 0)
        if endpoint is not None:
            return Match(endpoint, _parameters(endpoint, segments))
        allowed = [name for name, tree in self._roots.items() if _find(tree, segments, 0)]
        if not allowed:
            return None
        names = ", ".join(sorted(allowed))
        raise Problem("method_not_allowed", f"this path supports {names}", headers={"Allow": names})

    def _add(self, endpoint: Endpoint) -> None:
        node = self._roots.setdefault(endpoint.method, _Node())
        for segment in endpoint.path.split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        if node.endpoint is not None:
            raise ValueError(f"two endpoints for {endpoint.method} {endpoint.path}")
        node.endpoint = endpoint


def _segments(raw_path: bytes) -> list[str] | None:
    try:
        return raw_path.decode("ascii").split("/")
    except UnicodeDecodeError:
        return None


def _find(node: _Node, segments: Sequence[str], at: int) -> Endpoint | None:
    if at == len(segments):
        return node.endpoint
    segment = segments[at]
    child = node.literal.get(segment)
    if child is not None:
        found = _find(child, segments, at + 1)
        if found is not None:
            return found
    if node.parameter is None or not segment:
        return None
    return _find(node.parameter, segments, at + 1)


def _parameters(endpoint: Endpoint, segments: Sequence[str]) -> dict[str, str]:
    return {
        part[1:-1]: _decoded(part[1:-1], segment)
        for part, segment in zip(endpoint.path.split("/"), segments, strict=True)
        if part.startswith("{")
    }


def _decoded(name: str, segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Problem("invalid_id", f"`{name}` in the path is not UTF-8", field=name) from None
