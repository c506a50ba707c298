"""Batches that are in flight: being ranked, or ranked and not sent yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from serving.outgoing import record_id_of_outgoing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from concurrent.futures import Future

    from likewise.messages.dead_letters import DeadLetter
    from serving.incoming import OpenRequest, RecordId
    from serving.outgoing import Reply


class Batch(NamedTuple):
    """What one turn of the loop replies to."""

    record_ids: Collection[RecordId]
    outgoing: list[Reply | DeadLetter]
    """What is ready to be sent."""
    ranking: Future[list[Reply]] | None = None
    """The replies that a thread is computing."""
    costly: bool = False
    """Whether it is a single costly request, which the others do not wait for."""

    @classmethod
    def of(
        cls,
        outgoing: list[Reply | DeadLetter],
        ranked: Sequence[OpenRequest] = (),
        ranking: Future[list[Reply]] | None = None,
        *,
        costly: bool = False,
    ) -> Self:
        """Return a batch of what is ready to be sent, and of the requests that are `ranked`."""
        record_ids = [record_id_of_outgoing(one) for one in outgoing]
        record_ids += [request.record_id for request in ranked]
        return cls(record_ids, outgoing, ranking, costly)

    @property
    def is_ranked(self) -> bool:
        """Whether `replies` returns at once."""
        return self.ranking is None or self.ranking.done()

    def replies(self) -> list[Reply | DeadLetter]:
        """Return everything to send. Blocks until the batch is ranked."""
        return self.outgoing if self.ranking is None else [*self.outgoing, *self.ranking.result()]


class InFlight:
    """The batches in flight, oldest first."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many batches may stay in flight from one turn of the loop to the next."""
        self._limit = limit
        self._batches: deque[Batch] = deque()

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, batch: Batch) -> None:
        """Append a batch."""
        self._batches.append(batch)

    @property
    def has_room_for_costly(self) -> bool:
        """Whether a thread is left for other requests while one more costly one is ranked."""
        return sum(batch.costly for batch in self._batches) < max(self._limit - 1, 1)

    def finished(self) -> Iterator[Batch]:
        """Remove and yield the batches that are ranked, then the oldest ones above the limit.

        Those block in `replies`. A costly one is among them only if there is no other.
        """
        for batch in [batch for batch in self._batches if batch.is_ranked]:
            self._batches.remove(batch)
            yield batch
        while len(self._batches) > self._limit:
            oldest = next((one for one in self._batches if not one.costly), self._batches[0])
            self._batches.remove(oldest)
            yield oldest

    def all(self) -> Iterator[Batch]:
        """Remove and yield every batch."""
        while self._batches:
            yield self._batches.popleft()
