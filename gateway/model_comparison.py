"""What two models recommend to the same users, and how much of it is the same. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.ranking.agreement import overlap
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.model import Model

LISTED = 20
"""So many items are recommended to each user."""
_AT_ONCE = 64


class Compared(NamedTuple):
    """What both models recommend to one user, and which share of it is the same."""

    user_id: UserId
    overlap: float
    lists: tuple[list[ItemId], list[ItemId]]


def compared(
    models: tuple[Model, Model],
    likes: Mapping[UserId, Collection[ItemId]],
    retired: Collection[ItemId],
) -> list[Compared]:
    """Return what both models recommend to each user; the users whose lists differ most come first."""
    users = list(likes)
    one, other = (_lists(model, [likes[user] for user in users], retired) for model in models)
    found = [
        Compared(user, overlap(first, second), (first, second))
        for user, first, second in zip(users, one, other, strict=True)
    ]
    return sorted(found, key=lambda each: (each.overlap, each.user_id))


def _lists(
    model: Model, likes: Sequence[Collection[ItemId]], retired: Collection[ItemId]
) -> list[list[ItemId]]:
    queries = [Query(liked=each, banned=each, count=LISTED) for each in likes]
    batches = [queries[start : start + _AT_ONCE] for start in range(0, len(queries), _AT_ONCE)]
    return [
        [item.item_id for item in ranked.items]
        for batch in batches
        for ranked in recommend(model, batch, retired)
    ]
