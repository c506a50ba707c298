"""The errors of each endpoint, by status."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from gateway.problem import HTTP_ERRORS, status_of
from likewise.messages.codes import DEAD_LETTERS, REPLY_ERRORS
from likewise.messages.replies import Recommendations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.endpoint import Endpoint

_EVERY = ("invalid_request", "unknown_parameter", "unknown_host", "internal", "unavailable")
_EVERY_BUSY = ("overloaded", "too_many_connections", "stopping")
_EVERY_CONNECTION = ("request_timeout", "url_too_long", "header_too_large")
_EVERY_ACCESS = ("invalid_key", "expired_key", "cross_site", "rate_limited")
_OF_QUERY = ("wrong_type", "repeated_parameter")
_OF_BODY = ("wrong_type", "not_json", "too_deep", "body_too_large", "unsupported_media_type")
_OF_ROLE = ("missing_key", "missing_role")
_OF_WRITING = ("undeliverable",)
_OF_KAFKA_ONLY = {"null_value", "invalid_reply_partition", "reply_too_large"}

UNKNOWN_PATH: Final = ("not_found", "method_not_allowed")
"""Errors of paths and methods that are not in the table."""


def codes_of(endpoint: Endpoint) -> list[str]:
    """Return the error codes that the endpoint may answer with."""
    codes = [*_EVERY, *_EVERY_BUSY, *_EVERY_CONNECTION, *_EVERY_ACCESS, *endpoint.errors]
    if "{" in endpoint.path:
        codes.append("invalid_id")
    if endpoint.query is not None:
        codes += _OF_QUERY
    if endpoint.body is not None:
        codes += _OF_BODY
    if endpoint.role is not None:
        codes += _OF_ROLE
    if endpoint.role == "write":
        codes += _OF_WRITING
    if endpoint.answer is Recommendations:
        codes += REPLY_ERRORS.keys() - _OF_KAFKA_ONLY
        codes.append("unknown_ranker")
    return sorted({code for code in codes if code in meanings()})


def by_status(codes: Iterable[str]) -> Mapping[int, list[str]]:
    """Return the codes of each status, in the order of the statuses."""
    found: dict[int, list[str]] = defaultdict(list)
    for code in codes:
        found[status_of(code)].append(code)
    return dict(sorted(found.items()))


def meanings() -> dict[str, str]:
    """Return what each code of the HTTP API means, in a sentence."""
    protocol = {code: error.meaning for code, error in REPLY_ERRORS.items()} | DEAD_LETTERS
    http = {code: error.meaning for code, error in HTTP_ERRORS.items()}
    return dict(sorted((protocol | http).items()))
