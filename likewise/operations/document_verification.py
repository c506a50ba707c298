"""Verification of items, scenarios and experiments: the newest document of each in the log has to be in the store.

As in `likewise.operations.verification`, the log is replayed up to the store's own positions, and what
changes during the comparison is compared again: a reported difference is real.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.log.ranges import read_between
from likewise.store.port import Advance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from likewise.log.port import Broker
    from likewise.operations.documents import Documents
    from likewise.records import Record, TopicPartition
    from likewise.store.port import LikeStore

    OnProgress = Callable[[int, int], None]

_ROUNDS = 20
_CHUNK = 1_000


@dataclass(slots=True)
class DocumentVerification:
    """How the store differs from the log. Names are item ids, or names of scenarios or experiments.

    `unproven` names are in the store, and the log has lost what decides them: its beginning is gone, or
    compaction has left only a record that cannot be decoded. `unapplied` counts offsets after the
    store's positions. `beyond_log` has the partitions whose position is after the end of the log.
    """

    topic: str
    records: int = 0
    invalid: int = 0
    documents: int = 0
    unapplied: int = 0
    beginnings: dict[TopicPartition, int] = field(default_factory=dict)
    beyond_log: dict[TopicPartition, int] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    extra: set[str] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)
    unproven: set[str] = field(default_factory=set)
    unsettled: set[str] = field(default_factory=set)

    @property
    def wrong(self) -> list[str]:
        """Names whose stored documents are proven wrong, in order."""
        return sorted(self.missing | self.extra | self.outdated)

    @property
    def equal(self) -> bool:
        """Whether nothing is proven wrong and everything could be compared."""
        return not (self.wrong or self.beyond_log or self.unsettled)

    @property
    def whole(self) -> bool:
        """Whether the log proves everything that is stored."""
        return not (self.beginnings or self.unproven)


class DocumentVerifier:
    """Compares the documents of one topic with the store, and repairs what is proven wrong there.

    Takes some 200 bytes of memory for each document.
    """

    def __init__(self, broker: Broker, store: LikeStore, documents: Documents) -> None:
        """Ask the broker where the log starts."""
        self._broker = broker
        self._store = store
        self._documents = documents
        self._partitions = broker.partitions(documents.topic)
        self._start = broker.beginning_offsets(self._partitions)
        self._at = dict(self._start)
        self._stored_positions: dict[TopicPartition, int | None] = {}
        self._expected: dict[str, bytes] = {}
        # Names whose newest record cannot be decoded.
        self._undecided: set[str] = set()
        self.result = DocumentVerification(
            documents.topic, beginnings={one: at for one, at in self._start.items() if at}
        )

    def run(self, on_progress: OnProgress = lambda _read, _total: None) -> DocumentVerification:
        """Return how the store differs from the log.

        Calls `on_progress` with the offsets read and their total.

        Raises:
            TransientError: a server can't be reached, or the log can't be read to the end.
        """
        self._advance(on_progress)
        stored = {name: _digest(value) for name, value in self._documents.all_stored()}
        suspects = stored.keys() | self._expected.keys()
        self.result.documents = len(suspects)
        for _ in range(_ROUNDS):
            different = {name for name in suspects if stored.get(name) != self._expected.get(name)}
            touched = self._advance()
            for name in different - touched:
                self._note(name, is_stored=name in stored)
            suspects = different & touched
            if not suspects:
                break
            found = self._documents.stored(suspects)
            stored = {name: _digest(value) for name, value in found.items()}
        self.result.unsettled = suspects
        return self.result

    def repair(self) -> int:
        """Correct what is proven wrong in the store; return the number of documents.

        Each write compares the positions atomically, so that it fails if a consumer has applied
        records meanwhile, instead of undoing them.

        Raises:
            PositionMovedError: a consumer has applied records since; nothing more was written.
            TransientError: a server can't be reached.
        """
        wrong = self.result.wrong
        if not wrong:
            return 0
        right: dict[str, bytes | None] = dict.fromkeys(wrong)
        for record in self._records(self._start, self._at):
            with suppress(InvalidInputError):
                name, value = self._documents.decode(record)
                if name in right:
                    right[name] = value
        here = {
            partition: Advance(stored, self._at[partition] if stored is None else stored)
            for partition, stored in self._stored_positions.items()
        }
        documents = iter(right.items())
        while some := dict(islice(documents, _CHUNK)):
            self._store.apply(self._documents.changes(some), here)
            here = {partition: Advance(step.next, step.next) for partition, step in here.items()}
        return len(wrong)

    def _note(self, name: str, *, is_stored: bool) -> None:
        if is_stored and (name in self._undecided or self._is_unproven(name)):
            self.result.unproven.add(name)
        elif not is_stored:
            self.result.missing.add(name)
        elif name in self._expected:
            self.result.outdated.add(name)
        else:
            self.result.extra.add(name)

    def _is_unproven(self, name: str) -> bool:
        return bool(self.result.beginnings) and name not in self._expected

    def _advance(self, on_progress: OnProgress = lambda _read, _total: None) -> set[str]:
        """Replay the log to the store's current positions; return the names that it changed."""
        targets = self._targets()
        touched: set[str] = set()
        total = sum(targets.values()) - sum(self._at.values())
        for read, record in enumerate(self._records(self._at, targets)):
            if (name := self._replay(record)) is not None:
                touched.add(name)
            if read % _CHUNK == 0:
                on_progress(read, total)
        on_progress(total, total)
        self._at = targets
        return touched

    def _replay(self, record: Record) -> str | None:
        """Expect what the record writes; return its name, or None if it cannot be decoded."""
        self.result.records += 1
        try:
            name, value = self._documents.decode(record)
        except InvalidInputError:
            self.result.invalid += 1  # the consumers have dead-lettered it
            self._undecided.add((record.key or b"").decode(errors="replace"))
            return None
        self._undecided.discard(name)
        if value is None:
            self._expected.pop(name, None)
        else:
            self._expected[name] = _digest(value)
        return name

    def _records(
        self, start: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int]
    ) -> Iterator[Record]:
        for records in read_between(self._broker, start, end):
            yield from records

    def _targets(self) -> dict[TopicPartition, int]:
        positions = self._store.positions(self._partitions)
        ends = self._broker.end_offsets(self._partitions)  # read after the positions
        self._stored_positions = dict(zip(self._partitions, positions, strict=True))
        applied = {partition: at or 0 for partition, at in self._stored_positions.items()}
        self.result.beyond_log = {one: at for one, at in applied.items() if at > ends[one]}
        targets = {
            partition: max(at, min(applied[partition], ends[partition]))
            for partition, at in self._at.items()
        }
        self.result.unapplied = sum(ends.values()) - sum(targets.values())
        return targets


def _digest(document: bytes) -> bytes:
    return blake2b(document, digest_size=8).digest()
