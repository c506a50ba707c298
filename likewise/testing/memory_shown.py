"""The part of MemoryStore that keeps what was shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from likewise.store.shown_port import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from likewise.messages.ids import UserId
    from likewise.store.shown_port import ShownList, ShownRecord


class MemoryShown(ABC):
    """See `likewise.store.shown_port.ShownStore`."""

    _clock_s: Callable[[], float]

    @abstractmethod
    def _answering(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _forget_attribution(self, user: UserId) -> None: ...

    def _flush_shown(self) -> None:
        self._shown: dict[Viewer, tuple[list[ShownList], float]] = {}

    def record_shown(self, records: Sequence[ShownRecord]) -> None:
        """See `ShownStore.record_shown`."""
        with self._answering():
            for viewer, shown, keep, max_age_s in records:
                earliest_ms = shown.shown_at_ms - 1000 * max_age_s
                kept = [shown, *self._lists(viewer)][:keep]
                while kept and kept[-1].shown_at_ms < earliest_ms:
                    kept.pop()
                self._shown[viewer] = (kept, self._clock_s() + max_age_s)

    def shown(self, viewers: Sequence[Viewer]) -> list[list[ShownList]]:
        """See `ShownStore.shown`."""
        with self._answering():
            return [self._lists(viewer) for viewer in viewers]

    def _lists(self, viewer: Viewer) -> list[ShownList]:
        lists, until_s = self._shown.get(viewer, ([], 0.0))
        return [*lists] if self._clock_s() < until_s else []

    def _forget_shown(self, user_id: UserId) -> None:
        for kind in ("user", "pages"):
            self._shown.pop(Viewer(kind, user_id), None)
        self._forget_attribution(user_id)
