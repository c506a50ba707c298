"""The names of the Kafka topics, and the configuration that missing ones are created with."""

from __future__ import annotations

import re
from typing import NamedTuple

_LIKES = "likes"
_DEAD_LETTERS = "likes.dead-letters"
_REQUESTS = "recommendation-requests"
_REPLIES = "recommendation-replies"
_MODELS = "models"
_ITEMS = "items"
_SCENARIOS = "scenarios"
_EXPERIMENTS = "experiments"
_EXPOSURES = "exposures"
_NAMES = (
    *(_LIKES, _DEAD_LETTERS, _REQUESTS, _REPLIES, _MODELS, _ITEMS, _SCENARIOS),
    *(_EXPERIMENTS, _EXPOSURES),
)
_DAY_MS = 86_400_000
EXPOSURES_KEPT_MS = 30 * _DAY_MS
"""For how long Kafka keeps lists that were shown, if likewise creates the topic."""
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
        """Records that could not be decoded, with the reason in their headers."""
        return f"{self.prefix}{_DEAD_LETTERS}"

    @property
    def requests(self) -> str:
        """Requests for recommendations in."""
        return f"{self.prefix}{_REQUESTS}"

    @property
    def replies(self) -> str:
        """Replies out, for requests that name no reply topic."""
        return f"{self.prefix}{_REPLIES}"

    @property
    def models(self) -> str:
        """The current model version; compacted."""
        return f"{self.prefix}{_MODELS}"

    @property
    def items(self) -> str:
        """What items are, keyed by item id; compacted."""
        return f"{self.prefix}{_ITEMS}"

    @property
    def scenarios(self) -> str:
        """Stored options of requests, keyed by name; compacted."""
        return f"{self.prefix}{_SCENARIOS}"

    @property
    def experiments(self) -> str:
        """Experiments, keyed by name; compacted."""
        return f"{self.prefix}{_EXPERIMENTS}"

    @property
    def exposures(self) -> str:
        """The lists that count for experiments; keyed by user id."""
        return f"{self.prefix}{_EXPOSURES}"

    @property
    def documents(self) -> tuple[str, ...]:
        """The compacted topics that consumers apply, which a deployment may lack."""
        return self.items, self.scenarios, self.experiments

    def may_be_replied_to(self, topic: str) -> bool:
        """Whether a request may name this reply topic: legal, not internal, not a deployment's.

        The prefixes of other deployments are unknown, so every name that ends like one of their
        topics is refused. Our default reply topic is allowed.
        """
        if topic == self.replies:
            return True
        legal = _LEGAL.fullmatch(topic) is not None and topic not in {".", ".."}
        return legal and not topic.startswith("__") and not topic.endswith(_NAMES)

    def specs(self, partitions: int) -> list[TopicSpec]:
        """Return the specification of every topic; `partitions` applies to the busy ones."""
        return [
            *self.core_specs(partitions),
            *self.document_specs(),
            self.exposures_spec(partitions),
        ]

    def core_specs(self, partitions: int) -> list[TopicSpec]:
        """Return the specifications of the topics that every deployment has."""
        # A dead letter holds a whole record and the reason, so it is larger than any record.
        roomy = {"max.message.bytes": str(4 * 1024 * 1024)}
        return [
            # Redis is rebuilt from it: kept forever, unless an operator decides otherwise.
            TopicSpec(self.likes, partitions, {"retention.ms": "-1", "retention.bytes": "-1"}),
            TopicSpec(self.requests, partitions, {}),
            TopicSpec(self.replies, partitions, {}),
            TopicSpec(self.dead_letters, 1, roomy),
            TopicSpec(self.models, 1, {"cleanup.policy": "compact"}),
        ]

    def exposures_spec(self, partitions: int) -> TopicSpec:
        """Return the specification of the topic of exposures."""
        return TopicSpec(self.exposures, partitions, {"retention.ms": str(EXPOSURES_KEPT_MS)})

    def document_specs(self) -> list[TopicSpec]:
        """Return the specifications of the compacted topics that consumers apply."""
        # A consumer that has not read a removal before compaction drops it never removes the item.
        config = {"cleanup.policy": "compact", "delete.retention.ms": str(30 * _DAY_MS)}
        # One partition keeps an item's records in order, whatever partitioner a client uses.
        return [TopicSpec(name, 1, config) for name in self.documents]
