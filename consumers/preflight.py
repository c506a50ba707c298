"""Whether the likes topic keeps its events: it is what a lost Redis is rebuilt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.log.port import Broker

_KEPT_FOR_EVER = "-1"
_HOUR_MS = 3_600_000


def warn_of_retention(broker: Broker, topic: str) -> None:
    """Log what the topic's configuration will cost, as far as the broker says; never raises for it."""
    try:
        config = broker.topic_config(topic)
    except TransientError:
        return
    for sentence in what_is_lost(config):
        get_logger().warning(
            f"{sentence}; Redis can't be rebuilt from it. To keep all events: kafka-configs.sh "
            f"--alter --entity-type topics --entity-name {topic} --add-config "
            "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete"
        )


def what_is_lost(config: Mapping[str, str]) -> list[str]:
    """Return a sentence for each way in which a topic of this configuration loses events."""
    sentences = []
    if "compact" in config.get("cleanup.policy", ""):
        sentences.append("the likes topic is compacted: of each key it keeps the last event only")
    if config.get("cleanup.policy") == "compact":
        return sentences  # its retention counts for nothing
    if (kept_ms := config.get("retention.ms", _KEPT_FOR_EVER)) != _KEPT_FOR_EVER:
        sentences.append(f"the likes topic keeps events for {int(kept_ms) / _HOUR_MS:g} hours only")
    if (kept_bytes := config.get("retention.bytes", _KEPT_FOR_EVER)) != _KEPT_FOR_EVER:
        sentences.append(f"the likes topic keeps {kept_bytes} bytes of each partition only")
    return sentences
