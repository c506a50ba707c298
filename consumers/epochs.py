"""Detects a log that lost its tail and grew again, so that its offsets mean other events now.

A broker that loses confirmed records (a broken disk, an unclean election) continues under another
leader epoch. Redis stores the epoch of the last applied event with the position, and the broker
knows where the log of that epoch ends (KIP-320).
See docs/decisions/0019-leader-epochs-and-redis-state.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from consumers.batches import Batch
    from likewise.log.port import Broker
    from likewise.records import Record, TopicPartition
    from likewise.store.port import LikeStore

_NONE = -1


class Epochs:
    """Keeps the epochs in the store up to date. Not thread-safe."""

    def __init__(self, broker: Broker, store: LikeStore) -> None:
        self._broker = broker
        self._store = store
        self._noted: dict[TopicPartition, int] = {}

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget the epochs of partitions that resume from the stored position."""
        for partition in partitions:
            self._noted.pop(partition, None)

    def truncated_before(
        self, batch: Batch, applied: Mapping[TopicPartition, int]
    ) -> set[TopicPartition]:
        """Return the partitions that lost applied events; store the epochs of the others.

        Does I/O only when an epoch changed. Call it before the batch is applied: after a crash a
        stored epoch that is too new is harmless; one that is too old would look like a loss.

        Raises:
            TransientError: a server cannot be reached.
        """
        epochs = {partition: _epoch(records[-1]) for partition, records in batch.items()}
        changed = {
            partition: epoch
            for partition, epoch in epochs.items()
            if epoch != _NONE and epoch != self._noted.get(partition)
        }
        if not changed:
            return set()
        before = {p: self._noted[p] for p in changed if p in self._noted}
        ends = self._broker.epoch_ends(before) if before else {}
        lost = {partition for partition, end in ends.items() if end < applied[partition]}
        kept = {partition: epoch for partition, epoch in changed.items() if partition not in lost}
        self._store.note_epochs(kept)
        self._noted |= kept
        return lost


def truncated(
    broker: Broker, store: LikeStore, applied: Mapping[TopicPartition, int]
) -> list[TopicPartition]:
    """Return the partitions whose log, by the epoch that was applied, ends before the position.

    Raises:
        TransientError: a server cannot be reached.
    """
    ends = ends_of_applied(broker, store, list(applied))
    return [partition for partition, end in ends.items() if end < applied[partition]]


def ends_of_applied(
    broker: Broker, store: LikeStore, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the end of the log that was applied, for each partition where the broker knows it.

    Raises:
        TransientError: a server cannot be reached.
    """
    noted = zip(partitions, store.epochs(partitions), strict=True)
    epochs = {partition: epoch for partition, epoch in noted if epoch is not None}
    return broker.epoch_ends(epochs) if epochs else {}


def _epoch(record: Record) -> int:
    """Return the record's leader epoch; unreadable records and old formats have none."""
    return int(getattr(record, "leader_epoch", _NONE))
