"""What every worker counts while it runs, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.service.monitoring.heartbeat import Heartbeat, nothing
from likewise.service.store_watch import StoreKeeping

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class ModelStoreStats:
    """How the calls to a model store (`model.store`) go. Any thread may read."""

    errors: int = 0
    """Calls that failed. Each is retried, with backoff."""
    failing_since_s: float | None = None
    """When the outage began, on the monotonic clock; None if the last call succeeded."""


@dataclass(slots=True, kw_only=True)
class WorkerStats:
    """What every worker has done so far. Only the worker writes; any thread may read."""

    retries: int = 0
    """Calls to Kafka or Redis that failed and were retried."""
    server_errors: Counter[str] = field(default_factory=Counter)
    """The same calls by the server at fault: `kafka`, `redis`, `other`."""
    keeping: StoreKeeping = field(default_factory=StoreKeeping)
    """Whether Redis removes data to make room."""
    model_store: ModelStoreStats | None = None
    """How the calls to the model store go; None without one."""
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    """When the loop last ran, and whether the worker is ready."""


@dataclass(slots=True, kw_only=True)
class MemberStats(WorkerStats):
    """What a worker in a consumer group has done so far.

    Ready: the worker is a member of the group, the servers answer, and Redis evicts nothing.
    """

    batches: int = 0
    dead_letters: int = 0
    rejoins: int = 0
    """Times the worker rejoined its group because a partition had stopped making progress."""
    lag: dict[str, int] = field(default_factory=dict)
    """Records that are not finished yet, by the number of each assigned partition."""
    held_back: dict[str, int] = field(default_factory=dict)
    """Offsets behind an open transaction, which cannot be read yet, by partition number."""
    on_batch: Callable[[int], None] = nothing
    """Called, in the worker's thread, with the number of records in each batch."""
