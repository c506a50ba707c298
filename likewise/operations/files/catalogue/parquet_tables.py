"""Tables of Parquet: all columns, one batch at a time."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from likewise.operations.files.catalogue.rows import Table, TableRow
from likewise.operations.files.parquet_rows import check_sizes, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyarrow import parquet

    from likewise.operations.files.catalogue.options import TableOptions

_BATCH_ROWS = 1_000


def parquet_table(
    raw: IO[bytes], options: TableOptions, constants: Mapping[str, str | None], where: str
) -> Table:
    """Return the table in the file, without the columns to leave out.

    Raises:
        LikeFileError: a column unpacks to far more than items need.
    """
    file = opened(raw)
    names = [name for name in file.schema_arrow.names if name not in options.leave_out]
    check_sizes(file, set(names), where)
    return Table("Parquet", [*names, *constants], _rows(file, names, constants))


def _rows(
    file: parquet.ParquetFile, names: list[str], constants: Mapping[str, str | None]
) -> Iterator[TableRow]:
    read = 0
    for batch in file.iter_batches(_BATCH_ROWS, columns=names):
        for values in batch.to_pylist():
            read += 1
            yield TableRow(read, {**values, **constants})
