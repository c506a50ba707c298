"""Which records some groups have applied already, and others have not: see `likewise.store.bucket_port`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.records import TopicPartition
    from likewise.store.cluster_keys import ClusterKeys


class BucketsAhead(NamedTuple):
    """See `likewise.store.bucket_port.Ahead`."""

    keys: ClusterKeys
    positions: Mapping[TopicPartition, Sequence[int | None]]

    def has(self, user_id: UserId, partition: TopicPartition, offset: int) -> bool:
        """See `Ahead.has`."""
        return self._has(self.keys.group_of(user_id), partition, offset)

    def has_item(self, item_id: ItemId, partition: TopicPartition, offset: int) -> bool:
        """See `Ahead.has_item`."""
        return self._has(self.keys.group_of_item(item_id), partition, offset)

    def has_shared(self, partition: TopicPartition, offset: int) -> bool:
        """See `Ahead.has_shared`."""
        return self._has(self.keys.shared, partition, offset)

    def _has(self, group: int, partition: TopicPartition, offset: int) -> bool:
        at = self.positions.get(partition)
        return at is not None and (at[group] or 0) > offset
