"""Arrays and sparse structures in `.npy` files: mapped, never unpickled, their contents checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from likewise.errors import ModelFileError
from likewise.models.regular_files import open_regular, size_of

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from likewise.ranking.array_types import CsrMatrix

_NUMBERS = (np.dtype(np.int32), np.dtype(np.int64))


def load_structure(
    path: Path, name: str, rows: int, columns: int, entries: int | None = None
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return where a CSR matrix has entries: columns, and where each row's begin and end.

    Raises:
        ModelFileError: the tables are not those of a CSR matrix of this shape.
        OSError: one cannot be read at all.
    """
    indptr = load_array(path, f"{name}.indptr", _NUMBERS, (rows + 1,))
    lengths = np.diff(indptr)
    if indptr[0] != 0 or (lengths < 0).any() or (lengths > columns).any():
        raise ModelFileError(f"{name}.indptr does not rise from 0 by up to {columns} at a time")
    end = int(indptr[-1])
    if entries is not None and end != entries:
        raise ModelFileError(f"{name}.indptr ends at {end}, its manifest says {entries}")
    indices = load_array(path, f"{name}.indices", indptr.dtype, (end,))
    check_within(f"{name}.indices", indices, 0, columns - 1)
    return indices, indptr


def load_array(
    path: Path,
    name: str,
    dtype: DTypeLike | tuple[np.dtype[Any], ...],
    shape: tuple[int | None, ...],
) -> Any:
    """Return the table, mapped, if it is of this type (or of one of these) and shape.

    A dimension that is None may be of any length.

    Raises:
        ModelFileError: it is not.
        OSError: it cannot be read at all.
    """
    allowed = dtype if isinstance(dtype, tuple) else (np.dtype(dtype),)
    with open_regular(path / f"{name}.npy") as file:
        found, by_columns, found_dtype = _header(file, name)
        if not _fits(found, shape) or by_columns or found_dtype not in allowed:
            wanted = " or ".join(map(str, allowed))
            raise ModelFileError(
                f"{name} is {found_dtype} {found}, not {wanted} {shape} as its manifest says"
            )
        begin = file.tell()
        table = np.memmap(file, found_dtype, "r", begin, found)
        if size_of(file) != begin + table.nbytes:
            raise ModelFileError(f"{name}.npy has another length than its header says")
    return np.asarray(table)  # which costs less than a memmap, every time that it is used


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(found) == len(shape) and all(
        wanted is None or length == wanted for length, wanted in zip(found, shape, strict=True)
    )


def _header(file: FileIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, whether it is stored by columns, and the type that the file begins with."""
    try:
        if npy.read_magic(file) == (1, 0):
            return npy.read_array_header_1_0(file)
    except Exception as error:  # it is parsed as Python, and fails in many ways
        raise ModelFileError(f"{name}.npy has a header that can't be read: {error}") from error
    raise ModelFileError(f"{name}.npy is of another version of the format than 1.0")


def check_within(name: str, table: Any, least: float = -np.inf, most: float = np.inf) -> None:
    """Refuse a table with a number outside these bounds, an infinite one, or one that is none (NaN)."""
    if not table.size:
        return
    low, high = table.min(), table.max()  # either is NaN where one number is
    if not (least <= low and high <= most and -np.inf < low and high < np.inf):
        raise ModelFileError(f"{name} has numbers from {low} to {high}, not from {least} to {most}")


def save_array(path: Path, name: str, array: Any) -> None:
    """Write the array to the file of this name in a directory."""
    np.save(path / f"{name}.npy", array, allow_pickle=False)


def save_structure(path: Path, name: str, matrix: CsrMatrix) -> None:
    """Write where a CSR matrix has entries: both tables in one type, for a reader to map them.

    In 32 bits where they do: that is half of what servers hold of the links.
    """
    narrow = matrix.nnz <= np.iinfo(np.int32).max
    for table in ("indptr", "indices"):
        numbers = getattr(matrix, table).astype(np.int32 if narrow else np.int64, copy=False)
        save_array(path, f"{name}.{table}", numbers)
