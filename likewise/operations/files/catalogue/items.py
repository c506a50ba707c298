"""From a row of a table to an item, as the topic would carry it."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from math import isinf
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.times import parse_time_ms, wire_time
from likewise.operations.documents import item_of_json
from likewise.operations.files.rows import id_text

if TYPE_CHECKING:
    from likewise.messages.items import CatalogueItem
    from likewise.operations.files.catalogue.columns import Columns
    from likewise.operations.files.catalogue.options import TableOptions
    from likewise.operations.files.catalogue.rows import Table, TableRow

_NO_CATEGORY = frozenset({"(no genres listed)"})
"""What MovieLens writes for a film without genres."""


class TakenItem(NamedTuple):
    """The item of a row."""

    item: CatalogueItem
    time_fault: str | None = None
    """Why its time is invalid; the item is published without it."""


class RowReader:
    """Turns the rows of one table into items."""

    def __init__(self, table: Table, columns: Columns, options: TableOptions) -> None:
        self._table = table
        self._columns = columns
        self._options = options
        self._labels: dict[str, str | None] = {}

    def item_of(self, row: TableRow) -> TakenItem:
        """Return the item of a row.

        Text becomes a number or a boolean only in a label whose column holds nothing else at its start.

        Raises:
            InvalidInputError: the line is malformed, or the item breaks the wire contract.
        """
        if row.fault is not None:
            raise InvalidInputError("malformed_line", row.fault)
        body: dict[str, Any] = {}
        labels: dict[str, Any] = {}
        fields = self._columns.fields
        for column, value in row.values.items():
            if value is None or value == "" or value != value:
                continue
            if isinstance(value, str) and value in self._options.null:
                continue
            field = fields.get(column)
            if field is None:
                self._add_label(labels, column, value)
            elif field == "labels":
                self._add_labels(labels, value)
            else:
                body[field] = self._field(field, value)
        time_fault = None
        try:
            time_ms = parse_time_ms(body.pop("published_at", None), "published_at")
        except InvalidInputError as error:
            time_fault = error.message
        else:
            body["published_at"] = None if time_ms is None else wire_time(time_ms)
        if labels:
            body["labels"] = labels
        return TakenItem(checked_item(body), time_fault)

    def _field(self, field: str, value: object) -> object:
        if field == "item_id":
            return id_text(field, value)
        if field == "categories":
            found = _listed(value, self._options.separator)
            return [one for one in dict.fromkeys(found) if one not in _NO_CATEGORY]
        if field == "published_at":
            return value
        return next(iter(_texts(value)), None)

    def _add_labels(self, labels: dict[str, Any], value: object) -> None:
        """Add a column called `labels`: an object of labels, or a list that is one label."""
        parsed = _parsed(value)
        if isinstance(parsed, dict):
            labels.update({name: _label(one) for name, one in parsed.items()})
        else:
            labels["labels"] = _listed(parsed, self._options.separator)

    def _add_label(self, labels: dict[str, Any], column: str, value: object) -> None:
        if column not in self._labels:
            self._labels[column] = self._columns.label_of(column)
        if (name := self._labels[column]) is not None:
            labels[name] = self._typed(column, value) if isinstance(value, str) else _label(value)

    def _typed(self, column: str, text: str) -> object:
        try:
            if column in self._table.numbers:
                return msgspec.json.decode(text)
            if column in self._table.booleans:
                return msgspec.json.decode(text.lower())
        except msgspec.DecodeError:
            pass  # not as the first values of the column
        parsed = _parsed(text)
        return _listed(parsed, None) if isinstance(parsed, list) else text


def checked_item(body: object) -> CatalogueItem:
    """Return the item, exactly as the consumers would decode it.

    Raises:
        InvalidInputError: it breaks the wire contract.
    """
    try:
        value = msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            "not_json", "the row has bytes that are not UTF-8; set --encoding"
        ) from error
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            "not_json", f"the row cannot be written as JSON: {error}"
        ) from error
    return item_of_json(value)


def _label(value: object) -> object:
    """Return the value as a label; None for objects and NaN, which are not labels.

    Raises:
        InvalidInputError: it is infinite.
    """
    match value:
        case float() if isinf(value):
            raise InvalidInputError("invalid_label", "a label is infinite")
        case list() | tuple():
            return _listed(value, None)
        case Decimal():
            return int(value) if value == value // 1 else float(value)
        case date():
            return value.isoformat()
        case bytes():
            return value.decode(errors="replace")
        case dict():
            return None
    return value


def _listed(value: object, separator: str | None) -> list[str]:
    """Return the texts in a value: a list of any depth, JSON, or text with separators."""
    parsed = _parsed(value)
    if isinstance(parsed, str) and separator:
        return [part.strip() for part in parsed.split(separator) if part.strip()]
    return _texts(parsed)


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value] if value else []
        case list() | tuple():
            return [text for one in value for text in _texts(one)]
        case dict():  # an object of a list, such as {"id": 18, "name": "Drama"}
            return [value["name"]] if isinstance(value.get("name"), str) else []
        case None:
            return []
    return [str(value)]


def _parsed(value: object) -> object:
    """Return the JSON list or object in a text, or the value itself."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
