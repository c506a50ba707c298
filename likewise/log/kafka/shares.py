"""What a group gives to one of its members, as far as kafka-python does not keep or tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import kafka
from kafka.structs import MemberState

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Share(NamedTuple):
    generation: Any
    assignment: bytes


class Shares(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Counts how often partitions were shared out, knows who did it, and loses no share.

    Everything is called within `poll`, or by the client's own thread.
    """

    def __init__(self, *, hold: bool = False) -> None:
        """With `hold`, what is assigned is not read until it is released."""
        self.count = 0
        self.held: set[Any] = set()
        """Partitions that were assigned and not released since."""
        self._hold = hold
        self._consumer: Any = None
        self.leader: str | None = None
        """Who was to share them out when the member last joined, if that was another one."""
        self._last: _Share | None = None

    def on_partitions_revoked(self, revoked: object) -> None:
        """Say nothing: they are read until the new share is known."""

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Count, and hold what was assigned, before anything of it is fetched."""
        self.count += 1
        if self._hold:
            self.held = set(assigned)
            self._consumer.pause(*self.held)

    def attend(self, consumer: Any) -> None:
        """Follow a consumer of kafka-python from before its first poll."""
        self._consumer = consumer
        coordinator = consumer._coordinator
        process = coordinator._process_join_group_response
        join = coordinator._do_join_and_sync_async

        def noting_the_leader(response: Any, sent_s: float) -> Any:
            leads = response.leader == response.member_id
            self.leader = None if leads else response.leader or None
            return process(response, sent_s)

        async def joining_once() -> bytes:
            last, self._last = self._last, None
            unclaimed = coordinator.state is MemberState.REBALANCING
            if last is not None and unclaimed and last.generation == coordinator._generation:
                # It came between two polls. kafka-python would ask for another, and whoever polls
                # shortly and seldom would never have any.
                return last.assignment
            assignment: bytes = await join()
            self._last = _Share(coordinator._generation, assignment)
            return assignment

        coordinator._process_join_group_response = noting_the_leader
        coordinator._do_join_and_sync_async = joining_once
