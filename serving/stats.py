"""What a server has done so far, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.service.monitoring.heartbeat import Heartbeat, nothing
from likewise.service.store_watch import StoreKeeping

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.outgoing import Reply


@dataclass(slots=True)
class ServingStats:
    """What a worker has done so far; only it writes, anybody may read.

    `on_latency_s` is called, in the worker's thread, with the seconds from each request's
    timestamp to its reply.
    """

    replies: Counter[str] = field(default_factory=Counter)
    """Replies by outcome: `model`, `popular`, or the code of an error."""
    batches: int = 0
    dead_letters: int = 0
    retries: int = 0
    server_errors: Counter[str] = field(default_factory=Counter)
    """Those attempts by what was at fault: `kafka`, `redis`, `other`."""
    rejoins: int = 0
    """How often the group was joined anew, because requests were there and nobody read them."""
    lost: int = 0
    """Requests that retention removed before anybody answered them."""
    waiting: int = 0
    """Requests that wait for their `after` now."""
    backlog: int = 0
    """Requests that were read and wait for their turn."""
    lag: dict[str, int] = field(default_factory=dict)
    """Requests without a reply that is known to be sent, by the number of each partition."""
    held_back: dict[str, int] = field(default_factory=dict)
    """What follows on those behind an open transaction, by the number of each partition."""
    on_batch: Callable[[int], None] = nothing
    """Called, in the worker's thread, with the number of requests in each batch."""
    model_version: str | None = None
    model_snapshot_at_ms: int | None = None
    keeping: StoreKeeping = field(default_factory=StoreKeeping)
    """Whether Redis removes data to make room."""
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    """Ready: the group has us, and there is a model."""
    on_latency_s: Callable[[float], None] = nothing

    def count(self, reply: Reply, *, now_ms: int) -> None:
        """Count a reply that the broker has confirmed."""
        self.replies[reply.outcome] += 1
        if reply.record.timestamp > 0:
            self.on_latency_s(max(now_ms - reply.record.timestamp, 0) / 1000)
