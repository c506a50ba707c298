"""What a server has done so far, for monitoring."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from likewise.service.monitoring.heartbeat import nothing
from likewise.service.stats import MemberStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.outgoing import Reply


@dataclass(slots=True)
class CatalogueStats:
    """What a server holds of the catalogue. Only its follower writes; any thread may read."""

    items: int = 0
    scenarios: int = 0
    experiments: int = 0
    """Running experiments."""
    unreadable: int = 0
    """Stored items, scenarios and experiments that could not be read."""
    looked_at_s: float | None = None
    """When the store last named the changes, on the monotonic clock."""

    @property
    def age_s(self) -> float | None:
        """Seconds since the last look that succeeded; None before the first."""
        return None if self.looked_at_s is None else time.monotonic() - self.looked_at_s


class AnsweringStats(Protocol):
    """What the parts that make answers write; see `ServingStats`."""

    catalogue: CatalogueStats
    model_version: str | None
    model_snapshot_at_ms: int | None
    new_items: int
    shown_recorded: int
    shown_dropped: int
    exposures: int
    exposures_dropped: int
    lists_not_counted: int


@dataclass(slots=True, kw_only=True)
class ServingStats(MemberStats):
    """What a server has done so far. Only the worker writes; any thread may read.

    The server is ready once it has a model and all of the catalogue, too.
    """

    catalogue: CatalogueStats = field(default_factory=CatalogueStats)
    replies: Counter[str] = field(default_factory=Counter)
    """Replies by outcome: `model`, `popular`, or the code of an error."""
    lost: int = 0
    """Requests that retention removed before they were answered."""
    waiting: int = 0
    """Requests that wait for their `after` now."""
    backlog: int = 0
    """Requests that were read and wait for their turn now."""
    shown_recorded: int = 0
    """Lists whose items were recorded as shown. The thread that records them writes it."""
    shown_dropped: int = 0
    """Lists that were not recorded, because the store was too slow or refused them."""
    exposures: int = 0
    """Exposures that Kafka has confirmed."""
    exposures_dropped: int = 0
    """Exposures that Kafka refused."""
    lists_not_counted: int = 0
    """Lists that do not count for their experiment, because a model of it is not loaded."""
    new_items: int = 0
    """Items that the model does not have and that can be recommended now."""
    model_version: str | None = None
    model_snapshot_at_ms: int | None = None
    on_latency_s: Callable[[float], None] = nothing
    """Called, in the worker's thread, with the seconds from each request's timestamp to its reply."""

    def count(self, reply: Reply, *, now_ms: int) -> None:
        """Count a reply that the broker has confirmed."""
        self.replies[reply.outcome] += 1
        if reply.record.timestamp > 0:
            self.on_latency_s(max(now_ms - reply.record.timestamp, 0) / 1000)
