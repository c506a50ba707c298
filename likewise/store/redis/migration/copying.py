"""Copies keys of any type between two servers, with their times to live."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from likewise.errors import ForeignDataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.store.redis.applying import Command
    from likewise.store.redis.commands import RedisCommands

_READS = {
    "string": ("GET",),
    "set": ("SMEMBERS",),
    "hash": ("HGETALL",),
    "list": ("LRANGE", "0", "-1"),
    "zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    "stream": ("XRANGE", "-", "+"),
}
_MEMBERS = 2_000


def copy_keys(
    source: RedisCommands, target: RedisCommands, names: Mapping[str, str], *, add: bool = False
) -> int:
    """Copy keys to their names on the target, where they replace what is there; return their number.

    With `add`, members of sets and fields of hashes are added instead. Keys that are gone are left out.
    """
    listed = list(names)
    found = source.pipeline([one for key in listed for one in (("TYPE", key), ("PTTL", key))])
    kinds, ttls = found[::2], found[1::2]
    copied = [
        (key, kind, ttl)
        for key, kind, ttl in zip(listed, kinds, ttls, strict=True)
        if kind != "none"
    ]
    if foreign := [key for key, kind, _ in copied if kind not in _READS]:
        raise ForeignDataError(f"the key {foreign[0]!r} has a type that likewise does not write")
    reads = [(_READS[kind][0], key, *_READS[kind][1:]) for key, kind, _ in copied]
    writes: list[Command] = []
    for (key, kind, ttl), value in zip(copied, source.pipeline(reads), strict=True):
        if not add:
            writes.append(("DEL", names[key]))
        writes += _writes(names[key], kind, value)
        if ttl > 0:
            writes.append(("PEXPIRE", names[key], ttl))
    target.pipeline(writes)
    return len(copied)


def _writes(key: str, kind: str, value: Any) -> list[Command]:
    if kind == "string":
        return [("SET", key, value)]
    if kind == "stream":
        return [("XADD", key, entry, *chain(*fields.items())) for entry, fields in value]
    command, parts = {
        "set": ("SADD", [*value]),
        "hash": ("HSET", [*chain(*value.items())] if kind == "hash" else []),
        "list": ("RPUSH", value),
        "zset": ("ZADD", _scores(value) if kind == "zset" else []),
    }[kind]
    return [(command, key, *parts[at : at + _MEMBERS]) for at in range(0, len(parts), _MEMBERS)]


def _scores(value: Sequence[Any]) -> list[str]:
    """Return scores and members in the order that ZADD takes them."""
    if value and isinstance(value[0], list | tuple):
        return [str(one) for member, score in value for one in (score, member)]
    return [
        one
        for member, score in zip(value[::2], value[1::2], strict=True)
        for one in (score, member)
    ]
