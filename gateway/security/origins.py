"""What pages of other sites may do: nothing, unless `gateway.cors_origins` names their origin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.security.headers import Header

_ORIGIN = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")
_SAME = frozenset({b"same-origin", b"none"})
"""Values of `Sec-Fetch-Site` for a page's own requests, and for what a user typed or bookmarked."""
_MAX_AGE_S = 600
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, PUT, POST, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, likewise-position"),
    (b"access-control-max-age", b"%d" % _MAX_AGE_S),
]
_EXPOSED = (
    b"access-control-expose-headers",
    b"likewise-model, likewise-position, retry-after",
)
_VARY = (b"vary", b"origin")


class Origins:
    """The origins, besides the gateway's own, whose pages may call the API.

    They get no credentials: a key is a header that the page sets itself.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Raises `SettingsError` if a name is not an origin."""
        self._names = frozenset(_checked(name).encode() for name in names)

    def allows(
        self, *, host: bytes, origin: bytes | None, site: bytes | None, navigates: bool
    ) -> bool:
        """Whether a request may have come from where these headers say.

        `origin` and `site` are the headers `Origin` and `Sec-Fetch-Site`, None if absent: programs other
        than browsers send neither. `navigates`: a user follows a link, which only shows them the answer.
        """
        if origin is not None:
            if origin in self._names:
                return True
            if origin.partition(b"://")[2] != host.lower():
                return False
        return site is None or site in _SAME or navigates

    def __bool__(self) -> bool:
        return bool(self._names)

    def preflight(self, origin: bytes | None) -> list[Header]:
        """Return what the answer to a preflight request adds: nothing for an origin that is not named."""
        return _PREFLIGHT if origin in self._names else []

    def shared(self, headers: Iterable[Header]) -> list[Header]:
        """Return what lets the page that sent a request with these headers read the answer."""
        origin = next((value for name, value in headers if name == b"origin"), None)
        if origin is None or origin not in self._names:
            return [_VARY]
        return [_VARY, (b"access-control-allow-origin", origin), _EXPOSED]


def _checked(name: str) -> str:
    if not _ORIGIN.fullmatch(name):
        raise SettingsError(
            f"gateway.cors_origins: {name!r} is not an origin; write it as a browser does, for example "
            "`https://shop.example.com`, without a path or `*`"
        )
    return name
