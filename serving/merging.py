"""One list of two: the answers of the two variants of an interleaved experiment. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from likewise.experiments.interleaving import FIRST, SECOND, team_draft
from likewise.ranking.group_limit import GroupCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import ItemId
    from likewise.messages.replies import Recommendations
    from likewise.messages.requests import Request


def merged(
    request: Request,
    first: Recommendations,
    second: Recommendations,
    view: CatalogueView | None = None,
) -> tuple[Recommendations, tuple[int, ...]]:
    """Return the answer that two share by team draft, and which of them placed each item.

    Each item is as in the answer that placed it. Everything else is as in the first answer, which also
    says where pinned items are. `view` is needed for a request with `max_per`.
    """
    by_side = {
        FIRST: {item.item_id: item for item in first.items},
        SECOND: {item.item_id: item for item in second.items},
    }
    of_nobody = by_side[SECOND] | by_side[FIRST]
    placed = team_draft(
        [*by_side[FIRST]],
        [*by_side[SECOND]],
        request.count,
        seed=first.recommendation_id,
        pinned={item.item_id: at for at, item in enumerate(first.items) if item.pinned},
        fits=_limit(request, [*of_nobody], view),
    )
    items = tuple(by_side.get(by, of_nobody)[item_id] for item_id, by in placed)
    source = first.source if first.source == "model" else second.source
    return structs.replace(first, items=items, source=source), tuple(by for _, by in placed)


def _limit(
    request: Request, items: Sequence[ItemId], view: CatalogueView | None
) -> Callable[[ItemId], bool]:
    """Return what takes one item after another as long as its group has room."""
    limit = request.max_per
    if limit is None or view is None:
        return lambda _: True
    codes = dict(zip(items, view.groups_of(limit.field, items).tolist(), strict=True))
    groups = GroupCounts(limit.count)
    return lambda item_id: groups.take(codes[item_id])
