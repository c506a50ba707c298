"""Errors over HTTP: problem details (RFC 9457) with the codes of the protocol, and their statuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway.reasons import reason_of
from likewise.errors import (
    ForeignDataError,
    InvalidInputError,
    LikewiseError,
    ReplyError,
    TransientError,
    UndeliverableError,
)
from likewise.messages.codes import DEAD_LETTERS, REPLY_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


_IN_MSGSPEC = re.compile(r"`\$((?:\.\w+|\[[\d.]+\])+)`")
_AT_THE_BEGINNING = re.compile(r"`(\w+(?:\.\w+|\[\d+\])*)`")


class HttpError(NamedTuple):
    """An error code that only HTTP has: its status, and its meaning in a sentence."""

    status: int
    meaning: str


HTTP_ERRORS = {
    "not_found": HttpError(404, "There is nothing at this path."),
    "method_not_allowed": HttpError(405, "The path does not support this method; see `Allow`."),
    "unknown_parameter": HttpError(400, "The query string has a parameter that does not exist."),
    "repeated_parameter": HttpError(400, "A parameter that takes one value is given twice."),
    "invalid_request": HttpError(400, "The request is not valid HTTP for this endpoint."),
    "body_too_large": HttpError(413, "The body is larger than this endpoint accepts."),
    "unsupported_media_type": HttpError(415, "The endpoint does not read this `Content-Type`."),
    "unknown_ranker": HttpError(404, "`ranker` names no ranker that is available."),
    "undeliverable": HttpError(422, "Kafka refuses the record, now and later."),
    "unavailable": HttpError(503, "Kafka or Redis cannot be reached, or is too slow."),
    "missing_key": HttpError(401, "The gateway requires an API key."),
    "invalid_key": HttpError(401, "The API key is not one of the gateway's."),
    "expired_key": HttpError(401, "The API key has expired."),
    "missing_role": HttpError(403, "The API key lacks the role that this endpoint requires."),
    "cross_site": HttpError(403, "The request comes from a page of another site."),
    "unknown_host": HttpError(
        421, "The request names a host that the gateway does not answer for."
    ),
    "rate_limited": HttpError(429, "The key, or the client's address, has made too many requests."),
    "request_timeout": HttpError(408, "The request did not arrive in time."),
    "url_too_long": HttpError(414, "The path and the query are longer than 8 KiB."),
    "header_too_large": HttpError(431, "There are more than 100 headers, or 32 KiB of them."),
    "too_many_connections": HttpError(503, "The gateway has as many connections as it accepts."),
    "invalid_cursor": HttpError(400, "`cursor` is not one that this list has returned."),
    "unknown_version": HttpError(404, "There is no such model version on the gateway's disk."),
    "broken_version": HttpError(409, "The files of the model version cannot be used."),
    "unknown_experiment": HttpError(404, "There is no experiment of this name."),
    "experiment_state": HttpError(
        409, "An experiment of this name runs, or has stopped; this cannot be done with it."
    ),
    "unknown_message": HttpError(404, "There is no such message that apps can send."),
    "too_many_streams": HttpError(503, "The gateway serves as many live streams as it accepts."),
    "stopping": HttpError(503, "The gateway is stopping."),
}
"""Errors that no topic has. docs/protocol.md has the others."""

_STATUSES = {
    "unknown_item": 404,
    "unknown_recommendation": 404,
    "unknown_scenario": 404,
    "deadline_exceeded": 504,
    "after_timeout": 504,
    "overloaded": 503,
    "too_large": 413,
    "no_user_ids": 409,
    "reply_too_large": 422,
    "internal": 500,
}
"""Of the codes of the protocol. The others are errors of the request: 400."""


class Problem(LikewiseError):  # noqa: N818  # the word of RFC 9457
    """An error answer over HTTP."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        """`more` are further members of the JSON object."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status_of(code) if status is None else status
        self.field = field
        self.headers = dict(headers or {})
        self.more = more
        if self.status in {429, 503}:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S))

    def body(self) -> bytes:
        """Return the problem as JSON."""
        members: dict[str, object] = {
            "type": f"/docs#error-{self.code}",
            "title": title_of(self.code, self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.field is not None:
            members["field"] = self.field
        return msgspec.json.encode(members | self.more)


def status_of(code: str) -> int:
    """Return the HTTP status of an error code."""
    error = HTTP_ERRORS.get(code)
    return _STATUSES.get(code, 400) if error is None else error.status


def title_of(code: str, status: int) -> str:
    """Return what the code means, in a sentence."""
    if code in HTTP_ERRORS:
        return HTTP_ERRORS[code].meaning
    if code in REPLY_ERRORS:
        return REPLY_ERRORS[code].meaning
    return DEAD_LETTERS.get(code) or reason_of(status)


def field_in(message: str) -> str | None:
    """Return the field that an error message names, as ours and those of msgspec do; None without one."""
    found = _IN_MSGSPEC.search(message) or _AT_THE_BEGINNING.match(message)
    return None if found is None else found[1].lstrip(".")


def problem_of(error: LikewiseError) -> Problem:
    """Return the problem to answer with."""
    match error:
        case Problem():
            return error
        case InvalidInputError() | ReplyError():
            return Problem(error.code, error.message, field=field_in(error.message))
        case TransientError():
            return Problem("unavailable", f"{error.server} cannot be reached or is too slow")
        case UndeliverableError():
            return Problem("undeliverable", str(error))
        case ForeignDataError():
            return Problem("internal", "Redis holds something that likewise did not write")
    return Problem("internal", "the gateway failed on this request; its log says more")
