"""Records of the log as they came, where they stand, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

DAMAGED_RECORD = "undecodable_record"
DAMAGED_BATCH = "undecodable_batch"
TOO_LARGE_BATCH = "batch_too_large"
UNREADABLE_CODES = frozenset({DAMAGED_RECORD, DAMAGED_BATCH, TOO_LARGE_BATCH})
"""Why there is no record where an `Unreadable` stands."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Span(NamedTuple):
    """What was read of a partition: everything from offset `start` up to, but without, `end`.

    Where transactions or compaction have left offsets without a record, it goes across them.
    """

    start: int
    end: int


class Record(Protocol):
    """One record as it came: bytes, not yet understood. `timestamp` is in ms since the epoch."""

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


class Committed(NamedTuple):
    """How far a group has come in a partition, and what it noted beside that; empty without a note."""

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A `Record` that stands for bytes in the log which are no record; `offset` is their first.

    It has neither key nor value, so whoever wants a message from it refuses it, and
    `likewise.messages.dead_letters` keeps `raw` with the reason. `code` is one of
    `UNREADABLE_CODES`, `detail` is for people; up to `last_offset` nothing else can be read.
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
