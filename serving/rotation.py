"""Rotation: what a user was shown lately, and does not like, moves back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.messages.ids import ItemId
    from likewise.settings import ImpressionsSettings
    from likewise.store.shown_port import ShownList


def demoted(
    lists: Sequence[ShownList],
    liked: Collection[ItemId],
    *,
    rotation: float,
    now_ms: int,
    settings: ImpressionsSettings,
) -> dict[ItemId, float]:
    """Return the factor, from 0 to 1, of each item in the lists that is not liked.

    An item that was shown just now is multiplied by `1 - rotation`. That fades with the half-life,
    and adds up over several lists, but never beyond `rotation`.
    """
    weights: defaultdict[ItemId, float] = defaultdict(float)
    for one in lists:
        age_s = max(now_ms - one.shown_at_ms, 0) / 1000
        if age_s <= settings.max_age_s:
            weight = 0.5 ** (age_s / settings.half_life_s)
            for item_id in one.items:
                weights[item_id] += weight
    for item_id in liked:
        weights.pop(item_id, None)
    return {item_id: 1 - rotation * min(1.0, weight) for item_id, weight in weights.items()}
