"""Which additions an answer shows, and where: they obey the rules that the model's items obey.

Only diversity ignores them: each comes before the first item with a lower score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import numpy as np

from likewise.ranking import novelty
from likewise.ranking.best_items import weighted_likes
from likewise.ranking.evidence import least_scores
from likewise.ranking.explaining import strongest
from likewise.ranking.group_limit import GroupCounts
from likewise.ranking.queries import AdditionRules, ranked_by_model, sampled_likes
from likewise.ranking.top import best_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from likewise.messages.ids import ItemId
    from likewise.ranking.additions import Additions
    from likewise.ranking.array_types import FloatArray, IntArray
    from likewise.ranking.explaining import Because
    from likewise.ranking.model import Model
    from likewise.ranking.queries import Query, RowQuery


class Addition(NamedTuple):
    """An addition that a query may show."""

    place: int
    """Its place among the additions."""
    score: float
    because: Because


class _Scored(Protocol):
    @property
    def item_id(self) -> ItemId: ...
    @property
    def score(self) -> float: ...


_Item = TypeVar("_Item", bound=_Scored)


def found_for_each(
    model: Model,
    additions: Additions,
    queries: Sequence[Query],
    asked: Sequence[RowQuery],
    retired: Collection[ItemId],
) -> list[list[Addition]]:
    """Return the additions that each query may show and that have evidence for them, best first.

    `asked` are the same queries in rows.
    """
    found: list[list[Addition]] = [[] for _ in queries]
    ranked = [number for number, query in enumerate(asked) if ranked_by_model(query)]
    if not ranked:
        return found
    likes = weighted_likes(model, [asked[number] for number in ranked])
    scores, least = additions.scores(model, likes), least_scores(model, likes)
    scores[scores <= least[:, None]] = -np.inf
    scores[:, _places(additions, retired)] = -np.inf
    for number, row in zip(ranked, scores, strict=True):
        query = queries[number]
        _leave_out(additions, query, row)
        factors = _factors(additions, query)
        if factors is not None:
            row[:] = np.where(row > -np.inf, np.maximum(row, 0) * factors, row)
        places = best_columns(row, query.count)
        reasons = _reasons(model, additions, query, asked[number], places, factors)
        best = zip(places.tolist(), row[places].tolist(), reasons, strict=True)
        found[number] = [Addition(*one) for one in best]
    return found


def merged(
    model: Model, query: Query, items: Sequence[_Item], added: Sequence[tuple[_Item, int]]
) -> list[_Item]:
    """Return both by score, as many as the query's `max_per` and count allow.

    `items` are in the order to show; each of `added` comes with its place among the additions.
    """
    both: list[tuple[_Item, int]] = []
    left = list(reversed(added))
    for item in items:
        while left and left[-1][0].score > item.score:
            both.append(left.pop())
        both.append((item, -1))
    both += reversed(left)
    if query.max_per is not None:
        both = _limited(model, query.max_per, query.additions or AdditionRules(), both)
    return [item for item, _ in both[: query.count]]


def _limited(
    model: Model,
    max_per: tuple[IntArray, int],
    rules: AdditionRules,
    both: Sequence[tuple[_Item, int]],
) -> list[tuple[_Item, int]]:
    """Return the items that have room in their group."""
    codes, most = max_per
    groups = GroupCounts(most)
    kept = []
    for item, place in both:
        if place < 0:
            group = int(codes[model.item_rows[item.item_id]])
        else:
            group = -1 if rules.groups is None else int(rules.groups[place])
        if groups.take(group):
            kept.append((item, place))
    return kept


def _leave_out(additions: Additions, query: Query, scores: FloatArray) -> None:
    """Set the scores of additions that the query must not show to -inf."""
    scores[_places(additions, query.banned)] = -np.inf
    if query.only is not None:
        listed = np.zeros(len(scores), np.bool_)
        listed[_places(additions, query.only)] = True
        scores[~listed] = -np.inf
    if query.allowed is not None:
        rules = query.additions or AdditionRules()
        scores[slice(None) if rules.allowed is None else ~rules.allowed] = -np.inf


def _factors(additions: Additions, query: Query) -> FloatArray | None:
    """Return what positive scores are multiplied by, [m]; None for 1."""
    boost = None if query.additions is None else query.additions.boost
    if boost is None and not query.demoted and not query.novelty:
        return None
    factors = np.ones(len(additions.item_ids), np.float32)
    if boost is not None:
        factors *= boost
    for item, factor in (query.demoted or {}).items():
        if (place := additions.places.get(item)) is not None:
            factors[place] *= factor
    if query.novelty:
        factors *= novelty.factors(additions.counts, query.novelty)
    return factors


def _reasons(
    model: Model,
    additions: Additions,
    query: Query,
    rows: RowQuery,
    places: NDArray[np.intp],
    factors: FloatArray | None,
) -> list[Because]:
    if not query.explain or not len(places):
        return [()] * len(places)
    liked, weights = sampled_likes(rows, model.recipe.max_likes_per_user)
    shares = additions.contributions(model, liked, weights, places)
    if factors is not None:
        shares *= factors[places][:, None]
    signed = weights is not None and bool((weights < 0).any())
    return [*strongest(model, liked, shares, query.explain, signed=signed)]


def _places(additions: Additions, items: Collection[ItemId]) -> list[int]:
    """Return the places of those items that are additions."""
    places = additions.places
    return [places[item] for item in places.keys() & items]
