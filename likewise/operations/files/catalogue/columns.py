"""Finds the column of each field of an item; every other column becomes a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.operations.files.columns import places_of_item, plain_name, untyped
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.operations.files.catalogue.options import TableOptions
    from likewise.operations.files.catalogue.rows import Table

FIELDS = ("item_id", "title", "image_url", "url", "categories", "labels", "published_at")
# Compared without case, spaces and punctuation. The first one found in the file is used.
_ALIASES = {
    "item_id": (),  # see `places_of_item`
    "title": (
        "title",
        "name",
        "itemname",
        "booktitle",
        "movietitle",
        "producttitle",
        "productname",
    ),
    "image_url": (
        "imageurl",
        "image",
        "images",
        "imurl",
        "imgurl",
        "thumbnail",
        "poster",
        "picture",
    ),
    "url": ("url", "link", "itemurl", "producturl", "permalink"),
    "categories": ("categories", "category", "genres", "genre"),
    "labels": ("labels",),
    "published_at": (
        *("publishedat", "published", "publishdate", "publicationdate", "pubdate", "releasedate"),
        *("releasedat", "timestamp", "createdat", "date", "dateadded"),
    ),
}
OTHER_IDS = ("id", "parentasin", "sku", "handle", "gtin", "ean")
"""Names of the column of ids in files of items, in addition to those in files of likes."""


class Columns(NamedTuple):
    """The field that each column is, by the column's name."""

    fields: dict[str, str]
    leave_out: frozenset[str]

    def label_of(self, column: str) -> str | None:
        """Return the name of the label that another column becomes; None if it is left out."""
        return None if column in self.leave_out else untyped(column)


def choose_columns(table: Table, options: TableOptions, where: str) -> tuple[Columns, Layout]:
    """Return the columns to read, and a description of the file.

    Raises:
        LikeFileError: a column that the caller names is missing, or none holds item ids.
    """
    if not table.names:
        raise LikeFileError(f"{where} has no rows, or none of the first ones names a column")
    fields: dict[str, str] = {}
    for field in FIELDS:
        column = _find(field, table.names, options)
        if column is not None and column not in fields:
            fields[column] = field
        elif field in options.columns:
            raise LikeFileError(
                f"{where} has no column {options.columns[field]!r} for {field}; it has "
                f"{_listed(table.names)}"
            )
    if "item_id" not in fields.values():
        raise LikeFileError(
            f"{where} has no column of item ids; it has {_listed(table.names)}. Name it with --column "
            "item_id=NAME"
        )
    labels = [name for name in table.names if name not in fields and name not in options.leave_out]
    shown = {field: column for column, field in fields.items()}
    remarks = (f"labels: {_listed(labels)}",) if labels else ()
    # Fields that the first rows lack may come later.
    later = {field: field for field in FIELDS if field not in fields and field not in shown}
    return Columns({**later, **fields}, options.leave_out), Layout(table.form, shown, remarks)


def _find(field: str, names: Sequence[str], options: TableOptions) -> str | None:
    named = options.columns.get(field)
    if named is not None:
        return next((name for name in names if plain_name(name) == plain_name(named)), None)
    taken = {plain_name(column) for column in options.columns.values()} | {
        plain_name(column) for column in options.leave_out
    }
    free = [name for name in names if plain_name(name) not in taken]
    if field == "item_id":
        places = places_of_item(free, options.dialect_options(None))
        if places:
            return free[places[0]]
    plain = {plain_name(name): name for name in reversed(free)}
    aliases = OTHER_IDS if field == "item_id" else _ALIASES[field]
    return next((plain[alias] for alias in aliases if alias in plain), None)


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column[:64]) for column in columns[:20])
    return shown + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
