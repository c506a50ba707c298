"""How to read a file of likes: the caller's options; the rest is detected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the caller knows about a file. None: detected, and reported."""

    user: str | None = None
    """A column is given by its name in the file, or by its number from 1."""
    item: str | None = None
    timestamp: str | None = None
    kind: str | None = None
    rating: str | None = None
    split: str | None = None
    """Which part of an evaluation a row belongs to; None: not read."""
    delimiter: str | None = None
    header: bool | None = None
    """False: the first line is a row, and columns are called 1, 2, 3…"""
    skip: int = 0
    """The number of lines to skip at the start of the file."""
    encoding: str | None = None
    null: frozenset[str] = frozenset()
    """Texts that mean a missing value, in addition to the empty text."""
    timestamp_format: str | None = None
    """A `strptime` format, or one of s, ms, us, ns, day-first, month-first."""
    action: str = "like"
    """The action of a row without a kind."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The action for each kind; rows of other kinds are skipped."""
    signal_kinds: frozenset[str] | None = frozenset()
    """Kinds of signals that rows may have, next to the actions; None: any."""
    only: frozenset[str] = frozenset()
    """Kinds to read; rows of other kinds are skipped."""
    min_rating: float | None = None
    """Rows with a lower rating are skipped."""
    member: str | None = None
    """Which files of a ZIP archive to read: a name, or a pattern."""

    def named_columns(self) -> dict[str, str]:
        """Return the columns that the caller names, by field."""
        fields = ("user", "item", "timestamp", "kind", "rating", "split")
        return {name: column for name in fields if (column := getattr(self, name)) is not None}

    def with_guess(self, columns: Mapping[str, str]) -> ReadOptions:
        """Return these options with the guessed user, item and timestamp where the caller names none."""
        named = self.named_columns()
        free = {name: one for name, one in columns.items() if one not in named.values()}
        return replace(
            self,
            user=self.user or free.get("user"),
            item=self.item or free.get("item"),
            timestamp=self.timestamp or free.get("timestamp"),
        )
