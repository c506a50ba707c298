"""The store's part that holds attribution: what experiments count, and what is needed to count on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.records import TopicPartition


class Reached(NamedTuple):
    """How far attribution has read a partition: the next offset, and the time that it reached.

    `log` is the broker's id of the topic, empty if it has none.
    """

    offset: int
    read_to_ms: int
    log: str = ""


class Step(NamedTuple):
    """A step of one partition: from what the caller expects to be stored, None for nothing, to the next."""

    expected: Reached | None
    next: Reached


class Cell(NamedTuple):
    """A stored value that the caller expects, and its replacement; None for no value."""

    expected: bytes | None
    next: bytes | None


@dataclass(slots=True, kw_only=True)
class AttributionUpdate:
    """What a batch of exposures and likes changes. Runs are named by their keys."""

    steps: Mapping[TopicPartition, Step] = field(default_factory=dict)
    windows: Mapping[UserId, Cell] = field(default_factory=dict)
    """What is kept of users, for `windows_ttl_s` at most."""
    windows_ttl_s: float = 1.0
    totals: Mapping[tuple[str, UserId], Cell] = field(default_factory=dict)
    """Totals of a run and a user. Those of a run are erased 90 days after the last change of any."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What is added to the fields of each run's tally."""
    items: Mapping[tuple[str, str], Collection[ItemId]] = field(default_factory=dict)
    """Items that were shown, by run and variant."""
    closed: Collection[str] = ()
    """Runs whose counts are final."""


class AttributionState(NamedTuple):
    """What is stored of a batch's users, in the order of the request, and how far everybody has read."""

    positions: dict[TopicPartition, Reached]
    windows: Sequence[bytes | None]
    totals: Sequence[bytes | None]


class StoredTally(NamedTuple):
    """The fields of a run's tally, and how many distinct items each variant has shown."""

    fields: dict[str, int]
    items: dict[str, int]


class AttributionStore(Protocol):
    """The counts of experiments. Without experiments nothing is stored.

    To forget a user, or to merge it into another, erases what is kept of the user. Counts stay, and so do
    the user's totals, under a name that does not show the user.
    """

    def attribution_positions(self) -> dict[TopicPartition, Reached]:
        """Return how far attribution has read every partition."""

    def attribution_state(
        self, users: Sequence[UserId], totals: Sequence[tuple[str, UserId]]
    ) -> AttributionState:
        """Return what is stored of these users and totals, in one round trip."""

    def apply_attribution(self, update: AttributionUpdate) -> None:
        """Apply an update, all or nothing.

        Raises:
            PositionMovedError: a position is not the expected one; nothing was applied.
            AttributionMovedError: what is stored of a user is not as expected; nothing was applied.
        """

    def tally(self, run: str, variants: Sequence[str]) -> StoredTally:
        """Return the counts of a run; empty before the first."""

    def closed_runs(self) -> frozenset[str]:
        """Return the keys of the runs whose counts are final."""

    def erase_run(self, run: str, variants: Sequence[str]) -> None:
        """Erase the counts and totals of a run."""
