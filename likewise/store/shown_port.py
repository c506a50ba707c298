"""The store's part that holds what was shown: per viewer, the newest lists first.

Servers write it after each answer and read it for requests with `next_of` or `rotation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from likewise.messages.ids import ItemId

if TYPE_CHECKING:
    from collections.abc import Sequence


class Viewer(NamedTuple):
    """Under what lists are kept.

    `user`: everything that the user of this id was shown. `pages`: the later pages of the user's
    walks, each with the first page of its walk. `chain`: one walk of a visitor without a user id.
    """

    kind: Literal["user", "pages", "chain"]
    name: str


class ShownList(msgspec.Struct, frozen=True, array_like=True):
    """One list that was shown: which, when, and which page of its walk, counted from 1."""

    # Stored as a JSON array. The time comes first: a script in Redis reads it from there.
    shown_at_ms: int
    recommendation_id: str
    page: int
    items: tuple[ItemId, ...]


class ShownRecord(NamedTuple):
    """A list to keep: at most `keep` of the viewer's, each for at most `max_age_s`."""

    viewer: Viewer
    shown: ShownList
    keep: int
    max_age_s: float


class ShownStore(Protocol):
    """What was shown to whom. `forget_user` erases the kinds `user` and `pages`."""

    def record_shown(self, records: Sequence[ShownRecord]) -> None:
        """Add the lists, and erase those of the same viewers that are too many or too old.

        Each viewer's lists change at once. A key that likewise did not write stays as it is.
        """

    def shown(self, viewers: Sequence[Viewer]) -> list[list[ShownList]]:
        """Return the lists of each viewer, newest first; none of an unknown viewer.

        Of a viewer to whom nothing was shown meanwhile, lists above the maximum age may be among
        them. A key that likewise did not write has no lists.
        """
