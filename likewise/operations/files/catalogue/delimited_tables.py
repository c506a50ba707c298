"""Tables of delimited text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from likewise.operations.files.catalogue.columns import OTHER_IDS
from likewise.operations.files.catalogue.rows import Table, TableRow
from likewise.operations.files.columns import places_of_item
from likewise.operations.files.delimited import Records, misfit, sample_of
from likewise.operations.files.dialect import Dialect, dialect_of, shown
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.text import lines_of

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from likewise.operations.files.catalogue.options import TableOptions

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,3})?")
"""`007` and longer digits are codes, not numbers."""
_BOOLEANS = frozenset({"true", "false"})


def delimited_table(
    head: Sequence[str],
    stream: io.RawIOBase,
    encoding: str,
    options: TableOptions,
    constants: Mapping[str, str | None],
    where: str,
) -> Table:
    """Return the table in text that begins with these lines.

    `constants` are additional columns, with one value for all rows.

    Raises:
        LikeFileError: the columns can't be determined, or none holds item ids.
    """
    dialect, id_place = _dialect(head, options, where)
    names = list(options.names) or [name.strip() for name in dialect.names]
    samples = [*sample_of(head[dialect.skipped :], dialect)]
    header = "with a header" if dialect.has_header else "without a header"
    return Table(
        f"text, delimiter {shown(dialect.delimiter)}, {header}",
        [*names, *constants],
        _rows(
            Records(lines_of(stream, encoding), dialect, {names[id_place]: id_place}),
            names,
            id_place,
            constants,
        ),
        _columns_of(names, samples, lambda text: _NUMBER.fullmatch(text) is not None),
        _columns_of(names, samples, lambda text: text.lower() in _BOOLEANS),
    )


def _dialect(head: Sequence[str], options: TableOptions, where: str) -> tuple[Dialect, int]:
    """Return the dialect, and the place of the column of ids."""
    if options.names:
        return _headless(head, options, where)
    named = options.columns.get("item_id")
    first_error: LikeFileError | None = None
    for candidate in [named] if named else [None, *OTHER_IDS]:
        chosen = options.dialect_options(candidate)
        try:
            dialect = dialect_of(head, chosen, where)
        except LikeFileError as error:
            first_error = first_error or error
            continue
        if dialect.has_header and (places := places_of_item(dialect.names, chosen)):
            return dialect, places[0]
    wanted = f"no column {named!r}" if named else "no column of item ids"
    raise LikeFileError(
        f"{where} has {wanted}; its first line is {_start(head)!r}. Name the column with --column "
        "item_id=NAME, or all columns of a file without a header with --columns NAME,NAME…"
    ) from first_error


def _headless(head: Sequence[str], options: TableOptions, where: str) -> tuple[Dialect, int]:
    dialect = dialect_of(head, options.dialect_options(None), where)
    if len(options.names) != len(dialect.names):
        raise LikeFileError(
            f"{where} has {len(dialect.names)} columns with the delimiter {shown(dialect.delimiter)}, "
            f"and --columns names {len(options.names)}"
        )
    for candidate in [options.columns.get("item_id"), *OTHER_IDS]:
        if places := places_of_item(options.names, options.dialect_options(candidate)):
            return dialect, places[0]
    raise LikeFileError(f"{where}: --columns names no item_id")


def _rows(
    records: Records, names: Sequence[str], id_place: int, constants: Mapping[str, str | None]
) -> Iterator[TableRow]:
    width = len(names)
    for line, fields in records:
        if isinstance(fields, str):
            yield TableRow(line, {}, fields)
        elif len(fields) <= id_place or any(fields[width:]):
            yield TableRow(line, {}, misfit(len(fields), width))
        else:
            # The end of a row may be missing.
            values: dict[str, object] = dict(zip(names, fields, strict=False))
            values.update(constants)
            yield TableRow(line, values)


def _columns_of(
    names: Sequence[str], samples: Sequence[Sequence[str]], holds: Callable[[str], bool]
) -> frozenset[str]:
    """Return the columns that have values, all of which pass."""
    found = set()
    for place, name in enumerate(names):
        values = [text for row in samples if place < len(row) and (text := row[place].strip())]
        if values and all(map(holds, values)):
            found.add(name)
    return frozenset(found)


def _start(head: Sequence[str]) -> str:
    return next((line for line in head if line.strip()), "")[:120]
