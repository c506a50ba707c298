"""What the demo measured, for its summary and for `--json`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Newcomer(msgspec.Struct):
    """The results for a user who is not in the model. Films by title."""

    liked: list[str]
    recommended: list[str]
    answer_ms: float
    """From the request, sent right after the third like, to the answer that includes it."""
    taken_back: str
    recommended_afterwards: list[str]


class Figures(msgspec.Struct, kw_only=True):
    """One run of the demo. Durations are in seconds, from the first event to the last."""

    events: int
    users: int
    films: int
    published_s: float
    applied_s: float
    """From the first event published to the last one in Redis."""
    build_s: float
    model: str
    ranker: str
    newcomer: Newcomer
    answers: int
    answer_p50_ms: float
    answer_p99_ms: float
    verified: bool
    """Whether Redis was equal to a replay of the log."""
    total_s: float = 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share (0 to 1) of the values does not exceed; 0 for no values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else 0.0
