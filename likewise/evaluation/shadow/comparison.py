"""Two models on the same requests: how alike their answers are, and which predicted later likes.

Pure. Requests of one user resemble each other, so every figure is a mean over users of the means
over their requests, and users are what the intervals resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from likewise.evaluation.metrics.bootstrap import CONFIDENCE, intervals, resampled_means
from likewise.ranking.agreement import overlap, rank_biased_overlap

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId

FEWEST_USERS = 20
"""Users with later likes that it takes to say which model is better; fewer resample badly."""
AGREEMENT = ("overlap", "rank_biased_overlap", "identical")
LATER = ("recall", "hit_rate", "ndcg")

Better = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Shadowed:
    """One request as each of the two models would answer it."""

    who: Hashable
    """The user; for a request without a user, the id of its record."""
    count: int
    a: Sequence[ItemId]
    b: Sequence[ItemId]
    later: AbstractSet[ItemId]
    """What the user has liked since, of what either could have recommended."""


class Mean(NamedTuple):
    """A mean over users and its interval."""

    mean: float
    low: float
    high: float


class Duel(NamedTuple):
    """One metric of both models, and how much more B has."""

    a: float
    b: float
    difference: Mean


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that came out. `later` is empty where nobody has liked anything since."""

    requests: int
    agreement: dict[str, Mean]
    """By name, of `AGREEMENT`."""
    later_requests: int
    later_users: int
    later_likes: int
    later: dict[str, Duel]
    """By name, of `LATER`."""

    @property
    def better(self) -> Better | None:
        """Which model holds more of the later likes, if that can be said at all."""
        if self.later_users < FEWEST_USERS:
            return None
        _, low, high = self.later["recall"].difference
        if low <= 0 <= high:
            return None
        return "b" if low > 0 else "a"

    @property
    def verdict(self) -> str:
        """The same as a sentence."""
        if not self.later:
            return (
                "Nobody who asked has liked anything since the request and both snapshots: nothing "
                "says which model is better. Compare again once likes have come in."
            )
        recall, (mean, low, high) = self.later["recall"], self.later["recall"].difference
        figures = (
            f"of what users liked later, B's answers hold {recall.b:.1%} and A's {recall.a:.1%} "
            f"(difference {100 * mean:+.1f} points, {CONFIDENCE:.0%} interval {100 * low:+.1f} to "
            f"{100 * high:+.1f}, {self.later_users:,} users)"
        )
        if self.later_users < FEWEST_USERS:
            return (
                f"Too few users to say which model is better (at least {FEWEST_USERS}): {figures}."
            )
        return {
            "a": f"A is better: {figures}.",
            "b": f"B is better: {figures}.",
            None: f"Neither model is shown to be better: {figures}.",
        }[self.better]


def compare(shadowed: Sequence[Shadowed], *, seed: int) -> Comparison:
    """Return how the answers to these requests, at least one, compare.

    Of a request of `count` items with t later likes: `recall` is hits / t, `hit_rate` 1 if there
    is a hit, `ndcg` as in `likewise.evaluation.metrics.lists`. For `overlap` and `rank_biased_overlap`
    see `likewise.ranking.agreement`; `identical` is 1 if the lists are the same.
    """
    alike = [[overlap(x.a, x.b), rank_biased_overlap(x.a, x.b), x.a == x.b] for x in shadowed]
    agreement = _means(_by_user(alike, shadowed), seed)
    asked = [one for one in shadowed if one.later]
    duels: dict[str, Duel] = {}
    if asked:
        scores = [[*_scores(x.a, x), *_scores(x.b, x)] for x in asked]
        duels = _duels(_by_user(scores, asked), seed)
    return Comparison(
        requests=len(shadowed),
        agreement=dict(zip(AGREEMENT, agreement, strict=True)),
        later_requests=len(asked),
        later_users=len({one.who for one in asked}),
        later_likes=len({(one.who, item) for one in asked for item in one.later}),
        later=duels,
    )


def _scores(answer: Sequence[ItemId], asked: Shadowed) -> tuple[float, float, float]:
    hits = np.array([item in asked.later for item in answer], np.float64)
    discounts = 1 / np.log2(np.arange(2, max(asked.count, len(answer)) + 2))
    ideal = discounts[: min(asked.count, len(asked.later))].sum()
    return (
        float(hits.sum()) / len(asked.later),
        float(hits.any()),
        float(hits @ discounts[: len(hits)]) / float(ideal),
    )


def _by_user(
    values: Sequence[Sequence[float]], shadowed: Sequence[Shadowed]
) -> NDArray[np.float64]:
    """Return the mean of each user's requests, [users, columns]."""
    users: dict[Hashable, int] = {}
    rows = np.array([users.setdefault(one.who, len(users)) for one in shadowed])
    sums = np.zeros((len(users), len(values[0])))
    np.add.at(sums, rows, np.array(values, np.float64))
    return sums / np.bincount(rows)[:, None]


def _means(values: NDArray[np.float64], seed: int) -> list[Mean]:
    low, high = intervals(resampled_means(values, seed=seed))
    columns = zip(values.mean(axis=0), low, high, strict=True)
    return [Mean(float(mean), float(below), float(above)) for mean, below, above in columns]


def _duels(values: NDArray[np.float64], seed: int) -> dict[str, Duel]:
    a, b = values[:, : len(LATER)], values[:, len(LATER) :]
    differences = _means(b - a, seed)
    columns = zip(LATER, a.mean(axis=0), b.mean(axis=0), differences, strict=True)
    return {name: Duel(float(of_a), float(of_b), more) for name, of_a, of_b, more in columns}
