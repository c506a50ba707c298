"""The ledger: the events and requests that the broker confirmed, and the replies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.messages.positions import Position


@dataclass(slots=True)
class Ask:
    """One request, and the replies to it."""

    user: str
    after: Position | None
    confirmed: bool = False
    answers: list[list[str]] = field(default_factory=list)
    """The items of each answer."""
    errors: list[str] = field(default_factory=list)
    """The code of each error reply."""

    @property
    def settled(self) -> bool:
        return bool(self.answers or self.errors)


@dataclass
class Ledger:
    """The events and requests that the broker confirmed, and the replies."""

    confirmed: dict[tuple[int, int], bytes] = field(default_factory=dict)
    poison: dict[tuple[int, int], tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """Key and value of each broken event, by its position."""
    duplicates: int = 0
    unconfirmed: int = 0
    """Events without a confirmation: they may be in the log or not."""
    asks: dict[bytes, Ask] = field(default_factory=dict)
    refused: int = 0
    """Requests that could not be sent."""
    outcomes: Counter[str] = field(default_factory=Counter)

    def open_asks(self) -> list[Ask]:
        """Return the confirmed requests without a reply."""
        return [ask for ask in list(self.asks.values()) if ask.confirmed and not ask.settled]
