"""What a consumer has done so far, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.service.monitoring.heartbeat import nothing
from likewise.service.stats import MemberStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.prequential.stats import QualityStats


@dataclass(slots=True, kw_only=True)
class ConsumerStats(MemberStats):
    """What a consumer has done so far. Only the worker writes; any thread may read."""

    events_applied: int = 0
    log_breaks: Counter[str] = field(
        default_factory=lambda: Counter(remade=0, retention=0, truncated=0)
    )
    """Times a partition did not continue where it was applied: `remade`, `truncated`, `retention`."""
    unclear_times: int = 0
    """Events whose `timestamp` is not a time. It was ignored."""
    scattered_users: int = 0
    """Users found with events on several partitions."""
    on_delay_s: Callable[[float], None] = nothing
    """Called with the seconds from each batch's oldest record timestamp until it was applied."""
    quality: QualityStats | None = None
    """How well the current model predicts likes; None while that is not measured."""
