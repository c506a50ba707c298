"""How a service describes its metrics: each names the field of the service's stats that it reports.

A service declares its own next to its stats: `consumers.measures`, `indexer.measures`,
`serving.measures`, `gateway.measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from likewise.service.stats import MemberStats, WorkerStats

StatsT = TypeVar("StatsT", bound=WorkerStats)
StatsT_contra = TypeVar("StatsT_contra", contravariant=True)
Observer = Callable[[float], None]

BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Measure(Generic[StatsT_contra]):
    """One metric of a service, and how to read it from the stats; None leaves it out for now."""

    name: str
    documentation: str
    read: Callable[[StatsT_contra], float | Mapping[Any, float] | None]
    label: str | tuple[str, ...] | None = None
    """The label whose values are the mapping's keys; or several, if the keys are tuples."""
    counts: bool = True
    """Whether it only ever grows (a counter) or goes up and down (a gauge)."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of all labels."""
        if isinstance(self.label, tuple):
            return self.label
        return () if self.label is None else (self.label,)


@dataclass(frozen=True, slots=True)
class Distribution(Generic[StatsT_contra]):
    """A histogram of a service, and how to make the stats call an observer with each value."""

    name: str
    documentation: str
    observe_with: Callable[[StatsT_contra, Observer], None]
    buckets: Sequence[float]


@dataclass(frozen=True, slots=True)
class ServiceMetrics(Generic[StatsT_contra]):
    """All metrics of one service beyond those of `EVERY_SERVICE`."""

    service: str
    """"consumer", "indexer", "server" or "gateway"."""
    measures: Sequence[Measure[StatsT_contra]]
    distributions: Sequence[Distribution[StatsT_contra]] = ()


def observe_batches(stats: MemberStats, observe: Observer) -> None:
    """Have the stats call `observe` with the number of records in each batch."""
    stats.on_batch = observe


EVERY_SERVICE: tuple[Measure[WorkerStats], ...] = (
    Measure(
        "ready",
        "1 while the service is ready: it can work now.",
        lambda s: s.heartbeat.ready,
        counts=False,
    ),
    Measure(
        "silent_seconds",
        "Seconds since the last turn of the service's loop.",
        lambda s: s.heartbeat.silent_s,
        counts=False,
    ),
    Measure(
        "retries", "Calls to Kafka or Redis that failed and were retried.", lambda s: s.retries
    ),
    Measure(
        "server_errors",
        "Calls that failed and were retried, by server: kafka, redis or other.",
        lambda s: s.server_errors,
        label="server",
    ),
    Measure(
        "model_store_errors",
        "Calls to the model store that failed and are retried; only with `model.store`.",
        lambda s: None if s.model_store is None else s.model_store.errors,
    ),
    Measure(
        "model_store_reachable",
        "1 while the last call to the model store succeeded; only with `model.store`.",
        lambda s: None if s.model_store is None else s.model_store.failing_since_s is None,
        counts=False,
    ),
    Measure(
        "redis_evicts",
        "1 while Redis is configured to evict keys, or has evicted any.",
        lambda s: not s.keeping.sound,
        counts=False,
    ),
    Measure(
        "redis_evicted_keys",
        "Keys that Redis has evicted, by its own count.",
        lambda s: s.keeping.evicted_keys,
        counts=False,
    ),
)
REJOINS: Measure[MemberStats] = Measure(
    "rejoins",
    "Times the service rejoined its group because a partition made no progress.",
    lambda s: s.rejoins,
)
HELD_BACK: Measure[MemberStats] = Measure(
    "held_back",
    "Offsets behind an open transaction, which can't be read before it ends.",
    lambda s: s.held_back,
    label="partition",
    counts=False,
)
"""`REJOINS` and `HELD_BACK`: metrics of every service that is in a consumer group."""
