"""The part of RedisStore that holds attribution: positions, users and counts, changed by one script.

On a Redis Cluster all its keys are in one slot, so that the script is atomic there, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from hashlib import sha1
from typing import TYPE_CHECKING

from likewise.errors import AttributionMovedError, PositionMovedError
from likewise.records import TopicPartition
from likewise.store.attribution_port import AttributionState, Reached, StoredTally
from likewise.store.keys import hashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from likewise.messages.ids import UserId
    from likewise.store.attribution_port import AttributionUpdate
    from likewise.store.keys import Keys
    from likewise.store.redis.applying import Command
    from likewise.store.redis.commands import RedisCommands

_TOTALS_TTL_S = 90 * 86_400
# Lua's unpack puts the members on a stack of 8,000 values.
_MEMBERS_PER_WRITE = 5_000

# KEYS: the positions, then one for each window, total, count, set of items and the closed runs.
# ARGV: five lists, each after its length: positions (field, expected, next); windows (SHA-1 of the expected
# value or nothing, next); totals (field, expected, next); counts (field, change); sets (length, members).
# Then the time to live of windows and of totals. Returns what was not as expected, else nothing.
_APPLY = """
local at, key = 1, 1
local function list(width)
  local first, count = at + 1, tonumber(ARGV[at])
  at = first + width * count
  return first, count
end

local positions, steps = list(3)
local stored, moved = {'positions'}, false
for i = 0, steps - 1 do
  local p = positions + 3 * i
  local value = redis.call('HGET', KEYS[1], ARGV[p]) or ''
  stored[2 * i + 2], stored[2 * i + 3] = ARGV[p], value
  moved = moved or value ~= ARGV[p + 1]
end
if moved then return stored end
local windows, users = list(2)
for i = 0, users - 1 do
  local value = redis.call('GET', KEYS[2 + i])
  if (value and redis.sha1hex(value) or '') ~= ARGV[windows + 2 * i] then return {'users'} end
end
local totals, sums = list(3)
for i = 0, sums - 1 do
  local t = totals + 3 * i
  if (redis.call('HGET', KEYS[2 + users + i], ARGV[t]) or '') ~= ARGV[t + 1] then return {'users'} end
end
local counts, changes = list(2)
local sets = tonumber(ARGV[at])
local windows_ttl, totals_ttl = ARGV[#ARGV - 1], ARGV[#ARGV]

for i = 0, steps - 1 do
  redis.call('HSET', KEYS[1], ARGV[positions + 3 * i], ARGV[positions + 3 * i + 2])
end
for i = 0, users - 1 do
  local value = ARGV[windows + 2 * i + 1]
  if value == '' then
    redis.call('UNLINK', KEYS[2 + i])
  else
    redis.call('SET', KEYS[2 + i], value, 'PX', windows_ttl)
  end
end
key = 2 + users
for i = 0, sums - 1 do
  redis.call('HSET', KEYS[key + i], ARGV[totals + 3 * i], ARGV[totals + 3 * i + 2])
  redis.call('EXPIRE', KEYS[key + i], totals_ttl)
end
key = key + sums
for i = 0, changes - 1 do
  redis.call('HINCRBY', KEYS[key + i], ARGV[counts + 2 * i], ARGV[counts + 2 * i + 1])
end
key, at = key + changes, at + 1
for i = 0, sets - 1 do
  local last = at + tonumber(ARGV[at])
  redis.call('SADD', KEYS[key + i], unpack(ARGV, at + 1, last))
  at = last + 1
end
return {}
"""


class RedisAttribution(ABC):
    """See `likewise.store.attribution_port.AttributionStore`."""

    _keys: Keys

    @property
    @abstractmethod
    def _redis(self) -> RedisCommands: ...

    def attribution_positions(self) -> dict[TopicPartition, Reached]:
        """See `AttributionStore.attribution_positions`."""
        return _positions(self._redis.run("HGETALL", self._keys.attribution_positions))

    def attribution_state(
        self, users: Sequence[UserId], totals: Sequence[tuple[str, UserId]]
    ) -> AttributionState:
        """See `AttributionStore.attribution_state`."""
        reads: list[Command] = [("HGETALL", self._keys.attribution_positions)]
        reads += (("GET", self._keys.windows(user)) for user in users)
        reads += (("HGET", self._keys.totals(run), hashed(user)) for run, user in totals)
        positions, *values = self._redis.pipeline(reads)
        stored = [None if value is None else value.encode() for value in values]
        return AttributionState(_positions(positions), stored[: len(users)], stored[len(users) :])

    def apply_attribution(self, update: AttributionUpdate) -> None:
        """See `AttributionStore.apply_attribution`."""
        refused: list[str] = self._redis.run(*_apply_command(self._keys, update))
        if not refused:
            return
        kind, *fields = refused
        if kind == "users":
            raise AttributionMovedError("another member has counted for one of these users")
        stored = _positions(dict(zip(fields[::2], fields[1::2], strict=True)))
        raise PositionMovedError(
            {one: stored[one].offset if one in stored else None for one in update.steps}
        )

    def tally(self, run: str, variants: Sequence[str]) -> StoredTally:
        """See `AttributionStore.tally`."""
        reads: list[Command] = [("HGETALL", self._keys.tally(run))]
        reads += (("SCARD", self._keys.shown_items(run, variant)) for variant in variants)
        fields, *items = self._redis.pipeline(reads)
        counts = {name: int(count) for name, count in fields.items()}
        return StoredTally(counts, dict(zip(variants, items, strict=True)))

    def closed_runs(self) -> frozenset[str]:
        """See `AttributionStore.closed_runs`."""
        return frozenset(self._redis.run("SMEMBERS", self._keys.closed_runs))

    def erase_run(self, run: str, variants: Sequence[str]) -> None:
        """See `AttributionStore.erase_run`."""
        keys = [self._keys.tally(run), self._keys.totals(run)]
        keys += (self._keys.shown_items(run, variant) for variant in variants)
        erasures: list[Command] = [("UNLINK", key) for key in keys]
        self._redis.pipeline([*erasures, ("SREM", self._keys.closed_runs, run)])


def _apply_command(keys: Keys, update: AttributionUpdate) -> Command:
    counts = [
        (run, field, change)
        for run, changes in update.counts.items()
        for field, change in changes.items()
    ]
    sets = list(_sets(keys, update))
    names = [
        keys.attribution_positions,
        *(keys.windows(user) for user in update.windows),
        *(keys.totals(run) for run, _ in update.totals),
        *(keys.tally(run) for run, _, _ in counts),
        *(key for key, _ in sets),
    ]
    arguments: list[str | bytes | int] = [len(update.steps)]
    for partition, step in update.steps.items():
        arguments += (_field(partition), _text(step.expected), _text(step.next))
    arguments.append(len(update.windows))
    for expected, following in update.windows.values():
        digest = "" if expected is None else sha1(expected, usedforsecurity=False).hexdigest()
        arguments += (digest, following or b"")
    arguments.append(len(update.totals))
    for (_, user), (expected, following) in update.totals.items():
        arguments += (hashed(user), expected or b"", following or b"")
    arguments.append(len(counts))
    for _, field, change in counts:
        arguments += (field, change)
    arguments.append(len(sets))
    for _, members in sets:
        arguments += (len(members), *members)
    arguments += (max(int(1000 * update.windows_ttl_s), 1), _TOTALS_TTL_S)
    return ("EVAL", _APPLY, len(names), *names, *arguments)


def _sets(keys: Keys, update: AttributionUpdate) -> Iterator[tuple[str, Sequence[str]]]:
    for (run, variant), items in update.items.items():
        yield from _in_parts(keys.shown_items(run, variant), items)
    yield from _in_parts(keys.closed_runs, update.closed)


def _in_parts(key: str, members: Iterable[str]) -> Iterator[tuple[str, Sequence[str]]]:
    listed = list(members)
    for start in range(0, len(listed), _MEMBERS_PER_WRITE):
        yield key, listed[start : start + _MEMBERS_PER_WRITE]


def _field(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _text(reached: Reached | None) -> str:
    return "" if reached is None else f"{reached.offset}:{reached.read_to_ms}:{reached.log}"


def _positions(fields: Mapping[str, str]) -> dict[TopicPartition, Reached]:
    """Return the positions; a field that likewise did not write is left out."""
    found = {}
    for name, value in fields.items():
        topic, _, number = name.rpartition("/")
        with suppress(ValueError):
            offset, read_to_ms, log = value.split(":", 2)
            found[TopicPartition(topic, int(number))] = Reached(int(offset), int(read_to_ms), log)
    return found
