"""Records of the log as bytes, their positions, and what could not be decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

DAMAGED_RECORD = "undecodable_record"
DAMAGED_BATCH = "undecodable_batch"
TOO_LARGE_BATCH = "batch_too_large"
UNREADABLE_CODES = frozenset({DAMAGED_RECORD, DAMAGED_BATCH, TOO_LARGE_BATCH})
"""Why an `Unreadable` takes the place of a record."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Span(NamedTuple):
    """What was read of a partition: the offsets from `start` (included) to `end` (excluded).

    It includes offsets without a record, which transactions and compaction leave.
    """

    start: int
    end: int


class Record(Protocol):
    """One record as bytes, not decoded yet. `timestamp` is in ms since the epoch."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Unsent:
    """A record that is not in the log yet, to decode it as its readers will."""

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = ""
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


class Committed(NamedTuple):
    """A group's committed offset in a partition, and its note; empty without a note."""

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A `Record` for bytes in the log that cannot be decoded, from `offset` to `last_offset`.

    It has neither key nor value, so every decoder of messages refuses it;
    `likewise.messages.dead_letters` keeps `raw` with the reason. `code` is one of
    `UNREADABLE_CODES`, `detail` is for people.
    """

    topic: str
    partition: int
    offset: int
    last_offset: int
    timestamp: int
    code: str
    detail: str
    raw: bytes
    key: None = None
    value: None = None
    headers: tuple[tuple[str, bytes], ...] = ()
