"""How a batch becomes Redis commands, and how they are applied with the positions.

On one server a script does it all at once: compare the positions, change the sets, move the
positions. Nothing comes between, and a server that is out of memory or read-only refuses it
before its first write. See docs/decisions/0001-positions-live-in-redis.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from likewise.keys import Keys
    from likewise.store import Advance, Changes
    from likewise.streams import TopicPartition

Command = tuple[str | bytes | int, ...]
NOWHERE = ""
"""Stands for the position of a partition of which nothing is applied."""

# Lua's unpack puts the members on a stack of 8,000 values.
_MEMBERS_PER_WRITE = 5_000

# KEYS: the positions' keys, then one key a write.
# ARGV: number of positions; expected and next for each; command, count and members for each write.
# Returns the stored positions if any is not as expected, else nothing. An error names its key.
_APPLY = """
local function call(command, i, ...)
  local reply = redis.pcall(command, KEYS[i], ...)
  if type(reply) == 'table' and reply.err then
    error(reply.err .. ' {key ' .. i .. '}', 0)
  end
  return reply
end

local positions = tonumber(ARGV[1])
local stored, moved = {}, false
for i = 1, positions do
  stored[i] = call('GET', i) or ''
  moved = moved or stored[i] ~= ARGV[2 * i]
end
if moved then return stored end

local at = 2 * positions + 2
for i = positions + 1, #KEYS do
  local last = at + 1 + tonumber(ARGV[at + 1])
  call(ARGV[at], i, unpack(ARGV, at + 2, last))
  at = last + 1
end
for i = 1, positions do
  if ARGV[2 * i + 1] ~= ARGV[2 * i] then call('SET', i, ARGV[2 * i + 1]) end
end
return {}
"""
_KEY_AT_FAULT = re.compile(r"\{key (\d+)\}")


class Write(NamedTuple):
    """One command that changes one key."""

    command: str
    key: str
    members: Collection[str] = ()


def writes(keys: Keys, changes: Changes) -> Iterator[Write]:
    """Yield what applies the changes, in the order in which it has to happen for each key."""
    for user_id, change in changes.users.items():
        key = keys.likes(user_id)
        if change.forget:
            yield Write("UNLINK", key)
        if change.add:
            yield from set_writes("SADD", key, change.add)
        if change.remove:
            yield from set_writes("SREM", key, change.remove)
    yield from set_writes("SADD", keys.changed, changes.users)
    if changes.retire or changes.restore:
        yield from set_writes("SADD", keys.retired, changes.retire)
        yield from set_writes("SREM", keys.retired, changes.restore)
        yield Write("INCR", keys.retired_version)


def set_writes(command: str, key: str, members: Collection[str]) -> Iterator[Write]:
    """Yield writes of bounded size; none for no members."""
    if 0 < len(members) <= _MEMBERS_PER_WRITE:
        yield Write(command, key, members)
        return
    listed = list(members)
    for start in range(0, len(listed), _MEMBERS_PER_WRITE):
        yield Write(command, key, listed[start : start + _MEMBERS_PER_WRITE])


def apply_script(
    keys: Keys, advances: Mapping[TopicPartition, Advance], batch: list[Write]
) -> Command:
    """Return the command that applies the batch if every position is where it is expected.

    Its reply is empty when it did, else the stored positions in the order of `advances`.
    """
    key_names = [keys.position(*partition) for partition in advances]
    arguments: list[str | int] = [len(advances)]
    for expected, following in advances.values():
        arguments += (NOWHERE if expected is None else expected, following)
    for command, key, members in batch:
        key_names.append(key)
        arguments += (command, len(members), *members)
    return ("EVAL", _APPLY, len(key_names), *key_names, *arguments)


def key_of(command: Command, complaint: str) -> str:
    """Return the key that the complaint is about: the command's, or the one a script names."""
    named = _KEY_AT_FAULT.search(complaint)
    return str(command[2 + int(named[1])] if named else command[1])
