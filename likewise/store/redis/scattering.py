"""Scattered users in Redis: who is marked, since when, and what their events have reached."""

from __future__ import annotations

import secrets
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from likewise.errors import ForeignDataError
from likewise.store.keys import Keys, hashed
from likewise.store.port import Homes
from likewise.store.redis.applying import Expectation
from likewise.store.redis.merging import (
    CATCH_UP,
    COMPLETE,
    MERGE,
    SCATTER,
    merge_arguments,
    parse_reaches,
    parse_scattered,
    reach_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.messages.order import Reach
    from likewise.settings import Partitioner
    from likewise.store.port import History, Scattered
    from likewise.store.redis.applying import Command

T = TypeVar("T")
_USERS_A_SCRIPT = 200


class ScatteredUsers:
    """The part of a `LikeStore` that deals with users on several partitions."""

    def __init__(
        self,
        keys: Keys,
        address: str,
        run: Callable[..., Any],
        pipeline: Callable[[Sequence[Command]], list[Any]],
    ) -> None:
        """Work through the store's own ways to run a command, and several at once."""
        self._keys = keys
        self._address = address
        self._run = run
        self._pipeline = pipeline

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """See `LikeStore.homes`."""
        self._run("SETNX", self._keys.homes, _text(Homes(partitioner, partitions)))
        return self._parsed(self._run("GET", self._keys.homes))

    def stay(self, homes: Homes) -> Expectation:
        """Return the expectation that nobody was marked since."""
        return Expectation(self._keys.homes, _text(homes), _text(homes))

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """See `LikeStore.scattered`."""
        if not users:
            return []
        marks = self._run("HMGET", self._keys.scattered, *map(hashed, users))
        marked = [user for user, mark in zip(users, marks, strict=True) if mark is not None]
        reaches = iter(self.reaches([self._keys.likes(user) for user in marked], partitions))
        return [None if mark is None else parse_scattered(mark, next(reaches)) for mark in marks]

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """See `LikeStore.scatter`."""
        for some in _in_chunks(floors_ms.items(), _USERS_A_SCRIPT):
            arguments = [part for user, floor in some for part in (hashed(user), floor)]
            self._run("EVAL", SCATTER, 1, self._keys.scattered, *arguments)
        # Only now: who applies with the new mark has to find everybody who is marked.
        moved = homes._replace(mark=secrets.token_hex(8))
        self._run("SET", self._keys.homes, _text(moved))
        return moved

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """See `LikeStore.catch_up`."""
        for some in _in_chunks(histories.items(), _USERS_A_SCRIPT):
            if self._keys.cluster:
                self._catch_up_one_by_one(some)
            else:
                self._catch_up_at_once(some)

    def reaches(self, sets: Sequence[str], partitions: Sequence[int]) -> list[dict[int, Reach]]:
        """Return the reach in these partitions of what each of the sets holds."""
        if not partitions:
            return [{} for _ in sets]
        fields = reach_fields(partitions)
        found = self._pipeline([("HMGET", self._keys.times(one), *fields) for one in sets])
        return [parse_reaches(partitions, one) for one in found]

    def _catch_up_at_once(self, some: Iterable[tuple[UserId, History]]) -> None:
        keys = [self._keys.scattered, self._keys.changed]
        arguments: list[str | int] = []
        for user, (floor_ms, state) in some:
            likes, merged = self._keys.likes(user), merge_arguments(state, "catch up")
            keys += (likes, self._keys.times(likes))
            arguments += (hashed(user), user, floor_ms, len(merged), *merged)
        self._run("EVAL", CATCH_UP, len(keys), *keys, *arguments)

    def _catch_up_one_by_one(self, some: Iterable[tuple[UserId, History]]) -> None:
        for user, (floor_ms, state) in some:
            likes, merged = self._keys.likes(user), merge_arguments(state, "catch up")
            self._run("EVAL", MERGE, 2, likes, self._keys.times(likes), *merged)
            self._run("SADD", self._keys.changed, user)
            self._run("EVAL", COMPLETE, 1, self._keys.scattered, hashed(user), floor_ms)

    def _parsed(self, stored: str) -> Homes:
        try:
            partitioner, partitions, mark = stored.split(":")
            return Homes(cast("Partitioner", partitioner), int(partitions), mark)
        except ValueError as error:
            raise ForeignDataError(
                f"Redis at {self._address}: the key {self._keys.homes} holds something else than "
                "likewise writes; remove it"
            ) from error


def _in_chunks(many: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(many)
    while some := list(islice(left, size)):
        yield some


def _text(homes: Homes) -> str:
    return ":".join(map(str, homes))
