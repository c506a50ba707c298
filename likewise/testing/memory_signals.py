"""The part of MemoryStore that holds signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.messages.order import UserState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.order import Moment, Reach
    from likewise.store.port import Scattered, UserChange
    from likewise.store.signals_port import Held


class MemorySignals(ABC):
    """See `likewise.store.signals_port.SignalStore`."""

    _likes: dict[UserId, set[ItemId]]
    _times: defaultdict[UserId, UserState]

    @abstractmethod
    def _answering(self) -> AbstractContextManager[None]: ...

    def _flush_signals(self) -> None:
        self._kinds: set[SignalKind] = set()
        self._signals: defaultdict[SignalKind, dict[UserId, set[ItemId]]] = defaultdict(dict)
        self._signal_times: defaultdict[tuple[SignalKind, UserId], UserState] = defaultdict(
            UserState
        )

    def kinds(self) -> frozenset[SignalKind]:
        """See `SignalStore.kinds`."""
        with self._answering():
            return frozenset(self._kinds)

    def signals(
        self, users: Sequence[UserId], kinds: Collection[SignalKind]
    ) -> list[dict[SignalKind, Collection[ItemId]]]:
        """See `SignalStore.signals`."""
        with self._answering():
            return self._signals_of(users, kinds)

    def held(self, users: Sequence[UserId], kinds: Collection[SignalKind]) -> list[Held]:
        """See `SignalStore.held`."""
        with self._answering():
            return [
                {None: _with_moments(self._likes.get(user, set()), self._times[user])}
                | {
                    kind: _with_moments(
                        self._signals[kind].get(user, set()), self._signal_times[kind, user]
                    )
                    for kind in kinds
                }
                for user in users
            ]

    def scan_users_of(self, kind: SignalKind, chunk: int) -> Iterator[list[UserId]]:
        """See `SignalStore.scan_users_of`."""
        with self._answering():
            users = list(self._signals[kind])
        for start in range(0, len(users), chunk):
            yield users[start : start + chunk]

    def _signals_of(
        self, users: Sequence[UserId], kinds: Collection[SignalKind]
    ) -> list[dict[SignalKind, Collection[ItemId]]]:
        return [
            {kind: set(items) for kind in kinds if (items := self._signals[kind].get(user))}
            for user in users
        ]

    def _apply_signals(
        self, user_id: UserId, change: UserChange, forgotten_kinds: Iterable[SignalKind]
    ) -> None:
        if change.forget:
            for kind in forgotten_kinds:
                self._signals[kind].pop(user_id, None)
        for kind, signals in (change.signals or {}).items():
            items = self._signals[kind].get(user_id, set())
            self._set_signals(kind, user_id, (items | signals.add) - signals.remove)

    def _merge_signals(
        self, user_id: UserId, state: UserState, forgotten_kinds: Iterable[SignalKind]
    ) -> None:
        for kind, of_kind in state.of_kinds(forgotten_kinds).items():
            items = self._signals[kind].get(user_id, set())
            times = self._signal_times[kind, user_id]
            self._set_signals(kind, user_id, merged(items, times, of_kind, follow=True))

    def _set_signals(self, kind: SignalKind, user_id: UserId, items: set[ItemId]) -> None:
        if items:
            self._signals[kind][user_id] = items
        else:
            self._signals[kind].pop(user_id, None)


def _with_moments(items: set[ItemId], times: UserState) -> dict[ItemId, Moment | None]:
    return {item: times.items[item].moment if item in times.items else None for item in items}


def merged(items: set[ItemId], times: UserState, state: UserState, *, follow: bool) -> set[ItemId]:
    """Return the set after the state is merged into it and its times; items with a later state stay."""
    if state.forget is not None and times.forget_before(state.forget, state.merged):
        items = items & times.items.keys()
    changed = {item for item, new in state.items.items() if times.set_item(item, new)}
    added = {item for item in changed if state.items[item].liked}
    for partition, reach in state.reach.items():
        known = times.reach.get(partition)
        if follow or known is None or reach.offset > known.offset:
            times.reach[partition] = reach
    return (items - changed) | added


def with_times(mark: Scattered, times: UserState, partitions: Sequence[int]) -> Scattered:
    """Return the mark with what the times tell."""
    return mark._replace(
        reach=reach_of(times, partitions), forgotten=times.forget, merged=times.merged
    )


def reach_of(times: UserState, partitions: Sequence[int]) -> dict[int, Reach]:
    """Return the reach in these partitions, where it is known."""
    return {one: times.reach[one] for one in partitions if one in times.reach}
