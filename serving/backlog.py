"""Requests that were read and not taken up yet: everybody's turn comes, whatever one sends.

A requester is known by where its replies go. Requesters take turns by cost (deficit round robin;
Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", SIGCOMM 1995): with each
turn one may spend a unit more, and what it cannot afford yet waits while the others' turns go on. So who
floods the topic, with many requests or with costly ones, waits behind its own requests and not others
behind them. The fairness reaches as far as is read ahead.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from math import ceil
from typing import TYPE_CHECKING

from serving.cost import COSTLY, cost_of
from serving.progress import first_offsets

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.records import TopicPartition
    from serving.incoming import OpenRequest, Requester

MAX_BATCHES_AHEAD = 16
MAX_BYTES_AHEAD = 64 * 1024 * 1024
# A batch of ordinary requests is bounded by their number alone; this is some 80 ms of a core.
_LEAST_BUDGET = 256
# Half a minute of a core; who has sent more than that is told to come back later.
MAX_COST_AHEAD = 100_000.0


class _Line:
    """One requester's requests with their costs, and what it may spend beside a unit a turn."""

    __slots__ = ("asked", "cost", "credit")

    def __init__(self) -> None:
        self.asked: deque[tuple[OpenRequest, float]] = deque()
        self.cost = 0.0
        self.credit = 0.0

    @property
    def missing(self) -> float:
        """What it lacks for its next request."""
        return self.asked[0][1] - self.credit - 1.0

    def grant(self, turns: float) -> None:
        """Let it save what so many turns allow, up to what its next request needs."""
        self.credit = min(self.credit + turns, max(self.asked[0][1] - 1.0, 0.0))

    @property
    def is_costly(self) -> bool:
        return self.asked[0][1] > COSTLY


class Backlog:
    """Requests in order of their turns; bounded by `has_room`, which the reader asks before."""

    def __init__(self, batch: int) -> None:
        """`batch` is the most that one poll adds and one `take` gives."""
        self._limit = batch * MAX_BATCHES_AHEAD
        self.budget = float(max(batch, _LEAST_BUDGET))
        """What a batch of several requests may cost."""
        self.stalled = False
        """Whether all that is here waited for its turn among the costly ones at the last `take`."""
        self._lines: OrderedDict[Requester, _Line] = OrderedDict()
        # Whose costly request is due, in the order in which they became so.
        self._due_alone: OrderedDict[Requester, None] = OrderedDict()
        self._places: set[tuple[TopicPartition, int]] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, place: object) -> bool:
        return place in self._places

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return len(self) < self._limit and self._bytes < MAX_BYTES_AHEAD

    def admit(self, one: OpenRequest) -> bool:
        """Put a request behind those of the same requester; False where these cost too much already."""
        cost = cost_of(one.request)
        line = self._line_of(one)
        if line.asked and line.cost + cost > MAX_COST_AHEAD:
            return False
        line.asked.append((one, cost))
        self._hold(one, line, cost)
        return True

    def put_back(self, one: OpenRequest, cost: float) -> None:
        """Put a request that turned out to cost so much before those of the same requester."""
        line = self._line_of(one)
        line.asked.appendleft((one, cost))
        self._hold(one, line, cost)

    def take(self, limit: int, *, costly: bool = True) -> list[OpenRequest]:
        """Return requests whose turn has come; they are let go of.

        Either one costly request alone, if `costly` ones may be taken now; or up to `limit` others
        that cost no more than the budget together.
        """
        if costly and limit and self._due_alone:
            requester, _ = self._due_alone.popitem(last=False)
            return [self._take_of(requester)]
        taken: list[OpenRequest] = []
        spent = 0.0
        passed = 0
        while self._lines and len(taken) < limit:
            if passed >= len(self._lines):  # a round in which nobody could be served
                if not self._grant_turns(costly=costly and not taken):
                    break
                passed = 0
            requester, line = next(iter(self._lines.items()))
            cost = line.asked[0][1]
            if line.is_costly or line.missing > 0:
                line.grant(1.0)
                if line.is_costly and line.missing <= 0:
                    if costly and not taken:
                        return [self._take_of(requester)]
                    self._due_alone[requester] = None
                self._lines.move_to_end(requester)
                passed += 1
                continue
            if taken and spent + cost > self.budget:
                break
            taken.append(self._take_of(requester))
            spent += cost
            passed = 0
        self.stalled = bool(self._lines) and not taken and limit > 0
        return taken

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget the requests of partitions that are another member's now: it reads them again."""
        if all(partition in assigned for partition, _ in self._places):
            return
        kept = [
            (one, cost)
            for line in self._lines.values()
            for one, cost in line.asked
            if one.record_id[0] in assigned
        ]
        self._lines.clear()
        self._due_alone.clear()
        self._places.clear()
        self._bytes = 0
        for one, cost in kept:
            line = self._line_of(one)
            line.asked.append((one, cost))
            self._hold(one, line, cost)

    def places(self) -> Collection[tuple[TopicPartition, int]]:
        """Return where all that is held stands in the log."""
        return self._places

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset that is held of each partition of which any is."""
        return first_offsets(self._places)

    def _line_of(self, one: OpenRequest) -> _Line:
        line = self._lines.get(one.requester)
        if line is None:
            line = self._lines[one.requester] = _Line()
        return line

    def _take_of(self, requester: Requester) -> OpenRequest:
        """Let go of the requester's first request; its next turn comes after all others'."""
        line = self._lines[requester]
        one, cost = line.asked.popleft()
        line.cost -= cost
        line.credit = max(line.credit + 1.0 - cost, 0.0)
        self._due_alone.pop(requester, None)
        if line.asked:
            self._lines.move_to_end(requester)
        else:
            del self._lines[requester]
        self._places.discard(one.record_id)
        self._bytes -= _size(one)
        return one

    def _grant_turns(self, *, costly: bool) -> bool:
        """Let as many turns pass as somebody needs who may be served; False where nobody may."""
        missing = [line.missing for line in self._lines.values() if costly or not line.is_costly]
        for line in self._lines.values() if missing else ():
            line.grant(max(ceil(min(missing)), 1))
        return bool(missing)

    def _hold(self, one: OpenRequest, line: _Line, cost: float) -> None:
        line.cost += cost
        self._places.add(one.record_id)
        self._bytes += _size(one)


def _size(asked: OpenRequest) -> int:
    return len(asked.record.value or b"")
