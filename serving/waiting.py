"""Requests that wait: for the like named in `after` to be applied, or for the list in `next_of`.

A list is recorded while its reply is sent, so the request for the next page may be faster.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.replies import ErrorBody
from serving.outgoing import error_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from serving.incoming import OpenRequest, RecordId, Requester
    from serving.outgoing import Reply
    from serving.store_view import BatchContext

MAX_WAITING = 10_000
LIST_TIMEOUT_MS = 1_000
"""How long a request waits for the list in its `next_of`."""
_LOOK_UP_EVERY_MS = 20

_TOO_MANY = ErrorBody("overloaded", "too many requests wait for their `after` already")
# The same for a list that never was, is too old, or was shown to somebody else.
_UNKNOWN_LIST = ErrorBody(
    "unknown_recommendation", "`next_of`: no such list was shown to this user, or it is too old"
)


class Readiness(Enum):
    """Whether a request can be answered now."""

    READY = auto()
    WAITING = auto()


class Applied(NamedTuple):
    """How far each partition of the likes topic is applied, by partition number.

    The broker was asked at `partitions_as_of_ms` which partitions there are. On a Redis Cluster, a user
    whose request was looked up has `user_offsets`, which are exact; the others are hints there.
    """

    offsets: Sequence[int | None] = ()
    partitions_as_of_ms: float = 0.0
    user_offsets: Mapping[UserId, Sequence[int | None]] = {}

    def lacks(self, partition: int, since_ms: int) -> bool:
        """Whether there was no such partition after that moment; False if that is not known."""
        # One clock counts whole milliseconds, the other is finer: they may differ by 1.
        return partition >= len(self.offsets) and since_ms <= self.partitions_as_of_ms + 1

    def to(self, partition: int, user_id: UserId | None) -> int | None:
        """Return the offset up to which the partition is applied to the user; None if nothing is."""
        offsets = self.offsets
        if self.user_offsets and user_id is not None:
            offsets = self.user_offsets.get(user_id, offsets)
        return offsets[partition] if partition < len(offsets) else None


def readiness_of(
    request: OpenRequest, applied: Applied, *, now_ms: int, after_timeout_ms: int
) -> Readiness | ErrorBody:
    """Return whether a request is ready, has to wait, or gets an error.

    A request whose `after` names an unknown partition waits until the broker was asked for it.
    """
    deadline_at_ms = request.deadline_at_ms
    if deadline_at_ms is not None and now_ms >= deadline_at_ms:
        late_ms = now_ms - deadline_at_ms
        return ErrorBody("deadline_exceeded", f"the deadline had passed {late_ms} ms before")
    after = request.request.after
    if after is None:
        return Readiness.READY
    if applied.lacks(after.partition, request.received_at_ms):
        return ErrorBody(
            "invalid_position",
            f"`after` is {after}, but the likes topic has {len(applied.offsets)} partitions",
        )
    applied_to = applied.to(after.partition, request.request.user_id)
    if applied_to is not None and applied_to > after.offset:
        return Readiness.READY
    # In either direction: a clock that is set back must not delay a request, and the commits
    # behind it, by as much as it was set back.
    waited_ms = abs(now_ms - request.received_at_ms)
    if deadline_at_ms is None and waited_ms >= after_timeout_ms:
        return ErrorBody(
            "after_timeout",
            f"the event at {after} was not applied within {after_timeout_ms} ms "
            f"(the partition is applied up to {applied_to or 0}); is a consumer running?",
        )
    return Readiness.WAITING


class _Held(NamedTuple):
    request: OpenRequest
    look_up_at_ms: int
    """When the list in `next_of` is looked up again."""


class Waiting:
    """The requests that wait, oldest first. Their number is bounded, in all and per requester.

    One requester may have as many as there is room left, which is half of the limit if nobody else
    waits. So there is always room for the others (dynamic thresholds; Choudhury and Hahne, 1998).
    """

    def __init__(
        self,
        after_timeout_ms: int,
        clock_ms: Callable[[], int],
        *,
        list_timeout_ms: int = LIST_TIMEOUT_MS,
        limit: int = MAX_WAITING,
    ) -> None:
        self.applied = Applied()
        """How far the likes topic is applied, as of the last look-up."""
        self._after_timeout_ms = after_timeout_ms
        self._list_timeout_ms = list_timeout_ms
        self._clock_ms = clock_ms
        self._limit = limit
        self._held: dict[RecordId, _Held] = {}
        self._per_requester: Counter[Requester] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def note_applied(self, context: BatchContext) -> None:
        """Note how far the likes topic was applied at a look-up."""
        as_of_ms = self._clock_ms() - context.partitions_age_ms
        self.applied = Applied(context.positions, as_of_ms, context.user_positions)

    def due(self, *, limit: int) -> list[OpenRequest]:
        """Return up to `limit` requests that need not wait any longer, without removing them."""
        due: list[OpenRequest] = []
        now_ms = self._clock_ms()
        for request, look_up_at_ms in self._held.values():
            if len(due) == limit:
                break
            readiness = self._readiness_of(request)
            if readiness is Readiness.READY and request.request.next_of is not None:
                looked_up_lately = 0 < look_up_at_ms - now_ms <= _LOOK_UP_EVERY_MS
                readiness = Readiness.WAITING if looked_up_lately else readiness
            if readiness is not Readiness.WAITING:
                due.append(request)
        return due

    def sort_out(
        self, requests: Iterable[OpenRequest], walks: Container[RecordId] = ()
    ) -> tuple[list[OpenRequest], list[Reply]]:
        """Return what can be answered, and the error replies. What has to wait is kept.

        `walks` are the requests whose `next_of` was found.
        """
        ready: list[OpenRequest] = []
        errors: list[Reply] = []
        for request in requests:
            readiness = self._readiness_of(request)
            if readiness is Readiness.READY and request.request.next_of is not None:
                readiness = self._list_readiness_of(request, walks)
            if readiness is Readiness.WAITING and self._hold(request):
                continue
            self._release(request)
            if readiness is Readiness.READY:
                ready.append(request)
            else:
                error = readiness if isinstance(readiness, ErrorBody) else _TOO_MANY
                errors.append(error_reply(request, error))
        return ready, errors

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Remove the requests of other partitions."""
        for request in [one.request for at, one in self._held.items() if at[0] not in assigned]:
            self._release(request)

    def _readiness_of(self, request: OpenRequest) -> Readiness | ErrorBody:
        return readiness_of(
            request,
            self.applied,
            now_ms=self._clock_ms(),
            after_timeout_ms=self._after_timeout_ms,
        )

    def _list_readiness_of(
        self, request: OpenRequest, walks: Container[RecordId]
    ) -> Readiness | ErrorBody:
        if request.record_id in walks:
            return Readiness.READY
        waited_ms = abs(self._clock_ms() - request.received_at_ms)
        return Readiness.WAITING if waited_ms < self._list_timeout_ms else _UNKNOWN_LIST

    def _hold(self, request: OpenRequest) -> bool:
        """Keep a request, or continue to keep it; return False if there is no room for it."""
        held = _Held(request, self._clock_ms() + _LOOK_UP_EVERY_MS)
        if request.record_id in self._held:
            self._held[request.record_id] = held
            return True
        if self._per_requester[request.requester] >= self._limit - len(self._held):
            return False
        self._held[request.record_id] = held
        self._per_requester[request.requester] += 1
        return True

    def _release(self, request: OpenRequest) -> None:
        """Remove a request. Nothing happens if it never waited."""
        if not self._held or self._held.pop(request.record_id, None) is None:
            return
        self._per_requester[request.requester] -= 1
        if not self._per_requester[request.requester]:
            del self._per_requester[request.requester]
