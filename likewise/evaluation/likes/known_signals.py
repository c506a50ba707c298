"""Which signals of other kinds were known when the held-out likes were not yet.

With times, those before the first held-out like of their user. Without times nobody knows, and whatever a
user likes was viewed before: the signals of held-out pairs are left out. Then an item that was viewed and not
liked could not be a hit, so no item that the user has a signal for is recommended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation.likes.table import Split

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from likewise.evaluation.likes.pairs import Pairs
    from likewise.evaluation.likes.table import LikeTable

_NEVER = np.iinfo(np.int64).max


def are_timed(likes: LikeTable, signals: LikeTable) -> bool:
    """Whether the signals can be compared with the likes by time."""
    return likes.times_ms is not None and signals.times_ms is not None


def known_signals(
    likes: LikeTable,
    signals: LikeTable,
    like_pairs: Pairs,
    signal_pairs: Pairs,
    held_out: NDArray[np.bool_],
    fit: Collection[Split],
) -> NDArray[np.bool_]:
    """Return which signals [signals] were known; `held_out` [likes] says which likes were not.

    With splits of their own, by a column or a point in time, signals of other splits than `fit`
    were not known either. The pairs have common numbers.
    """
    if likes.times_ms is not None and signals.times_ms is not None:
        first = np.full(
            max(like_pairs.users.max(initial=-1), signal_pairs.users.max(initial=-1)) + 1, _NEVER
        )
        np.minimum.at(first, like_pairs.users[held_out], likes.times_ms[held_out])
        known: NDArray[np.bool_] = signals.times_ms < first[signal_pairs.users]
    else:
        n_items = int(max(like_pairs.items.max(initial=0), signal_pairs.items.max(initial=0))) + 1
        known = ~signal_pairs.among(like_pairs.where(held_out), n_items)
    if signals.splits is not None:
        # What comes before a point is in train; likes of valid are taken out of it only for users.
        known &= np.isin(signals.splits, [Split.TRAIN, *fit])
    return known
