"""What a consumer has counted for experiments, for monitoring."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.service.stats import MemberStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from likewise.experiments.counting import RunChange
    from likewise.experiments.runs import Run


@dataclass(slots=True, kw_only=True)
class AttributionStats(MemberStats):
    """What this consumer has counted. The thread of attribution writes, any thread may read.

    Its heartbeat is not the consumer's: likes are applied whatever happens to experiments.
    """

    lists: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Lists by experiment and variant, both empty outside experiments."""
    likes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Credited likes, likewise."""
    uncounted: Counter[str] = field(default_factory=lambda: Counter(late=0, too_many=0))
    """Lists and likes that did not count: see `likewise.experiments.window`."""
    conflicts: int = 0
    """Batches counted again, because another member changed one of their users meanwhile."""

    def count(self, runs: Iterable[Run], changes: Mapping[str, RunChange]) -> None:
        """Count what a batch that was applied just now has changed."""
        self.batches += 1
        for run in runs:
            change = changes[run.key]
            name = "" if run.experiment is None else run.experiment.name
            for variant, counts in change.tally.variants.items():
                self.lists[name, variant] += max(counts.lists, 0)
                self.likes[name, variant] += max(counts.likes, 0)
            self.uncounted["late"] += change.late
            self.uncounted["too_many"] += change.dropped
