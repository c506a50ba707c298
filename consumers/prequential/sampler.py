"""The consumer's side: samples likes, reads what their users liked before, and queues probes.

Imports no numerical library and never waits for the model.
"""

from __future__ import annotations

from queue import Full
from typing import TYPE_CHECKING

from consumers.prequential.limits import TimeBudget
from consumers.prequential.probes import probes_of, sample
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from queue import Queue

    from consumers.prequential.limits import RateLimit
    from consumers.prequential.probes import Probe
    from consumers.prequential.stats import QualityStats
    from likewise.messages.events import Event
    from likewise.store.port import LikeStore


class Sampler:
    """Takes probes of some of the likes in each batch; costs nothing while there is no model."""

    def __init__(
        self,
        store: LikeStore,
        limit: RateLimit,
        queue: Queue[Probe],
        stats: QualityStats,
        budget: TimeBudget | None = None,
    ) -> None:
        self._store = store
        self._limit = limit
        self._queue = queue
        self._stats = stats
        self._budget = budget or TimeBudget()

    def probes(
        self, events: Sequence[Event], timestamps_ms: Sequence[int], *, seed: int
    ) -> list[Probe]:
        """Return probes of a batch that is not applied yet, in one round trip at most.

        `timestamps_ms` are those of the events' records. Failing reads cost the probes and nothing
        else: applying the batch reports the failure.
        """
        if self._stats.model_version is None:
            return []
        allowed = self._limit.take(len(events))
        if not allowed or not (sampled := sample(events, allowed, seed=seed)):
            return []
        if not self._budget.is_open:
            self._stats.dropped["slow_store"] += len(sampled)
            return []
        users = sorted({like.user_id for like in sampled.values()})
        try:
            with self._budget.spending():
                likes = self._store.likes(users)
        except LikewiseError:
            self._stats.dropped["store_error"] += len(sampled)
            return []
        return probes_of(events, timestamps_ms, sampled, dict(zip(users, likes, strict=True)))

    def submit(self, probes: Sequence[Probe]) -> None:
        """Queue the probes of a batch that was applied; drop those for which there is no room."""
        for probe in probes:
            try:
                self._queue.put_nowait(probe)
            except Full:
                self._stats.dropped["overload"] += 1
