"""What users liked at the time of a request, and what they have liked since.

Redis knows what they like now; the likes topic knows what has changed since. Pure, but for
`read_history`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.log.ranges import offsets_before, read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import BeyondLikes, ForgetUser, Like, RestoreItem, RetireItem
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

    from indexer.progress import Progress
    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, UserId
    from likewise.records import Record


class RequestTime(NamedTuple):
    """When a request was made: the time of its record, and an event it is known to follow."""

    time_ms: int
    after: Position | None = None


class _Change(NamedTuple):
    time_ms: int
    position: Position
    item_id: ItemId | None
    """None: the user was forgotten."""
    liked: bool

    def follows(self, moment: RequestTime) -> bool:
        after = moment.after
        known = (
            after is not None
            and after.partition == self.position.partition
            and after.offset >= self.position.offset
        )
        return self.time_ms > moment.time_ms and not known


@dataclass(slots=True)
class LikeHistory:
    """What some users liked and unliked, in the order of the log, from some time on."""

    users: Collection[UserId]
    _changes: dict[UserId, list[_Change]] = field(default_factory=dict)

    def add(self, event: Event, record: Record) -> None:
        """Take in the next event; its time is when its record came into the log."""
        if isinstance(event, RetireItem | RestoreItem | BeyondLikes):
            return
        if event.user_id not in self.users:
            return
        item_id = None if isinstance(event, ForgetUser) else event.item_id
        position = Position(record.partition, record.offset)
        change = _Change(record.timestamp, position, item_id, isinstance(event, Like))
        self._changes.setdefault(event.user_id, []).append(change)

    def likes_at(
        self, user_id: UserId, likes_now: Collection[ItemId], moment: RequestTime
    ) -> set[ItemId] | None:
        """Return what the user liked then; None where the user was forgotten since.

        That is what is liked now, without what was liked since, and with what was unliked since.
        The first event since then on an item shows which: a user who likes an item did not like it
        before. (A like sent twice, before and after, is taken for a new one; the log before the
        request is not read.)
        """
        first: dict[ItemId, bool] = {}
        for change in self._since(user_id, moment):
            if change.item_id is None:
                return None
            first.setdefault(change.item_id, change.liked)
        liked = {item for item, was_like in first.items() if was_like}
        return {*likes_now} - liked | (first.keys() - liked)

    def liked_later(
        self, user_id: UserId, moment: RequestTime, *, known_until_ms: int
    ) -> set[ItemId]:
        """Return what the user did not like then, has liked since, and still likes.

        What was liked up to `known_until_ms` is not in it: a model of that time knows it.
        """
        first: dict[ItemId, _Change] = {}
        last: dict[ItemId, bool] = {}
        for change in self._since(user_id, moment):
            if change.item_id is not None:
                first.setdefault(change.item_id, change)
                last[change.item_id] = change.liked
        return {
            item
            for item, change in first.items()
            if change.liked and change.time_ms > known_until_ms and last[item]
        }

    def _since(self, user_id: UserId, moment: RequestTime) -> list[_Change]:
        return [one for one in self._changes.get(user_id, ()) if one.follows(moment)]


def read_history(
    broker: Broker, topic: str, users: AbstractSet[UserId], *, since_ms: int, progress: Progress
) -> LikeHistory:
    """Return what the users' likes were changed by since then, as far as the topic reaches back.

    Raises:
        TransientError: the broker cannot be reached.
    """
    history = LikeHistory(users)
    partitions = broker.partitions(topic)
    start, end = offsets_before(broker, partitions, since_ms), broker.end_offsets(partitions)
    progress.expect(sum(max(end[one] - start[one], 0) for one in partitions))
    for records in read_between(broker, start, end):
        for record in records:
            try:
                history.add(decode_event(record), record)
            except InvalidInputError:
                continue  # among the dead letters: it changed nobody's likes
        progress.advance(len(records))
    return history
