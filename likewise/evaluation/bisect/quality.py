"""How well models predict the probes, and whether one is worse than another beyond noise. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from likewise.evaluation.metrics.bootstrap import intervals, resampled_means
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.bisect.probes import Probes
    from likewise.ranking.model import Model

CUTOFF = 20
FEWEST_USERS = 20
"""Users that it takes to say that quality fell; fewer resample badly."""
_BATCH = 256


class Fall(NamedTuple):
    """How much lower the nDCG of the bad model is, with its interval over users."""

    mean: float
    low: float
    high: float

    @property
    def found(self) -> bool:
        """Whether the fall exceeds noise."""
        return self.low > 0


def scores(model: Model, probes: Probes, progress: Progress) -> NDArray[np.float64]:
    """Return the hit rate and the nDCG of each user [users, 2]: means over the user's probes.

    A probe is a hit if its item is among the first 20 that the model recommends by the likes before it;
    its nDCG is 1 / log2(1 + rank). An item that the model does not have is a miss.
    """
    listed = [(row, probe) for row, theirs in enumerate(probes.values()) for probe in theirs]
    found = np.zeros((len(probes), 2))
    progress.expect(len(listed))
    for start in range(0, len(listed), _BATCH):
        batch = listed[start : start + _BATCH]
        queries = [Query(liked=one.liked, banned=one.liked, count=CUTOFF) for _, one in batch]
        for (row, probe), answer in zip(batch, recommend(model, queries, ()), strict=True):
            ids = [item.item_id for item in answer.items]
            if probe.item_id in ids:
                found[row] += (1.0, 1 / np.log2(ids.index(probe.item_id) + 2))
        progress.advance(len(batch))
    counts = np.array([len(theirs) for theirs in probes.values()], np.float64)
    return found / np.maximum(counts, 1)[:, None]


def fall_between(good: NDArray[np.float64], bad: NDArray[np.float64], *, seed: int) -> Fall:
    """Return how much nDCG fell from good to bad, paired by user (bootstrap)."""
    difference = good[:, 1:] - bad[:, 1:]
    low, high = intervals(resampled_means(difference, seed=seed))
    return Fall(float(difference.mean()), float(low[0]), float(high[0]))
