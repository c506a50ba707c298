"""What a request costs, estimated in units of an ordinary one: about 0.3 ms of a core.

The coefficients are from measurements of the largest legal requests (10,000 likes, 1,000 items,
`explain`: 290 ms). They only have to be good enough to tell a hundred from one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.requests import Request
    from serving.incoming import OpenRequest

COSTLY = 64.0
"""A request that costs more is ranked alone, in parallel with the other batches."""

_USUAL_LIKES = 100
_ORDINARY_ITEMS = 150


def cost_of(request: Request, n_likes: int | None = None) -> float:
    """Return the cost, at least 1. `n_likes` is how many likes the user has; None if not known yet."""
    if request.similar_to is not None:
        ranked_by = 1
    elif request.liked is not None:
        ranked_by = len(request.liked)
    else:
        ranked_by = _USUAL_LIKES if n_likes is None else n_likes
    looked_up = ranked_by + len(request.exclude)
    count = request.count
    if looked_up + count <= _ORDINARY_ITEMS and not (request.explain or request.diversity):
        return 1.0
    cost = 1.0 + looked_up / 150 + count / 100
    if request.explain:
        cost += ranked_by * count / 12_000
    if request.diversity:
        cost += count / 7
    return cost


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
