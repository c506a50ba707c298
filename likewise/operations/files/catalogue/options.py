"""How to read a file of items: the caller's options; the rest is detected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.operations.files.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """What the caller knows about a file. None: detected, and reported."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of a field (`item_id`, `title` …), by name."""
    leave_out: frozenset[str] = frozenset()
    """Columns that do not become labels."""
    names: tuple[str, ...] = ()
    """The names of the columns of a file without a header."""
    separator: str = "|"
    """Separates categories that are written in one text."""
    null: frozenset[str] = frozenset()
    """Texts that mean a missing value, in addition to the empty text."""
    delimiter: str | None = None
    skip: int = 0
    """The number of lines to skip at the start of the file."""
    encoding: str | None = None
    member: str | None = None
    """Which files of a ZIP archive or directory to read: a name, or a pattern."""

    def dialect_options(self, item_column: str | None) -> ReadOptions:
        """Return the options that detect how delimited text is written."""
        return ReadOptions(
            item=item_column,
            delimiter=self.delimiter,
            header=False if self.names else None,
            skip=self.skip,
        )
