"""The lists and likes of one user that may still count together, and which like counts for which list."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from likewise.experiments.kept import Credited, Liked, Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from likewise.experiments.runs import Run
    from likewise.messages.ids import ItemId

LATENESS_MS: Final = 3_600_000
"""How much later a record may follow in its topic than records of a later time."""
MAX_LISTS: Final = 500
MAX_LIKES: Final = 1_000

T = TypeVar("T")


class Window(msgspec.Struct, array_like=True):
    """What is kept of one user in one run: no more than the bounds allow, in the order of time."""

    lists: list[Shown] = []
    likes: list[Liked] = []
    closed_to_ms: int = 0
    """Records of an earlier time no longer count: what was kept of that time is gone."""

    def close(self, run: Run, read_to_ms: int) -> None:
        """Remove what nothing can count together with, when both topics are read up to this time."""
        closed = (read_to_ms - run.window_ms - LATENESS_MS) // _step_ms(run) * _step_ms(run)
        if closed > self.closed_to_ms:
            self.closed_to_ms = closed
            self.lists = [one for one in self.lists if one.shown_at_ms >= closed]
            self.likes = [one for one in self.likes if one.at_ms >= closed]

    def add(self, run: Run, records: Iterable[Shown | Liked]) -> tuple[int, int]:
        """Add records; return how many came too late, and how many exceed the bounds."""
        lists = {one.recommendation_id: one for one in self.lists}
        likes = set(self.likes)
        late = 0
        for record in records:
            if isinstance(record, Liked):
                if record.at_ms >= self.closed_to_ms:
                    likes.add(record)
                else:
                    late += 1
            elif record.shown_at_ms >= self.closed_to_ms:
                known = lists.get(record.recommendation_id, record)
                lists[record.recommendation_id] = min(known, record)
            else:
                late += 1
        step_ms = _step_ms(run)
        self.lists = _first_of_each(
            sorted(lists.values()), MAX_LISTS, lambda one: one.shown_at_ms // step_ms
        )
        self.likes = _first_of_each(sorted(likes), MAX_LIKES, lambda one: one.at_ms // step_ms)
        return late, len(lists) + len(likes) - len(self.lists) - len(self.likes)

    def credited(self, run: Run) -> dict[str, Credited]:
        """Return every list with the places of its items that likes are credited to."""
        likes: dict[ItemId, list[Liked]] = {}
        for like in self.likes:
            likes.setdefault(like.item_id, []).append(like)
        return {
            shown.recommendation_id: Credited(shown, _credited_places(shown, likes, run))
            for shown in self.lists
        }


def kept_for_ms(run: Run) -> int:
    """Return for how long records of a user may be needed, from the time of the last."""
    return 2 * _step_ms(run) + LATENESS_MS


def _credited_places(
    shown: Shown, likes: Mapping[ItemId, Iterable[Liked]], run: Run
) -> tuple[int, ...]:
    if likes.keys().isdisjoint(shown.items):  # of most lists, and much cheaper
        return ()
    return tuple(
        place
        for place, item in enumerate(shown.items)
        if item in likes and any(_credits(one, shown, run) for one in likes[item])
    )


def _credits(like: Liked, shown: Shown, run: Run) -> bool:
    """Whether a like of an item of the list counts for the list."""
    in_time = shown.shown_at_ms <= like.at_ms <= shown.shown_at_ms + run.window_ms
    return in_time and like.recommendation_id in ("", shown.recommendation_id)


def _step_ms(run: Run) -> int:
    return max(run.window_ms, LATENESS_MS)


def _first_of_each(ordered: list[T], count: int, step_of: Callable[[T], int]) -> list[T]:
    """Return the first so many of each step."""
    if len(ordered) <= count:
        return ordered
    return [one for _, group in groupby(ordered, step_of) for one in [*group][:count]]
