"""Reason phrases of HTTP statuses as in RFC 9110; Python before 3.13 has older ones for some."""

from __future__ import annotations

from http import HTTPStatus

_RENAMED = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}


def reason_of(status: int) -> str:
    """Return the phrase, the same for every version of Python."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase
