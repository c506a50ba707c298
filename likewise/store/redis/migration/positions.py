"""Positions in one layout, as those of the other: one for each partition, or one in each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import LikewiseError
from likewise.records import TopicPartition
from likewise.store.cluster_keys import ClusterKeys
from likewise.store.keys import Keys, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.store.redis.commands import RedisCommands

    Stored = Mapping[str, str]
    """Values by what comes after `likewise:position:`: positions, log ids, epochs."""

_NAME = "likewise:position:"


def stored_positions(redis: RedisCommands, keys: Keys) -> Stored:
    """Return the positions, log ids and epochs."""
    start = f"{keys.prefix}{_NAME}"
    names = [key for some in redis.scan_keys(f"{literal(start)}*", 1_000) for key in some]
    values = redis.pipeline([("GET", name) for name in names])
    found = {name[len(start) :]: value for name, value in zip(names, values, strict=True)}
    if isinstance(keys, ClusterKeys):
        fields = redis.run("HGETALL", keys.state(keys.shared)) or {}
        found |= {field.replace("/", ":"): value for field, value in fields.items()}
    return found


def check_level(redis: RedisCommands, keys: Keys) -> None:
    """Raise if some buckets of a cluster are ahead of others, as after a crash.

    Raises:
        LikewiseError: they are.
    """
    if not isinstance(keys, ClusterKeys):
        return
    states = redis.pipeline([("HGETALL", keys.state(group)) for group in keys.groups])
    positions = [
        {field: at for field, at in (state or {}).items() if field != "mark"} for state in states
    ]
    if any(one != positions[-1] for one in positions):
        raise LikewiseError(
            "the consumers of the cluster were not stopped cleanly: some buckets are ahead of others; "
            "run `likewise consume` until it has applied everything, stop it, and migrate then"
        )


def copy_positions(redis: RedisCommands, keys: Keys, stored: Stored) -> None:
    """Write the positions, log ids and epochs."""
    for name, value in stored.items():
        topic, _, number = name.rpartition(":")
        if isinstance(keys, ClusterKeys) and number.isdecimal():
            field = keys.field(TopicPartition(topic, int(number)))
            redis.pipeline([("HSET", keys.state(group), field, value) for group in keys.groups])
        else:
            redis.run("SET", f"{keys.prefix}{_NAME}{name}", value)
