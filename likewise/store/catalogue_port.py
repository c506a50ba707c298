"""The store's part that holds what items are, and the scenarios of requests.

Both are compacted topics of the log: the store holds the newest document of each item and scenario
as bytes, which `likewise.messages` encodes and decodes, and a stream of what has changed. The stream
includes the experiments, which `likewise.store.experiments_port` reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likewise.messages.ids import ItemId

NO_CHANGES = "0-0"
"""The cursor of a store in which no item, scenario or experiment ever changed."""
CHANGES_KEPT = 100_000
"""About so many changes stay readable; a reader that is further behind reads everything again."""


class CatalogueChanges(NamedTuple):
    """What has changed since a cursor, each item once, in order of its first change.

    `cursor` is where to continue. With `gap` the changes are not known: they are the first of all,
    some were trimmed, or the store lost data. The caller reads all items, scenarios and
    experiments, and continues from `cursor`.
    """

    items: list[ItemId]
    scenarios: bool
    experiments: bool
    cursor: str
    gap: bool = False


class CatalogueSize(NamedTuple):
    """How many documents of each kind the store holds."""

    items: int
    scenarios: int
    experiments: int


class CatalogueStore(Protocol):
    """Items and scenarios; `LikeStore.apply` writes them with the positions of their topics."""

    def catalogue_items(self) -> Iterator[list[bytes]]:
        """Yield every stored item, in chunks without order.

        Items that change meanwhile may be in their old or new state. A caller who takes
        `catalogue_cursor` before, and follows the changes from there, misses nothing.
        """

    def catalogue_get(self, items: Sequence[ItemId]) -> list[bytes | None]:
        """Return the stored items, in order; None for those that are not in the store."""

    def catalogue_cursor(self) -> str:
        """Return the cursor after the newest change; `NO_CHANGES` before the first."""

    def catalogue_changes(self, after: str, limit: int) -> CatalogueChanges:
        """Return up to `limit` changes after the cursor, oldest first.

        A change becomes visible after, or together with, the document. Writing what is
        stored already is no change.
        """

    def catalogue_size(self) -> CatalogueSize:
        """Return how many items, scenarios and experiments the store holds."""

    def scenarios(self) -> dict[str, bytes]:
        """Return every stored scenario by name."""
