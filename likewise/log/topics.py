"""Names of the Kafka topics and what each is made with when it is missing."""

from __future__ import annotations

import re
from typing import NamedTuple

_LIKES = "likes"
_DEAD_LETTERS = "likes.dead-letters"
_REQUESTS = "recommendation-requests"
_REPLIES = "recommendation-replies"
_MODELS = "models"
_NAMES = (_LIKES, _DEAD_LETTERS, _REQUESTS, _REPLIES, _MODELS)
_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class TopicSpec(NamedTuple):
    """What a missing topic is created with."""

    name: str
    partitions: int
    config: dict[str, str]


class Topics(NamedTuple):
    """The topics of one deployment; a prefix keeps several on one cluster apart."""

    prefix: str = ""

    @property
    def likes(self) -> str:
        """Events in; keyed by user id, so that one user's events stay in order."""
        return f"{self.prefix}{_LIKES}"

    @property
    def dead_letters(self) -> str:
        """Records that could not be understood, with the reason in their headers."""
        return f"{self.prefix}{_DEAD_LETTERS}"

    @property
    def requests(self) -> str:
        """Requests for recommendations in."""
        return f"{self.prefix}{_REQUESTS}"

    @property
    def replies(self) -> str:
        """Replies out, where a request names no reply topic."""
        return f"{self.prefix}{_REPLIES}"

    @property
    def models(self) -> str:
        """Compacted: which model version is current."""
        return f"{self.prefix}{_MODELS}"

    def may_be_replied_to(self, topic: str) -> bool:
        """Whether a requester may name this topic: legal, not internal, not a deployment's.

        Another deployment has a prefix that we don't know; the default reply topic here is allowed.
        """
        if topic == self.replies:
            return True
        legal = _LEGAL.fullmatch(topic) is not None and topic not in {".", ".."}
        return legal and not topic.startswith("__") and not topic.endswith(_NAMES)

    def specs(self, partitions: int) -> list[TopicSpec]:
        """Return the specification of every topic; `partitions` is for the busy ones."""
        # A dead letter carries its record and the reason: larger than any record it can hold.
        roomy = {"max.message.bytes": str(4 * 1024 * 1024)}
        return [
            # What Redis is rebuilt from: kept for ever, unless an operator decides otherwise.
            TopicSpec(self.likes, partitions, {"retention.ms": "-1", "retention.bytes": "-1"}),
            TopicSpec(self.requests, partitions, {}),
            TopicSpec(self.replies, partitions, {}),
            TopicSpec(self.dead_letters, 1, roomy),
            TopicSpec(self.models, 1, {"cleanup.policy": "compact"}),
        ]
