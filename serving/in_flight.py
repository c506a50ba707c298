"""Batches that are being ranked: what was taken from the log and has no reply yet."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from serving.progress import first_offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from likewise.messages.dead_letters import DeadLetter
    from likewise.records import TopicPartition
    from serving.outgoing import Reply
    from serving.threads import Promise


class Batch(NamedTuple):
    """What one turn of the loop has taken up: where that stands in the log, and what is said to it."""

    places: Collection[tuple[TopicPartition, int]]
    outgoing: list[Reply | DeadLetter]
    """What needs no ranking."""
    answers: Promise[list[Reply]]
    """The rest."""
    costly: bool = False
    """Whether it is one costly request, which others don't wait for."""


class InFlight:
    """Batches that were taken up and not sent yet."""

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

    @property
    def has_room_for_costly(self) -> bool:
        """Whether a thread stays for the others' requests beside one more that is costly."""
        return sum(batch.costly for batch in self._batches) < max(self._at_once - 1, 1)

    def finished(self) -> Iterator[Batch]:
        """Yield, and let go of, the batches that are ranked, and the oldest that have to be waited for.

        A costly one is waited for only where there is no other.
        """
        for batch in [batch for batch in self._batches if batch.answers.done()]:
            self._batches.remove(batch)
            yield batch
        while len(self._batches) > self._at_once:
            oldest = next((one for one in self._batches if not one.costly), self._batches[0])
            self._batches.remove(oldest)
            yield oldest

    def all(self) -> Iterator[Batch]:
        """Yield, and let go of, every batch."""
        while self._batches:
            yield self._batches.popleft()

    @property
    def requests(self) -> int:
        """How many requests are under way."""
        return sum(len(batch.places) for batch in self._batches)

    def places(self) -> Iterator[tuple[TopicPartition, int]]:
        """Yield where all that is under way stands in the log."""
        return chain.from_iterable(batch.places for batch in self._batches)

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset of each partition of which anything is under way."""
        return first_offsets(self.places())
