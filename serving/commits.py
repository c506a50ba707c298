"""How far the group has come, as this member commits it: never past a request without its reply."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Protocol

from serving.answered_ahead import AnsweredAhead
from serving.progress import Progress, first_offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.log.port import Source
    from likewise.records import Committed, Span, TopicPartition

    Place = tuple[TopicPartition, int]


class Holder(Protocol):
    """Something that holds requests which have no reply yet."""

    def __contains__(self, place: object) -> bool:
        """Whether it holds the request there."""

    def places(self) -> Iterable[Place]:
        """Return where all that it holds stands in the log."""

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset that it holds of each partition of which it holds any."""


class Commits:
    """Keeps what was read, what was committed, and what was answered ahead of that."""

    def __init__(self, source: Source, held: Sequence[Holder]) -> None:
        """`held` are all the places where a request may be that has no reply yet."""
        self._source = source
        self._held = held
        self._progress = Progress()
        self._ahead = AnsweredAhead()
        self._rebalances = 0

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget the partitions that are another member's now."""
        self._progress.keep_only(assigned)

    @property
    def rebalanced(self) -> bool:
        """Whether partitions were shared out since the last time that `take_over` was called."""
        return self._rebalances != self._source.rebalances()

    def take_over(self, committed: Callable[[], Mapping[TopicPartition, Committed]]) -> None:
        """Learn what of the partitions assigned was answered ahead of where they begin."""
        rebalances = self._source.rebalances()
        self._ahead.take_over(committed(), self._progress.read, self._open_places())
        self._rebalances = rebalances

    def note_read(self, spans: Mapping[TopicPartition, Span]) -> None:
        """Remember how far a poll has read."""
        self._progress.note_read(spans)

    def is_known(self, place: Place) -> bool:
        """Whether the request there is held, or has its reply: a rebalance may hand it out once more."""
        return any(place in some for some in self._held) or self._ahead.has(place)

    def due(
        self, n_open: int, *, at_once: bool
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, str]]:
        """Return the offsets to commit now and the notes beside them; `n_open` requests have no reply.

        Notes are due four times a second, and `at_once`.
        """
        oldest = self.oldest_open()
        offsets = self._progress.to_commit(oldest)
        read = self._progress.read
        pinned = self._ahead.pinned(self._progress.reached(oldest), read, n_open)
        if not pinned:
            return offsets, {}
        noted = self._ahead.notes(pinned, self._open_places(), at_once=at_once)
        offsets = {at: offset for at, offset in offsets.items() if at not in pinned}
        offsets |= {at: offset for at, (offset, _) in noted.items()}
        return offsets, {at: note for at, (_, note) in noted.items()}

    def note_committed(
        self, offsets: Mapping[TopicPartition, int], notes: Mapping[TopicPartition, str]
    ) -> None:
        """Remember what needs no commit any more."""
        self._progress.note_committed(offsets)
        self._ahead.note_committed({at: (offsets[at], note) for at, note in notes.items()})

    def behind(self) -> dict[str, int]:
        """Return how many requests of each partition have no reply yet, by the partition's number."""
        return self._progress.behind(self._source.known_ends(), self.oldest_open())

    def oldest_open(self) -> dict[TopicPartition, int]:
        """Return the first offset of each partition that has no reply yet, where there is one."""
        oldest = (some.oldest_offsets().items() for some in self._held)
        return first_offsets(chain.from_iterable(oldest))

    def _open_places(self) -> Iterator[Place]:
        """Yield where everything stands that has no reply yet."""
        return chain.from_iterable(some.places() for some in self._held)
