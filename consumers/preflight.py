"""Whether the likes topic keeps its events, from which a lost Redis is rebuilt."""

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
    """Log in which ways the topic's configuration loses events; nothing if the broker can't be reached."""
    try:
        config = broker.topic_config(topic)
    except TransientError:
        return
    for limit in what_is_lost(config):
        get_logger().warning(
            "the likes topic does not keep all events, so Redis can't be rebuilt from it",
            topic=topic,
            limit=limit,
            fix=f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config "
            "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete",
        )


def what_is_lost(config: Mapping[str, str]) -> list[str]:
    """Return a phrase for each way in which a topic with this configuration loses events."""
    limits = []
    if "compact" in config.get("cleanup.policy", ""):
        limits.append("compacted: keeps only the last event of each key")
    if config.get("cleanup.policy") == "compact":
        return limits  # retention does not apply
    if (kept_ms := config.get("retention.ms", _KEPT_FOR_EVER)) != _KEPT_FOR_EVER:
        limits.append(f"keeps events for {int(kept_ms) / _HOUR_MS:g} hours")
    if (kept_bytes := config.get("retention.bytes", _KEPT_FOR_EVER)) != _KEPT_FOR_EVER:
        limits.append(f"keeps {kept_bytes} bytes of each partition")
    return limits
