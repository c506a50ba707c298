"""The requests that were read and have no confirmed reply yet.

What is in the ledger is never committed past, and is not read a second time.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from likewise.records import TopicPartition
    from serving.incoming import RecordId


class State(Enum):
    """What an open request waits for."""

    QUEUED = auto()
    """Its reply topic, its `after` or its turn."""
    IN_FLIGHT = auto()
    """Its reply, which is being computed or sent."""


class Ledger:
    """The state of each open request, by its record id."""

    def __init__(self) -> None:
        self._open: dict[TopicPartition, dict[int, State]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def __contains__(self, record_id: RecordId) -> bool:
        partition, offset = record_id
        return offset in self._open.get(partition, ())

    def open(self, record_id: RecordId) -> None:
        """Enter a request that was read and is queued now."""
        partition, offset = record_id
        self._open.setdefault(partition, {})[offset] = State.QUEUED

    def start(self, record_ids: Iterable[RecordId]) -> None:
        """Mark requests as in flight."""
        for partition, offset in record_ids:
            self._open.setdefault(partition, {})[offset] = State.IN_FLIGHT

    def close(self, record_ids: Iterable[RecordId]) -> None:
        """Remove requests whose replies are confirmed."""
        for partition, offset in record_ids:
            self._open[partition].pop(offset, None)

    def keep_only(self, assigned: Collection[TopicPartition]) -> bool:
        """Forget what is queued of other partitions; return whether there was anything.

        Another member reads those requests. What is in flight stays: its replies are sent anyway.
        """
        forgotten = False
        for partition in [one for one in self._open if one not in assigned]:
            states = self._open.pop(partition)
            kept = [at for at, state in states.items() if state is State.IN_FLIGHT]
            if kept:
                self._open[partition] = dict.fromkeys(kept, State.IN_FLIGHT)
            forgotten |= len(kept) < len(states)
        return forgotten

    @property
    def offsets(self) -> Mapping[TopicPartition, Collection[int]]:
        """The offsets of the open requests of each partition."""
        return self._open

    def oldest(self) -> dict[TopicPartition, int]:
        """Return the lowest offset of each partition that has an open request."""
        return {partition: min(states) for partition, states in self._open.items() if states}
