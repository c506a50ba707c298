"""Requests whose reply topic, or whose partition of it, is not known yet.

The broker is asked at most once a second which topics there are, however many names requests
invent. A topic or partition may have been created since, so a request that names an unknown one
waits for the next list of topics, and is then answered or refused. It delays no other request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.records import TopicPartition
    from serving.incoming import OpenRequest, RecordId
    from serving.reply_topics import ReplyTopics

MAX_UNROUTED = 10_000


class _Held(NamedTuple):
    request: OpenRequest
    version: int
    """The version of the list of topics that lacked its route."""


class Unrouted:
    """Keeps requests until the list of topics is newer than they are, for about a second."""

    def __init__(self, reply_topics: ReplyTopics, limit: int = MAX_UNROUTED) -> None:
        self._reply_topics = reply_topics
        self._limit = limit
        self._held: dict[RecordId, _Held] = {}
        self._examined = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, request: OpenRequest) -> bool:
        """Keep a request; return False if its route is settled now, or if there is no more room.

        Raises:
            TransientError: the broker has to be asked and cannot be reached. Calling again is safe.
        """
        if len(self._held) >= self._limit:
            return False
        version = self._reply_topics.version
        self._reply_topics.refresh(request.route)
        if self._reply_topics.settles(request.route) or self._reply_topics.version != version:
            return False
        self._held[request.record_id] = _Held(request, version)
        return True

    def take(self) -> list[OpenRequest]:
        """Remove and return the requests that need not wait any longer, oldest first.

        Raises:
            TransientError: the broker has to be asked and cannot be reached. Calling again is safe.
        """
        if not self._held:
            return []
        self._reply_topics.refresh(next(iter(self._held.values())).request.route)
        version = self._reply_topics.version
        if version == self._examined:
            return []
        self._examined = version
        taken = [held.request for held in self._held.values() if held.version != version]
        for request in taken:
            del self._held[request.record_id]
        return taken

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Remove the requests of other partitions."""
        self._held = {at: held for at, held in self._held.items() if at[0] in assigned}
