"""How user states are merged into a set in Redis, and how Redis stores them.

A moment is `time:partition:offset`, an item's state the same with `:1` (liked) or `:0`, a reach
`time:offset`. A merge into another user is its moment, the moment since which it counts, and the
user's id. `likewise.store.keys.Keys.times` describes the HASH of the times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from likewise.messages.ids import UserId
from likewise.messages.order import Merged, Moment, Reach
from likewise.store.port import Scattered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.messages.ids import ItemId
    from likewise.messages.order import UserState

# `merge(set, times, from, to)`: positions in KEYS, and in ARGV.
# ARGV: `follow` or `catch up`; the moment of the forget or the merge, or ''; the number of reaches,
# partition and reach for each; then item and state for each item.
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
      local text = string.match(ARGV[from + 1], '^%d+:%d+:%d+')
      call('HSET', times, 'f', text)
      if text == ARGV[from + 1] then
        call('HDEL', times, 'm')
      else
        call('HSET', times, 'm', ARGV[from + 1])
      end
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

# KEYS: scattered, changed; for each user the sets and their times.
# ARGV: for each user the hashed id, the id, the floor, the number of sets; for each set the number of
# arguments, and those above. Only a user who is still marked from this floor becomes complete.
CATCH_UP = (
    MERGE_FUNCTION
    + """
local at, i = 1, 3
while i <= #KEYS do
  local marked = call('HGET', 1, ARGV[at]) == ARGV[at + 2] .. '?'
  local from = at + 4
  for _ = 1, tonumber(ARGV[at + 3]) do
    local last = from + tonumber(ARGV[from])
    if marked then merge(i, i + 1, from + 1, last) end
    from, i = last + 1, i + 2
  end
  if marked then
    call('SADD', 2, ARGV[at + 1])
    call('HSET', 1, ARGV[at], ARGV[at + 2])
  end
  at = from
end
"""
)

# KEYS: scattered, and what holds the mark. ARGV: the new mark; hashed id and floor for each user.
_SCATTER = """
for i = 2, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  if not known or tonumber(string.match(known, '^%d+')) > tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. '?')
  end
end
"""
SCATTER = _SCATTER + "redis.call('SET', KEYS[2], ARGV[1])"
SCATTER_IN_BUCKET = _SCATTER + "redis.call('HSET', KEYS[2], 'mark', ARGV[1])"


def merge_arguments(state: UserState, mode: Literal["follow", "catch up"]) -> list[str]:
    """Return the arguments of the script's `merge`.

    `follow`: the state is of events after the applied positions; its reach replaces the stored one.
    `catch up`: it is of events before them; a stored reach that is further stays.
    """
    arguments = [mode, _forget_text(state), str(len(state.reach))]
    for partition, (time_ms, offset) in state.reach.items():
        arguments += (str(partition), f"{time_ms}:{offset}")
    for item_id, (moment, liked) in state.items.items():
        arguments += (item_id, f"{_text(moment)}:{liked:d}")
    return arguments


def reach_fields(partitions: Sequence[int]) -> list[str]:
    """Return the fields that hold the reach in these partitions."""
    return [f"r{partition}" for partition in partitions]


MOMENT_FIELDS = ["f", "m"]
"""When the user was last forgotten, or merged into another; and the latter."""


def parse_reaches(partitions: Sequence[int], fields: Iterable[str | None]) -> dict[int, Reach]:
    """Return the reaches that are known."""
    return {
        partition: Reach(*map(int, field.split(":")))
        for partition, field in zip(partitions, fields, strict=True)
        if field is not None
    }


def held_items(items: Iterable[ItemId], times: Mapping[str, str]) -> dict[ItemId, Moment | None]:
    """Return the items of a set, and the moment of each in its HASH of times; None if it has none."""
    moments = {item: times.get(f"i{item}") for item in items}
    return {
        item: None if text is None else _moment(text.split(":")[:3])
        for item, text in moments.items()
    }


def parse_scattered(
    mark: str, reach: dict[int, Reach], forgotten: str | None, merged: str | None
) -> Scattered:
    """Return a field of the HASH of scattered users and those of `MOMENT_FIELDS`, parsed."""
    return Scattered(
        floor_ms=int(mark.rstrip("?")),
        complete=not mark.endswith("?"),
        reach=reach,
        forgotten=None if forgotten is None else _moment(forgotten.split(":")),
        merged=None if merged is None else _merged(merged),
    )


def _text(moment: Moment) -> str:
    return ":".join(map(str, moment))


def _forget_text(state: UserState) -> str:
    if state.forget is None:
        return ""
    if state.merged is None:
        return _text(state.forget)
    return f"{_text(state.forget)}:{_text(state.merged.since)}:{state.merged.into}"


def _merged(text: str) -> Merged:
    *numbers, into = text.split(":", 6)
    return Merged(_moment(numbers[3:]), _moment(numbers[:3]), UserId(into))


def _moment(numbers: Sequence[str]) -> Moment:
    return Moment(*map(int, numbers))
