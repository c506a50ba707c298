"""Reads files of items in chunks. Memory does not grow with the file's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.operations.files.catalogue.columns import choose_columns
from likewise.operations.files.catalogue.delimited_tables import delimited_table
from likewise.operations.files.catalogue.items import RowReader
from likewise.operations.files.catalogue.json_tables import is_json, json_table
from likewise.operations.files.catalogue.parquet_tables import parquet_table
from likewise.operations.files.opening import open_parts
from likewise.operations.files.parts import chunks_of, head_of, is_parquet, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.operations.files.catalogue.items import TakenItem
    from likewise.operations.files.catalogue.options import TableOptions
    from likewise.operations.files.catalogue.rows import Table, TableRow
    from likewise.operations.files.layout import Layout
    from likewise.operations.files.opening import FilePart

    OnLayout = Callable[[str, Layout], None]

_CHUNK_ROWS = 1_000


class ItemRow(NamedTuple):
    """A row, and its item or the reason why it is none."""

    row: TableRow
    taken: TakenItem | InvalidInputError


class ItemChunk(NamedTuple):
    """Rows that were read together, and the share (0 to 1) of everything read so far."""

    rows: list[ItemRow]
    share_read: float


def read_items(source: str, options: TableOptions, on_layout: OnLayout) -> Iterator[ItemChunk]:
    """Yield the rows in order; blank lines are left out.

    The source is a file, a directory of files, a ZIP archive, or `-` for standard input. Format,
    compression, encoding, delimiter and columns are detected unless `options` give them, and passed to
    `on_layout` with the name of each part.

    Raises:
        LikeFileError: the source can't be read, or a column is missing.
    """
    with reading(source):
        for part in open_parts(source, options.member):
            several = part.name != source
            for rows in chunks_of(_rows_of(part, options, on_layout), part.stream, _CHUNK_ROWS):
                named = [
                    one._replace(row=one.row._replace(part=part.name)) if several else one
                    for one in rows
                ]
                yield ItemChunk(named, part.share_read())


def _rows_of(part: FilePart, options: TableOptions, on_layout: OnLayout) -> Iterator[ItemRow]:
    if is_parquet(part):
        with part.stream.spooled() as raw:
            table = parquet_table(raw, options, part.constants, part.name)
            yield from _items_of(table, part, options, on_layout)
        return
    encoding, head = head_of(part, options.encoding)
    if is_json(head) and options.delimiter is None:
        table = json_table(head, part.stream, encoding, options, part.constants)
    else:
        table = delimited_table(head, part.stream, encoding, options, part.constants, part.name)
    yield from _items_of(table, part, options, on_layout)


def _items_of(
    table: Table, part: FilePart, options: TableOptions, on_layout: OnLayout
) -> Iterator[ItemRow]:
    columns, layout = choose_columns(table, options, part.name)
    on_layout(part.name, layout)
    reader = RowReader(table, columns, options)
    for row in table.rows:
        try:
            yield ItemRow(row, reader.item_of(row))
        except InvalidInputError as error:
            yield ItemRow(row, error)
