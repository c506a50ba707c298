"""A matrix whose rows are shards on workers: the operations of a build as sums over shards.

Rows have the numbers that they would have in one process, so that samples drawn by number are the same. Sums
are added in an order that depends on the number of shards alone: two builds of one snapshot are equal to the bit.
"""

from __future__ import annotations

from functools import cached_property
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from indexer.cluster import tasks
from indexer.cluster.components import components_of
from indexer.links import Row, joined
from indexer.rows import Without
from likewise.ranking.array_types import empty_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Future
    from numpy.typing import NDArray

    from indexer.cluster.crew import Crew
    from indexer.cluster.files import Shard
    from indexer.components import Component
    from indexer.links import Cut, SparsePart
    from indexer.rows import Matrix
    from likewise.ranking.array_types import CsrMatrix, FloatArray
    from likewise.ranking.degrees import Degrees
    from likewise.ranking.recipe import Recipe

# Entries of a block of rows of R'R that one task cuts, summed over shards: they bound its memory.
_ENTRIES_AT_ONCE = 4_000_000
_MOST_ROWS_AT_ONCE = 4_096


class Order:
    """Where the row of each number is: in which shard, and at which place."""

    def __init__(self, numbers: Sequence[NDArray[np.integer]]) -> None:
        """Take the numbers of each shard's rows."""
        self.numbers = numbers
        self.n_rows = sum(map(len, numbers))
        self._shards = np.empty(self.n_rows, np.int32)
        self._places = np.empty(self.n_rows, np.int32)
        for shard, of_rows in enumerate(numbers):
            self._shards[of_rows] = shard
            self._places[of_rows] = np.arange(len(of_rows))

    def split(self, rows: NDArray[np.intp]) -> list[tuple[NDArray[np.intp], NDArray[np.int32]]]:
        """Return, for each shard, which of these rows it has and their places in it."""
        shards = self._shards[rows]
        wanted = (np.flatnonzero(shards == shard) for shard in range(len(self.numbers)))
        return [(mine, self._places[rows[mine]]) for mine in wanted]

    def joined(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return one array [m] of the arrays of the shards."""
        whole = np.empty(self.n_rows, parts[0].dtype)
        for numbers, part in zip(self.numbers, parts, strict=True):
            whole[numbers] = part
        return whole


class ShardedRows:
    """A matrix on the workers: see `indexer.rows.Rows`, whose operations these are."""

    def __init__(
        self,
        crew: Crew,
        shards: Sequence[Shard],
        order: Order,
        n_items: int,
        name: str,
        names: Iterator[str] | None = None,
    ) -> None:
        """Take a matrix that the crew keeps under this name; `names` are those of the ones made from it."""
        self.crew = crew
        self.shards = shards
        self.order = order
        self.name = name
        self.shape = (order.n_rows, n_items)
        self._names = names or (f"{name}-{number}" for number in count(1))

    def part(self, function: Any, *arguments: object) -> Any:
        """Return what submits this task for the shard of a number, with these further arguments."""

        def submit(number: int) -> Future:
            return self.crew.submit(number, function, self.shards[number], self.name, *arguments)

        return submit

    @cached_property
    def _summaries(self) -> list[tasks.Summary]:
        return self.crew.each(self.part(tasks.summary))

    @cached_property
    def nnz(self) -> int:
        """The number of entries."""
        return int(self.lengths().sum(dtype=np.int64))

    @property
    def _largest(self) -> float:
        return max(one.largest for one in self._summaries)

    def lengths(self) -> NDArray[np.integer]:
        """See `Rows.lengths`."""
        return self.order.joined([one.lengths for one in self._summaries])

    def item_counts(self) -> NDArray[np.integer]:
        """See `Rows.item_counts`."""
        counts: NDArray[np.integer] = self.crew.total(self.part(tasks.item_counts))
        return counts

    def item_degrees(self) -> Degrees:
        """See `Rows.item_degrees`."""
        if all(one.binary for one in self._summaries):
            return self.item_counts()
        degrees: Degrees = self.crew.total(self.part(tasks.item_degrees))
        return degrees

    def strong_counts(self) -> NDArray[np.integer]:
        """See `Rows.strong_counts`."""
        return self.order.joined(self.crew.each(self.part(tasks.strong_counts, self._largest)))

    def without(self, rows: NDArray[np.intp], ordinals: NDArray[np.intp]) -> Without:
        """See `Rows.without`."""
        split, name, largest = self.order.split(rows), next(self._names), self._largest

        def submit(number: int) -> Future:
            mine, places = split[number]
            arguments = (name, places, ordinals[mine], largest)
            return self.part(tasks.take_out, *arguments)(number)

        columns = np.empty(len(rows), np.intp)
        for (mine, _), theirs in zip(split, self.crew.keep(name, submit), strict=True):
            columns[mine] = theirs
        return Without(self._made(name), columns)

    def take(self, rows: NDArray[np.intp]) -> CsrMatrix:
        """See `Rows.take`."""
        split = self.order.split(rows)
        parts = self.crew.each(lambda number: self.part(tasks.taken, split[number][1])(number))
        return stacked(parts, [mine for mine, _ in split], self.shape[1])

    def gathered(self) -> CsrMatrix:
        """See `Rows.gathered`."""
        return stacked(
            self.crew.each(self.part(tasks.taken, None)), self.order.numbers, self.shape[1]
        )

    def resident(self) -> CsrMatrix:
        """See `Rows.resident`."""
        return empty_matrix(0, self.shape[1])

    def normalised(self, recipe: Recipe) -> Matrix:
        """See `Rows.normalised`."""
        name, most = next(self._names), recipe.max_likes_per_user
        exponents = (recipe.user_exponent, recipe.item_exponent)
        degrees = self.crew.total(self.part(tasks.item_degrees, most))

        def submit(number: int) -> Future:
            sent = self.crew.constant(degrees)
            return self.part(tasks.normalised, name, sent, exponents, most)(number)

        self.crew.keep(name, submit)
        return self._made(name)

    def components(self) -> Iterator[Component[Matrix]]:
        """See `Rows.components`."""
        return components_of(self)

    def gram(self) -> ShardedGram:
        """See `Rows.gram`."""
        return ShardedGram(self)

    def diagonal(self) -> NDArray[np.float64]:
        """See `Rows.diagonal`."""
        diagonal: NDArray[np.float64] = self.crew.total(self.part(tasks.squares))
        return diagonal

    def item_gram(self) -> FloatArray:
        """See `Rows.item_gram`."""
        whole = np.empty((self.shape[1], self.shape[1]), np.float32)
        blocks = self._blocks()
        submit = self._summed(blocks, tasks.dense_rows)
        for (first, end), rows in zip(blocks, self.crew.stream(len(blocks), submit), strict=True):
            whole[first:end] = rows
        return whole

    def cut(self, cut: Cut, keep: int) -> SparsePart:
        """See `Rows.cut`."""
        blocks = self._blocks()
        found = self.crew.stream(len(blocks), self._summed(blocks, tasks.cut_rows, cut))
        self.crew.forget_constants()
        return joined(self.shape[1], keep, _rows_in(found))

    def _blocks(self) -> list[tuple[int, int]]:
        """Return where each block of items begins and ends, so that a block's rows of R'R fit a task."""
        entries = self.crew.total(self.part(tasks.pairs))
        ends, room = [0], 0.0
        for item, some in enumerate(entries.tolist()):
            room += some
            if item > ends[-1] and (
                room > _ENTRIES_AT_ONCE or item - ends[-1] == _MOST_ROWS_AT_ONCE
            ):
                ends.append(item)
                room = some
        return list(pairwise([*ends, self.shape[1]])) if self.shape[1] else []

    def _summed(
        self, blocks: Sequence[tuple[int, int]], function: Any, cut: Cut | None = None
    ) -> Any:
        """Return what submits the sum of the shards' rows of R'R of a block, and what is made of it."""
        by_item = self._by_item

        def submit(block: int) -> Future:
            first, end = blocks[block]
            part = self.part(tasks.gram_rows, by_item, first, end)
            parts = [part(number) for number in self.crew.numbers]
            before = () if cut is None else (first, self.crew.constant(cut))
            return self.crew.combine(function, *before, *parts)

        return submit

    @cached_property
    def _by_item(self) -> str:
        name = next(self._names)
        self.crew.keep(name, self.part(tasks.transposed, name))
        return name

    def _made(self, name: str) -> ShardedRows:
        return ShardedRows(self.crew, self.shards, self.order, self.shape[1], name, self._names)


class ShardedGram:
    """``X -> R'(R X)`` of rows on workers: each block of vectors is sent to all, and the images are added up."""

    def __init__(self, rows: ShardedRows) -> None:
        self.size = rows.shape[1]
        self._rows = rows

    def __matmul__(self, block: FloatArray) -> FloatArray:
        """Return ``S X``, float32 [n, b], for X float32 [n, b]."""
        crew, rows = self._rows.crew, self._rows
        block = np.ascontiguousarray(block, np.float32)
        image: FloatArray = crew.total(
            lambda number: rows.part(tasks.gram, crew.constant(block))(number)
        )
        crew.forget_constants()
        return image


def stacked(
    parts: Sequence[tuple[NDArray[Any], ...]], places: Sequence[NDArray[np.integer]], n_items: int
) -> CsrMatrix:
    """Return the rows of all parts, each a CSR's tables, in the order of their places."""
    matrices = [
        sparse.csr_array(part, shape=(len(rows), n_items))
        for part, rows in zip(parts, places, strict=True)
    ]
    order = np.argsort(np.concatenate(places), kind="stable")
    return sparse.vstack(matrices, format="csr")[order]


def _rows_in(found: Sequence[tuple[NDArray[Any], ...]]) -> Iterator[Row]:
    for lengths, columns, values, plain in found:
        ends = np.cumsum([0, *lengths.tolist()])
        for row, (begin, end) in enumerate(pairwise(ends.tolist())):
            yield Row(columns[begin:end], values[begin:end], bool(plain[row]))
