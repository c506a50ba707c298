"""A ranking of every item in plain Python, which the rules of a query are compared with.

It shares two things with what it checks: the links of the model, and the cosines of diversity.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from hypothesis import assume
from scipy import sparse

from likewise.messages.ids import ItemId
from likewise.ranking.diversity import PoolVectors, pool_size
from likewise.ranking.model import Model
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from likewise.ranking.queries import Query

ITEMS = 40


def exact_model(seed: int = 0) -> Model:
    """Return a model whose scores are sums of small integers: single precision holds them exactly."""
    draw = np.random.default_rng(seed)
    links = draw.integers(1, 2**15, (ITEMS, ITEMS)) * (draw.random((ITEMS, ITEMS)) < 0.3)
    np.fill_diagonal(links, 0)
    counts = np.sort(draw.integers(1, 12, ITEMS))[::-1].astype(np.int32)
    ones = np.ones(ITEMS, np.float32)
    return Model(
        recipe=Recipe(ranker="cooccurrence", rank=0),
        item_ids=[ItemId(f"i{row:02}") for row in range(ITEMS)],
        item_counts=np.ascontiguousarray(counts),
        n_users=ITEMS,
        n_likes=ITEMS,
        typical_likes=1.0,
        user_items=sparse.csr_array(np.eye(ITEMS, dtype=np.float32)),
        item_factors=np.zeros((ITEMS, 1), np.float32),
        spectrum=np.zeros(1, np.float32),
        query_weights=ones,
        score_weights=ones,
        cooccurrence=sparse.csr_array(links.astype(np.float32)),
        plain_rows=np.ones(ITEMS, np.bool_),
        doubled=np.zeros(1, np.float32),
        item_index=None,
        user_index=None,
    )


class Shown(NamedTuple):
    item_id: ItemId
    score: float


def ranked(model: Model, query: Query, retired: Collection[ItemId]) -> list[Shown]:
    """Return what `recommend` has to return for the query."""
    pins = {
        place: item
        for item, place in query.pins
        if place <= query.count
        and item not in query.banned
        and item not in retired
        and (query.weights or {}).get(item, 0) >= 0
    }
    banned = {*query.banned, *retired, *pins.values()}
    listed = _List(model, query, banned, query.count - len(pins)).shown()
    for place in sorted(pins):
        listed.insert(place - 1, Shown(pins[place], 0.0))
    return listed


class _List:
    """The list of one query as it grows, in rows."""

    def __init__(self, model: Model, query: Query, banned: Collection[ItemId], limit: int) -> None:
        self.model = model
        self.query = query
        self.limit = limit
        weights = dict.fromkeys(query.liked, 1.0) | dict(query.weights or {})
        known = {model.item_rows[item]: w for item, w in weights.items() if item in model.item_rows}
        self.by_model = query.source == "model" and any(w > 0 for w in known.values())
        links = model.cooccurrence.toarray()
        self.raw = [sum(w * float(links[j, i]) for j, w in known.items()) for i in range(ITEMS)]
        self.left = [row for row in range(ITEMS) if self._may_be_shown(row, banned)]
        self.rows: list[int] = []
        self.scores: list[float] = []
        self.groups: Counter[int] = Counter()

    def _may_be_shown(self, row: int, banned: Collection[ItemId]) -> bool:
        item, query = self.model.item_ids[row], self.query
        return (
            item not in banned
            and (query.allowed is None or bool(query.allowed[row]))
            and (query.only is None or item in query.only)
        )

    def shown(self) -> list[Shown]:
        if self.by_model:
            self._take_evidence()
        if self.query.fill or self.query.source == "popular":
            if self.by_model and self.query.only is not None:
                self._take_rest()
            self._take_popular()
        return [
            Shown(self.model.item_ids[row], score)
            for row, score in zip(self.rows, self.scores, strict=True)
        ]

    def _take_evidence(self) -> None:
        scores = {
            row: float(np.float32(self.raw[row]) * np.float32(self._factor(row, novelty=True)))
            for row in self.left
            if self.raw[row] > 0
        }
        # Which of equal scores come first is not promised.
        assume(len(set(scores.values())) == len(scores))
        self._take_in_order(sorted(scores, key=lambda row: (-scores[row], row)), scores)

    def _take_rest(self) -> None:
        rest = [row for row in self.left if self.raw[row] <= 0]
        rest.sort(key=lambda row: (-self.raw[row], *self._by_popularity(row)))
        self._take(rest, dict(enumerate(self.raw)))

    def _take_popular(self) -> None:
        values = {row: self._popularity(row) for row in self.left if row not in self.rows}
        order = sorted(
            values, key=lambda row: (-values[row], -int(self.model.item_counts[row]), row)
        )
        if self.by_model:
            self._take(order, dict.fromkeys(order, 0.0))
        else:
            self._take_in_order(order, values)

    def _popularity(self, row: int) -> float:
        opposed = self.query.source == "model" and bool(self.query.weights) and self.raw[row] < 0
        return 0.0 if opposed else self._by_popularity(row)[0] * -1

    def _by_popularity(self, row: int) -> tuple[float, int, int]:
        popularity = int(self.model.item_counts[row])
        return -popularity * self._factor(row, novelty=False), -popularity, row

    def _factor(self, row: int, *, novelty: bool) -> float:
        query, factor = self.query, np.float32(1)
        if query.boost is not None:
            factor *= query.boost[row]
        factor *= np.float32((query.demoted or {}).get(self.model.item_ids[row], 1.0))
        if novelty and query.novelty:
            factor *= np.float32(self.model.item_counts[row]) ** np.float32(-query.novelty)
        return float(factor)

    def _take_in_order(self, order: Sequence[int], scores: dict[int, float]) -> None:
        """Take the best, or a diverse selection of the pool and then the best of the others."""
        if not self.query.diversity:
            self._take(order, scores)
            return
        pool = list(order[: pool_size(self.limit)])
        self._take_diverse([row for row in pool if scores[row] > 0], scores)
        self._take([row for row in order if row not in self.rows], scores)

    def _take_diverse(self, pool: list[int], scores: dict[int, float]) -> None:
        vectors = PoolVectors.of(self.model, np.array(pool, np.intp))
        share = self.query.diversity
        most = np.float32(max((scores[row] for row in pool), default=1))
        redundancy = dict.fromkeys(pool, np.float32(-1))
        left = list(pool)
        while len(self.rows) < self.limit:
            left = [row for row in left if self._has_room(row)]
            if not left:
                return
            value = {
                row: (1 - share) * np.float32(scores[row]) / most - share * redundancy[row]
                for row in left
            }
            best = max(left, key=lambda row: value[row])
            self._take([best], scores)
            left.remove(best)
            cosines = vectors.similar_to(pool.index(best))
            for row, cosine in zip(pool, cosines, strict=True):
                redundancy[row] = max(redundancy[row], cosine)

    def _take(self, rows: Iterable[int], scores: dict[int, float]) -> None:
        for row in rows:
            if len(self.rows) < self.limit and self._has_room(row):
                self.rows.append(row)
                self.scores.append(scores[row])
                if self.query.max_per is not None:
                    self.groups[int(self.query.max_per[0][row])] += 1

    def _has_room(self, row: int) -> bool:
        if self.query.max_per is None:
            return True
        codes, most = self.query.max_per
        return codes[row] < 0 or self.groups[int(codes[row])] < most
