"""Team-draft interleaving: two rankings share one list, and each item counts for the one that placed it.

Radlinski, Kurup and Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from likewise.messages.ids import ItemId

FIRST: Final = 0
SECOND: Final = 1
NOBODY: Final = -1
"""Who placed an item: the first ranking, the second, or neither."""


class Placed(NamedTuple):
    """An item of a shared list, and the number of the ranking that placed it."""

    item_id: ItemId
    by: int


def team_draft(
    first: Sequence[ItemId],
    second: Sequence[ItemId],
    count: int,
    *,
    seed: str,
    pinned: Mapping[ItemId, int] | None = None,
    fits: Callable[[ItemId], bool] = lambda _: True,
) -> list[Placed]:
    """Return up to `count` items of the two rankings, best first; equal arguments give equal lists.

    In each round a fair coin says who picks first, and each ranking picks its best item that is not in
    the list yet. If one has no item left to pick, the draft ends: what the other still has fills up the
    list and counts for nobody, because a longer ranking is not a better one.

    `pinned` items keep their places, from 0, and count for nobody. `fits` is asked once about each
    other item that is about to be placed; those that it refuses are left out.
    """
    pins = sorted((pinned or {}).items(), key=lambda pin: pin[1])[: max(count, 0)]
    seen = {item_id for item_id, _ in pins}
    draft = _draft(_Picks(first, seen, fits), _Picks(second, seen, fits), random.Random(seed))
    placed = [one for one, _ in zip(draft, range(count - len(pins)), strict=False)]
    for item_id, place in pins:
        placed.insert(place, Placed(item_id, NOBODY))
    return placed


class _Picks:
    """The items of one ranking that nobody has placed, best first."""

    def __init__(
        self, items: Sequence[ItemId], seen: set[ItemId], fits: Callable[[ItemId], bool]
    ) -> None:
        """`seen` is shared: what one ranking places, or `fits` refuses, the other does not place."""
        self.ranking = items
        self._left = iter(items)
        self._seen = seen
        self._fits = fits

    def __iter__(self) -> Iterator[ItemId]:
        return self

    def __next__(self) -> ItemId:
        for item_id in self._left:
            if item_id not in self._seen:
                self._seen.add(item_id)
                if self._fits(item_id):
                    return item_id
        raise StopIteration


def _draft(first: _Picks, second: _Picks, coin: random.Random) -> Iterator[Placed]:
    sides = ((FIRST, first), (SECOND, second))
    while True:
        (ahead, its_picks), (behind, other_picks) = sides if coin.random() < 0.5 else sides[::-1]
        picked, answer = next(its_picks, None), next(other_picks, None)
        if picked is not None:
            # Without an answer, the round was fair only if it was about this one item.
            fair = answer is not None or picked in other_picks.ranking
            yield Placed(picked, ahead if fair else NOBODY)
        if answer is not None:
            yield Placed(answer, NOBODY if picked is None else behind)
        if picked is None or answer is None:
            yield from (Placed(one, NOBODY) for picks in (first, second) for one in picks)
            return
