"""From items to the values of each column. Items are taken one at a time, so that few are in memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from likewise.catalogue.filters import CATEGORIES, PUBLISHED_AT, TITLE, label_column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.catalogue.slots import Rows


class Item(Protocol):
    """What filters know of an item, as `likewise.messages.items.CatalogueItem` has it."""

    @property
    def title(self) -> str | None:
        """Its title."""

    @property
    def categories(self) -> Sequence[str]:
        """Its categories."""

    @property
    def labels(self) -> Mapping[str, Any]:
        """Strings, numbers, booleans or lists of strings by name."""

    @property
    def published_at_ms(self) -> int | None:
        """When it was published, in ms since the epoch."""


@dataclass(slots=True)
class Gathered:
    """The values of one column, each with its row."""

    rows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def ascending(self) -> tuple[Rows, list[Any]]:
        """Return the rows in order, and their values."""
        rows = np.array(self.rows, np.int32)
        if (rows[1:] > rows[:-1]).all():
            return rows, self.values
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        order = order[np.append(rows[1:] != rows[:-1], [True])]
        return np.unique(rows), [self.values[place] for place in order.tolist()]


class Gathering:
    """The values of all columns of some items."""

    def __init__(self) -> None:
        """Start without items."""
        self._titles = Gathered()
        self._categories = Gathered()
        self._times_ms = Gathered()
        # Most items have labels of the same names. Sorted by those names, they are taken apart faster.
        self._labelled: defaultdict[tuple[str, ...], Gathered] = defaultdict(Gathered)

    def add(self, row: int, item: Item) -> None:
        """Add the values of the item in this row."""
        if (title := item.title) is not None:
            self._titles.rows.append(row)
            self._titles.values.append(title)
        if categories := item.categories:
            self._categories.rows.append(row)
            self._categories.values.append(categories)
        if (time_ms := item.published_at_ms) is not None:
            self._times_ms.rows.append(row)
            self._times_ms.values.append(time_ms)
        if labels := item.labels:
            labelled = self._labelled[tuple(labels)]
            labelled.rows.append(row)
            labelled.values.append(labels)

    def columns(self) -> Iterator[tuple[str, Gathered]]:
        """Yield each column that an item has a value in, by name."""
        for name, column in (
            (TITLE, self._titles),
            (CATEGORIES, self._categories),
            (PUBLISHED_AT, self._times_ms),
        ):
            if column.rows:
                yield name, column
        labels: defaultdict[str, Gathered] = defaultdict(Gathered)
        for names, labelled in self._labelled.items():
            for name in names:
                labels[name].rows += labelled.rows
                labels[name].values += [one[name] for one in labelled.values]
        for name, column in labels.items():
            yield label_column(name), column
