"""The part of RedisStore for what was liked lately: a stream of likes, and forward-decayed counts.

Forward decay (Cormode et al., "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE
2009): a like at time t adds ``2^((t - epoch) / half-life)``, so that old counts never have to be
rewritten; a reader divides by ``2^((now - epoch) / half-life)``. Before the numbers grow too large, all of
them are divided once and the epoch moves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain, islice
from typing import TYPE_CHECKING

from likewise.messages.ids import ItemId
from likewise.store.recent_port import FIRST, TRENDING_KEPT, NewLike, NewLikes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from likewise.store.keys import Keys
    from likewise.store.redis.commands import RedisCommands

_ITEMS_A_SCRIPT = 1_000

# KEYS: the counts, their epoch `time:half-life`. ARGV: time of the likes, now, half-life, how many items
# to keep; then item and likes for each. Times in ms. Beyond 2^200, and when the half-life changes, the
# epoch becomes now.
_COUNT = """
local at, now, half = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('GET', KEYS[2]) or ''
local since, known = string.match(stored, '^(%d+):(%d+)$')
since, known = tonumber(since), tonumber(known)
if not since or known ~= half or now - since > 200 * half then
  if since then
    redis.call('ZUNIONSTORE', KEYS[1], 1, KEYS[1], 'WEIGHTS', 2 ^ ((since - now) / known))
  end
  since = now
  redis.call('SET', KEYS[2], ARGV[2] .. ':' .. ARGV[3])
end
local weight = 2 ^ ((at - since) / half)
for i = 5, #ARGV, 2 do
  redis.call('ZINCRBY', KEYS[1], ARGV[i + 1] * weight, ARGV[i])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
"""


class RedisRecent(ABC):
    """See `likewise.store.recent_port.RecentStore`."""

    _keys: Keys

    @property
    @abstractmethod
    def _redis(self) -> RedisCommands: ...

    def new_likes(self, after: str, limit: int) -> NewLikes:
        """See `RecentStore.new_likes`; one round trip."""
        key = self._keys.new_likes
        entries, newest = self._redis.pipeline(
            [
                ("XRANGE", key, _next(after), "+", "COUNT", limit),
                ("XREVRANGE", key, "+", "-", "COUNT", 1),
            ]
        )
        if _order(newest[0][0] if newest else FIRST) < _order(after):
            return self.new_likes(FIRST, limit)._replace(gap=True)
        likes = [NewLike(ItemId(one["i"]), one.get("u")) for _, one in entries]
        return NewLikes(likes, entries[-1][0] if entries else after)

    def count_trending(
        self, likes: Mapping[ItemId, int], *, at_ms: int, now_ms: int, half_life_ms: int
    ) -> None:
        """See `RecentStore.count_trending`; one round trip for each 1,000 items."""
        keys = (self._keys.trending, self._keys.trending_epoch)
        numbers = (at_ms, now_ms, half_life_ms, TRENDING_KEPT)
        left = iter(likes.items())
        while some := [*islice(left, _ITEMS_A_SCRIPT)]:
            counted: Iterator[str | int] = chain.from_iterable(some)
            self._redis.run("EVAL", _COUNT, 2, *keys, *numbers, *counted)

    def trending(self, limit: int, *, now_ms: int) -> list[tuple[ItemId, float]]:
        """See `RecentStore.trending`; one round trip."""
        counts, epoch = self._redis.pipeline(
            [
                ("ZREVRANGE", self._keys.trending, 0, limit - 1, "WITHSCORES"),
                ("GET", self._keys.trending_epoch),
            ]
        )
        if not epoch:
            return []
        since_ms, half_life_ms = map(int, epoch.split(":"))
        weight = 2.0 ** ((since_ms - now_ms) / half_life_ms)
        pairs = zip(counts[::2], counts[1::2], strict=True)
        return [(ItemId(item_id), float(count) * weight) for item_id, count in pairs]

    def note_quality(self, slot: int, measured: bytes) -> None:
        """See `RecentStore.note_quality`; one round trip."""
        self._redis.run("HSET", self._keys.quality, slot, measured)

    def qualities(self) -> list[bytes]:
        """See `RecentStore.qualities`; one round trip."""
        found: list[str] = self._redis.run("HVALS", self._keys.quality)
        return [one.encode() for one in found]


def _order(cursor: str) -> tuple[int, int]:
    time_ms, number = cursor.split("-")
    return int(time_ms), int(number)


def _next(cursor: str) -> str:
    time_ms, number = _order(cursor)
    return f"{time_ms}-{number + 1}"
