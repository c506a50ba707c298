"""Whether the topics keep what a lost Redis is rebuilt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.log.port import Broker

_KEEP_EVERYTHING = "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete"
_KEPT_FOR_EVER = "-1"
_HOUR_MS = 3_600_000


def warn_of_retention(broker: Broker, topic: str, *, compacted: bool = False) -> None:
    """Log in which ways the topic's configuration loses data; nothing if the broker can't be reached.

    `compacted`: only the last record of each key matters.
    """
    try:
        config = broker.topic_config(topic)
    except TransientError:
        return
    wanted = "cleanup.policy=compact" if compacted else _KEEP_EVERYTHING
    for limit in what_is_lost(config, compacted=compacted):
        get_logger().warning(
            "a topic does not keep all of its data, so Redis can't be rebuilt from it",
            topic=topic,
            limit=limit,
            fix=f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config "
            f"{wanted}",
        )


def what_is_lost(config: Mapping[str, str], *, compacted: bool = False) -> list[str]:
    """Return a phrase for each way in which a topic with this configuration loses data."""
    limits = []
    if "compact" in config.get("cleanup.policy", "") and not compacted:
        limits.append("compacted: keeps only the last event of each key")
    if config.get("cleanup.policy") == "compact":
        return limits  # retention does not apply
    if (kept_ms := config.get("retention.ms", _KEPT_FOR_EVER)) != _KEPT_FOR_EVER:
        limits.append(f"keeps events for {int(kept_ms) / _HOUR_MS:g} hours")
    if (kept_bytes := config.get("retention.bytes", _KEPT_FOR_EVER)) != _KEPT_FOR_EVER:
        limits.append(f"keeps {kept_bytes} bytes of each partition")
    return limits
