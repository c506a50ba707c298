"""What is known of the ranking's quality so far, for monitoring."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW = 1_000
"""Questions that the hit rates are taken over: the standard error is at most .016."""

Outcome = Literal["hit", "miss", "unknown_item"]
"""`unknown_item`: a miss that no ranking could help, the model has never seen the item."""


class Verdict(NamedTuple):
    """How one question was answered; `popular` is whether the popular list had the item."""

    outcome: Outcome
    popular: bool


@dataclass(slots=True)
class QualityStats:
    """Counts and rolling hit rates; see docs/operations.md for how to read them.

    The sampler writes `dropped`, the evaluator everything else; anybody may read.
    """

    model_version: str | None = None
    """What the questions are put to; None while there is no model, and nothing is asked."""
    questions: Counter[str] = field(default_factory=Counter)
    """Questions answered, by outcome."""
    popular_hits: int = 0
    """Of these, how many the popular list would have answered."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Likes that the sampler did not ask about: `overload`, `slow_store`, `store_error`."""
    unasked: Counter[str] = field(default_factory=Counter)
    """Questions that prove nothing: `seen_by_model`, `retired_item`; or that broke: `failed`."""
    hit_rate: float | None = None
    popular_hit_rate: float | None = None
    window: int = 0
    """How many questions the rates are taken over now, up to `WINDOW`."""
    _recent: deque[Verdict] = field(default_factory=lambda: deque(maxlen=WINDOW), repr=False)

    def count(self, verdicts: Iterable[Verdict]) -> None:
        """Count questions that have been answered, in their order."""
        for verdict in verdicts:
            self.questions[verdict.outcome] += 1
            self.popular_hits += verdict.popular
            self._recent.append(verdict)
        self.window = len(self._recent)
        if self.window:
            hits = sum(verdict.outcome == "hit" for verdict in self._recent)
            self.hit_rate = hits / self.window
            self.popular_hit_rate = sum(one.popular for one in self._recent) / self.window
