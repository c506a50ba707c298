"""Users who like too much of the catalogue, or a lot of it without regard to popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation.audit.evidence import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.evaluation.audit.evidence import Activity, Limits

_FEWEST_LIKES = 100
_FLAT = 0.25
"""Where 0 is a random draw from the catalogue and 1 is the taste of everybody."""
_ERRORS = 3.0
_LEAST_CONTRAST = 0.2


def too_broad(activity: Activity, limits: Limits) -> Iterator[tuple[int, Reason]]:
    """Yield the users with too large a share of the catalogue, with evidence.

    The second limit is for likes that are spread as a random draw is: the mean logarithm of the
    popularity of what the user likes, on a scale from the mean over the catalogue (0) to the mean over
    all likes (1), is below 0.25 by three standard errors. People prefer popular items, the most
    active ones, too.
    """
    counts = np.bincount(activity.items, minlength=activity.n_items)
    likes = np.bincount(activity.users, minlength=activity.n_users)
    # Without the user's own like, which makes each item of a bot a little more popular.
    popularity = np.log1p(np.maximum(counts - 1, 0))[activity.items]
    at_random, of_likes = (
        float(np.log1p(np.maximum(counts - 1, 0)).mean()),
        float(popularity.mean()),
    )
    contrast = of_likes - at_random
    sums = np.bincount(activity.users, popularity, minlength=activity.n_users)
    squares = np.bincount(activity.users, popularity**2, minlength=activity.n_users)
    for user in np.flatnonzero(likes >= _FEWEST_LIKES).tolist():
        n, share = int(likes[user]), float(likes[user]) / max(activity.n_items, 1)
        facts = {"likes": n, "items": activity.n_items, "share": round(share, 4)}
        if share >= limits.breadth:
            yield user, Reason("breadth", f"likes {share:.0%} of {activity.n_items:,} items", facts)
            continue
        if share < limits.flat_breadth or contrast < _LEAST_CONTRAST:
            continue
        mean = sums[user] / n
        error = float(np.sqrt(max(squares[user] / n - mean**2, 0) / n))
        taste = (mean - at_random) / contrast
        if taste + _ERRORS * error / contrast < _FLAT:
            yield (
                user,
                Reason(
                    "breadth",
                    f"likes {share:.0%} of {activity.n_items:,} items, spread as a random draw is",
                    {**facts, "popularity": round(float(taste), 3)},
                ),
            )
