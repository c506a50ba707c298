"""Batches that are being ranked: what was taken from the log and has no reply yet."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from serving.progress import first_offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from likewise.dead_letters import DeadLetter
    from likewise.streams import TopicPartition
    from serving.outgoing import Reply
    from serving.threads import Promise


class Batch(NamedTuple):
    """What one turn of the loop has taken up: where that stands in the log, and what is said to it."""

    places: Collection[tuple[TopicPartition, int]]
    outgoing: list[Reply | DeadLetter]
    """What needs no ranking."""
    answers: Promise[list[Reply]]
    """The rest."""


class UnderWay:
    """Batches in the order in which they were taken up, and in which they are sent."""

    def __init__(self, at_once: int) -> None:
        """`at_once` is how many may stay under way from one turn to the next."""
        self._at_once = at_once
        self._batches: deque[Batch] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    def __contains__(self, place: object) -> bool:
        return any(place in batch.places for batch in self._batches)

    def add(self, batch: Batch) -> None:
        """Put a batch behind the others."""
        self._batches.append(batch)

    def finished(self) -> Iterator[Batch]:
        """Yield, and let go of, the oldest batches that are ranked or have to be waited for."""
        while self._batches:
            if len(self._batches) <= self._at_once and not self._batches[0].answers.done():
                return
            yield self._batches.popleft()

    def all(self) -> Iterator[Batch]:
        """Yield, and let go of, every batch."""
        while self._batches:
            yield self._batches.popleft()

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset of each partition of which anything is under way."""
        return first_offsets(chain.from_iterable(batch.places for batch in self._batches))
