"""Publishes the rows of a file as items, and counts every row that is not published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.messages.items import encode_item
from likewise.operations.files.importing import BadRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from likewise.client.bulk import BulkPublisher
    from likewise.messages.items import CatalogueItem
    from likewise.operations.files.catalogue.reading import ItemChunk, ItemRow
    from likewise.operations.files.importing import RowCounts

    OnProgress = Callable[[int, float], None]

SHOWN_BAD_ROWS = 100


def publish_items(
    chunks: Iterable[ItemChunk],
    publisher: BulkPublisher,
    counts: RowCounts,
    on_progress: OnProgress,
) -> None:
    """Publish the items in order; a later row of an item replaces the earlier one.

    Updates `counts` along the way. Calls `on_progress` with the number of rows read and the share of
    the file (0 to 1). The caller finishes the publisher.
    """
    for chunk in chunks:
        for item in _items(chunk.rows, counts):
            publisher.send(encode_item(item), item.item_id.encode())
        on_progress(counts.rows, chunk.share_read)


def check_items(
    chunks: Iterable[ItemChunk], counts: RowCounts, on_progress: OnProgress, show: int
) -> list[CatalogueItem]:
    """Count what `publish_items` would find without publishing anything; return the first items."""
    first: list[CatalogueItem] = []
    for chunk in chunks:
        for item in _items(chunk.rows, counts):
            if len(first) < show:
                first.append(item)
        on_progress(counts.rows, chunk.share_read)
    return first


def _items(rows: Iterable[ItemRow], counts: RowCounts) -> Iterator[CatalogueItem]:
    for row, taken in rows:
        counts.rows += 1
        if isinstance(taken, InvalidInputError):
            counts.refuse(BadRow(row.line, taken.message, row.part), taken.code)
            continue
        if taken.time_fault is not None:
            counts.untimed += 1
            counts.first_untimed = counts.first_untimed or BadRow(
                row.line, taken.time_fault, row.part
            )
        yield taken.item
