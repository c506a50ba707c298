"""Scattered users in Redis: the marks, their times, and the reach of the users' events."""

from __future__ import annotations

import secrets
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

from likewise.errors import ForeignDataError
from likewise.store.keys import Keys, hashed
from likewise.store.port import Homes
from likewise.store.redis.applying import Expectation
from likewise.store.redis.merging import (
    CATCH_UP,
    MOMENT_FIELDS,
    SCATTER,
    merge_arguments,
    parse_reaches,
    parse_scattered,
    reach_fields,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.messages.order import Reach
    from likewise.settings import Partitioner
    from likewise.store.port import Changes, History, Scattered
    from likewise.store.redis.commands import RedisCommands

T = TypeVar("T")
USERS_A_SCRIPT = 200


class ScatteredUsers:
    """The part of a `LikeStore` that deals with users on several partitions."""

    def __init__(self, redis: RedisCommands, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """See `LikeStore.homes`."""
        self._redis.run("SETNX", self._keys.homes, text_of(Homes(partitioner, partitions)))
        return self._parsed(self._redis.run("GET", self._keys.homes))

    def stored_homes(self) -> Homes | None:
        """See `LikeStore.stored_homes`."""
        stored = self._redis.run("GET", self._keys.homes)
        return None if stored is None else self._parsed(stored)

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """See `LikeStore.scattered`."""
        if not users:
            return []
        marks = self._redis.run("HMGET", self._keys.scattered, *map(hashed, users))
        marked = [user for user, mark in zip(users, marks, strict=True) if mark is not None]
        times = iter(self._times([self._keys.likes(user) for user in marked], partitions))
        return [None if mark is None else parse_scattered(mark, *next(times)) for mark in marks]

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """See `LikeStore.scatter`."""
        for some in in_chunks(floors_ms.items(), USERS_A_SCRIPT):
            homes = homes._replace(mark=secrets.token_hex(8))
            self._mark(some, text_of(homes))
        return homes

    def _mark(self, some: Iterable[tuple[UserId, int]], homes: str) -> None:
        keys = [self._keys.scattered, self._keys.homes]
        self._redis.run("EVAL", SCATTER, len(keys), *keys, homes, *floors(some))

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """See `LikeStore.catch_up`."""
        for some in in_chunks(histories.items(), USERS_A_SCRIPT):
            keys = [self._keys.scattered, self._keys.changed]
            self._redis.run(*self._catching_up(keys, some))

    def count(self) -> int:
        """See `LikeStore.scattered_count`."""
        return int(self._redis.run("HLEN", self._keys.scattered))

    def reaches(self, sets: Sequence[str], partitions: Sequence[int]) -> list[dict[int, Reach]]:
        """Return, for each set, the reach of its events in these partitions."""
        if not partitions:
            return [{} for _ in sets]
        return [reach for reach, _, _ in self._times(sets, partitions)]

    def _times(
        self, sets: Sequence[str], partitions: Sequence[int]
    ) -> list[tuple[dict[int, Reach], str | None, str | None]]:
        """Return, for each set, the reach in these partitions, and the `MOMENT_FIELDS`."""
        fields = [*reach_fields(partitions), *MOMENT_FIELDS]
        found = self._redis.pipeline([("HMGET", self._keys.times(one), *fields) for one in sets])
        return [
            (parse_reaches(partitions, reaches), forgotten, merged)
            for *reaches, forgotten, merged in found
        ]

    def _catching_up(
        self, keys: list[str], some: Iterable[tuple[UserId, History]]
    ) -> tuple[str | int, ...]:
        arguments: list[str | int] = []
        for user, history in some:
            merges = self._merges(user, history)
            arguments += (hashed(user), user, history.floor_ms, len(merges))
            for one, merged in merges:
                keys += (one, self._keys.times(one))
                arguments += (len(merged), *merged)
        return ("EVAL", CATCH_UP, len(keys), *keys, *arguments)

    def _merges(self, user: UserId, history: History) -> list[tuple[str, list[str]]]:
        """Return each set of the user that changes, and the arguments of its merge."""
        of_kinds = history.state.of_kinds(history.forgotten_kinds)
        states = [(self._keys.likes(user), history.state)]
        states += [(self._keys.signals(kind, user), state) for kind, state in of_kinds.items()]
        return [(key, merge_arguments(state, "catch up")) for key, state in states]

    def _parsed(self, stored: str) -> Homes:
        try:
            partitioner, partitions, mark = stored.split(":")
            return Homes(cast("Partitioner", partitioner), int(partitions), mark)
        except ValueError as error:
            raise ForeignDataError(
                f"Redis at {self._redis.address}: the key {self._keys.homes} holds something that "
                "likewise did not write; remove it"
            ) from error


def expected_homes(keys: Keys, changes: Changes, homes: Homes) -> Expectation:
    """Return the expectation that no user was marked as scattered since `homes` were read.

    A merge changes the mark: late events of its guest belong to the account now, and who is merging
    the account into another one meanwhile must read again what it has.
    """
    after = homes._replace(mark=secrets.token_hex(8)) if changes.accounts else homes
    return Expectation(keys.homes, text_of(homes), text_of(after))


def floors(some: Iterable[tuple[UserId, int]]) -> Iterator[str | int]:
    """Yield the arguments of a script that marks these users from these times on."""
    for user, floor_ms in some:
        yield hashed(user)
        yield floor_ms


def in_chunks(many: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most so many."""
    left = iter(many)
    while some := list(islice(left, size)):
        yield some


def text_of(homes: Homes) -> str:
    """Return the homes as they are stored."""
    return ":".join(map(str, homes))
