"""Writing items, scenarios and experiments: fields of hashes, with an entry in the stream of changes.

See docs/decisions/0028-items-in-hash-buckets.md.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.store.catalogue_port import CHANGES_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from likewise.store.keys import Keys
    from likewise.store.port import Changes

Argument = str | bytes
ITEM = "i"
SCENARIO = "s"
EXPERIMENT = "e"
"""An entry of the stream has one field, which is one of these; its value is the id or name."""

# `put(hash, changes, from, to)`: positions in KEYS, and in ARGV.
# ARGV: the entry's field; then id and value for each document, where an empty value removes it.
# What is stored already is no change: many apps send their whole catalogue every night.
PUT_FUNCTION = f"""
local function put(hash, changes, from, to)
  for i = from + 1, to, 2 do
    if (call('HGET', hash, ARGV[i]) or '') ~= ARGV[i + 1] then
      if ARGV[i + 1] == '' then
        call('HDEL', hash, ARGV[i])
      else
        call('HSET', hash, ARGV[i], ARGV[i + 1])
      end
      call('XADD', changes, 'MAXLEN', '~', {CHANGES_KEPT}, '*', ARGV[from], ARGV[i])
    end
  end
end
"""


def puts(keys: Keys, changes: Changes) -> Iterator[tuple[str, list[Argument]]]:
    """Yield each hash that the changes write to, and the arguments of the script's `put`."""
    buckets: defaultdict[str, list[Argument]] = defaultdict(lambda: [ITEM])
    for item_id, value in changes.items.items():
        buckets[keys.items(item_id)] += (item_id, value or b"")
    yield from buckets.items()
    yield from named_puts(keys, changes)


def named_puts(keys: Keys, changes: Changes) -> Iterator[tuple[str, list[Argument]]]:
    """Yield the same for scenarios and experiments alone."""
    if changes.scenarios:
        yield keys.scenarios, _arguments(SCENARIO, changes.scenarios)
    if changes.experiments:
        yield keys.experiments, _arguments(EXPERIMENT, changes.experiments)


def _arguments(field: str, documents: Mapping[str, bytes | None]) -> list[Argument]:
    arguments: list[Argument] = [field]
    for name, value in documents.items():
        arguments += (name, value or b"")
    return arguments
