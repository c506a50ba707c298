"""What this member commits: offsets never past an open request, with notes of what lies beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.answered_ahead import AnsweredAhead
from serving.offset_tracker import OffsetTracker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from likewise.log.port import Source
    from likewise.records import Committed, Span, TopicPartition
    from likewise.service.loop import Retrier
    from serving.incoming import RecordId
    from serving.ledger import Ledger


class Commits:
    """Commits the offset of each partition's first open request, or how far it was read."""

    def __init__(self, source: Source, ledger: Ledger, retry: Retrier) -> None:
        self._source = source
        self._ledger = ledger
        self._retry = retry
        self._offsets = OffsetTracker()
        self._ahead = AnsweredAhead()

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget partitions that are assigned to another member."""
        self._offsets.keep_only(assigned)

    def resume(self, committed: Mapping[TopicPartition, Committed]) -> None:
        """Learn from the notes which requests of the assigned partitions have their reply.

        Call it after each rebalance, before anything is committed.
        """
        self._ahead.resume(committed, self._offsets.read, self._ledger.offsets)

    def note_read(self, spans: Mapping[TopicPartition, Span]) -> None:
        """Remember how far a poll has read."""
        self._offsets.note_read(spans)

    def is_answered(self, record_id: RecordId) -> bool:
        """Whether the request has its reply. A rebalance may deliver its record again."""
        return self._ahead.has(record_id)

    def commit(self, *, at_once: bool = False) -> None:
        """Commit what has changed. Notes are written four times a second at most, or `at_once`.

        Raises:
            StoppedError: the worker was told to stop while the broker was unavailable.
        """
        # While the worker waited for a server, partitions may have moved to another member, which
        # commits them now. If one comes back it is read and committed again.
        self.keep_only(self._source.assignment())
        offsets, notes = self._due(at_once=at_once)
        if offsets:
            self._retry(lambda: self._source.commit(offsets, notes))
            self._offsets.note_committed(offsets)
            self._ahead.note_committed({at: (offsets[at], note) for at, note in notes.items()})

    def lag(self) -> dict[str, int]:
        """Return how many requests of each partition have no reply yet, by partition number."""
        return self._offsets.lag(self._source.known_ends(), self._ledger.oldest())

    def _due(self, *, at_once: bool) -> tuple[dict[TopicPartition, int], dict[TopicPartition, str]]:
        """Return the offsets to commit now, and the notes for some of them."""
        oldest = self._ledger.oldest()
        offsets = self._offsets.to_commit(oldest)
        ahead = self._ahead.ahead_of(
            self._offsets.reached(oldest), self._offsets.read, n_open=len(self._ledger)
        )
        if not ahead:
            return offsets, {}
        noted = self._ahead.notes(ahead, self._ledger.offsets, at_once=at_once)
        offsets = {at: offset for at, offset in offsets.items() if at not in ahead}
        offsets |= {at: offset for at, (offset, _) in noted.items()}
        return offsets, {at: note for at, (_, note) in noted.items()}
