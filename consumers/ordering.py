"""Batches become changes that do not depend on which partition is read first.

A user's events are expected in one partition, the home. A user with events elsewhere is marked as
scattered, and those events get times, so that the partitions can be merged
(`likewise.messages.order`). All other users are folded without times. See
docs/decisions/0017-events-on-several-partitions-are-merged-by-time.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.fold import fold
from consumers.homes import away_from_home
from consumers.merging import merges_in, states_of_users
from consumers.pending import pending
from likewise.errors import HomesMovedError, PositionMovedError, TransientError, UndeliverableError
from likewise.messages.events import RestoreItem, RetireItem, users_of
from likewise.messages.order import UserState, moment_ms
from likewise.store.port import Changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.batches import Part
    from consumers.documents import Documents
    from consumers.homes import Marks
    from consumers.recent import Recent
    from consumers.scattering import Scattering
    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.store.port import Advance, Homes, LikeStore


class Ordering:
    """Applies batches to the store in the order that docs/protocol.md promises.

    Holds only caches of what is in the store.
    """

    def __init__(
        self,
        store: LikeStore,
        scattering: Scattering,
        recent: Recent,
    ) -> None:
        """Read nothing yet."""
        self._store = store
        self._scattering = scattering
        self._recent = recent

    def apply(
        self,
        parts: Sequence[Part],
        advances: Mapping[TopicPartition, Advance],
        documents: Documents | None = None,
    ) -> None:
        """Apply a batch, except what the store has of it; see `LikeStore.apply`.

        Raises:
            PositionMovedError: a position is not where the caller believed; nothing was applied.
            TransientError: a server cannot be reached.
        """
        while True:
            try:
                ahead = self._store.ahead(advances)
                if ahead is None:
                    changes = self._changes(parts, advances)
                    _add(documents, changes)
                    self._recent.before(changes)
                else:
                    left = pending(self._store, ahead, parts, documents)
                    changes = self._changes(left.parts, advances)
                    _add(left.documents, changes)
                    changes.shared = left.shared
                    self._recent.before(left.shared)
                self._store.apply(changes, advances)
                if changes.accounts:  # a merge changes the mark of the homes
                    self._scattering.invalidate()
            except HomesMovedError:
                self._scattering.invalidate()
            except PositionMovedError:
                self._scattering.invalidate()
                raise
            except UndeliverableError as gone:  # the topic was just deleted
                raise TransientError(str(gone)).of("kafka") from gone
            else:
                self._recent.after(parts)
                return

    def _changes(
        self, parts: Sequence[Part], advances: Mapping[TopicPartition, Advance]
    ) -> Changes:
        """Return the batch's changes, once every user who needs it is marked and caught up."""
        folded = [fold(part.events) for part in parts]
        numbers = [part.partition for part in parts]
        while True:
            homes = self._scattering.homes()
            away = [
                _to_mark(part, changes, homes) for part, changes in zip(parts, folded, strict=True)
            ]
            marks = self._scattering.marks([changes.users for changes in folded], numbers, away)
            floors_ms = _new_floors_ms(parts, away, marks)
            incomplete = {user for user, known in marks.items() if known and not known.complete}
            if not floors_ms and not incomplete:
                return self._put_together(parts, folded, marks, homes)
            if floors_ms:
                self._scattering.mark(floors_ms, marks, advances)
            self._scattering.catch_up(floors_ms.keys() | incomplete)

    def _put_together(
        self, parts: Sequence[Part], folded: Sequence[Changes], marks: Marks, homes: Homes
    ) -> Changes:
        users = folded[0].users.copy() if folded else {}
        for changes in folded[1:]:  # a user who is not marked is in only one of them
            users |= changes.users
        for user in marks:
            users.pop(user, None)
        together = Changes(users=users, homes=homes)
        together.kinds.update(*(changes.kinds for changes in folded))
        if any(part.forgets for part in parts):
            together.forgotten_kinds = self._scattering.kinds()
        if marks:
            together.accounts = {merge.into for part in parts for merge in merges_in(part)}
            self._add_states(together, parts, marks)
        if any(changes.retire or changes.restore for changes in folded):
            together.catalogue = self._state_of_catalogue(parts)
        return together

    def _add_states(self, together: Changes, parts: Sequence[Part], marks: Marks) -> None:
        partitions = [part.partition for part in parts]
        kinds = together.forgotten_kinds
        guests = list({merge.user_id for part in parts for merge in merges_in(part)})
        held = dict(zip(guests, self._store.held(guests, kinds), strict=True)) if guests else {}
        marks = self._scattering.with_accounts(marks, partitions)
        states = states_of_users(parts, marks, held)
        together.scattered = states.by_user
        together.moves.update(states.moves)

    def _state_of_catalogue(self, parts: Sequence[Part]) -> UserState:
        known = self._store.catalogue_reach([part.partition for part in parts])
        state = UserState()
        for part in parts:
            for event, record in zip(part.events, part.records, strict=True):
                if isinstance(event, RetireItem | RestoreItem):
                    state.add(event, record, known)
        return state


def _add(documents: Documents | None, changes: Changes) -> None:
    if documents is not None:
        changes.items, changes.scenarios = documents.items, documents.scenarios
        changes.experiments = documents.experiments


def _to_mark(part: Part, changes: Changes, homes: Homes) -> list[UserId]:
    """Return the users of the part who must have times: those away from home, and accounts of merges."""
    away = away_from_home(changes.users, part.partition, homes)
    return [*away, *(merge.into for merge in merges_in(part))] if part.merges else away


def _new_floors_ms(
    parts: Sequence[Part], away: Sequence[Sequence[UserId]], marks: Marks
) -> dict[UserId, int]:
    """Return the users who must be marked from an earlier time than they are, and that time."""
    floors_ms: dict[UserId, int] = {}
    for part, users in zip(parts, away, strict=True):
        for user, since_ms in _first_ms(part, users, marks).items():
            known = marks[user]
            if known and known.complete and known.floor_ms <= since_ms:
                continue
            least = [since_ms, floors_ms.get(user, since_ms)]
            floors_ms[user] = min([*least, known.floor_ms] if known else least)
    return floors_ms


def _first_ms(part: Part, users: Sequence[UserId], marks: Marks) -> dict[UserId, int]:
    """Return the time of the first event of each of the users in the part."""
    left = set(users)
    found: dict[UserId, int] = {}
    if not left:
        return found
    for event, record in zip(part.events, part.records, strict=True):
        for user in users_of(event):
            if user in left:
                left.discard(user)
                known = marks[user]
                found[user] = moment_ms(record, known.reach.get(part.partition) if known else None)
        if not left:
            break
    return found
