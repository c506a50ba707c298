"""What an answer of the HTTP API means: the value it has, or the error to raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import msgspec

from likewise.errors import (
    InvalidInputError,
    ReplyError,
    SettingsError,
    TransientError,
    UndeliverableError,
)
from likewise.messages.positions import Position
from likewise.messages.replies import Recommendations, decode_reply

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOO_LATE = ("after_timeout", "deadline_exceeded")


class _Problem(msgspec.Struct):
    """The body of an error, RFC 9457."""

    code: str = ""
    detail: str = ""
    title: str = ""


class _Published(msgspec.Struct):
    positions: list[str]


_published_decoder = msgspec.json.Decoder(_Published)
_problem_decoder = msgspec.json.Decoder(_Problem)


def published_positions(answer: httpx.Response, count: int) -> Sequence[Position]:
    """Return the positions of the `count` events that were published.

    Raises:
        InvalidInputError, UndeliverableError, SettingsError, TransientError: see `check_written`.
    """
    check_written(answer)
    try:
        texts = _published_decoder.decode(answer.content).positions
        positions = [Position.parse(text) for text in texts]
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidInputError):
        positions = []  # of another server
    if len(positions) != count:
        raise TransientError(f"{_address(answer.request)} did not confirm the events")
    return positions


def check_written(answer: httpx.Response) -> None:
    """Return if the gateway has published what was sent.

    Raises:
        InvalidInputError: the gateway rejects it.
        UndeliverableError: a topic does not exist.
        SettingsError: the API key is missing, wrong or without the right.
        TransientError: try again later.
    """
    if answer.is_success:
        return
    problem = _problem(answer)
    _check_access(answer, problem)
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise UndeliverableError(problem.detail)
    if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        raise InvalidInputError(problem.code, problem.detail)
    raise TransientError(_sentence(answer, problem))


def recommendations(answer: httpx.Response) -> Recommendations:
    """Return the recommendations.

    Raises:
        ReplyError: the gateway answered with an error of the protocol.
        SettingsError: the API key is missing, wrong or without the right.
        TransientError: try again later.
    """
    if answer.is_success:
        return decode_reply(answer.content)
    problem = _problem(answer)
    _check_access(answer, problem)
    if problem.code in _TOO_LATE or answer.status_code not in (429, 502, 503, 504):
        raise ReplyError(problem.code, problem.detail)
    raise TransientError(_sentence(answer, problem))


def no_answer(error: httpx.TransportError) -> TransientError:
    """Return the error of a request without an answer."""
    return TransientError(
        f"{_address(error.request)} cannot be reached: {error or type(error).__name__}"
    )


def _check_access(answer: httpx.Response, problem: _Problem) -> None:
    if answer.status_code in (401, 403, 421):
        raise SettingsError(f"{_address(answer.request)} refuses the call: {problem.detail}")


def _problem(answer: httpx.Response) -> _Problem:
    try:
        problem = _problem_decoder.decode(answer.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        problem = _Problem()  # of a proxy
    problem.code = problem.code or "internal"
    problem.detail = problem.detail or problem.title or f"HTTP status {answer.status_code}"
    return problem


def _sentence(answer: httpx.Response, problem: _Problem) -> str:
    return f"{_address(answer.request)} answered {answer.status_code} ({problem.code}): {problem.detail}"


def _address(request: httpx.Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc.decode()}"
