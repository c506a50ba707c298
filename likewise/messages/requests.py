"""Requests: what a service asks, how the bytes are read, and where the reply has to go."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, overload

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import ItemId, UserId, parse_item_id, parse_user_id
from likewise.messages.json_input import decode_json
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.records import Record

MAX_REQUEST_BYTES = 256 * 1024
MAX_COUNT = 1_000
MAX_LISTED_ITEMS = 10_000
MAX_DEADLINE_MS = 3_600_000
DEFAULT_COUNT = 10

CORRELATION_HEADER = "kafka_correlationId"
REPLY_TOPIC_HEADER = "kafka_replyTopic"
REPLY_PARTITION_HEADER = "kafka_replyPartition"
MAX_PARTITION = 2**31 - 1
_MAX_PARTITION_DIGITS = 10


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question: for a user, for an ad-hoc session (`liked`), or beside an item.

    With `similar_to`, a `user_id` may be given as well: what that user likes is then left out.
    """

    user_id: UserId | None = None
    liked: tuple[ItemId, ...] | None = None
    similar_to: ItemId | None = None
    count: int = DEFAULT_COUNT
    exclude: tuple[ItemId, ...] = ()
    explain: bool = False
    diversity: float = 0.0
    """From 0 to 1: how much an item counts less that is like those before it."""
    novelty: float = 0.0
    """From 0 to 1: how much popular items count less."""
    include_liked: bool = False
    """Whether what the user likes already may be recommended again."""
    fill: bool = True
    """Whether popular items follow where the model has evidence for fewer than `count`."""
    after: Position | None = None
    deadline_ms: int | None = None


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Request)}


class ReplyRoute(msgspec.Struct, frozen=True):
    """Where a reply goes and how the requester recognises it."""

    topic: str
    partition: int | None = None
    correlation_id: bytes | None = None
    request_id: str | None = None


class _Body(msgspec.Struct):
    """The JSON object as it may arrive; unknown fields are ignored, and null means not given."""

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


class _Route(msgspec.Struct):
    """The part of a body that says where the reply goes, readable although the rest is not."""

    request_id: Any = None
    reply_to: Any = None


_body_decoder = msgspec.json.Decoder(_Body)
_route_decoder = msgspec.json.Decoder(_Route)


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
    """Return the JSON body of a request: what `decode_request` reads back as the same request."""
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
        InvalidInputError: its value breaks the wire contract, or the header that names a partition
            for the reply; the message says so where another serialiser's form is recognised.
    """
    try:
        if record.headers:
            _partition(dict(record.headers).get(REPLY_PARTITION_HEADER))
        return decode_request(record.value)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


@overload
def reply_route(record: Record, default_topic: str) -> ReplyRoute: ...
@overload
def reply_route(record: Record, default_topic: None = None) -> ReplyRoute | None: ...
def reply_route(record: Record, default_topic: str | None = None) -> ReplyRoute | None:
    """Return where the record asks to be answered; where it does not say, the default, or None.

    Headers (those of Spring Kafka's ReplyingKafkaTemplate) go before the body's `reply_to`.
    Works on requests that `decode_request` refuses, and never raises: where the header with the
    partition can't be read, the route names none.
    """
    headers = dict(record.headers)
    in_body = _route_in(record.value)
    named = _text(headers.get(REPLY_TOPIC_HEADER)) or _string(in_body.reply_to)
    topic = named or default_topic
    if topic is None:
        return None
    partition = None
    with suppress(InvalidInputError):
        partition = _partition(headers.get(REPLY_PARTITION_HEADER))
    return ReplyRoute(
        topic=topic,
        partition=partition,
        correlation_id=headers.get(CORRELATION_HEADER),
        request_id=_string(in_body.request_id),
    )


def reply_headers(route: ReplyRoute) -> list[tuple[str, bytes]]:
    """Return the headers of the reply: the correlation id, its bytes untouched."""
    if route.correlation_id is None:
        return []
    return [(CORRELATION_HEADER, route.correlation_id)]


def partition_header(partition: int) -> tuple[str, bytes]:
    """Return the header that asks for a reply on one partition (4 bytes, big-endian)."""
    return (REPLY_PARTITION_HEADER, partition.to_bytes(4, "big"))


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
        raise InvalidInputError(
            "ambiguous_subject", "`liked` stands instead of `user_id` and `similar_to`"
        )


def _item_ids(field: str, raw: Sequence[str | int]) -> tuple[ItemId, ...]:
    if len(raw) > MAX_LISTED_ITEMS:
        raise InvalidInputError("too_large", f"`{field}` names more than {MAX_LISTED_ITEMS} items")
    return tuple(parse_item_id(item, field) for item in raw)


def _route_in(value: bytes | None) -> _Route:
    if value is None or len(value) > MAX_REQUEST_BYTES:
        return _Route()
    try:
        return _route_decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Route()


def _partition(raw: bytes | None) -> int | None:
    """Return the partition that a header names; None where there is no header, or it has no value.

    Digits, perhaps in quotes, are text: as an integer they would be above 500 million.
    """
    if raw is None:
        return None
    if len(raw) == 4 and raw[:1] < b'"':
        number = int.from_bytes(raw, "big")
    else:
        digits = raw.strip(b'"')
        number = int(digits) if digits.isdigit() and len(digits) <= _MAX_PARTITION_DIGITS else -1
    if not 0 <= number <= MAX_PARTITION:
        raise InvalidInputError(
            "invalid_reply_partition",
            f"`{REPLY_PARTITION_HEADER}` is {raw[:16]!r}: neither four bytes, big-endian, nor the "
            "digits of a partition's number",
        )
    return number


def _text(raw: bytes | None) -> str | None:
    """Return the header's text; quotes around it, as JSON serialisers write them, are taken off."""
    return raw.decode(errors="replace").strip('"') or None if raw else None


def _string(raw: object) -> str | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        return None
    return str(raw) or None
