"""Where replies may go: which topics a requester may name, and which of them exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError, SettingsError
from likewise.messages.reply_routes import REPLY_PARTITION_HEADER

if TYPE_CHECKING:
    from likewise.log.topic_listing import TopicListing
    from likewise.log.topics import Topics
    from likewise.messages.reply_routes import ReplyRoute


class ReplyTopics:
    """Checks reply routes before anything is sent.

    A producer blocks for long on a topic that does not exist, and no requester may make the server
    write to a topic whose readers trust it.
    """

    def __init__(self, listing: TopicListing, topics: Topics, pattern: str) -> None:
        """Allow topics that match the whole pattern, and the default reply topic.

        Raises:
            SettingsError: the pattern is not a regular expression.
        """
        self._listing = listing
        self._topics = topics
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise SettingsError(
                f"serving.reply_topic_pattern (LIKEWISE_SERVING_REPLY_TOPIC_PATTERN): {pattern!r} "
                f"is not a regular expression: {error}"
            ) from error

    @property
    def version(self) -> int:
        """The version of the list of topics that `check` uses. It changes whenever it is refreshed."""
        return self._listing.version

    def settles(self, route: ReplyRoute) -> bool:
        """Whether the topic and partition exist, or will be refused in any case. No I/O."""
        if self._listing.has(route.topic, (route.partition or 0) + 1):
            return True
        return self._objection(route.topic) is not None

    def refresh(self, route: ReplyRoute) -> None:
        """Ask the broker for what the route names, unless it was asked within the last second.

        Raises:
            TransientError: the broker cannot be reached.
        """
        self._listing.size(route.topic, at_least=(route.partition or 0) + 1)

    def check(self, route: ReplyRoute) -> None:
        """Return if a reply can go there.

        Raises:
            InvalidInputError: the topic is refused (`reply_topic_refused`) or does not exist
                (`reply_topic_unknown`), or it has no such partition (`invalid_reply_partition`).
            TransientError: the broker cannot be reached.
        """
        if (why_not := self._objection(route.topic)) is not None:
            raise InvalidInputError(
                "reply_topic_refused",
                f"replies may not be sent to topic {route.topic[:249]!r}: {why_not}",
            )
        named = route.partition or 0
        partitions = self._listing.size(route.topic, at_least=named + 1)
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

    def invalidate(self, route: ReplyRoute) -> None:
        """Ask the broker again when the topic is next named: sending to it has failed."""
        self._listing.invalidate(route.topic)

    def _objection(self, topic: str) -> str | None:
        if not self._topics.may_be_replied_to(topic):
            return (
                "it is internal, belongs to a deployment of likewise, or is not a valid topic name"
            )
        if topic != self._topics.replies and self._pattern.fullmatch(topic) is None:
            return (
                "serving.reply_topic_pattern (LIKEWISE_SERVING_REPLY_TOPIC_PATTERN) is "
                f"{self._pattern.pattern!r}, which it does not match"
            )
        return None
