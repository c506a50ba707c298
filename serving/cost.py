"""What a request costs, estimated in units of an ordinary one: about 0.3 ms of a core.

The coefficients are from measurements of the largest legal requests (10,000 likes, 1,000 items,
`explain`: 290 ms; 20 boosts of nine comparisons each, not cached yet: 60 ms). They only have to be
good enough to tell a hundred from one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.where import And, Compare, Not, Or

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.requests import Request
    from likewise.messages.where import Where
    from serving.incoming import OpenRequest

COSTLY = 64.0
"""A request that costs more is ranked alone, in parallel with the other batches."""

_USUAL_LIKES = 100
_ORDINARY_ITEMS = 150
# A search among 4 million likes, 10 to 60 ms, and the scores of 60 users by their likes of now, 13 ms. More
# than `COSTLY`: each such request is answered alone.
_COST_OF_USERS = 100.0
# A filter of so many comparisons is usual, and then its mask is usually cached.
_USUAL_COMPARISONS = 10
# Thousands of items are looked at, for these and for `explore`: 1 ms.
_OF_MANY_ITEMS = frozenset({"trending", "new"})


def cost_of(request: Request, n_likes: int | None = None, n_more: float = 0.0) -> float:
    """Return the cost, at least 1.

    `n_likes` is how many likes the user has; None if not known yet. `n_more` is how many other items
    were read for the request.
    """
    if request.users_for is not None or request.users_like is not None:
        return _COST_OF_USERS + request.count / 5
    if request.similar_to is not None:
        ranked_by = 1
    elif request.liked is not None:
        ranked_by = len(request.liked)
    else:
        ranked_by = _USUAL_LIKES if n_likes is None else n_likes
    looked_up = ranked_by + len(request.exclude) + len(request.without) + n_more
    if request.only is not None:
        looked_up += len(request.only)
    count = request.count
    has_rules = request.where or request.boost or request.max_per or request.fields or request.pin
    rules = _cost_of_rules(request) if has_rules else 0.0
    usual = not (rules or request.explain or request.diversity)
    if usual and looked_up + count <= _ORDINARY_ITEMS:
        return 1.0
    cost = 1.0 + looked_up / 150 + count / 100 + rules
    if request.explain:
        cost += ranked_by * count / 12_000
    if request.diversity:
        cost += count / 7
    return cost


def _cost_of_rules(request: Request) -> float:
    filters = [boost.where for boost in request.boost]
    if request.where is not None:
        filters.append(request.where)
    cost = 0.0
    if filters:
        comparisons, values = map(sum, zip(*map(_size_of, filters), strict=True))
        cost += comparisons / 20 + max(comparisons - _USUAL_COMPARISONS, 0) + values / 200
    if request.max_per is not None:
        cost += request.count / 100
    if request.explore or request.source in _OF_MANY_ITEMS:
        cost += 3
    if request.fields:
        cost += request.count / 50
    return cost + len(request.pin) / 50


def _size_of(where: Where) -> tuple[int, int]:
    """Return how many comparisons a filter has, and how many values they compare with."""
    match where:
        case Compare(_, _, value):
            return 1, len(value) if isinstance(value, tuple) else 1
        case And(parts) | Or(parts):
            sizes = [_size_of(part) for part in parts]
            return sum(size[0] for size in sizes), sum(size[1] for size in sizes)
        case Not(part):
            return _size_of(part)


def within_budget(
    requests: Sequence[OpenRequest], costs: Sequence[float], budget: float
) -> tuple[list[OpenRequest], list[tuple[OpenRequest, float]]]:
    """Split a batch into what to rank now, and what to put back, with its cost.

    A lone request is ranked whatever it costs. Of several, the costly ones are put back, and those
    that exceed the budget; the first of the others is always ranked.
    """
    if len(requests) < 2 or (max(costs) <= COSTLY and sum(costs) <= budget):
        return list(requests), []
    kept: list[OpenRequest] = []
    put_back: list[tuple[OpenRequest, float]] = []
    spent = 0.0
    for request, cost in zip(requests, costs, strict=True):
        if cost > COSTLY or (kept and spent + cost > budget):
            put_back.append((request, cost))
        else:
            kept.append(request)
            spent += cost
    return kept, put_back
