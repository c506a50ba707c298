"""The part of RedisStore that keeps what was shown: a list of JSON arrays per viewer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING

import msgspec

from likewise.errors import ForeignDataError
from likewise.store.shown_port import ShownList

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from likewise.settings import RedisSettings
    from likewise.store.keys import Keys
    from likewise.store.redis.applying import Command
    from likewise.store.redis.commands import RedisCommands
    from likewise.store.shown_port import ShownRecord, Viewer

# KEYS: one list for each record. ARGV: for each, how many to keep, their maximum age in seconds, the
# earliest time to keep in milliseconds, and the entry. One foreign key does not stop the others.
_RECORD = """
for i, key in ipairs(KEYS) do
  local keep, max_age_s, earliest, entry = unpack(ARGV, 4 * i - 3, 4 * i)
  local pushed = redis.pcall('LPUSH', key, entry)
  if type(pushed) == 'number' then
    if pushed > tonumber(keep) then redis.call('LTRIM', key, 0, keep - 1) end
    local oldest = redis.call('LINDEX', key, -1)
    while oldest and (tonumber(string.match(oldest, '%d+')) or 0) < tonumber(earliest) do
      redis.call('RPOP', key)
      oldest = redis.call('LINDEX', key, -1)
    end
    redis.call('EXPIRE', key, max_age_s)
  elseif not string.find(pushed.err, 'WRONGTYPE', 1, true) then
    return pushed
  end
end
"""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ShownList).decode


class RedisShown(ABC):
    """See `likewise.store.shown_port.ShownStore`."""

    _keys: Keys
    _settings: RedisSettings

    @property
    @abstractmethod
    def _redis(self) -> RedisCommands: ...

    def record_shown(self, records: Sequence[ShownRecord]) -> None:
        """See `ShownStore.record_shown`; one command, or one per record on a cluster."""
        if self._settings.cluster:
            self._redis.pipeline([self._recording([record]) for record in records])
        elif records:
            self._redis.run(*self._recording(records))

    def shown(self, viewers: Sequence[Viewer]) -> list[list[ShownList]]:
        """See `ShownStore.shown`; one round trip, and one for each viewer if a key is foreign."""
        reads: list[Command] = [("LRANGE", self._keys.shown(one), 0, -1) for one in viewers]
        try:
            return [_lists(entries) for entries in self._redis.pipeline(reads)]
        except ForeignDataError:
            return [self._lists_if_ours(read) for read in reads]

    def _recording(self, records: Sequence[ShownRecord]) -> Command:
        arguments: list[int | bytes] = []
        for _, shown, keep, max_age_s in records:
            earliest_ms = shown.shown_at_ms - int(1000 * max_age_s)
            arguments += (keep, ceil(max_age_s), earliest_ms, _encode(shown))
        keys = [self._keys.shown(record.viewer) for record in records]
        return ("EVAL", _RECORD, len(keys), *keys, *arguments)

    def _lists_if_ours(self, read: Command) -> list[ShownList]:
        with suppress(ForeignDataError):
            return _lists(self._redis.run(*read))
        return []


def _lists(entries: Iterable[str]) -> list[ShownList]:
    """Return the lists that likewise wrote; other entries are left out."""
    found = []
    for entry in entries:
        with suppress(msgspec.MsgspecError):
            found.append(_decode(entry))
    return found
