"""Dead letters: refused records, kept unchanged with the reason.

A dead letter has the key, value and headers of the record, and additional headers with the reason
and the source. Any Kafka tool can show it, and it can be sent again unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.errors import InvalidInputError, TransientError, UndeliverableError
from likewise.records import TopicPartition, Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.port import Delivery, Sink
    from likewise.records import Record

_PREFIX = "likewise_"
_REASON = f"{_PREFIX}reason"
_DETAIL = f"{_PREFIX}detail"
_SOURCE_TOPIC = f"{_PREFIX}source_topic"
_SOURCE_PARTITION = f"{_PREFIX}source_partition"
_SOURCE_OFFSET = f"{_PREFIX}source_offset"
_SOURCE_LAST_OFFSET = f"{_PREFIX}source_last_offset"
_SOURCE_TIMESTAMP = f"{_PREFIX}source_timestamp"
_TRUNCATED = f"{_PREFIX}truncated"

CONFIRMATION_TIMEOUT_S = 30.0
_MAX_DETAIL_CHARACTERS = 500


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record, the reason why it was refused, and its source.

    `code` is stable and `detail` is for people, as in `InvalidInputError`; `timestamp_ms` is the
    record's timestamp. `truncated_bytes` is the size of a value that the broker did not accept;
    `value` is then None, and the record can't be sent again.
    """

    code: str
    detail: str
    source: TopicPartition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    truncated_bytes: int | None = None
    last_offset: int | None = None
    """Set if the value is the raw bytes of an unreadable batch, which ends at this offset."""

    @classmethod
    def of(cls, record: Record, reason: InvalidInputError) -> DeadLetter:
        """Return the dead letter for this record.

        If the record is a replayed dead letter, the new reason replaces the old one. An unreadable
        record has its own reason, and its raw bytes are kept.
        """
        if isinstance(record, Unreadable):
            return cls._of_unreadable(record)
        return cls(
            code=reason.code,
            detail=reason.message[:_MAX_DETAIL_CHARACTERS],
            source=TopicPartition(record.topic, record.partition),
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=_without_ours(record.headers),
        )

    @classmethod
    def _of_unreadable(cls, record: Unreadable) -> DeadLetter:
        return cls(
            code=record.code,
            detail=record.detail[:_MAX_DETAIL_CHARACTERS],
            source=TopicPartition(record.topic, record.partition),
            offset=record.offset,
            last_offset=record.last_offset,
            timestamp_ms=record.timestamp,
            key=None,
            value=record.raw,
        )

    def truncated(self) -> DeadLetter:
        """Return the same dead letter without the value."""
        size = 0 if self.value is None else len(self.value)
        return msgspec.structs.replace(self, value=None, truncated_bytes=size)


def encode_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Return the headers of the dead letter's record; its key and value are those of the letter."""
    facts: dict[str, object] = {
        _REASON: letter.code,
        _DETAIL: letter.detail,
        _SOURCE_TOPIC: letter.source.topic,
        _SOURCE_PARTITION: letter.source.partition,
        _SOURCE_OFFSET: letter.offset,
        _SOURCE_TIMESTAMP: letter.timestamp_ms,
    }
    if letter.last_offset is not None:
        facts[_SOURCE_LAST_OFFSET] = letter.last_offset
    if letter.truncated_bytes is not None:
        facts[_TRUNCATED] = letter.truncated_bytes
    encoded = [(name, str(fact).encode(errors="replace")) for name, fact in facts.items()]
    return [*letter.headers, *encoded]


def decode_dead_letter(record: Record) -> DeadLetter:
    """Return the dead letter that a record of the dead-letter topic carries.

    Raises:
        InvalidInputError: the record is not a dead letter.
    """
    facts = {name: value for name, value in record.headers if name.startswith(_PREFIX)}
    try:
        text = {name: value.decode() for name, value in facts.items()}
        return DeadLetter(
            code=text[_REASON],
            detail=text[_DETAIL],
            source=TopicPartition(text[_SOURCE_TOPIC], int(text[_SOURCE_PARTITION])),
            offset=int(text[_SOURCE_OFFSET]),
            timestamp_ms=int(text[_SOURCE_TIMESTAMP]),
            key=record.key,
            value=record.value,
            headers=_without_ours(record.headers),
            truncated_bytes=int(text[_TRUNCATED]) if _TRUNCATED in text else None,
            last_offset=int(text[_SOURCE_LAST_OFFSET]) if _SOURCE_LAST_OFFSET in text else None,
        )
    except (KeyError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            "not_a_dead_letter", "the record lacks the headers of a dead letter"
        ) from error


def send_dead_letters(sink: Sink, topic: str, letters: Sequence[DeadLetter]) -> None:
    """Send the dead letters; return when the broker has confirmed all of them.

    A dead letter that is too large for the topic is sent without its value. Blocks for up to 30 s.

    Raises:
        TransientError: some are not confirmed; sending all of them again duplicates the rest.
    """
    deliveries = [(letter, _send(sink, topic, letter)) for letter in letters]
    for letter, delivery in deliveries:
        try:
            if delivery is not None:
                delivery.result(CONFIRMATION_TIMEOUT_S)
                continue
        except UndeliverableError:
            pass
        _send_truncated(sink, topic, letter)


def _send(sink: Sink, topic: str, letter: DeadLetter) -> Delivery | None:
    """Queue the dead letter; return None if it is too large."""
    try:
        return sink.send(topic, letter.value, key=letter.key, headers=encode_headers(letter))
    except UndeliverableError:
        return None


def _send_truncated(sink: Sink, topic: str, letter: DeadLetter) -> None:
    short = letter.truncated()
    try:
        sink.send(topic, None, key=short.key, headers=encode_headers(short)).result(
            CONFIRMATION_TIMEOUT_S
        )
    except UndeliverableError as error:
        # Not the record's fault: the topic is missing, or its size limit is tiny.
        raise TransientError(f"no dead letter can be written to {topic}: {error}") from error


def _without_ours(headers: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, value) for name, value in headers if not name.startswith(_PREFIX))
