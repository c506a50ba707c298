"""Requests whose reply topic, or whose partition of it, is not known yet.

Which topics there are is asked of the broker at most once a second, whoever names what. Somebody may
have made a topic, or added a partition, since the last time: so a request that names one waits for
the next time, and is then answered or refused. It holds up no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from serving.progress import first_offsets

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.records import TopicPartition
    from serving.incoming import OpenRequest
    from serving.reply_topics import ReplyTopics

MAX_UNROUTED = 10_000


class _Held(NamedTuple):
    asked: OpenRequest
    listing: int
    """Which listing of topics did not have its route."""


class Unrouted:
    """Keeps requests for about a second, until there is a listing of topics that is newer than they."""

    def __init__(self, reply_topics: ReplyTopics, limit: int = MAX_UNROUTED) -> None:
        self._reply_topics = reply_topics
        self._limit = limit
        self._held: dict[tuple[TopicPartition, int], _Held] = {}
        self._examined = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, place: object) -> bool:
        return place in self._held

    def hold(self, asked: OpenRequest) -> bool:
        """Keep a request; False where its route can be decided on now, or there is no more room.

        Raises:
            TransientError: the broker has to be asked, and cannot be reached; calling again is safe.
        """
        if len(self._held) >= self._limit:
            return False
        before = self._reply_topics.listing
        self._reply_topics.look(asked.route)
        if self._reply_topics.knows(asked.route) or self._reply_topics.listing != before:
            return False
        self._held[asked.record_id] = _Held(asked, before)
        return True

    def take(self) -> list[OpenRequest]:
        """Return the requests that wait no longer, oldest first, and let go of them.

        Raises:
            TransientError: the broker has to be asked, and cannot be reached; calling again is safe.
        """
        if not self._held:
            return []
        self._reply_topics.look(next(iter(self._held.values())).asked.route)
        listing = self._reply_topics.listing
        if listing == self._examined:
            return []
        self._examined = listing
        taken = [held.asked for held in self._held.values() if held.listing != listing]
        for asked in taken:
            del self._held[asked.record_id]
        return taken

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Forget the requests of partitions that are another member's now: it reads them again."""
        for place in [place for place in self._held if place[0] not in assigned]:
            del self._held[place]

    def places(self) -> Collection[tuple[TopicPartition, int]]:
        """Return where all that waits stands in the log."""
        return self._held.keys()

    def oldest_offsets(self) -> dict[TopicPartition, int]:
        """Return the lowest offset that waits in each partition in which any does."""
        return first_offsets(self._held)
