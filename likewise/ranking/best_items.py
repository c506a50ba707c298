"""The best items for each query of a block, by a scan or by a search of a large catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.ranking import candidates
from likewise.ranking.diversity import pool_size
from likewise.ranking.evidence import least_scores
from likewise.ranking.listing import listed
from likewise.ranking.queries import as_csr, sampled_likes
from likewise.ranking.scan import scanned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.found import Found, RankedRows
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery, Rules

# What ranking takes, in items that are scanned in the same time: one search of a large catalogue; and to
# score some items, for each part of a block, and for each of its items, whose vectors are copied.
_SEARCH = 200_000
_PART = 50_000
_COPIED = 30
# The share of a scan in order of length, which leaves out what is too short (`likewise.ranking.by_length`).
_BY_LENGTH = 0.5
# Up to so many items are scored without a search in any case: a search would not find all of the best.
_NARROW = 50_000


class _Part(NamedTuple):
    """Queries of a block that are ranked together."""

    numbers: Sequence[int]
    items: NDArray[np.intp] | None = None
    """The only items that these may return, sorted, to be scored without a search."""
    allowed: NDArray[np.bool_] | None = None
    """[n] Which items these may return, to be searched."""


def best_of_each(
    model: Model, queries: list[RowQuery], retired: NDArray[np.intp], *, exact: bool
) -> Iterator[RankedRows]:
    """Yield the items that each query is to show, of those that the model has evidence for.

    `likewise.ranking.evidence` says what is evidence. With `only` and `fill`, the rest of the list
    follows.
    """
    likes = weighted_likes(model, queries)
    least = least_scores(model, likes)
    found: dict[int, Found] = {}
    for numbers, items, allowed in _parts(model, queries, exact=exact):
        whole = len(numbers) == len(queries)
        ours = likes if whole else likes[numbers]
        floors = least if whole else least[numbers]
        asked = [queries[number] for number in numbers]
        needed = [needed_by(query) for query in asked]
        if exact or items is not None:
            some = scanned(model, ours, asked, retired, floors, needed, items)
        else:
            some = candidates.searched(model, ours, asked, retired, floors, needed, allowed)
        found.update(zip(numbers, some, strict=True))
    for number, query in enumerate(queries):
        yield listed(model, query, found[number])


def weighted_likes(model: Model, queries: Sequence[RowQuery]) -> CsrMatrix:
    """Return what the queries rank by, CSR [B, n]: weights, most often ones."""
    sampled = [sampled_likes(query, model.recipe.max_likes_per_user) for query in queries]
    likes = as_csr([rows for rows, _ in sampled], len(model.item_ids))
    for number, (_, weights) in enumerate(sampled):
        if weights is not None:
            likes.data[likes.indptr[number] : likes.indptr[number + 1]] = weights
    return likes


def needed_by(query: RowQuery) -> int:
    """Return how many of the best items the query's list is chosen from, at first."""
    needed = pool_size(query.limit) if query.diversity else query.limit
    limited = query.rules is not None and query.rules.max_per is not None
    return max(needed, 2 * query.limit) if limited else needed


def _parts(model: Model, queries: Sequence[RowQuery], *, exact: bool) -> Iterator[_Part]:
    """Yield the queries in parts: those with the same mask in one, those without rules in one."""
    plain: list[int] = []
    ruled: dict[int, tuple[Rules, list[int]]] = {}
    for number, query in enumerate(queries):
        rules = query.rules
        if rules is None or (rules.only is None and rules.allowed is None):
            plain.append(number)
        elif rules.only is not None:
            ruled[-1 - number] = rules, [number]
        else:
            ruled.setdefault(id(rules.allowed), (rules, []))[1].append(number)
    for rules, numbers in ruled.values():
        if _few(model, rules, len(numbers), exact=exact):
            yield _Part(numbers, rules.shown())
        elif exact:
            plain += numbers
        else:
            yield _Part(numbers, None, rules.allowed)
    if plain:
        yield _Part(sorted(plain))


def _few(model: Model, rules: Rules, queries: int, *, exact: bool) -> bool:
    """Return whether to score just the items that the rules leave, for so many queries."""
    left = rules.at_most()
    if not exact and (rules.only is not None or left <= _NARROW):
        return True
    scan = float(len(model.item_ids))
    if model.by_length is not None and rules.only is None:
        scan *= _BY_LENGTH
    return (_PART + _COPIED * left) / queries + left < (scan if exact else _SEARCH)
