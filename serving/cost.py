"""What a request costs, estimated: in units of an ordinary one, about 0.3 ms of a core.

The coefficients are from measurements of the largest legal requests (10,000 likes, 1,000 items,
`explain`: 290 ms); they only have to be right enough to tell a hundred from one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.messages.requests import Request

COSTLY = 64.0
"""From here on a request is ranked alone, in parallel with the other batches."""

_USUAL_LIKES = 100
_ORDINARY_ITEMS = 150


def cost_of(request: Request, n_likes: int | None = None) -> float:
    """Return the cost, at least 1; `n_likes` is how many likes the user has, None: not known yet."""
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
