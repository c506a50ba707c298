"""How a batch of queries is shared out to threads, in blocks of bounded memory."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# So many share a product of matrices well: half as many take a tenth longer each, a quarter as many
# a third. More would take more memory, and leave threads idle.
_QUERIES_PER_BLOCK = 256
# To share out fewer takes more time in all than a second thread saves.
_QUERIES_WORTH_A_BLOCK = 64
# Bounds the memory of one block of dense scores to 64 MiB.
_SCORES_PER_BLOCK = 16 * 1024 * 1024
_Block = TypeVar("_Block")
_Found = TypeVar("_Found")


class Each(Protocol):
    """`map`, or what does the same with several threads."""

    def __call__(
        self, function: Callable[[_Block], _Found], blocks: Iterable[_Block], /
    ) -> Iterable[_Found]:
        """Return what the function returns for each block, in their order."""


class Threads(NamedTuple):
    """What the blocks of a batch are shared out to, and how many are worked on at once."""

    each: Each = map
    at_once: int = 1


THIS_THREAD = Threads()


def blocks_of(known: list[int], widest: int, threads: int) -> Iterator[list[int]]:
    """Yield the queries in blocks of one size, as many for each thread as for the others.

    `widest` is how many scores a query may have at a time.
    """
    most = min(max(_SCORES_PER_BLOCK // max(widest, 1), 1), _QUERIES_PER_BLOCK)
    least = min(most, _QUERIES_WORTH_A_BLOCK)
    rounds = ceil(len(known) / (most * threads))
    count = min(rounds * threads, ceil(len(known) / least))
    for number in range(count):
        yield known[len(known) * number // count : len(known) * (number + 1) // count]
