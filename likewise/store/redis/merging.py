"""How user states are merged into a set in Redis, and how Redis stores them.

A moment is `time:partition:offset`, an item's state the same with `:1` (liked) or `:0`, a reach
`time:offset`. `likewise.store.keys.Keys.times` describes the HASH of the times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from likewise.messages.order import Reach
from likewise.store.port import Scattered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from likewise.messages.order import Moment, UserState

# `merge(set, times, from, to)`: positions in KEYS, and in ARGV.
# ARGV: `follow` or `catch up`; the forget's moment or ''; the number of reaches, partition and reach
# for each; then item and state for each item.
MERGE_FUNCTION = """
local function call(command, i, ...)
  local reply = redis.pcall(command, KEYS[i], ...)
  if type(reply) == 'table' and reply.err then
    error(reply.err .. ' {key ' .. i .. '}', 0)
  end
  return reply
end

local function moment(text)
  local time, partition, offset = string.match(text, '^(%d+):(%d+):(%d+)')
  return {tonumber(time), tonumber(partition), tonumber(offset)}
end

local function later(one, other)
  for i = 1, 3 do
    if one[i] ~= other[i] then return one[i] > other[i] end
  end
  return false
end

local function erase(set, times, forget)
  local kept = {}
  local fields = call('HGETALL', times)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == 'i' then
      if later(moment(fields[i + 1]), forget) then
        kept[string.sub(fields[i], 2)] = true
      else
        call('HDEL', times, fields[i])
      end
    end
  end
  for _, item in ipairs(call('SMEMBERS', set)) do
    if not kept[item] then call('SREM', set, item) end
  end
end

local function reach(times, follow, partition, reached)
  local known = call('HGET', times, 'r' .. partition)
  local function offset(text) return tonumber(string.match(text, ':(%d+)$')) end
  if follow or not known or offset(reached) > offset(known) then
    call('HSET', times, 'r' .. partition, reached)
  end
end

local function merge(set, times, from, to)
  local forgotten = call('HGET', times, 'f')
  forgotten = forgotten and moment(forgotten)
  if ARGV[from + 1] ~= '' then
    local forget = moment(ARGV[from + 1])
    if not forgotten or later(forget, forgotten) then
      forgotten = forget
      call('HSET', times, 'f', ARGV[from + 1])
      erase(set, times, forget)
    end
  end
  local items = from + 3 + 2 * tonumber(ARGV[from + 2])
  for i = from + 3, items - 1, 2 do
    reach(times, ARGV[from] == 'follow', ARGV[i], ARGV[i + 1])
  end
  for i = items, to, 2 do
    local changed = moment(ARGV[i + 1])
    local known = call('HGET', times, 'i' .. ARGV[i])
    if not (forgotten and not later(changed, forgotten))
      and not (known and not later(changed, moment(known))) then
      call('HSET', times, 'i' .. ARGV[i], ARGV[i + 1])
      call(string.sub(ARGV[i + 1], -1) == '1' and 'SADD' or 'SREM', set, ARGV[i])
    end
  end
end
"""

# KEYS: a set and its times. ARGV: as above.
MERGE = MERGE_FUNCTION + "merge(1, 2, 1, #ARGV)"

# KEYS: scattered, changed; a set and its times for each user.
# ARGV: for each user the hashed id, the id, the floor, the number of arguments, and those above.
# Only a user who is still marked from this floor becomes complete.
CATCH_UP = (
    MERGE_FUNCTION
    + """
local at = 1
for i = 3, #KEYS, 2 do
  local last = at + 3 + tonumber(ARGV[at + 3])
  if call('HGET', 1, ARGV[at]) == ARGV[at + 2] .. '?' then
    merge(i, i + 1, at + 4, last)
    call('SADD', 2, ARGV[at + 1])
    call('HSET', 1, ARGV[at], ARGV[at + 2])
  end
  at = last + 1
end
"""
)

# KEYS: scattered; on one server also homes. ARGV: the new homes; hashed id and floor for each user.
SCATTER = """
for i = 2, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  if not known or tonumber(string.match(known, '^%d+')) > tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. '?')
  end
end
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[1]) end
"""

# KEYS: scattered. ARGV: hashed id, floor.
COMPLETE = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] .. '?' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
"""


def merge_arguments(state: UserState, mode: Literal["follow", "catch up"]) -> list[str]:
    """Return the arguments of the script's `merge`.

    `follow`: the state is of events after the applied positions; its reach replaces the stored one.
    `catch up`: it is of events before them; a stored reach that is further stays.
    """
    arguments = [mode, "" if state.forget is None else _text(state.forget), str(len(state.reach))]
    for partition, (time_ms, offset) in state.reach.items():
        arguments += (str(partition), f"{time_ms}:{offset}")
    for item_id, (moment, liked) in state.items.items():
        arguments += (item_id, f"{_text(moment)}:{liked:d}")
    return arguments


def reach_fields(partitions: Sequence[int]) -> list[str]:
    """Return the fields that hold the reach in these partitions."""
    return [f"r{partition}" for partition in partitions]


def parse_reaches(partitions: Sequence[int], fields: Iterable[str | None]) -> dict[int, Reach]:
    """Return the reaches that are known."""
    return {
        partition: Reach(*map(int, field.split(":")))
        for partition, field in zip(partitions, fields, strict=True)
        if field is not None
    }


def parse_scattered(mark: str, reach: dict[int, Reach]) -> Scattered:
    """Return a field of the HASH of scattered users, parsed."""
    return Scattered(int(mark.rstrip("?")), not mark.endswith("?"), reach)


def _text(moment: Moment) -> str:
    return ":".join(map(str, moment))
