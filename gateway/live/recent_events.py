"""A sample of the newest events of the likes topic, from any producer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from gateway.live.tick import LiveEvent
from likewise.errors import InvalidInputError
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like, Signal, Unlike, Unsignal, action_of_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.log.port import Broker, LogReader
    from likewise.records import TopicPartition
    from likewise.store.port import LikeStore

SAMPLED = 10
_POLL_MS = 50
_MOST_POLLS = 3
_FAR_BEHIND = 1_000
_OfUser = Like | Unlike | Signal | Unsignal


class RecentEvents:
    """Reads the end of the likes topic. Blocks; one look at a time.

    A reader is kept as long as it keeps up. On a busy topic it does not: then each look reads only what
    is newest, over a new connection.
    """

    def __init__(self, broker: Broker, store: LikeStore) -> None:
        self._broker = broker
        self._store = store
        self._reader: LogReader | None = None
        self._next: dict[TopicPartition, int] = {}

    def look(self, ends: Mapping[TopicPartition, int]) -> list[LiveEvent]:
        """Return up to ten events since the last look, oldest first, given where the topic ends.

        None at the first look.

        Raises:
            TransientError: the broker cannot be reached.
        """
        if self._next.keys() != ends.keys():
            self._follow(ends)
            return []
        behind = sum(max(end - self._next[one], 0) for one, end in ends.items())
        if not behind:
            return []
        if behind > _FAR_BEHIND:
            few = max(SAMPLED // len(ends), 1)
            self._follow({one: max(end - few, self._next[one]) for one, end in ends.items()})
        return self._read(ends)

    def close(self) -> None:
        """Disconnect."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._next = {}

    def _follow(self, start: Mapping[TopicPartition, int]) -> None:
        self.close()
        self._next = dict(start)
        self._reader = self._broker.reader(start) if start else None

    def _read(self, ends: Mapping[TopicPartition, int]) -> list[LiveEvent]:
        events: deque[_OfUser] = deque(maxlen=SAMPLED)
        for _ in range(_MOST_POLLS):
            if self._reader is None or all(end <= self._next[one] for one, end in ends.items()):
                break
            for record in self._reader.poll(_POLL_MS):
                try:
                    event = decode_event(record)
                except InvalidInputError:
                    continue
                if isinstance(event, _OfUser):
                    events.append(event)
            for partition, span in self._reader.spans().items():
                self._next[partition] = span.end
        return self._described(list(events))

    def _described(self, events: list[_OfUser]) -> list[LiveEvent]:
        if not events:
            return []
        stored = self._store.catalogue_get([event.item_id for event in events])
        return [
            LiveEvent(
                action_of_event(event),
                event.user_id,
                event.item_id,
                _title(document),
                event.kind if isinstance(event, Signal | Unsignal) else None,
            )
            for event, document in zip(events, stored, strict=True)
        ]


class _Titled(msgspec.Struct):
    title: str | None = None


def _title(stored: bytes | None) -> str | None:
    if stored is None:
        return None
    try:
        return msgspec.json.decode(stored, type=_Titled).title
    except msgspec.MsgspecError:
        return None
