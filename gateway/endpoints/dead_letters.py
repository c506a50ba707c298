"""Dead letters: records that were refused, grouped by reason, and sending them again."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from likewise.messages.codes import DEAD_LETTERS, REPLY_ERRORS
from likewise.operations.dead_letter_replay import Replayed
from likewise.operations.dead_letter_selection import (
    NOT_A_DEAD_LETTER,
    Selection,
    groups,
    replay_selected,
)

if TYPE_CHECKING:
    from starlette.responses import Response

    from likewise.operations.dead_letter_replay import Found
    from likewise.operations.dead_letter_selection import Groups

_READ_BACK = 10_000
_MOST_SHOWN_BYTES = 16_384

Code = Annotated[str, Meta(max_length=64)]


class DeadLettersQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters to show."""

    code: tuple[Code, ...] = ()
    """Only those with this code. May be repeated."""
    limit: Annotated[int, Meta(ge=0, le=50)] = 10
    """How many of each code to show, the newest."""


class RecordSource(msgspec.Struct, frozen=True):
    """Where the record was."""

    topic: str
    partition: int
    offset: int


class RefusedRecord(msgspec.Struct, frozen=True):
    """A record that was refused. Key and value are Base64, since they may be any bytes."""

    position: str
    """Its position in the topic of dead letters."""
    detail: str
    at_ms: int
    """The timestamp of the record."""
    source: RecordSource
    key_base64: str | None
    value_base64: str | None
    """The first 16 KiB of it."""
    value_bytes: int
    """How large the value is."""
    truncated_bytes: int | None
    """How large the value was, if it was too large to be kept."""


class DeadLetterGroup(msgspec.Struct, frozen=True):
    """The dead letters with one code."""

    code: str
    meaning: str
    remedy: str | None
    """What the sender can do."""
    count: int
    examples: list[RefusedRecord]
    """The newest, newest first."""


class DeadLetterGroups(msgspec.Struct, frozen=True):
    """The newest dead letters by code, the most frequent code first."""

    groups: list[DeadLetterGroup]
    total: int
    not_read: int
    """Older records of the topic that were not looked at."""


class Replaying(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which dead letters to send again."""

    codes: Annotated[list[Code], Meta(min_length=1, max_length=100)] | None = None
    """Those with these codes, among the newest 10,000. Without it, all since the last such replay."""
    dry_run: bool = False
    """Whether to count only, and send nothing."""


async def _list(call: Call) -> Response:
    gateway, query = call.gateway, call.query
    selection = Selection(codes=query.code or None, newest=_READ_BACK)
    found = await gateway.slow.run(
        groups, gateway.broker, gateway.topics, selection, examples=query.limit
    )
    return json_answer(_shown(found))


async def _replay(call: Call) -> Response:
    gateway, body = call.gateway, call.body
    selection = (
        Selection(not_replayed=True)
        if body.codes is None
        else Selection(codes=frozenset(body.codes), newest=_READ_BACK)
    )
    replayed = await gateway.slow.run(
        replay_selected, gateway.broker, gateway.topics, selection, dry_run=body.dry_run
    )
    return json_answer(replayed)


def _shown(found: Groups) -> DeadLetterGroups:
    rows = [
        DeadLetterGroup(
            code,
            *_explained(code),
            count,
            [one for each in reversed(found.newest[code]) if (one := _record(each)) is not None],
        )
        for code, count in found.counts.most_common()
    ]
    return DeadLetterGroups(rows, found.counts.total(), found.left_out)


def _explained(code: str) -> tuple[str, str | None]:
    if code == NOT_A_DEAD_LETTER:
        return "The record was not written by likewise.", None
    if code in DEAD_LETTERS:
        return DEAD_LETTERS[code], None
    error = REPLY_ERRORS.get(code)
    return ("A later version of likewise knows this code.", None) if error is None else error


def _record(found: Found) -> RefusedRecord | None:
    position, letter = found
    if letter is None:
        return None
    value = letter.value or b""
    return RefusedRecord(
        position=str(position),
        detail=letter.detail,
        at_ms=letter.timestamp_ms,
        source=RecordSource(letter.source.topic, letter.source.partition, letter.offset),
        key_base64=_base64(letter.key),
        value_base64=_base64(None if letter.value is None else value[:_MOST_SHOWN_BYTES]),
        value_bytes=len(value),
        truncated_bytes=letter.truncated_bytes,
    )


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/dead-letters",
        handler=_list,
        summary="Show the newest dead letters, grouped by their codes.",
        description=(
            f"Reads the last {_READ_BACK:,} records of the topic; `not_read` says how many there are "
            "before them."
        ),
        tag="operations",
        role="admin",
        query=DeadLettersQuery,
        answer=DeadLetterGroups,
        errors=("overloaded",),
        weight=10,
    ),
    Endpoint(
        method="POST",
        path="/v1/dead-letters/replay",
        handler=_replay,
        summary="Send dead letters to their topics again, byte for byte.",
        description=(
            "Do this after the cause is fixed. A replayed event counts as new: a like overrides an unlike "
            "that came in between. What is refused again becomes a new dead letter. A replay by `codes` is "
            "not remembered; one without starts after the last such replay."
        ),
        tag="operations",
        role="admin",
        body=Replaying,
        answer=Replayed,
        errors=("overloaded",),
        weight=50,
    ),
)
