"""Rows of Parquet: the needed columns, one batch at a time."""

from __future__ import annotations

import uuid
from itertools import repeat
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from likewise.operations.files.columns import choose
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.layout import Layout, settle
from likewise.operations.files.rows import COLUMNS, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.operations.files.columns import Choice
    from likewise.operations.files.options import ReadOptions

_BATCH_ROWS = 10_000
_SAMPLE_ROWS = 100
_LARGE, _DENSE = 64 << 20, 200
"""Limits for one column in one row group, in bytes and in multiples of the packed size. Ids stay below."""


def look_at(
    file: parquet.ParquetFile,
    options: ReadOptions,
    constants: Mapping[str, str | None],
    where: str,
) -> tuple[Choice, Layout]:
    """Return the column of each field, and a description of the file.

    Raises:
        LikeFileError: a column is missing, nested, or unpacks to far more than ids need.
    """
    names = [*file.schema_arrow.names, *constants]
    choice = choose(names, options, where)
    for name in set(choice.names.values()) - constants.keys():
        if pa.types.is_nested(file.schema_arrow.field(name).type):
            raise LikeFileError(f"{where}: column {name!r} is nested and can't contain ids")
    check_sizes(file, set(choice.names.values()), where)
    samples: dict[str, Sequence[object]] = {}
    first = next(file.iter_batches(_SAMPLE_ROWS, columns=_stored(file, choice)), None)
    for field, name in choice.names.items():
        if name in constants:
            samples[field] = [constants[name]]
        else:
            samples[field] = [] if first is None else _values(first.column(name))
    return settle("Parquet", choice, samples, options, where, usual=True)


def rows_of(
    file: parquet.ParquetFile, choice: Choice, constants: Mapping[str, str | None]
) -> Iterator[list[Row]]:
    """Yield the rows in batches; `line` is the row's number from 1."""
    read = 0
    for batch in file.iter_batches(_BATCH_ROWS, columns=_stored(file, choice)):
        columns: list[Any] = []
        for column in COLUMNS:
            name = choice.names.get(column)
            if name is None:
                columns.append(repeat(None))
            elif name in constants:
                columns.append(repeat(constants[name]))
            else:
                columns.append(_values(batch.column(name)))
        yield list(map(Row, range(read + 1, read + 1 + batch.num_rows), *columns))
        read += batch.num_rows


def opened(file: IO[bytes]) -> parquet.ParquetFile:
    """Return the file, opened so that equal texts share one object: a column may repeat a long text."""
    looked_at = parquet.ParquetFile(file)
    texts = [field.name for field in looked_at.schema_arrow if pa.types.is_string(field.type)]
    return parquet.ParquetFile(
        file, metadata=looked_at.metadata, read_dictionary=texts, pre_buffer=False
    )


def _stored(file: parquet.ParquetFile, choice: Choice) -> list[str]:
    there = set(file.schema_arrow.names)
    return [name for name in dict.fromkeys(choice.names.values()) if name in there]


def _values(array: pa.Array) -> list[object]:
    if pa.types.is_dictionary(array.type):
        values = array.dictionary.to_pylist()
        return [None if at is None else values[at] for at in array.indices.to_pylist()]
    values = array.to_pylist()
    return [str(one) if isinstance(one, uuid.UUID) else one for one in values]


def check_sizes(file: parquet.ParquetFile, names: set[str], where: str) -> None:
    """Refuse columns that unpack to far more than their packed size, since whole pages are unpacked."""
    for group in range(file.metadata.num_row_groups):
        row_group = file.metadata.row_group(group)
        for place in range(row_group.num_columns):
            column = row_group.column(place)
            size = column.total_uncompressed_size
            dense = size > _DENSE * max(column.total_compressed_size, 1)
            if column.path_in_schema in names and size > _LARGE and dense:
                raise LikeFileError(
                    f"{where}: column {column.path_in_schema!r} unpacks from "
                    f"{column.total_compressed_size:,} to {size:,} bytes, too many for ids"
                )
