"""What a consumer has done so far, for monitoring."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumers.attribution.stats import AttributionStats
from consumers.batches import oldest_ms
from likewise.service.monitoring.heartbeat import nothing
from likewise.service.stats import MemberStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.batches import Batch, Decoded
    from consumers.documents import Documents
    from consumers.prequential.stats import QualityStats


@dataclass(slots=True, kw_only=True)
class ConsumerStats(MemberStats):
    """What a consumer has done so far. Only the worker writes; any thread may read."""

    events_applied: int = 0
    documents_applied: int = 0
    """Items, scenarios and experiments, each once per batch."""
    log_breaks: Counter[str] = field(
        default_factory=lambda: Counter(remade=0, retention=0, truncated=0)
    )
    """Times a partition did not continue where it was applied: `remade`, `truncated`, `retention`."""
    unclear_times: int = 0
    """Events whose `timestamp` is not a time. It was ignored."""
    scattered_users: int = 0
    """Users found with events on several partitions."""
    new_item_likes: int = 0
    """Likes of items that the current model does not have."""
    on_delay_s: Callable[[float], None] = nothing
    """Called with the seconds from each batch's oldest record timestamp until it was applied."""
    attribution: AttributionStats = field(default_factory=AttributionStats)
    """What is counted for experiments."""
    quality: QualityStats | None = None
    """How well the current model predicts likes; None while that is not measured."""

    def count(self, batch: Batch, decoded: Decoded, documents: Documents) -> None:
        """Count a batch of at least one record that was applied just now."""
        self.on_batch(sum(map(len, batch.values())))
        if (since_ms := oldest_ms(batch)) > 0:
            self.on_delay_s(max(time.time() - since_ms / 1000, 0.0))
        self.batches += 1
        self.events_applied += decoded.event_count
        self.documents_applied += documents.written
        self.dead_letters += len(decoded.dead_letters) + len(documents.dead_letters)
        self.unclear_times += len(decoded.unclear_times)
