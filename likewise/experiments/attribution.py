"""Which like counts for which list: an exact definition, and a fold that computes it batch by batch.

A like of an item counts for each list of the same user that holds the item and was shown at most the
window before; if it names a list, for that one only. Each pair of a list and an item counts once, and so
does each recommendation id. The counts are a function of the *set* of records: their order, duplicates
and the split into batches change nothing.

What is kept of a user is bounded. Lists and likes are grouped by time in steps as long as the window, and
an hour at least; of each step, the first `MAX_LISTS` lists and `MAX_LIKES` likes count. A step is
closed once both topics are read up to the end of its windows and an hour more: later records of its time
do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from likewise.experiments.counting import RunChange, Totals, change_counts
from likewise.experiments.kept import Liked, Shown, shown_of
from likewise.experiments.window import Window
from likewise.messages.exposures import Exposure
from likewise.messages.ids import UserId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from likewise.experiments.runs import Run

UserRecords = dict[UserId, list[Exposure | Liked]]
"""Records by user, in any order."""
UserWindows = dict[str, Window]
"""What is kept of one user for a while, by key of the run."""
TotalsKey = tuple[str, UserId]
"""The key of a run, and a user."""

_encoder = msgspec.json.Encoder()
_windows_decoder = msgspec.json.Decoder(UserWindows)
_totals_decoder = msgspec.json.Decoder(Totals)


@dataclass(slots=True)
class Memory:
    """What is known of the users of some records; `fold` changes it in place."""

    windows: dict[UserId, UserWindows] = field(default_factory=dict)
    totals: dict[TotalsKey, Totals] = field(default_factory=dict)


def fold(
    runs: Sequence[Run], records: UserRecords, memory: Memory, *, read_to_ms: int = 0
) -> dict[str, RunChange]:
    """Add records to what is known of their users; return what changes in the counts, by key of the run.

    `read_to_ms`: the time up to which both topics are read, apart from records that are less than an
    hour late; 0 if it is not known, and nothing is closed.
    """
    changes = {run.key: RunChange() for run in runs}
    keys = changes.keys()
    for user_id, some in records.items():
        windows = memory.windows.setdefault(user_id, {})
        for run in runs:
            _fold_run(run, user_id, some, memory, read_to_ms, changes[run.key])
        # Runs that ended leave nothing behind.
        kept = {
            key: one for key, one in windows.items() if key in keys and (one.lists or one.likes)
        }
        memory.windows[user_id] = kept
    return changes


def totals_needed(runs: Sequence[Run], users: Iterable[UserId]) -> list[TotalsKey]:
    """Return the totals that `fold` may change; those that are missing count as empty."""
    counted = [run for run in runs if run.experiment is not None]
    return [(run.key, user_id) for user_id in users for run in counted if run.takes(user_id)]


def encode_windows(windows: UserWindows) -> bytes | None:
    """Return what the store keeps of a user; None for nothing."""
    return _encoder.encode(windows) if windows else None


def decode_windows(stored: bytes | None) -> UserWindows:
    """Return what `encode_windows` encoded; empty if it cannot be decoded, as after a change of its form."""
    try:
        return _windows_decoder.decode(stored or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def encode_totals(totals: Totals) -> bytes | None:
    """Return what the store keeps of a user's totals; None for nothing."""
    return _encoder.encode(totals) if totals else None


def decode_totals(stored: bytes | None) -> Totals:
    """Return what `encode_totals` encoded; empty if it cannot be decoded."""
    try:
        return _totals_decoder.decode(stored or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _fold_run(
    run: Run,
    user_id: UserId,
    records: Iterable[Exposure | Liked],
    memory: Memory,
    read_to_ms: int,
    change: RunChange,
) -> None:
    if not run.takes(user_id):
        return
    mine: list[Shown | Liked] = []
    for record in records:
        if isinstance(record, Liked):
            if record.at_ms >= run.since_ms:
                mine.append(record)
        elif run.counts(record):
            mine.append(shown_of(record))
    if not mine:
        return
    for one in mine:
        if isinstance(one, Shown):
            change.note_items(run, one)
    window = memory.windows[user_id].setdefault(run.key, Window())
    window.close(run, read_to_ms)
    before = window.credited(run)
    late, dropped = window.add(run, mine)
    change.late += late
    change.dropped += dropped
    after = window.credited(run)
    if after != before:
        counts_users = run.experiment is not None
        totals = memory.totals.setdefault((run.key, user_id), {}) if counts_users else {}
        change_counts(run, totals, before, after, change)
