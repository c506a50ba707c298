"""Notices a log that lost its tail and grew again: offsets that once stood for other events.

A broker that loses what it has confirmed (a disk, an unclean election) goes on under another leader
epoch. The epoch of what is applied stands in Redis beside the position; the broker says where the
log of that epoch ends now (KIP-320). See docs/decisions/0019-the-leader-epoch-stands-beside-the-position.md.
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
        """Ask nothing yet."""
        self._broker = broker
        self._store = store
        self._noted: dict[TopicPartition, int] = {}

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Note the epochs of these again: they were taken up, from what the store has."""
        for partition in partitions:
            self._noted.pop(partition, None)

    def cut(self, batch: Batch, applied: Mapping[TopicPartition, int]) -> set[TopicPartition]:
        """Return which logs lost some of what is applied; note the epochs of the others' records.

        Almost always at once. Has to be called before the batch is applied: an epoch that is too
        new is harmless after a crash, one that is too old would look like a loss.

        Raises:
            TransientError: a server is out of reach.
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
    """Return which logs end, as far as they are what was applied, before what is applied.

    Raises:
        TransientError: a server is out of reach.
    """
    ends = ends_of_applied(broker, store, list(applied))
    return [partition for partition, end in ends.items() if end < applied[partition]]


def ends_of_applied(
    broker: Broker, store: LikeStore, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return up to where each log is known to be the one that was applied.

    Raises:
        TransientError: a server is out of reach.
    """
    noted = zip(partitions, store.epochs(partitions), strict=True)
    epochs = {partition: epoch for partition, epoch in noted if epoch is not None}
    return broker.epoch_ends(epochs) if epochs else {}


def _epoch(record: Record) -> int:
    """Return the record's leader epoch; what can't be read, and old formats, have none."""
    return int(getattr(record, "leader_epoch", _NONE))
