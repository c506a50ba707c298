"""Tasks that read shards from Redis and keep them as files. They run on workers.

A worker reads Redis with its own settings (`LIKEWISE_REDIS_URL` and the others, or `likewise.toml`), so that
no password passes through the scheduler. The values read are decoded as text and never unpickled.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from indexer.cluster.errors import ClusterError, ShardLostError
from indexer.cluster.files import (
    AS_READ,
    Shard,
    checksum,
    load,
    load_interactions,
    remove_stale,
    save_interactions,
)
from indexer.cluster.packing import Packed, pack, unpack
from indexer.interactions import Interactions, interactions_of, replace_users
from indexer.weighing import Reader
from likewise.errors import SettingsError
from likewise.messages.ids import UserId
from likewise.settings.loader import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.interactions import UserLikes
    from likewise.messages.ids import SignalKind

# A store in which none of so many users has likes is not the one in which the indexer found them.
_ENOUGH_USERS = 10


class Reading(NamedTuple):
    """How to read users."""

    weights: Mapping[SignalKind, float]
    """The positive weights of the kinds to read."""
    chunk: int
    """Users read per round trip."""


class ShardRead(NamedTuple):
    """What a shard has, as the indexer needs to know it."""

    users: Packed
    """Those with likes, sorted."""
    items: Packed
    likes: int
    checksum: str


def read_shard(shard: Shard, users: Packed, reading: Reading) -> ShardRead:
    """Read what these users like, and keep it.

    Raises:
        TransientError: Redis cannot be reached.
        ClusterError: it is not the Redis of the indexer, or refuses the credentials of this worker.
    """
    remove_stale(shard)
    table = _read(users, reading)
    if not table.user_ids and len(users) >= _ENOUGH_USERS:
        raise ClusterError(
            f"a worker found no likes of {len(users)} users whom the indexer found in Redis; give the "
            "workers the indexer's settings of Redis (LIKEWISE_REDIS_URL)"
        )
    return _kept(shard, table)


def update_shard(
    before: Shard, shard: Shard, changed: Packed, reading: Reading
) -> ShardRead | None:
    """Read the changed users of a shard, and keep it with the others as they were.

    Return None if the shard as it was before is not on this worker.

    Raises:
        TransientError, ClusterError: see `read_shard`.
    """
    try:
        old = load_interactions(before)
    except ShardLostError:
        return None
    users = [UserId(user) for user in unpack(changed)]
    return _kept(shard, replace_users(old, users, _read(changed, reading)))


def exclude_users(before: Shard, shard: Shard, excluded: Packed) -> ShardRead:
    """Keep a shard without some of its users.

    Raises:
        ShardLostError: the shard is not on this worker.
    """
    users = [UserId(user) for user in unpack(excluded)]
    return _kept(shard, load_interactions(before).without(users)[0])


def recover_shard(shard: Shard, users: Packed, reading: Reading, expected: str) -> None:
    """Make sure that a shard is there as it was first read, from its files or from Redis.

    Raises:
        ClusterError: it is neither: a user of it has changed since.
    """
    try:
        if checksum(load(shard.path(AS_READ))) == expected:
            return
    except ShardLostError:
        pass
    if _kept(shard, _read(users, reading)).checksum != expected:
        raise ClusterError(
            f"a worker was lost, and users of its shard {shard.number} have changed since the snapshot; the "
            "next build takes a new one. With a directory that all workers share (indexer.dask_directory), "
            "shards outlive their workers"
        )


def _read(users: Packed, reading: Reading) -> Interactions:
    from likewise.store.redis import RedisStore

    ids = [UserId(user) for user in unpack(users)]
    try:
        with closing(RedisStore(load_settings().redis)) as store:
            return interactions_of(_chunks(Reader(store, reading.weights), ids, reading.chunk))
    except SettingsError as error:
        raise ClusterError(f"a worker cannot read Redis: {error}") from error


def _chunks(source: Reader, users: list[UserId], chunk: int) -> Iterator[UserLikes]:
    for start in range(0, len(users), chunk):
        yield source.read(users[start : start + chunk])


def _kept(shard: Shard, table: Interactions) -> ShardRead:
    digest = save_interactions(shard, table)
    return ShardRead(pack(table.user_ids), pack(table.item_ids), table.likes, digest)
