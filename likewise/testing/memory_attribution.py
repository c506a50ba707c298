"""The part of MemoryStore that holds attribution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from likewise.errors import AttributionMovedError, PositionMovedError
from likewise.store.attribution_port import AttributionState, StoredTally
from likewise.store.keys import hashed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from likewise.messages.ids import ItemId, UserId
    from likewise.records import TopicPartition
    from likewise.store.attribution_port import AttributionUpdate, Reached


class MemoryAttribution(ABC):
    """See `likewise.store.attribution_port.AttributionStore`."""

    _clock_s: Callable[[], float]

    @abstractmethod
    def _answering(self) -> AbstractContextManager[None]: ...

    def _flush_attribution(self) -> None:
        self._reached: dict[TopicPartition, Reached] = {}
        self._windows: dict[UserId, tuple[bytes, float]] = {}
        self._totals: dict[tuple[str, str], bytes] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._shown_items: dict[tuple[str, str], set[ItemId]] = {}
        self._closed: set[str] = set()

    def attribution_positions(self) -> dict[TopicPartition, Reached]:
        """See `AttributionStore.attribution_positions`."""
        with self._answering():
            return dict(self._reached)

    def attribution_state(
        self, users: Sequence[UserId], totals: Sequence[tuple[str, UserId]]
    ) -> AttributionState:
        """See `AttributionStore.attribution_state`."""
        with self._answering():
            return AttributionState(
                dict(self._reached),
                [self._window(user) for user in users],
                [self._totals.get((run, hashed(user))) for run, user in totals],
            )

    def apply_attribution(self, update: AttributionUpdate) -> None:
        """See `AttributionStore.apply_attribution`."""
        with self._answering():
            self._check_attribution(update)
            self._reached |= {partition: step.next for partition, step in update.steps.items()}
            for user, cell in update.windows.items():
                self._windows.pop(user, None)
                if cell.next is not None:
                    self._windows[user] = cell.next, self._clock_s() + update.windows_ttl_s
            for (run, user), cell in update.totals.items():
                self._totals[run, hashed(user)] = cell.next or b""
            for run, changes in update.counts.items():
                counts = self._counts.setdefault(run, {})
                for field, change in changes.items():
                    counts[field] = counts.get(field, 0) + change
            for key, items in update.items.items():
                self._shown_items.setdefault(key, set()).update(items)
            self._closed.update(update.closed)

    def tally(self, run: str, variants: Sequence[str]) -> StoredTally:
        """See `AttributionStore.tally`."""
        with self._answering():
            return StoredTally(
                dict(self._counts.get(run, {})),
                {one: len(self._shown_items.get((run, one), ())) for one in variants},
            )

    def closed_runs(self) -> frozenset[str]:
        """See `AttributionStore.closed_runs`."""
        with self._answering():
            return frozenset(self._closed)

    def erase_run(self, run: str, variants: Sequence[str]) -> None:
        """See `AttributionStore.erase_run`."""
        with self._answering():
            self._counts.pop(run, None)
            self._totals = {key: one for key, one in self._totals.items() if key[0] != run}
            for variant in variants:
                self._shown_items.pop((run, variant), None)
            self._closed.discard(run)

    def _window(self, user: UserId) -> bytes | None:
        stored, until_s = self._windows.get(user, (None, 0.0))
        return stored if self._clock_s() < until_s else None

    def _forget_attribution(self, user: UserId) -> None:
        self._windows.pop(user, None)

    def _check_attribution(self, update: AttributionUpdate) -> None:
        if any(self._reached.get(one) != step.expected for one, step in update.steps.items()):
            stored = {one: self._reached.get(one) for one in update.steps}
            raise PositionMovedError(
                {one: None if at is None else at.offset for one, at in stored.items()}
            )
        if any(self._window(user) != cell.expected for user, cell in update.windows.items()) or any(
            self._totals.get((run, hashed(user))) != cell.expected
            for (run, user), cell in update.totals.items()
        ):
            raise AttributionMovedError("another member has counted for one of these users")
