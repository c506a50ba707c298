"""What a gateway has done so far, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.service.stats import WorkerStats
from serving.stats import CatalogueStats

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, kw_only=True)
class GatewayStats(WorkerStats):
    """What a gateway has done so far. Its own threads write; any thread may read."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Answered requests by endpoint (`GET /v1/status`) and status (`200`)."""
    in_flight: int = 0
    """Requests that are being answered now."""
    published: int = 0
    """Events that Kafka has confirmed."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Error answers by code."""
    kafka_answers: bool = True
    """Whether Kafka answered when it was last asked."""
    catalogue: CatalogueStats = field(default_factory=CatalogueStats)
    model_version: str | None = None
    model_snapshot_at_ms: int | None = None
    new_items: int = 0
    shown_recorded: int = 0
    shown_dropped: int = 0
    exposures: int = 0
    exposures_dropped: int = 0
    lists_not_counted: int = 0
    on_batch: list[Callable[[float], None]] = field(default_factory=list)
    """Each is called with the number of requests that are ranked together."""
    on_latency_s: list[Callable[[float], None]] = field(default_factory=list)
    """Each is called with the seconds that an answer took."""

    def count_batch(self, requests: int) -> None:
        """Note how many requests are ranked together."""
        for observe in self.on_batch:
            observe(requests)

    def count_latency(self, seconds: float) -> None:
        """Note how long an answer took."""
        for observe in self.on_latency_s:
            observe(seconds)
