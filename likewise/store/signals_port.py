"""The part of the store that holds signals: for each kind, a set of items per user, next to the likes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.order import Moment

    SignalsOfUser = Mapping[SignalKind, Collection[ItemId]]
    """The items by kind, each item once; kinds without items are left out."""
    Held = Mapping[SignalKind | None, Mapping[ItemId, Moment | None]]
    """The items by kind, None for likes; and since when, if the user is scattered and it is known."""


@dataclass(slots=True)
class SetChange:
    """The change of one set in a batch. `add` and `remove` never share an item."""

    add: set[ItemId] = field(default_factory=set)
    remove: set[ItemId] = field(default_factory=set)


class SignalStore(Protocol):
    """Signals of users. A kind that no user ever used costs nothing."""

    def kinds(self) -> frozenset[SignalKind]:
        """Return the kinds that were ever used."""

    def signals(
        self, users: Sequence[UserId], kinds: Collection[SignalKind]
    ) -> Sequence[SignalsOfUser]:
        """Return each user's signals of these kinds, in order, in one round trip."""

    def held(self, users: Sequence[UserId], kinds: Collection[SignalKind]) -> list[Held]:
        """Return each user's likes and signals of these kinds with their times, in one round trip."""

    def scan_users_of(self, kind: SignalKind, chunk: int) -> Iterator[list[UserId]]:
        """Yield every user with a signal of the kind, about `chunk` at a time, each at least once.

        Users who are added or removed meanwhile may be missing.
        """
