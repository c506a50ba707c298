"""The films as catalogue items."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from likewise.messages.items import CatalogueItem, Label

if TYPE_CHECKING:
    from likewise.cli.demo.films import Film
    from likewise.messages.ids import ItemId


def catalogue_item(item_id: ItemId, film: Film) -> CatalogueItem:
    """Return the film's title without its year, its genres, and the year as a label and as the time of publication."""
    labels: dict[str, Label] = {}
    if film.year is not None:
        labels["year"] = film.year
    if film.also:
        labels["also"] = film.also
    published_at_ms = None
    if film.year is not None:
        published_at_ms = int(datetime(film.year, 1, 1, tzinfo=UTC).timestamp()) * 1000
    return CatalogueItem(
        item_id=item_id,
        title=film.name,
        categories=tuple(sorted(film.genres)),
        labels=labels,
        published_at_ms=published_at_ms,
    )
