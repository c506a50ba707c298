"""What a consumer has done so far, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.service.monitoring.heartbeat import Heartbeat, nothing
from likewise.service.store_watch import StoreKeeping

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.prequential.stats import QualityStats


@dataclass(slots=True)
class ConsumerStats:
    """What a worker has done so far; only it writes, anybody may read."""

    batches: int = 0
    events_applied: int = 0
    dead_letters: int = 0
    retries: int = 0
    server_errors: Counter[str] = field(default_factory=Counter)
    """Those attempts by what was at fault: `kafka`, `redis`, `other`."""
    log_breaks: Counter[str] = field(
        default_factory=lambda: Counter(remade=0, retention=0, truncated=0)
    )
    """How often a partition did not go on from what was applied: `remade`, `truncated` or `retention`."""
    unclear_times: int = 0
    """Events whose `timestamp` is no time, and was ignored."""
    scattered_users: int = 0
    """Users who were found to have events on several partitions."""
    rejoins: int = 0
    """How often the group was joined anew, because events were there and nobody read them."""
    lag: dict[str, int] = field(default_factory=dict)
    """Events that are not applied yet, by the number of each partition that is ours."""
    held_back: dict[str, int] = field(default_factory=dict)
    """What follows on those behind an open transaction, by the number of each partition."""
    on_batch: Callable[[int], None] = nothing
    """Called, in the worker's thread, with the number of records in each batch."""
    on_delay_s: Callable[[float], None] = nothing
    """Called with the age, in Redis, of each batch's oldest record: from its timestamp on."""
    keeping: StoreKeeping = field(default_factory=StoreKeeping)
    """Whether Redis removes data to make room."""
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    """Ready: the group has us, we are at work on our partitions if any, and the servers answer."""
    quality: QualityStats | None = None
    """How well the current model foretells likes; None where it is not measured."""
