"""Requests that were read and wait for their turn. Everybody's turn comes, whatever one sends.

A requester is identified by where its replies go. Requesters take turns by cost (deficit round robin;
Shreedhar and Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", SIGCOMM 1995): each turn
grants one unit of cost, and a requester that cannot afford its next request yet waits while the others
take theirs. So a requester that floods the topic, with many requests or with costly ones, waits
behind its own requests, and the others do not. Fairness reaches as far as the server reads ahead.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from math import ceil
from typing import TYPE_CHECKING

from serving.cost import COSTLY, cost_of, within_budget

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.records import TopicPartition
    from serving.incoming import OpenRequest, Requester
    from serving.store_view import BatchContext

MAX_BATCHES_AHEAD = 16
MAX_BYTES_AHEAD = 64 * 1024 * 1024
# The number of ordinary requests alone bounds a batch of them. This is some 80 ms of a core.
_LEAST_BUDGET = 256
# Half a minute of a core. A requester with more than that in line is refused.
MAX_COST_AHEAD = 100_000.0


class _Line:
    """One requester's requests with their costs, and what it has saved besides a unit per turn."""

    __slots__ = ("cost", "credit", "requests")

    def __init__(self) -> None:
        self.requests: deque[tuple[OpenRequest, float]] = deque()
        self.cost = 0.0
        self.credit = 0.0

    @property
    def missing(self) -> float:
        """What it lacks for its next request."""
        return self.requests[0][1] - self.credit - 1.0

    def grant(self, turns: float) -> None:
        """Let it save what so many turns grant, but no more than its next request needs."""
        self.credit = min(self.credit + turns, max(self.requests[0][1] - 1.0, 0.0))

    @property
    def is_costly(self) -> bool:
        """Whether its next request is costly."""
        return self.requests[0][1] > COSTLY


class Backlog:
    """Requests in the order of their turns. Read more only while `has_room`."""

    def __init__(self, batch: int) -> None:
        """`batch` is the most that one poll adds and that one `take` returns."""
        self._limit = batch * MAX_BATCHES_AHEAD
        self.budget = float(max(batch, _LEAST_BUDGET))
        """What a batch of several requests may cost."""
        self.stalled = False
        """Whether the last `take` found only costly requests, and might not take one."""
        self._lines: OrderedDict[Requester, _Line] = OrderedDict()
        # Requesters whose costly request is due, in the order in which they became so.
        self._due_alone: OrderedDict[Requester, None] = OrderedDict()
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return self._count < self._limit and self._bytes < MAX_BYTES_AHEAD

    def admit(self, request: OpenRequest) -> bool:
        """Append a request to its requester's line; return False if that costs too much already."""
        cost = cost_of(request.request)
        line = self._line_of(request)
        if line.requests and line.cost + cost > MAX_COST_AHEAD:
            return False
        line.requests.append((request, cost))
        self._count_in(request, line, cost)
        return True

    def put_back(self, request: OpenRequest, cost: float) -> None:
        """Put a request that turned out to cost so much at the head of its requester's line."""
        line = self._line_of(request)
        line.requests.appendleft((request, cost))
        self._count_in(request, line, cost)

    def within_budget(
        self, ready: Sequence[OpenRequest], context: BatchContext
    ) -> tuple[list[OpenRequest], bool]:
        """Return what is ranked now, and whether it is one costly request; put back the rest.

        Costs are known only now: they depend on how much the store has about each user.
        """
        costs = [
            cost_of(one.request, context.n_likes(one.request.user_id), context.n_more(one))
            for one in ready
        ]
        kept, put_back = within_budget(ready, costs, self.budget)
        for request, cost in reversed(put_back):
            self.put_back(request, cost)
        return kept, len(ready) == 1 and costs[0] > COSTLY

    def take(self, limit: int, *, costly: bool = True) -> list[OpenRequest]:
        """Remove and return the requests whose turn it is.

        Either a single costly one, if `costly` ones may be taken now, or up to `limit` others that
        cost no more than the budget together.
        """
        if costly and limit and self._due_alone:
            requester, _ = self._due_alone.popitem(last=False)
            return [self._take_from(requester)]
        taken: list[OpenRequest] = []
        spent = 0.0
        passed = 0
        while self._lines and len(taken) < limit:
            if passed >= len(self._lines):  # a round in which nobody could be served
                if not self._grant_turns(costly=costly and not taken):
                    break
                passed = 0
            requester, line = next(iter(self._lines.items()))
            cost = line.requests[0][1]
            if line.is_costly or line.missing > 0:
                line.grant(1.0)
                if line.is_costly and line.missing <= 0:
                    if costly and not taken:
                        return [self._take_from(requester)]
                    self._due_alone[requester] = None
                self._lines.move_to_end(requester)
                passed += 1
                continue
            if taken and spent + cost > self.budget:
                break
            taken.append(self._take_from(requester))
            spent += cost
            passed = 0
        self.stalled = bool(self._lines) and not taken and limit > 0
        return taken

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Remove the requests of other partitions. The lines start again without credit."""
        kept = [
            (request, cost)
            for line in self._lines.values()
            for request, cost in line.requests
            if request.record_id[0] in assigned
        ]
        self._lines.clear()
        self._due_alone.clear()
        self._count = self._bytes = 0
        for request, cost in kept:
            line = self._line_of(request)
            line.requests.append((request, cost))
            self._count_in(request, line, cost)

    def _line_of(self, request: OpenRequest) -> _Line:
        line = self._lines.get(request.requester)
        if line is None:
            line = self._lines[request.requester] = _Line()
        return line

    def _take_from(self, requester: Requester) -> OpenRequest:
        """Remove and return the requester's first request. Its next turn comes after all others'."""
        line = self._lines[requester]
        request, cost = line.requests.popleft()
        line.cost -= cost
        line.credit = max(line.credit + 1.0 - cost, 0.0)
        self._due_alone.pop(requester, None)
        if line.requests:
            self._lines.move_to_end(requester)
        else:
            del self._lines[requester]
        self._count -= 1
        self._bytes -= _size(request)
        return request

    def _grant_turns(self, *, costly: bool) -> bool:
        """Grant as many turns as the first who may be served needs; return False if nobody may."""
        missing = [line.missing for line in self._lines.values() if costly or not line.is_costly]
        for line in self._lines.values() if missing else ():
            line.grant(max(ceil(min(missing)), 1))
        return bool(missing)

    def _count_in(self, request: OpenRequest, line: _Line, cost: float) -> None:
        line.cost += cost
        self._count += 1
        self._bytes += _size(request)


def _size(request: OpenRequest) -> int:
    return len(request.record.value or b"")
