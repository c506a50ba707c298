"""Copies a deployment from one Redis to a Redis Cluster, or back, while no consumer works.

Keys are copied one by one under their new names. A migration that was interrupted starts again: copies
replace what is there. Positions are copied last: nothing counts as applied before.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError, SettingsError
from likewise.messages.ids import SignalKind, UserId
from likewise.store.cluster_keys import ClusterKeys, keys_of
from likewise.store.keys import hashed, literal
from likewise.store.redis.changed import ChangedUsers
from likewise.store.redis.cluster.layout import MIGRATING, create_layout
from likewise.store.redis.commands import RedisCommands
from likewise.store.redis.migration.copying import copy_keys
from likewise.store.redis.migration.naming import sets_of, to_cluster, to_server, user_in
from likewise.store.redis.migration.positions import (
    check_level,
    copy_positions,
    stored_positions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from likewise.settings import RedisSettings
    from likewise.store.keys import Keys

    OnProgress = Callable[[int, int], None]

_CHUNK = 1_000


@dataclass
class Migrated:
    """What was copied, or would be."""

    keys: int = 0
    """Keys under other names, without positions."""
    users_with_likes: int = 0
    scattered_users: int = 0
    positions: int = 0


class Migration:
    """One migration from the Redis of some settings to another. The callers make sure that no consumer works."""

    def __init__(self, source: RedisSettings, target: RedisSettings) -> None:
        """Check the settings; nothing connects yet.

        Raises:
            SettingsError: both have the same layout, or one cannot be used.
        """
        self._source = RedisCommands(source, any_layout=True)
        self._target = RedisCommands(target, any_layout=True)
        self._from, self._to = keys_of(source), keys_of(target)
        self._rename = _renaming(self._from, self._to)
        self._done = Migrated()

    def run(
        self,
        names_in_log: Callable[[], Iterable[UserId]],
        on_progress: OnProgress,
        *,
        dry_run: bool = False,
    ) -> Migrated:
        """Copy everything, or with `dry_run` count it; return what was copied.

        `names_in_log` yields the users of the log: a scattered user without likes is known by a hash
        alone. Calls `on_progress` with the keys copied and about how many there are.

        Raises:
            LikewiseError: the target holds other data, or a consumer has worked meanwhile.
        """
        before = stored_positions(self._source, self._from)
        check_level(self._source, self._from)
        if dry_run:
            return self._counted(len(before))
        self._begin()
        users = self._copy_all(on_progress)
        self._copy_scattered(users, names_in_log)
        self._copy_changed()
        if stored_positions(self._source, self._from) != before:
            raise LikewiseError(
                "a consumer has worked during the migration; stop all, and run it again"
            )
        copy_positions(self._target, self._to, before)
        self._done.positions = len(before)
        self._end()
        return self._done

    def close(self) -> None:
        """Close the connections."""
        self._source.close()
        self._target.close()

    def _begin(self) -> None:
        interrupted = self._target.run("EXISTS", self._to.migration)
        if not interrupted and stored_positions(self._target, self._to):
            raise LikewiseError(
                f"Redis at {self._target.address} already has the positions of a deployment; choose "
                "another one, or remove its keys"
            )
        self._target.run("SET", self._to.migration, self._source.address)
        if isinstance(self._to, ClusterKeys):
            self._target.run("SET", self._to.layout, MIGRATING)

    def _end(self) -> None:
        if isinstance(self._to, ClusterKeys):
            self._target.run("DEL", self._to.layout)
            create_layout(self._target.run, self._to, self._target.address)
        self._target.run("DEL", self._to.migration)

    def _names(self, found: Iterable[str]) -> dict[str, str]:
        """Return the keys among these that are copied by their names, with those names."""
        renamed = ((key, self._rename(key.removeprefix(self._from.prefix))) for key in found)
        return {key: self._to.prefix + name for key, name in renamed if name is not None}

    def _chunks(self) -> Iterator[list[str]]:
        return self._source.scan_keys(f"{literal(self._from.prefix)}*", _CHUNK)

    def _counted(self, positions: int) -> Migrated:
        counted = Migrated(positions=positions)
        for found in self._chunks():
            names = self._names(found)
            counted.keys += len(names)
            counted.users_with_likes += sum(self._is_likes(name) for name in names)
        counted.scattered_users = len(self._marks())
        return counted

    def _is_likes(self, key: str) -> bool:
        return key.removeprefix(self._from.prefix).startswith("likes:")

    def _copy_all(self, on_progress: OnProgress) -> dict[str, UserId]:
        """Copy what has a name of its own; return the scattered users that were found, by hash."""
        marks = self._marks()
        users: dict[str, UserId] = {}
        total, seen = self._source.count_keys(), 0
        for found in self._chunks():
            names = self._names(found)
            self._done.keys += copy_keys(self._source, self._target, names)
            self._done.users_with_likes += sum(self._is_likes(key) for key in names)
            if marks and not isinstance(self._from, ClusterKeys):
                named = (user_in(key.removeprefix(self._from.prefix)) for key in names)
                users |= {hashed(user): user for user in named if user and hashed(user) in marks}
            seen += len(found)
            on_progress(seen, total)
        return users

    def _marks(self) -> dict[str, str]:
        """Return the marks of the scattered users, by hash."""
        if not isinstance(self._from, ClusterKeys):
            return self._source.run("HGETALL", self._from.scattered) or {}
        keys = [self._from.scattered_in(bucket) for bucket in range(self._from.buckets)]
        found: list[dict[str, str]] = self._source.pipeline([("HGETALL", key) for key in keys])
        return {user: mark for one in found for user, mark in one.items()}

    def _copy_scattered(
        self, users: dict[str, UserId], names_in_log: Callable[[], Iterable[UserId]]
    ) -> None:
        marks = self._marks()
        self._done.scattered_users = len(marks)
        homes: str | None = self._source.run("GET", self._from.homes)
        if homes is not None:
            basis = homes.rpartition(":")[0]
            plain = not isinstance(self._to, ClusterKeys)
            mark = secrets.token_hex(8) if marks and plain else ""
            self._target.run("SET", self._to.homes, f"{basis}:{mark}")
        retired = {self._from.times(self._from.retired): self._to.times(self._to.retired)}
        copy_keys(self._source, self._target, retired)
        if not isinstance(self._to, ClusterKeys):
            fields = [part for one in marks.items() for part in one]
            if fields:
                self._target.run("HSET", self._to.scattered, *fields)
            return
        if marks.keys() - users.keys():
            users |= {hashed(one): one for one in names_in_log() if hashed(one) in marks}
        kinds = frozenset(map(SignalKind, self._source.run("SMEMBERS", self._from.kinds)))
        for digest, mark in marks.items():
            if (user := users.get(digest)) is not None:
                self._mark(self._to, user, digest, mark, kinds)

    def _mark(
        self, keys: ClusterKeys, user: UserId, digest: str, mark: str, kinds: frozenset[SignalKind]
    ) -> None:
        bucket = keys.group_of(user)
        self._target.run("HSET", keys.scattered_in(bucket), digest, mark)
        self._target.run("HSET", keys.state(bucket), "mark", secrets.token_hex(8))
        sets = zip(sets_of(self._from, user, kinds), sets_of(keys, user, kinds), strict=True)
        times = {self._from.times(old): keys.times(new) for old, new in sets}
        copy_keys(self._source, self._target, times)

    def _copy_changed(self) -> None:
        if isinstance(self._from, ClusterKeys):
            buckets = range(self._from.buckets)
            for key in map(self._from.changed_in, buckets):
                copy_keys(self._source, self._target, {key: self._to.changed}, add=True)
        elif isinstance(self._to, ClusterKeys):
            ChangedUsers(self._target, self._to).mark(
                self._source.run("SMEMBERS", self._from.changed)
            )


def _renaming(source: Keys, target: Keys) -> Callable[[str], str | None]:
    """Return what maps a key of the source, without its prefix, to its name on the target."""
    if isinstance(source, ClusterKeys) and not isinstance(target, ClusterKeys):
        return to_server
    if isinstance(target, ClusterKeys) and not isinstance(source, ClusterKeys):
        return partial(to_cluster, keys=target)
    raise SettingsError("the keys of both have the same layout; copy them with the tools of Redis")
