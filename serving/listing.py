"""Answers that the model does not rank, and places in others: trending and newest items, exploration. Pure.

They obey what the model's answers obey: what is left out, `where`, `only`, `boost`, `max_per` and pins.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from likewise.ranking.group_limit import GroupCounts
from likewise.ranking.pins import inserted, set_aside
from likewise.ranking.recommend import Ranked, RankedItem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence

    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import ItemId
    from likewise.messages.requests import Request
    from likewise.messages.where import Where
    from likewise.ranking.queries import Query

_CHUNK = 500
# Newest items that are looked at for exploration, and how many of them one is chosen from.
_MOST_NEWEST = 5_000
_POOL = 500
_DAY_MS = 86_400_000
_SOURCES = frozenset({"trending", "new"})


def needs_lists(request: Request) -> bool:
    """Whether a request asks for what no model ranks."""
    return request.source in _SOURCES or bool(request.explore)


class Lists(NamedTuple):
    """What lists are made from, at one moment."""

    trending: Sequence[tuple[ItemId, float]]
    view: CatalogueView | None
    """None if no request needs it."""
    ranked: Sequence[Container[ItemId]]
    """Items that the model or its additions can rank."""
    retired: Collection[ItemId]
    now_ms: int

    def rank(
        self,
        by_model: Callable[[Sequence[Query]], list[Ranked]],
        asked: Sequence[tuple[Request, Query]],
    ) -> list[Ranked]:
        """Return the answer to each request; `by_model` ranks those that name no other source."""
        if not any(needs_lists(request) for request, _ in asked):
            return by_model([query for _, query in asked])
        listed = {
            number: self._listed(request, query)
            for number, (request, query) in enumerate(asked)
            if request.source in _SOURCES
        }
        rest = [query for number, (_, query) in enumerate(asked) if number not in listed]
        by_number = iter(by_model(rest) if rest else ())
        answers = [
            listed[number] if number in listed else next(by_number) for number in range(len(asked))
        ]
        return [
            self._explored(request, query, answer) if request.explore else answer
            for (request, query), answer in zip(asked, answers, strict=True)
        ]

    def _listed(self, request: Request, query: Query) -> Ranked:
        if query.pins:
            query = set_aside(query, self.retired)
        trends = request.source == "trending"
        found = self._trending(request, query) if trends else self._newest(request, query)
        items = self._limited(request, query, found)
        pinned = [(RankedItem(item, 0.0, ()), place) for item, place in query.pins]
        return Ranked(inserted(items, pinned), "trending" if trends else "new")

    def _trending(self, request: Request, query: Query) -> Iterator[RankedItem]:
        pairs: Iterable[tuple[ItemId, float]] = self.trending
        if request.boost or query.demoted:
            pairs = self._boosted(request, query)
        left = iter(pairs)
        while some := [*islice(left, _CHUNK)]:
            shown = self._shown(query, [item for item, _ in some])
            if request.where is not None:
                passing = self._passing(request.where, [item for item, _ in some])
                shown = [may and passes for may, passes in zip(shown, passing, strict=True)]
            yield from (
                RankedItem(item, score, ())
                for (item, score), may in zip(some, shown, strict=True)
                if may
            )

    def _boosted(self, request: Request, query: Query) -> list[tuple[ItemId, float]]:
        scores = dict(self.trending)
        ids = [*scores]
        for boost in request.boost:
            for item, passes in zip(ids, self._passing(boost.where, ids), strict=True):
                if passes:
                    scores[item] *= boost.factor
        for item, factor in (query.demoted or {}).items():
            if item in scores:
                scores[item] *= factor
        return sorted(scores.items(), key=lambda pair: -pair[1])

    def _passing(self, where: Where, items: Sequence[ItemId]) -> list[bool]:
        if self.view is None:
            return [False] * len(items)
        passing: list[bool] = self.view.matches(where, items).tolist()
        return passing

    def _newest(self, request: Request, query: Query) -> Iterator[RankedItem]:
        ids = iter(() if self.view is None else self.view.newest(request.where))
        while some := [*islice(ids, _CHUNK)]:
            for item, may in zip(some, self._shown(query, some), strict=True):
                if may:
                    yield RankedItem(item, 0.0, ())

    def _shown(self, query: Query, items: Sequence[ItemId]) -> list[bool]:
        """Return which of the items the query may show, whatever the catalogue says."""
        banned, retired, only = query.banned, self.retired, query.only
        return [
            item not in banned and item not in retired and (only is None or item in only)
            for item in items
        ]

    def _limited(
        self, request: Request, query: Query, found: Iterable[RankedItem]
    ) -> list[RankedItem]:
        limit = request.max_per
        if limit is None or self.view is None:
            return [*islice(found, query.count)]
        kept: list[RankedItem] = []
        groups = GroupCounts(limit.count)
        left = iter(found)
        while len(kept) < query.count and (some := [*islice(left, _CHUNK)]):
            codes = self.view.groups_of(limit.field, [item.item_id for item in some]).tolist()
            kept += [item for item, code in zip(some, codes, strict=True) if groups.take(code)]
        return kept[: query.count]

    def _explored(self, request: Request, query: Query, answer: Ranked) -> Ranked:
        """Return the answer with new items in a share of its places.

        Which items and places depends on the user and the day, and not on when the user asks.
        """
        seed = self._seed(request)
        draw = random.Random(seed)
        wanted = int(request.explore * query.count + draw.random())
        pool = self._unranked(request, query)
        pool.sort(key=lambda item: crc32(item.encode(), seed))
        chosen = self._with_room(request, answer, pool)[:wanted]
        if not chosen:
            return answer
        pins = {item: place for item, place in query.pins if place <= query.count}
        others = [item for item in answer.items if item.item_id not in pins]
        pinned = [(item, pins[item.item_id]) for item in answer.items if item.item_id in pins]
        total = min(len(others) + len(chosen), query.count - len(pinned))
        chosen = chosen[:total]
        items = others[: total - len(chosen)]
        for place, item in zip(sorted(draw.sample(range(total), len(chosen))), chosen, strict=True):
            items.insert(place, RankedItem(item, 0.0, ()))
        return Ranked(inserted(items, pinned), answer.source, frozenset(chosen))

    def _unranked(self, request: Request, query: Query) -> list[ItemId]:
        """Return the newest items that nothing ranks, because too few users like them yet."""
        if self.view is None:
            return []
        newest = [*islice(self.view.newest(request.where), _MOST_NEWEST)]
        pinned = {item for item, _ in query.pins}
        free = (
            item
            for item, may in zip(newest, self._shown(query, newest), strict=True)
            if may and item not in pinned and not any(item in some for some in self.ranked)
        )
        return [*islice(free, _POOL)]

    def _with_room(
        self, request: Request, answer: Ranked, items: Sequence[ItemId]
    ) -> Sequence[ItemId]:
        """Return those of the items that fit into the groups of `max_per` next to the answer's own."""
        limit = request.max_per
        if limit is None or self.view is None:
            return items
        ids = [item.item_id for item in answer.items]
        codes = self.view.groups_of(limit.field, [*ids, *items]).tolist()
        groups = GroupCounts(limit.count)
        for code in codes[: len(ids)]:
            groups.take(code)
        return [
            item for item, code in zip(items, codes[len(ids) :], strict=True) if groups.take(code)
        ]

    def _seed(self, request: Request) -> int:
        who = request.user_id or " ".join(sorted(request.liked or (request.similar_to or "",)))
        return crc32(f"{self.now_ms // _DAY_MS}:{who}".encode())
