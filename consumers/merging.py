"""Merges: what a guest likes and signalled moves to an account, and the guest is forgotten.

The guest's sets are read before the batch is applied, and the guest's events that come first in the
batch are added to them. For the account, each of these items is a like or a signal at the place of
the merge in the log. So accounts always have times; a guest has times only if its events lie in
several partitions. See docs/decisions/0029-merging-a-guest-is-an-event-of-both-users.md.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

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
from likewise.messages.order import UserState
from likewise.records import TopicPartition
from likewise.store.bucket_port import Move

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from consumers.batches import Part
    from consumers.homes import Marks
    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.order import ItemState, Moment
    from likewise.records import Record
    from likewise.store.signals_port import Held

    Moved = dict[SignalKind | None, set[ItemId]]

_LONGEST_CHAIN = 16


def merges_in(part: Part) -> Iterator[MergeUsers]:
    """Yield the merges of a part, in order."""
    for index in part.merges:
        event = part.events[index]
        if isinstance(event, MergeUsers):
            yield event


def states_of_users(parts: Sequence[Part], marks: Marks, held: Mapping[UserId, Held]) -> States:
    """Return the states of the marked users; `held` has what each guest of a merge has in the store."""
    states = States(marks, held)
    for part in parts:
        moved = _moved_without_times(part, marks, held) if part.merges else {}
        for index, (event, record) in enumerate(zip(part.events, part.records, strict=True)):
            if not isinstance(event, RetireItem | RestoreItem):
                states.add(event, record, moved.get(index, {}))
    return states


class States:
    """The states of the marked users, after the events so far, and what each merge moved."""

    def __init__(self, marks: Marks, held: Mapping[UserId, Held]) -> None:
        self.by_user: dict[UserId, UserState] = {}
        self.moves: dict[Move, Moved] = {}
        self._marks = marks
        self._held = held

    def add(self, event: Event, record: Record, moved: Moved) -> None:
        """Add the next event of a partition. `moved` is what a guest without times has at a merge."""
        if isinstance(event, RetireItem | RestoreItem):
            return
        if self._marks.get(event.user_id) is not None:
            moment = self._moment(event.user_id, record)
            if isinstance(event, MergeUsers):
                moved = self._moved(event.user_id, moment)
            self._place(event.user_id, moment, event)
        if isinstance(event, MergeUsers):
            at = TopicPartition(record.topic, record.partition)
            self.moves[Move(event.user_id, at, record.offset)] = moved
            moment = self._moment(event.into, record)
            for kind, items in moved.items():
                for item_id in items:
                    like = Like(event.into, item_id)
                    of_kind = like if kind is None else Signal(event.into, item_id, kind)
                    self._place(event.into, moment, of_kind)

    def _moment(self, user: UserId, record: Record) -> Moment:
        known = self._marks[user]
        return self._state(user).moment(record, known.reach if known else {})

    def _state(self, user: UserId) -> UserState:
        state = self.by_user.get(user)
        if state is None:
            known = self._marks.get(user)
            state = UserState(forgotten_before=known.forgotten if known else None)
            self.by_user[user] = state
        return state

    def _place(self, user: UserId, moment: Moment, event: Event) -> None:
        """Add an event to its user, or, if it is older than a merge that was applied, to the account.

        There only a like or a signal counts: an `unlike` of the guest must not take away what the
        account liked itself.
        """
        target = user
        for _ in range(_LONGEST_CHAIN):
            known = self._marks.get(target)
            merged = self._state(target).merged or (known.merged if known else None)
            if merged is None or not merged.since < moment < merged.moment:
                break
            target, moment = merged.into, merged.moment
        if target == user or isinstance(event, Like | Signal):
            self._state(target).add_at(moment, event)

    def _moved(self, guest: UserId, moment: Moment) -> Moved:
        """Return what a guest with times has before the moment."""
        state = self._state(guest)
        stored = self._held.get(guest, {})
        return {
            kind: _before(
                moment,
                stored.get(kind, {}),
                state.items if kind is None else state.signals.get(kind, {}),
                state.forget,
            )
            for kind in {*stored, None, *state.signals}
        }


def _before(
    moment: Moment,
    stored: Mapping[ItemId, Moment | None],
    states: Mapping[ItemId, ItemState],
    forget: Moment | None,
) -> set[ItemId]:
    """Return the items that hold before the moment, by the store and the states of this batch."""
    items = {
        item
        for item, since in stored.items()
        if (since is None or since < moment)
        and (forget is None or (since is not None and since > forget))
    }
    for item, (changed, liked) in states.items():
        since = stored.get(item)
        if changed < moment and (since is None or not changed < since < moment):
            (items.add if liked else items.discard)(item)
    return items


def _moved_without_times(part: Part, marks: Marks, held: Mapping[UserId, Held]) -> dict[int, Moved]:
    """Return, by the index of each merge in the part, what its guest has, if it has no times."""
    own = {merge.user_id for merge in merges_in(part) if marks.get(merge.user_id) is None}
    now: dict[UserId, defaultdict[SignalKind | None, set[ItemId]]] = {
        guest: defaultdict(set, {kind: set(items) for kind, items in held[guest].items()})
        for guest in own
    }
    moved: dict[int, Moved] = {}
    for index, event in enumerate(part.events):
        if isinstance(event, RetireItem | RestoreItem) or event.user_id not in own:
            continue
        sets = now[event.user_id]
        match event:
            case Like():
                sets[None].add(event.item_id)
            case Unlike():
                sets[None].discard(event.item_id)
            case Signal():
                sets[event.kind].add(event.item_id)
            case Unsignal():
                sets[event.kind].discard(event.item_id)
            case ForgetUser():
                sets.clear()
            case MergeUsers():
                moved[index] = dict(sets)
                sets.clear()
    return moved
