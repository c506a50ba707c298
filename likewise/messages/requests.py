"""Requests: what a service asks, and how its JSON is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import ItemId, UserId, parse_item_id, parse_user_id
from likewise.messages.json_input import decode_json
from likewise.messages.positions import Position
from likewise.messages.reply_routes import (
    MAX_REQUEST_BYTES,
    REPLY_PARTITION_HEADER,
    parse_reply_partition,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.records import Record

MAX_COUNT = 1_000
MAX_LISTED_ITEMS = 10_000
MAX_DEADLINE_MS = 3_600_000
DEFAULT_COUNT = 10


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a user, for an anonymous visitor (`liked`), or for items like one item.

    `similar_to` may come with a `user_id`: what that user likes is then left out.
    """

    user_id: UserId | None = None
    liked: tuple[ItemId, ...] | None = None
    similar_to: ItemId | None = None
    count: int = DEFAULT_COUNT
    exclude: tuple[ItemId, ...] = ()
    explain: bool = False
    diversity: float = 0.0
    """From 0 to 1: how strongly items unlike those before them are preferred."""
    novelty: float = 0.0
    """From 0 to 1: how strongly less popular items are preferred."""
    include_liked: bool = False
    """Whether items that the user already likes may be recommended."""
    fill: bool = True
    """Whether popular items fill up the answer if the model has evidence for fewer than `count`."""
    after: Position | None = None
    deadline_ms: int | None = None


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Request)}


class _Body(msgspec.Struct):
    """The JSON object. Unknown fields are ignored, and null means not given."""

    user_id: str | int | None = None
    liked: list[str | int] | None = None
    similar_to: str | int | None = None
    count: int | None = None
    exclude: list[str | int] | None = None
    explain: bool | None = None
    diversity: float | None = None
    novelty: float | None = None
    include_liked: bool | None = None
    fill: bool | None = None
    after: str | None = None
    deadline_ms: int | None = None
    version: int | None = None
    request_id: str | int | None = None
    reply_to: str | int | None = None


_body_decoder = msgspec.json.Decoder(_Body)


def decode_request(value: bytes | None) -> Request:
    """Return the request that a record's value carries.

    Raises:
        InvalidInputError: the value breaks the wire contract. Nothing else is ever raised.
    """
    body = decode_json(_body_decoder, value, what="request", max_bytes=MAX_REQUEST_BYTES)
    if body.version not in {1, None}:
        raise InvalidInputError("unsupported_version", f"version {body.version} is not 1")
    request = Request(
        user_id=None if body.user_id is None else parse_user_id(body.user_id),
        liked=None if body.liked is None else _item_ids("liked", body.liked),
        similar_to=None
        if body.similar_to is None
        else parse_item_id(body.similar_to, "similar_to"),
        exclude=_item_ids("exclude", body.exclude or ()),
        after=None if body.after is None else Position.parse(body.after),
        count=DEFAULT_COUNT if body.count is None else body.count,
        explain=body.explain or False,
        diversity=body.diversity or 0.0,
        novelty=body.novelty or 0.0,
        include_liked=body.include_liked or False,
        fill=body.fill is not False,
        deadline_ms=body.deadline_ms,
    )
    _check_subject(request)
    _check_numbers(request)
    return request


def encode_request(
    request: Request, *, request_id: str | None = None, reply_to: str | None = None
) -> bytes:
    """Return the JSON body of a request, which `decode_request` decodes to the same request."""
    body: dict[str, object] = {
        name: value
        for name, value in msgspec.structs.asdict(request).items()
        if value != _DEFAULTS[name]
    }
    if request.after is not None:
        body["after"] = str(request.after)
    if request_id is not None:
        body["request_id"] = request_id
    if reply_to is not None:
        body["reply_to"] = reply_to
    return msgspec.json.encode(body)


def read_request(record: Record) -> Request:
    """Return the request that a record carries.

    Raises:
        InvalidInputError: the value or the header of the reply partition breaks the wire contract.
            The message names another serialiser's form if it is recognised.
    """
    try:
        if record.headers:
            parse_reply_partition(dict(record.headers).get(REPLY_PARTITION_HEADER))
        return decode_request(record.value)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


def _check_numbers(request: Request) -> None:
    if not 1 <= request.count <= MAX_COUNT:
        raise InvalidInputError("invalid_count", f"`count` must be from 1 to {MAX_COUNT}")
    if request.deadline_ms is not None and not 1 <= request.deadline_ms <= MAX_DEADLINE_MS:
        raise InvalidInputError(
            "invalid_deadline", f"`deadline_ms` must be from 1 to {MAX_DEADLINE_MS}"
        )
    if not 0 <= request.diversity <= 1:
        raise InvalidInputError("invalid_diversity", "`diversity` must be from 0 to 1")
    if not 0 <= request.novelty <= 1:
        raise InvalidInputError("invalid_novelty", "`novelty` must be from 0 to 1")


def _check_subject(request: Request) -> None:
    subjects = [request.user_id, request.liked, request.similar_to]
    if all(subject is None for subject in subjects):
        raise InvalidInputError(
            "missing_field", "a request needs `user_id`, `liked` or `similar_to`"
        )
    if request.liked is not None and (request.user_id or request.similar_to):
        raise InvalidInputError("ambiguous_subject", "`liked` replaces `user_id` and `similar_to`")


def _item_ids(field: str, raw: Sequence[str | int]) -> tuple[ItemId, ...]:
    if len(raw) > MAX_LISTED_ITEMS:
        raise InvalidInputError("too_large", f"`{field}` names more than {MAX_LISTED_ITEMS} items")
    return tuple(parse_item_id(item, field) for item in raw)
