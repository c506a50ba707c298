"""What Annoy's files must be to be searched: it follows the numbers in them without a look.

A file is an array of nodes of one size. The first ones are the items, each with one descendant, itself. Then come
the nodes of the trees, a parent always after its children: one with few descendants lists them, any other has two
children and the plane between them. The roots are repeated at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from likewise.errors import ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


Metric = Literal["angular", "dot"]

# Four-byte words of a node before its vector: descendants, two children, and for `dot` a factor.
_HEADER = {"angular": 3, "dot": 4}
# Of these nodes the descendants are listed and checked at a time.
_NODES_AT_ONCE = 65_536


def check_index(path: Path, *, dimensions: int, metric: Metric, rows: int) -> None:
    """Return if a search of the file ends and stays within it; it reads the file once.

    Raises:
        ModelFileError: it might not, or there are other vectors in it than `rows` finite ones.
        OSError: the file cannot be read.
    """
    words = _HEADER[metric] + dimensions
    size = path.stat().st_size
    if not size or size % (4 * words):
        raise ModelFileError(f"{path.name} is not of {dimensions} dimensions: it has {size} bytes")
    nodes = np.memmap(path, np.int32, "r", shape=(size // (4 * words), words))
    if len(nodes) <= rows:
        raise ModelFileError(f"{path.name} has {len(nodes)} nodes, too few for {rows} rows")
    descendants = np.array(nodes[:, 0])
    few = words - 1
    if (descendants[:rows] != 1).any() or not _within(descendants[rows:], min(rows, 1), rows):
        raise ModelFileError(f"{path.name} has nodes with a wrong number of descendants")
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        block = nodes[start : start + _NODES_AT_ONCE]
        numbers = np.arange(start, start + len(block))
        lists = (numbers >= rows) & (descendants[numbers] <= few)
        parents = (numbers >= rows) & ~lists
        if not _lists_items(block[lists], descendants[numbers[lists]], rows):
            raise ModelFileError(f"{path.name} lists items that it does not have")
        if not _are_trees(block[parents], numbers[parents], descendants):
            raise ModelFileError(f"{path.name} has nodes that do not form trees")
        vectors = block[~lists][:, _HEADER[metric] :].view(np.float32)
        if vectors.size and not np.isfinite([vectors.min(), vectors.max()]).all():
            raise ModelFileError(f"{path.name} has vectors that are not finite")


def _lists_items(lists: NDArray[np.int32], lengths: NDArray[np.int32], rows: int) -> bool:
    """Whether each node [k, words] that lists its descendants lists items."""
    listed = lists[:, 1:]
    counted = np.arange(listed.shape[1]) < lengths[:, None]
    return _within(listed[counted], 0, rows - 1)


def _are_trees(
    parents: NDArray[np.int32], numbers: NDArray[np.intp], descendants: NDArray[np.int32]
) -> bool:
    """Whether each parent comes after its children and has just their descendants.

    So no node is its own descendant, and a search meets no more nodes than there are descendants.
    """
    children = parents[:, 1:3]
    if (children < 0).any() or (children >= numbers[:, None]).any():
        return False
    both = descendants[children].sum(axis=1)
    return bool((both == descendants[numbers]).all())


def _within(numbers: NDArray[np.int32], least: int, most: int) -> bool:
    return not numbers.size or bool(least <= numbers.min() and numbers.max() <= most)
