"""A table: named columns, and rows of values as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class TableRow(NamedTuple):
    """The values of one row by column. A missing value is None, or left out.

    `line` counts from 1 and includes a header. `fault` says why a line is malformed. `part` names the
    file if there are several.
    """

    line: int
    values: Mapping[str, object]
    fault: str | None = None
    part: str | None = None


class Table(NamedTuple):
    """One file as a table. `names` are the columns, as far as its first rows show them."""

    form: str
    """`text, delimiter ';', with a header`, `JSON lines`, `Parquet` …, for people."""
    names: list[str]
    rows: Iterator[TableRow]
    numbers: frozenset[str] = frozenset()
    """Columns of text whose first values are all numbers."""
    booleans: frozenset[str] = frozenset()
    """Columns of text whose first values are all `true` or `false`."""
