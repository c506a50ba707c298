"""Where replies may go: what a requester may name, and whether it exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError, SettingsError
from likewise.messages.requests import REPLY_PARTITION_HEADER

if TYPE_CHECKING:
    from likewise.log.topics import Topics
    from likewise.messages.requests import ReplyRoute
    from serving.known_topics import KnownTopics


class ReplyTopics:
    """Tells usable reply routes from others before anything is sent.

    A producer blocks for long on a topic that does not exist, and a requester must not make the
    server write where others take it at its word.
    """

    def __init__(self, known: KnownTopics, topics: Topics, pattern: str) -> None:
        """Allow topics that match the pattern as a whole; the default reply topic always is.

        Raises:
            SettingsError: the pattern is no regular expression.
        """
        self._known = known
        self._topics = topics
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise SettingsError(
                f"serving.reply_topic_pattern (LIKEWISE_SERVING_REPLY_TOPIC_PATTERN): {pattern!r} "
                f"is no regular expression: {error}"
            ) from error

    @property
    def listing(self) -> int:
        """The number of the list of topics that `check` goes by: another one after each look."""
        return self._known.listing

    def knows(self, route: ReplyRoute) -> bool:
        """Whether the topic and partition exist, or will be refused in any case. No I/O."""
        if self._known.has(route.topic, (route.partition or 0) + 1):
            return True
        return self._objection(route.topic) is not None

    def look(self, route: ReplyRoute) -> None:
        """Ask the broker for what the route names, unless it was asked within the last second.

        Raises:
            TransientError: the broker cannot be reached.
        """
        self._known.size(route.topic, (route.partition or 0) + 1)

    def check(self, route: ReplyRoute) -> None:
        """Return if a reply can go there.

        Raises:
            InvalidInputError: the topic is refused (`reply_topic_refused`) or does not exist
                (`reply_topic_unknown`), or it has no such partition (`invalid_reply_partition`).
            TransientError: the broker is out of reach.
        """
        if (why_not := self._objection(route.topic)) is not None:
            raise InvalidInputError(
                "reply_topic_refused",
                f"replies may not be sent to topic {route.topic[:249]!r}: {why_not}",
            )
        named = route.partition or 0
        partitions = self._known.size(route.topic, named + 1)
        if not partitions:
            raise InvalidInputError(
                "reply_topic_unknown", f"there is no reply topic {route.topic!r}"
            )
        if not 0 <= named < partitions:
            raise InvalidInputError(
                "invalid_reply_partition",
                f"`{REPLY_PARTITION_HEADER}` is {route.partition}, but the reply topic "
                f"{route.topic!r} has {partitions} partitions",
            )

    def forget(self, route: ReplyRoute) -> None:
        """Ask the broker about the topic again: sending to it went wrong."""
        self._known.forget(route.topic)

    def _objection(self, topic: str) -> str | None:
        if not self._topics.may_be_replied_to(topic):
            return "it is internal, belongs to a deployment of likewise, or can't be a topic"
        if topic != self._topics.replies and self._pattern.fullmatch(topic) is None:
            return (
                "serving.reply_topic_pattern (LIKEWISE_SERVING_REPLY_TOPIC_PATTERN) is "
                f"{self._pattern.pattern!r}, which it does not match"
            )
        return None
