"""Decides who asks, and whether a request is let in."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from gateway.problem import Problem
from gateway.security.asked import Asked
from gateway.security.headers import api_headers, page_headers
from gateway.security.hosts import host_name, is_loopback, network_of
from gateway.security.key_source import KeySource
from gateway.security.origins import Origins
from gateway.security.principal import EVERYBODY, Principal
from gateway.security.rates import Rates
from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from gateway.security.headers import Header
    from gateway.security.principal import Role
    from likewise.settings.gateway import GatewaySettings

_BURST_S = 2.0
_COST_OF_A_WRONG_KEY = 20.0
"""In calls: guessing is slow."""
_DEFAULT_REQUESTS_PER_S = 1_000.0
_BEARER = b"bearer "


class Guarded(Protocol):
    """What an endpoint requires."""

    @property
    def role(self) -> Role | None:
        """The role that a caller must have; None: none."""

    @property
    def weight(self) -> float:
        """What a call costs for the rate limit."""


class Guard:
    """Lets requests in, at a few microseconds each. Blocks only to read the file of keys after a change."""

    def __init__(
        self,
        settings: GatewaySettings,
        keys: KeySource | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._origins = Origins(settings.cors_origins)
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._rate = settings.requests_per_s
        if self._rate is None and keys is not None:
            self._rate = _DEFAULT_REQUESTS_PER_S
        self._rates = Rates(_BURST_S)
        self._api_headers = api_headers()
        self._page_headers = page_headers(settings.image_sources)

    @classmethod
    def of(cls, settings: GatewaySettings) -> Guard:
        """Return the guard for these settings.

        Raises:
            SettingsError: other machines could connect without a key; or a setting is not usable.
        """
        keys = KeySource.of(settings)
        if keys is None and not is_loopback(settings.host):
            raise SettingsError(
                f"gateway.host is {settings.host!r}, to which other machines can connect, and there are no "
                "API keys; create one with `likewise keys create` and set gateway.keys_file "
                "(LIKEWISE_GATEWAY_KEYS_FILE), or listen on 127.0.0.1"
            )
        return cls(settings, keys)

    @property
    def keys_required(self) -> bool:
        """Whether requests need a key."""
        return self._keys is not None

    def let_in(self, scope: Scope, endpoint: Guarded | None) -> Principal:
        """Return who asks, if they may call the endpoint now; None is a file of the page.

        Raises:
            Problem: the request names another host, comes from a page of another site, has a wrong key, or
                lacks a role; or its caller has called too often.
        """
        asked = Asked.of(scope)
        self._check_host(asked, endpoint)
        self._check_origin(asked)
        principal = self._principal(asked)
        self._admit(principal, 1.0 if endpoint is None else endpoint.weight)
        if endpoint is not None:
            self._authorise(principal, endpoint)
        return principal

    @property
    def shares(self) -> bool:
        """Whether pages of other origins may call the API."""
        return bool(self._origins)

    def preflight(self, scope: Scope) -> Response:
        """Return the answer to a preflight request, which permits nothing to an origin that is not named."""
        answer = Response(status_code=204)
        answer.raw_headers.extend(self._origins.preflight(Asked.of(scope).origin))
        return answer

    def secure(self, headers: list[Header], scope: Scope, *, page: bool) -> None:
        """Add the security headers to those of an answer, which may be of the page."""
        present = {name for name, _ in headers}
        added = self._page_headers if page else self._api_headers
        headers += [header for header in added if header[0] not in present]
        if self._origins:
            headers += self._origins.shared(scope["headers"])

    def _check_host(self, asked: Asked, endpoint: Guarded | None) -> None:
        """Refuse a page whose host name was pointed at this machine (DNS rebinding).

        To the browser, such a page is of the gateway's own origin. A key protects from it, too.
        """
        if self._keys is not None and (not self._hosts or endpoint is None or not endpoint.role):
            return
        host = host_name(asked.host) if asked.host else None
        if host is None or not (is_loopback(host) or host in self._hosts):
            raise Problem(
                "unknown_host",
                "this gateway does not answer for the host that the request names; "
                "gateway.allowed_hosts lists further ones",
            )

    def _check_origin(self, asked: Asked) -> None:
        if not self._origins.allows(
            host=asked.host or b"",
            origin=asked.origin,
            site=asked.site,
            navigates=asked.navigates,
        ):
            raise Problem(
                "cross_site",
                "pages of other sites may not call this gateway; gateway.cors_origins lists those that may",
            )

    def _principal(self, asked: Asked) -> Principal:
        if self._keys is None and not self._rate:
            return EVERYBODY
        address = f"address {network_of(asked.client)}"
        if self._keys is None:
            return replace(EVERYBODY, caller=address)
        if asked.authorization is None:
            return Principal("nobody", frozenset(), address)
        presented = _bearer(asked.authorization)
        key = self._keys.find(presented)
        if key is None:
            self._take(address, None, _COST_OF_A_WRONG_KEY)
            raise _unauthorised("invalid_key", "there is no such key")
        if key.is_expired(datetime.now(UTC)):
            raise _unauthorised(
                "expired_key", f"the key expired at {key.expires:%Y-%m-%dT%H:%M:%SZ}"
            )
        return Principal(key.name, key.rights, f"key {key.name}", key.requests_per_s)

    def _authorise(self, principal: Principal, endpoint: Guarded) -> None:
        if endpoint.role is None or endpoint.role in principal.roles:
            return
        if not principal.roles:
            raise _unauthorised("missing_key", "send an API key as `Authorization: Bearer KEY`")
        raise Problem(
            "missing_role",
            f"this needs the role `{endpoint.role}`; the key has {_listed(principal.roles)}",
        )

    def _admit(self, principal: Principal, weight: float) -> None:
        if self._rate is not None or principal.requests_per_s is not None:
            self._take(principal.caller, principal.requests_per_s, weight)

    def _take(self, caller: str, rate: float | None, cost: float) -> None:
        rate = rate or self._rate
        if not rate:
            return
        wait_s = self._rates.take(caller, rate, cost, self._clock())
        if wait_s > 0:
            raise Problem(
                "rate_limited",
                f"more than {rate:g} requests a second; costly ones count several times",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )


def _bearer(authorization: bytes) -> bytes:
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise _unauthorised("invalid_key", "`Authorization` is not `Bearer KEY`")
    return authorization[len(_BEARER) :].strip()


def _unauthorised(code: str, detail: str) -> Problem:
    return Problem(code, detail, headers={"WWW-Authenticate": "Bearer"})


def _listed(roles: frozenset[Role]) -> str:
    return " and ".join(f"`{role}`" for role in sorted(roles))
