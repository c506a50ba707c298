"""Walks: the pages that one viewer is shown one after another, by requests with `next_of`.

A page never holds an item of the pages before it. So each page needs those before it: a user's are
among the lists that the user was shown, and with the later pages of the user's walks, which outlast
them; a visitor's walk is kept alone, under its own name.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from likewise.store.shown_port import ShownList, ShownRecord, Viewer
from serving.recommendation_ids import walk_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.messages.ids import ItemId
    from likewise.messages.requests import Request
    from likewise.settings import ImpressionsSettings

    Shown = Mapping[Viewer, Sequence[ShownList]]

MAX_WALK_ITEMS = 10_000
MAX_WALK_PAGES = 1_000
WALK_KEPT_S = 3_600.0
"""How long a visitor's walk, and what outlasts a user's lists, is kept after its last page."""


class Walk(NamedTuple):
    """The pages before the one to come, in no order. Several may have the same number.

    A request that is answered twice, because a server was killed, has two pages.
    """

    pages: Sequence[ShownList]
    number: int
    """Of the page to come, from 2."""
    unkept: Sequence[ShownList] = ()
    """Those of the pages that only the user's list holds."""

    @property
    def items(self) -> frozenset[ItemId]:
        """The items of all pages."""
        return frozenset(chain.from_iterable(page.items for page in self.pages))

    @property
    def n_items(self) -> int:
        """The number of items, counted for each page."""
        return sum(len(page.items) for page in self.pages)


def viewers_of(request: Request) -> list[Viewer]:
    """Return whose lists the request needs; none if it has neither `next_of` nor `rotation`."""
    user_id, previous = request.user_id, request.next_of
    if user_id is None:
        return [] if previous is None else [Viewer("chain", walk_of(previous))]
    viewers = [Viewer("user", user_id)] if previous is not None or request.rotation else []
    return viewers if previous is None else [*viewers, Viewer("pages", user_id)]


def find_walk(request: Request, shown: Shown) -> Walk | None:
    """Return the walk that `next_of` continues; None if one of its pages is not known."""
    previous = request.next_of
    if previous is None:
        return None
    name = walk_of(previous)
    pages: dict[str, ShownList] = {}
    kept: set[str] = set()
    for viewer in viewers_of(request):
        for one in shown.get(viewer, ()):
            if walk_of(one.recommendation_id) == name:
                pages[one.recommendation_id] = one
                if viewer.kind != "user":
                    kept.add(one.recommendation_id)
    if previous not in pages:
        return None
    last = pages[previous].page
    before = [one for one in pages.values() if one.page <= last]
    if len({one.page for one in before}) != last:
        return None
    unkept = [one for one in before if one.recommendation_id not in kept]
    return Walk(before, last + 1, unkept)


def records_of(
    request: Request, shown: ShownList, walk: Walk | None, settings: ImpressionsSettings
) -> list[ShownRecord]:
    """Return what to keep of a list that answers the request."""
    walk_kept_s = min(settings.max_age_s, WALK_KEPT_S)
    if request.user_id is None:
        viewer = Viewer("chain", walk_of(shown.recommendation_id))
        return [ShownRecord(viewer, shown, MAX_WALK_PAGES, walk_kept_s)]
    user = Viewer("user", request.user_id)
    records = [ShownRecord(user, shown, settings.lists, settings.max_age_s)]
    if walk is not None:
        viewer = Viewer("pages", request.user_id)
        records += [
            ShownRecord(viewer, page, MAX_WALK_PAGES, walk_kept_s) for page in (*walk.unkept, shown)
        ]
    return records
