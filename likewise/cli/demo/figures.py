"""What the demo measured, for its summary and for `--json`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Newcomer(msgspec.Struct):
    """What happened to a user whom the model has never seen. Films by their titles."""

    liked: list[str]
    recommended: list[str]
    answer_ms: float
    """From the question, asked right after the third like, to the answer that counts it."""
    taken_back: str
    recommended_afterwards: list[str]


class Figures(msgspec.Struct, kw_only=True):
    """One run of the demo. Times in seconds include everything between first and last."""

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
    """Whether Redis held what a replay of the log says."""
    total_s: float = 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share (0 to 1) of the values does not exceed; none: 0."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else 0.0
