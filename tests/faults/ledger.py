"""The ledger: what the broker confirmed to producers and askers, and what they were replied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.messages.positions import Position


@dataclass(slots=True)
class Ask:
    """One request, and what became of it."""

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
    """What was promised: events that the broker confirmed, requests and their replies."""

    confirmed: dict[tuple[int, int], bytes] = field(default_factory=dict)
    poison: dict[tuple[int, int], tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """Key and value of each broken event, by its position."""
    duplicates: int = 0
    unconfirmed: int = 0
    """Sent, but the broker did not say that it has them: they may be in the log or not."""
    asks: dict[bytes, Ask] = field(default_factory=dict)
    refused: int = 0
    """Requests that could not be sent: their asker knows."""
    outcomes: Counter[str] = field(default_factory=Counter)

    def open_asks(self) -> list[Ask]:
        """Return the requests that the broker has and nobody has replied to."""
        return [ask for ask in list(self.asks.values()) if ask.confirmed and not ask.settled]
