"""How a file of likes is to be read: what the caller says; the rest is found out from the file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the caller knows of a file. None: found out from the file, and told."""

    user: str | None = None
    """Columns go by their name in the file, or by their number from 1."""
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
    """Lines to leave out before anything else."""
    encoding: str | None = None
    null: frozenset[str] = frozenset()
    """What stands for a missing value, beside nothing at all."""
    timestamp_format: str | None = None
    """As for `strptime`; or s, ms, us, ns, day-first, month-first."""
    action: str = "like"
    """What a row means that has no kind."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """From a kind to the action it means; rows of other kinds are skipped."""
    only: frozenset[str] = frozenset()
    """Kinds to take; rows of others are skipped."""
    min_rating: float | None = None
    """Rows with a lower rating are skipped."""
    member: str | None = None
    """Which files of a ZIP archive to read: a name, or a pattern."""

    def named_columns(self) -> dict[str, str]:
        """Return the columns that the caller names, by the field they stand for."""
        fields = ("user", "item", "timestamp", "kind", "rating", "split")
        return {name: column for name in fields if (column := getattr(self, name)) is not None}

    def with_guess(self, columns: Mapping[str, str]) -> ReadOptions:
        """Return these options with user, item and timestamp named where the caller left them open."""
        named = self.named_columns()
        free = {name: one for name, one in columns.items() if one not in named.values()}
        return replace(
            self,
            user=self.user or free.get("user"),
            item=self.item or free.get("item"),
            timestamp=self.timestamp or free.get("timestamp"),
        )
