"""Decides who asks, and whether a request is let in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.requests import Request

    from gateway.endpoint import Endpoint
    from likewise.settings.gateway import GatewaySettings


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may do."""

    name: str
    roles: frozenset[str]


_EVERYBODY = Principal("everybody", frozenset({"read", "write", "admin"}))


class Guard:
    """Without keys: everybody may do everything."""

    @classmethod
    def of(cls, settings: GatewaySettings) -> Self:
        """Return the guard for these settings."""
        del settings
        return cls()

    def principal(self, headers: Headers) -> Principal:
        """Return who asks."""
        del headers
        return _EVERYBODY

    def authorise(self, principal: Principal, endpoint: Endpoint) -> None:
        """Return if the principal may call the endpoint."""

    def admit(self, principal: Principal, endpoint: Endpoint) -> None:
        """Return if the principal has not called too often."""

    def check_origin(self, request: Request, endpoint: Endpoint) -> None:
        """Return if the request was not made by a page of another site."""

    def headers(self, path: str) -> list[tuple[bytes, bytes]]:
        """Return the security headers of an answer."""
        del path
        return []
