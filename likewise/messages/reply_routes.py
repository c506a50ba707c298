"""Where the reply to a request goes: the headers of Spring Kafka's ReplyingKafkaTemplate, or the body."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, overload

import msgspec

from likewise.errors import InvalidInputError

if TYPE_CHECKING:
    from likewise.records import Record

MAX_REQUEST_BYTES = 512 * 1024

CORRELATION_HEADER = "kafka_correlationId"
REPLY_TOPIC_HEADER = "kafka_replyTopic"
REPLY_PARTITION_HEADER = "kafka_replyPartition"
MAX_PARTITION = 2**31 - 1
_MAX_PARTITION_DIGITS = 10


class ReplyRoute(msgspec.Struct, frozen=True):
    """Where a reply goes, and how the requester recognises it."""

    topic: str
    partition: int | None = None
    correlation_id: bytes | None = None
    request_id: str | None = None


class _Route(msgspec.Struct):
    """The fields of a body that concern the reply, readable even if the rest is invalid."""

    request_id: Any = None
    reply_to: Any = None


_route_decoder = msgspec.json.Decoder(_Route)


@overload
def reply_route(record: Record, default_topic: str) -> ReplyRoute: ...
@overload
def reply_route(record: Record, default_topic: None = None) -> ReplyRoute | None: ...
def reply_route(record: Record, default_topic: str | None = None) -> ReplyRoute | None:
    """Return where the record asks for its reply: its own topic, else the default, else None.

    Headers come before the body's `reply_to`. Also works for requests that `decode_request` refuses,
    and never raises: if the partition header is invalid, the route has no partition.
    """
    headers = dict(record.headers)
    in_body = _route_in(record.value)
    named = _text(headers.get(REPLY_TOPIC_HEADER)) or _string(in_body.reply_to)
    topic = named or default_topic
    if topic is None:
        return None
    partition = None
    with suppress(InvalidInputError):
        partition = parse_reply_partition(headers.get(REPLY_PARTITION_HEADER))
    return ReplyRoute(
        topic=topic,
        partition=partition,
        correlation_id=headers.get(CORRELATION_HEADER),
        request_id=_string(in_body.request_id),
    )


def reply_headers(route: ReplyRoute) -> list[tuple[str, bytes]]:
    """Return the headers of the reply: the correlation id, byte for byte."""
    if route.correlation_id is None:
        return []
    return [(CORRELATION_HEADER, route.correlation_id)]


def partition_header(partition: int) -> tuple[str, bytes]:
    """Return the header that asks for a reply on one partition (4 bytes, big-endian)."""
    return (REPLY_PARTITION_HEADER, partition.to_bytes(4, "big"))


def parse_reply_partition(raw: bytes | None) -> int | None:
    """Return the partition in the header's value; None if there is no value.

    Four bytes are an integer, unless they are digits or quotes: those would be above 500 million.

    Raises:
        InvalidInputError: the value is not a partition.
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
            f"`{REPLY_PARTITION_HEADER}` is {raw[:16]!r}: neither four bytes, big-endian, nor "
            "the digits of a partition",
        )
    return number


def _route_in(value: bytes | None) -> _Route:
    if value is None or len(value) > MAX_REQUEST_BYTES:
        return _Route()
    try:
        return _route_decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Route()


def _text(raw: bytes | None) -> str | None:
    """Return the header's text, without the quotes that JSON serialisers write around it."""
    return raw.decode(errors="replace").strip('"') or None if raw else None


def _string(raw: object) -> str | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        return None
    return str(raw) or None
