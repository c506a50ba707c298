"""A batch in parts: the writes of each bucket, and those to what belongs to no single user or item."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from likewise.messages.ids import ItemId, SignalKind
from likewise.store.catalogue_port import CHANGES_KEPT
from likewise.store.port import Changes
from likewise.store.redis.applying import Write, retired_writes, set_writes, user_writes
from likewise.store.redis.documents import ITEM, named_puts
from likewise.store.redis.new_likes import new_like_writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from likewise.store.bucket_port import Moved
    from likewise.store.cluster_keys import ClusterKeys

_MOVED_TTL_MS = 86_400_000
"""How long an account whose bucket has lost writes can get what its guests had."""


def by_bucket(keys: ClusterKeys, changes: Changes) -> dict[int, Changes]:
    """Return the changes of each bucket that has any."""
    found: defaultdict[int, Changes] = defaultdict(
        lambda: Changes(forgotten_kinds=changes.forgotten_kinds)
    )
    for user, change in changes.users.items():
        found[keys.group_of(user)].users[user] = change
    for user, state in changes.scattered.items():
        found[keys.group_of(user)].scattered[user] = state
    for user in changes.accounts:
        found[keys.group_of(user)].accounts.add(user)
    for item, document in changes.items.items():
        found[keys.group_of_item(item)].items[item] = document
    for move, moved in changes.moves.items():
        found[keys.group_of(move.guest)].moves[move] = moved
    return found


def bucket_writes(keys: ClusterKeys, bucket: int, changes: Changes) -> Iterator[Write]:
    """Yield the writes to the keys of one bucket."""
    yield from user_writes(keys, changes, keys.changed_in(bucket))
    for item, document in changes.items.items():
        if document:
            yield Write("HSET", keys.items(item), [item, document])
        else:
            yield Write("HDEL", keys.items(item), [item])
    for move, moved in changes.moves.items():
        if any(moved.values()):
            yield Write("SET", keys.moved(*move), [encoded(moved), "PX", str(_MOVED_TTL_MS)])


def shared_writes(keys: ClusterKeys, changes: Changes) -> Iterator[Write]:
    """Yield the other writes. They come after those of the buckets, which readers look at next."""
    of_all = changes.shared or changes
    yield from retired_writes(keys, changes)
    for key, arguments in named_puts(keys, changes):
        yield Write("PUT", key, arguments, keys.catalogue_changes)
    for item in of_all.items:
        note = ["MAXLEN", "~", str(CHANGES_KEPT), "*", ITEM, item]
        yield Write("XADD", keys.catalogue_changes, note)
    for user, change in of_all.users.items():
        if change.forget:
            yield Write("UNLINK", keys.windows(user))
    for user, state in of_all.scattered.items():
        if state.forget is not None:
            yield Write("UNLINK", keys.windows(user))
    for command, members in new_like_writes(of_all):
        yield Write(command, keys.new_likes, members)


def kind_writes(keys: ClusterKeys, changes: Changes) -> Iterator[Write]:
    """Yield the writes that come before those of the buckets: who reads a user asks for these kinds."""
    yield from set_writes("SADD", keys.kinds, (changes.shared or changes).kinds)


def encoded(moved: Moved) -> bytes:
    """Return what a merge moves as JSON: lists by kind, with an empty name for likes."""
    return msgspec.json.encode({kind or "": [*items] for kind, items in moved.items()})


def decoded(text: str) -> dict[SignalKind | None, list[ItemId]]:
    """Return what `encoded` was given."""
    found: Mapping[str, list[ItemId]] = msgspec.json.decode(text)
    return {SignalKind(kind) if kind else None: items for kind, items in found.items()}
