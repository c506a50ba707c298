"""What a batch writes to the stream of likes of new items, as commands and as a part of scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.store.recent_port import NEW_LIKES_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.store.port import Changes

FORGET_LIKERS = "FORGET-LIKERS"
_ADD = ("MAXLEN", "~", str(NEW_LIKES_KEPT), "*", "i")

# `forget_likers(stream, from, to)`: a position in KEYS, and in ARGV, those of user ids.
# Each item of an erased entry gets an entry without a user: its likers have to be read again.
FORGET_LIKERS_FUNCTION = f"""
local function forget_likers(stream, from, to)
  local forgotten, items = {{}}, {{}}
  for i = from, to do forgotten[ARGV[i]] = true end
  for _, entry in ipairs(call('XRANGE', stream, '-', '+')) do
    if forgotten[entry[2][4]] then
      call('XDEL', stream, entry[1])
      items[entry[2][2]] = true
    end
  end
  for item in pairs(items) do
    call('XADD', stream, 'MAXLEN', '~', {NEW_LIKES_KEPT}, '*', 'i', item)
  end
end
"""


def new_like_writes(changes: Changes) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands on the stream that the changes make, with their arguments.

    Entries are added last: a reader that finds one finds the like in its user's set.
    """
    forgotten = [user for user, change in changes.users.items() if change.forget]
    forgotten += [user for user, state in changes.scattered.items() if state.forget is not None]
    if forgotten:
        yield FORGET_LIKERS, list[str](forgotten)
    if changes.new_items is not None:
        for item_id, user_id in changes.new_items.liked:
            yield "XADD", [*_ADD, item_id, "u", user_id]
        for item_id in changes.new_items.unliked:
            yield "XADD", [*_ADD, item_id]
