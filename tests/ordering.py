"""The rule of order, in the plainest way: each user's events are sorted by time, and applied one by one.

It knows nothing of homes, marks or states. A merge is an event of both users: what the guest has before it is the
account's from there on.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, SignalKind, UserId

Log = dict[int, list[tuple[int, "Event"]]]
"""For each partition, the timestamp of each record and its event."""
Place = tuple[int, int, int]
Sets = defaultdict["SignalKind | None", set["ItemId"]]
"""What a user has, by kind; None for likes."""


class Outcome(NamedTuple):
    """What a log means; users without likes, and those without signals of a kind, are left out."""

    likes: dict[UserId, set[ItemId]]
    signals: dict[SignalKind, dict[UserId, set[ItemId]]]
    retired: set[ItemId]


def outcome_of_log(log: Log) -> Outcome:
    """Return what the log means."""
    timelines = _Timelines(log)
    outcome = Outcome({}, defaultdict(dict), timelines.retired())
    for user in timelines.by_user:
        for kind, items in timelines.sets(user).items():
            if items:
                (outcome.likes if kind is None else outcome.signals[kind])[user] = items
    return outcome._replace(signals=dict(outcome.signals))


class _Timelines:
    """Every user's events in the order in which they count; None has the events about items."""

    def __init__(self, log: Log) -> None:
        self.by_user: defaultdict[UserId, list[tuple[Place, Event]]] = defaultdict(list)
        self._about_items: list[tuple[Place, Event]] = []
        newest: defaultdict[tuple[UserId | None, int], int] = defaultdict(int)

        def place(user: UserId | None, partition: int, offset: int, time_ms: int) -> Place:
            newest[user, partition] = max(newest[user, partition], time_ms)
            return newest[user, partition], partition, offset

        for partition, events in log.items():
            for offset, (time_ms, event) in enumerate(events):
                if isinstance(event, RetireItem | RestoreItem):
                    at = place(None, partition, offset, time_ms)
                    self._about_items.append((at, event))
                    continue
                for user in _users_of(event):
                    at = place(user, partition, offset, time_ms)
                    self.by_user[user].append((at, event))

    def sets(self, user: UserId, before: Place | None = None) -> Sets:
        """Return what the user has before the place, or at the end."""
        sets: Sets = defaultdict(set)
        for at, event in sorted(self.by_user[user], key=lambda one: one[0]):
            if before is not None and at >= before:
                break
            match event:
                case MergeUsers(guest, into) if into == user:
                    for kind, items in self.sets(guest, self._place_of(guest, event, at)).items():
                        sets[kind] |= items
                case ForgetUser() | MergeUsers():
                    sets.clear()
                case Like():
                    sets[None].add(event.item_id)
                case Unlike():
                    sets[None].discard(event.item_id)
                case Signal():
                    sets[event.kind].add(event.item_id)
                case Unsignal():
                    sets[event.kind].discard(event.item_id)
        return sets

    def retired(self) -> set[ItemId]:
        """Return the retired items."""
        retired: set[ItemId] = set()
        for _, event in sorted(self._about_items, key=lambda one: one[0]):
            if isinstance(event, RetireItem):
                retired.add(event.item_id)
            elif isinstance(event, RestoreItem):
                retired.discard(event.item_id)
        return retired

    def _place_of(self, guest: UserId, merge: Event, seen: Place) -> Place:
        """Return the place of a merge among the guest's events, given that among the account's."""
        return next(
            at for at, event in self.by_user[guest] if event is merge and at[1:] == seen[1:]
        )


def _users_of(event: Event) -> Sequence[UserId]:
    if isinstance(event, RetireItem | RestoreItem):
        return ()
    return (event.user_id, event.into) if isinstance(event, MergeUsers) else (event.user_id,)
