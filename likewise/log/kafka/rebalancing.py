"""What a member hears of its group's rebalances, and a fix for one assignment that gets lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import kafka
from kafka.structs import MemberState

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Assignment(NamedTuple):
    generation: Any
    encoded: bytes


class RebalanceListener(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Counts rebalances, pauses what was assigned until it is released, and loses no assignment.

    Everything is called within `poll`, or by the client's own thread.
    """

    def __init__(self, *, hold: bool = False) -> None:
        """With `hold`, an assigned partition stays paused until it is released."""
        self.count = 0
        self.held: set[Any] = set()
        """Assigned partitions that were not released yet."""
        self._hold = hold
        self._consumer: Any = None
        self._last: _Assignment | None = None

    def on_partitions_revoked(self, revoked: object) -> None:
        """Do nothing: the partitions are read until the new assignment is known."""

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Count the rebalance, and pause what was assigned before any of it is fetched."""
        self.count += 1
        if self._hold:
            self.held = set(assigned)
            self._consumer.pause(*self.held)

    def attach(self, consumer: Any) -> None:
        """Follow a consumer of kafka-python; call this before its first poll.

        Also keeps an assignment that arrives between two polls. kafka-python 3.0 drops it:
        `join_group_async` in kafka/coordinator/base.py starts a new JoinGroup when the task of the
        last one `is_done`, without reading its result. A member with short, rare polls then never
        gets partitions.
        """
        self._consumer = consumer
        coordinator = consumer._coordinator
        join = coordinator._do_join_and_sync_async

        async def join_once() -> bytes:
            last, self._last = self._last, None
            unread = coordinator.state is MemberState.REBALANCING
            if last is not None and unread and last.generation == coordinator._generation:
                return last.encoded
            encoded: bytes = await join()
            self._last = _Assignment(coordinator._generation, encoded)
            return encoded

        coordinator._do_join_and_sync_async = join_once
