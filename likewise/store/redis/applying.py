"""How a batch becomes Redis commands, and the script that applies it with the positions.

On one server the script is atomic: it compares the positions, changes the sets and moves the
positions. A server that is out of memory or read-only refuses it before its first write. See
docs/decisions/0001-positions-live-in-redis.md.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from likewise.store.redis.documents import PUT_FUNCTION, puts
from likewise.store.redis.merging import MERGE_FUNCTION, merge_arguments
from likewise.store.redis.new_likes import FORGET_LIKERS_FUNCTION, new_like_writes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from likewise.messages.order import UserState
    from likewise.store.keys import Keys
    from likewise.store.port import Changes

Command = tuple[str | bytes | int, ...]
VERSION_BITS = 62
"""Bits of a version of the retired items: it never repeats, and fits an integer of Redis."""
NOWHERE = ""
"""The position of a partition of which nothing is applied."""

# Lua's unpack puts the members on a stack of 8,000 values.
_MEMBERS_PER_WRITE = 5_000

_FUNCTIONS = MERGE_FUNCTION + PUT_FUNCTION + FORGET_LIKERS_FUNCTION
_WRITES = """while i <= #KEYS do
  local last = at + 1 + tonumber(ARGV[at + 1])
  if ARGV[at] == 'MERGE' then
    merge(i, i + 1, at + 2, last)
    i = i + 2
  elseif ARGV[at] == 'PUT' then
    put(i, i + 1, at + 2, last)
    i = i + 2
  elseif ARGV[at] == 'FORGET-LIKERS' then
    forget_likers(i, at + 2, last)
    i = i + 1
  else
    call(ARGV[at], i, unpack(ARGV, at + 2, last))
    i = i + 1
  end
  at = last + 1
end
"""

# KEYS: those with an expected value (positions, homes), then one for each write, two for a `MERGE` or `PUT`.
# ARGV: their number; expected and next for each; command, count and members for each write.
# Returns the stored values if one is not as expected, else nothing. An error names its key.
_APPLY = (
    _FUNCTIONS
    + """
local expectations = tonumber(ARGV[1])
local stored, moved = {}, false
for i = 1, expectations do
  stored[i] = call('GET', i) or ''
  moved = moved or stored[i] ~= ARGV[2 * i]
end
if moved then return stored end

local at, i = 2 * expectations + 2, expectations + 1
"""
    + _WRITES
    + """for i = 1, expectations do
  if ARGV[2 * i + 1] ~= ARGV[2 * i] then call('SET', i, ARGV[2 * i + 1]) end
end
return {}
"""
)

# The same for a HASH that has the expected values in its fields.
# KEYS: the HASH, then as above. ARGV: the number of fields; field, expected and next for each; as above.
APPLY_TO_GROUP = (
    _FUNCTIONS
    + """
local expectations = tonumber(ARGV[1])
local stored, moved = {}, false
for i = 1, expectations do
  stored[i] = call('HGET', 1, ARGV[3 * i - 1]) or ''
  moved = moved or stored[i] ~= ARGV[3 * i]
end
if moved then return stored end

local at, i = 3 * expectations + 2, 2
"""
    + _WRITES
    + """for i = 1, expectations do
  if ARGV[3 * i + 1] ~= ARGV[3 * i] then call('HSET', 1, ARGV[3 * i - 1], ARGV[3 * i + 1]) end
end
return {}
"""
)
_KEY_AT_FAULT = re.compile(r"\{key (\d+)\}")


class Expectation(NamedTuple):
    """The value that a key must have for a batch to be applied, and its value after that."""

    key: str
    expected: str | int
    next: str | int


class Write(NamedTuple):
    """One command that changes one key; `MERGE` changes the set's times, too, `PUT` the stream."""

    command: str
    key: str
    members: Collection[str | bytes] = ()
    second_key: str | None = None


def writes(keys: Keys, changes: Changes) -> Iterator[Write]:
    """Yield the writes that apply the changes, in the order that each key needs."""
    yield from set_writes("SADD", keys.kinds, changes.kinds)
    yield from user_writes(keys, changes, keys.changed)
    yield from retired_writes(keys, changes)
    for key, arguments in puts(keys, changes):
        yield Write("PUT", key, arguments, keys.catalogue_changes)
    for command, members in new_like_writes(changes):
        yield Write(command, keys.new_likes, members)


def user_writes(keys: Keys, changes: Changes, changed_key: str) -> Iterator[Write]:
    """Yield the writes to what belongs to users."""
    for user_id, change in changes.users.items():
        key = keys.likes(user_id)
        if change.forget:
            for erased in keys.of_user(user_id, changes.forgotten_kinds):
                yield Write("UNLINK", erased)
        if change.add:
            yield from set_writes("SADD", key, change.add)
        if change.remove:
            yield from set_writes("SREM", key, change.remove)
        if change.signals is not None:
            for kind, signals in change.signals.items():
                key = keys.signals(kind, user_id)
                yield from set_writes("SADD", key, signals.add)
                yield from set_writes("SREM", key, signals.remove)
    for user_id, state in changes.scattered.items():
        yield merge_write(keys, keys.likes(user_id), state)
        for kind, of_kind in state.of_kinds(changes.forgotten_kinds).items():
            yield merge_write(keys, keys.signals(kind, user_id), of_kind)
        if state.forget is not None:
            yield from (Write("UNLINK", shown) for shown in keys.lists_of(user_id))
    yield from set_writes("SADD", changed_key, [*changes.users, *changes.scattered])


def retired_writes(keys: Keys, changes: Changes) -> Iterator[Write]:
    """Yield the writes to the retired items."""
    if changes.catalogue is not None:
        yield merge_write(keys, keys.retired, changes.catalogue)
    if changes.retire or changes.restore or changes.catalogue is not None:
        yield from set_writes("SADD", keys.retired, changes.retire)
        yield from set_writes("SREM", keys.retired, changes.restore)
        # Random, since a counter would repeat its numbers after Redis was lost.
        yield Write("SET", keys.retired_version, [str(secrets.randbits(VERSION_BITS))])


def merge_write(keys: Keys, key: str, state: UserState) -> Write:
    """Return the write that merges a state into a set; items with a later state stay."""
    return Write("MERGE", key, merge_arguments(state, "follow"), keys.times(key))


def set_writes(command: str, key: str, members: Collection[str]) -> Iterator[Write]:
    """Yield writes of bounded size; none for no members."""
    if 0 < len(members) <= _MEMBERS_PER_WRITE:
        yield Write(command, key, members)
        return
    listed = list(members)
    for start in range(0, len(listed), _MEMBERS_PER_WRITE):
        yield Write(command, key, listed[start : start + _MEMBERS_PER_WRITE])


def apply_script(expectations: Sequence[Expectation], batch: Iterable[Write]) -> Command:
    """Return the command that applies the batch if every key has its expected value.

    Its reply is empty if it did, else the values of the keys.
    """
    arguments: list[str | bytes | int] = [len(expectations)]
    for one in expectations:
        arguments += (one.expected, one.next)
    return _script(_APPLY, [one.key for one in expectations], arguments, batch)


def group_script(
    state_key: str, expectations: Sequence[Expectation], batch: Iterable[Write]
) -> Command:
    """Return the same as `apply_script` for fields of a HASH; the `key` of each names its field."""
    arguments: list[str | bytes | int] = [len(expectations)]
    for one in expectations:
        arguments += one
    return _script(APPLY_TO_GROUP, [state_key], arguments, batch)


def _script(
    script: str, key_names: list[str], arguments: list[str | bytes | int], batch: Iterable[Write]
) -> Command:
    for command, key, members, second_key in batch:
        key_names.append(key)
        if second_key is not None:
            key_names.append(second_key)
        arguments += (command, len(members), *members)
    return ("EVAL", script, len(key_names), *key_names, *arguments)


def key_of(command: Command, error: str) -> str:
    """Return the key that the error is about: the command's, or the one that a script names."""
    named = _KEY_AT_FAULT.search(error)
    return str(command[2 + int(named[1])] if named else command[1])
