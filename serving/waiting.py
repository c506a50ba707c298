"""Requests that wait for their like to be applied (`after`), and when any request is due.

`judge` is pure; `Waiting` only keeps what it judged to wait.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.replies import ErrorBody
from serving.progress import first_offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.records import TopicPartition
    from serving.incoming import OpenRequest, Requester

MAX_WAITING = 10_000


class Standing(Enum):
    """What is to be done with a request that is no error."""

    READY = auto()
    WAITING = auto()


class Applied(NamedTuple):
    """How far each partition of the likes topic is applied, by partition number.

    Which partitions there are was asked of the broker at `partitions_as_of_ms`.
    """

    offsets: Sequence[int | None] = ()
    partitions_as_of_ms: float = 0.0

    def has_no(self, partition: int, since_ms: int) -> bool:
        """Whether there was no such partition after that moment; False where that is not known."""
        # A clock in ms and one that is finer: what they make of one moment may differ by 1.
        return partition >= len(self.offsets) and since_ms <= self.partitions_as_of_ms + 1

    def to(self, partition: int) -> int | None:
        """Return the offset up to which the partition is applied; None where nothing is."""
        return self.offsets[partition] if partition < len(self.offsets) else None


def judge(
    asked: OpenRequest, applied: Applied, *, now_ms: int, after_timeout_ms: int
) -> Standing | ErrorBody:
    """Return whether a request is ready, has to wait, or gets an error.

    One whose `after` names a partition that we don't know waits until the broker was asked for it.
    """
    deadline_at_ms = asked.deadline_at_ms
    if deadline_at_ms is not None and now_ms >= deadline_at_ms:
        late_ms = now_ms - deadline_at_ms
        return ErrorBody("deadline_exceeded", f"the deadline had passed {late_ms} ms before")
    after = asked.request.after
    if after is None:
        return Standing.READY
    if applied.has_no(after.partition, asked.received_at_ms):
        return ErrorBody(
            "invalid_position",
            f"`after` is {after}, but the likes topic has {len(applied.offsets)} partitions",
        )
    applied_to = applied.to(after.partition)
    if applied_to is not None and applied_to > after.offset:
        return Standing.READY
    # Either way: a clock that is set back must not hold a request, and the commits behind it, for
    # as long as it was set back.
    waited_ms = abs(now_ms - asked.received_at_ms)
    if deadline_at_ms is None and waited_ms >= after_timeout_ms:
        return ErrorBody(
            "after_timeout",
            f"the event at {after} was not applied within {after_timeout_ms} ms "
            f"(the partition is applied up to {applied_to or 0}); is a consumer running?",
        )
    return Standing.WAITING


class Waiting:
    """The requests that wait, each until it is released; bounded in all and for each requester.

    A requester may have no more than there is room left: half of it, where nobody else waits. So
    there is always some for the others (dynamic thresholds; Choudhury and Hahne, 1998).
    """

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._held: dict[tuple[TopicPartition, int], OpenRequest] = {}
        self._of_each: Counter[Requester] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, place: object) -> bool:
        return place in self._held

    def hold(self, asked: OpenRequest) -> bool:
        """Keep a request, also one that is kept already; False where there is no room for it."""
        if asked.record_id in self._held:
            return True
        if self._of_each[asked.requester] >= self._limit - len(self._held):
            return False
        self._held[asked.record_id] = asked
        self._of_each[asked.requester] += 1
        return True

    def release(self, asked: OpenRequest) -> None:
        """Let go of a request that gets its reply; nothing happens for one that never waited."""
        if self._held.pop(asked.record_id, None) is None:
            return
        self._of_each[asked.requester] -= 1
        if not self._of_each[asked.requester]:
            del self._of_each[asked.requester]

    def due(
        self,
        applied: Applied,
        *,
        now_ms: int,
        after_timeout_ms: int,
        limit: int,
    ) -> list[OpenRequest]:
        """Return up to `limit` requests that wait no longer, oldest first; they stay held."""
        due = []
        for asked in self._held.values():
            verdict = judge(asked, applied, now_ms=now_ms, after_timeout_ms=after_timeout_ms)
            if verdict is not Standing.WAITING:
                due.append(asked)
                if len(due) == limit:
                    break
        return due

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget the requests of partitions that are another member's now: it reads them again."""
        for asked in [one for place, one in self._held.items() if place[0] not in assigned]:
            self.release(asked)

    def places(self) -> Collection[tuple[TopicPartition, int]]:
        """Return where all that waits stands in the log."""
        return self._held.keys()

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset that waits in each partition in which any does."""
        return first_offsets(self._held)
