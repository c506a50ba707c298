"""The measured quality of the recommendations, for monitoring."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW = 1_000
"""The number of probes in the hit rates: their standard error is at most .016."""

OutcomeKind = Literal["hit", "miss", "unknown_item"]
"""`unknown_item`: a miss that no ranking could avoid, since the model does not have the item."""


class Outcome(NamedTuple):
    """The outcome of a probe; `popular` is whether the popular list had the item."""

    kind: OutcomeKind
    popular: bool


@dataclass(slots=True)
class QualityStats:
    """Counts and rolling hit rates; see docs/operations.md for how to read them.

    The sampler writes `dropped`, the evaluator everything else; any thread may read.
    """

    model_version: str | None = None
    """The model that is scored; None while there is no model, and no probes are taken."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Scored probes by kind of outcome."""
    popular_hits: int = 0
    """Scored probes whose item was in the popular list."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Sampled likes that gave no probe: `overload`, `slow_store`, `store_error`."""
    discarded: Counter[str] = field(default_factory=Counter)
    """Probes that were not scored: `seen_by_model`, `retired_item`, or `failed` with an error."""
    hit_rate: float | None = None
    popular_hit_rate: float | None = None
    window: int = 0
    """The number of probes in the hit rates now, up to `WINDOW`."""
    _recent: deque[Outcome] = field(default_factory=lambda: deque(maxlen=WINDOW), repr=False)

    def count(self, outcomes: Iterable[Outcome]) -> None:
        """Count the outcomes of scored probes, in order."""
        for outcome in outcomes:
            self.outcomes[outcome.kind] += 1
            self.popular_hits += outcome.popular
            self._recent.append(outcome)
        self.window = len(self._recent)
        if self.window:
            hits = sum(outcome.kind == "hit" for outcome in self._recent)
            self.hit_rate = hits / self.window
            self.popular_hit_rate = sum(one.popular for one in self._recent) / self.window
