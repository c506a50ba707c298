"""Headers that tell a browser what an answer may do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

Header = tuple[bytes, bytes]

_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:|(?:[a-z][a-z0-9+.-]*://)?[A-Za-z0-9*._:/\[\]-]+")
"""A scheme, or an origin with a path: nothing that ends a directive."""
_EVERY_ANSWER = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def api_headers() -> list[Header]:
    """Return the headers of the API: its answers are data, and are never stored."""
    policy = b"default-src 'none'; frame-ancestors 'none'"
    return [
        *_EVERY_ANSWER,
        (b"content-security-policy", policy),
        (b"cache-control", b"no-store"),
    ]


def page_headers(image_sources: Iterable[str]) -> list[Header]:
    """Return the headers of the page: it loads only its own files, and pictures.

    Raises:
        SettingsError: a source is not one.
    """
    sources = " ".join(map(_checked_source, image_sources))
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: {sources}".rstrip(),
            "connect-src 'self'",
            "font-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    return [
        *_EVERY_ANSWER,
        (b"content-security-policy", policy.encode("ascii")),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
        # A browser asks each time, and gets 304: a new version of the page is there at once.
        (b"cache-control", b"no-cache"),
    ]


def _checked_source(source: str) -> str:
    if not _SOURCE.fullmatch(source):
        raise SettingsError(
            f"gateway.image_sources: {source!r} is not a source; use a scheme such as `https:`, or an "
            "origin such as `https://images.example.com`"
        )
    return source
