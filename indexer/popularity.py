"""Popularity that fades: a like counts half as much after each half-life.

Sets in Redis have no times. But each build knows the counts of the one before it, and so how many
likes are new: `decayed` multiplies the popularity before by ``2^(-dt / half-life)`` and adds those. That is
exponential decay in one number an item (Cohen and Strauss, "Maintaining Time-Decaying Stream
Aggregates", PODS 2003; Cormode et al., "Forward Decay", ICDE 2009), exact to within the time between
two builds. The state is in the model files, so that the next build continues from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.rows import rows_of
from likewise.errors import ModelFileError
from likewise.models.files import read_model
from likewise.models.versions import list_versions

if TYPE_CHECKING:
    from indexer.interactions import Interactions
    from indexer.snapshot import Snapshot
    from likewise.models.place import Place
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model


def popularity_of(snapshot: Snapshot, place: Place, half_life_s: float) -> FloatArray:
    """Return the popularity [n] of the snapshot's items, based on that of the newest model on disk.

    All likes of the first snapshot count in full.
    """
    for manifest in list_versions(place):
        try:
            before = read_model(place, manifest.version)
        except ModelFileError:
            continue
        # A clock that went backwards lets no time pass.
        passed_s = max(snapshot.began_at_ms - manifest.snapshot_at_ms, 0) / 1000
        return decayed(
            before,
            snapshot.interactions,
            passed_s / half_life_s,
            reweighted=manifest.weights != snapshot.weights,
        )
    counts: FloatArray = rows_of(snapshot.interactions.user_items).item_degrees().astype(np.float32)
    return counts


def decayed(
    before: Model, now: Interactions, half_lives: float, *, reweighted: bool = False
) -> FloatArray:
    """Return the popularity [n] of the items so many half-lives after the model `before`.

    As many likes are new as an item's count has grown by. Where it has shrunk, nobody knows the age of the
    likes that are gone: they take their share. An item that was not there, or that had vanished, starts
    from its count. If `before` has no decay, its counts are used. With weighted signals, a count
    is a sum of weights; if the weights are not those of `before`, nothing is new and every count is rescaled.
    """
    rows = before.item_rows
    places = np.array([rows.get(item_id, -1) for item_id in now.item_ids], np.intp)
    known = places >= 0
    had, popularity = np.zeros(len(places)), np.zeros(len(places))
    had[known] = before.degrees[places[known]]
    popularity[known] = before.popularity[places[known]]
    counts = rows_of(now.user_items).item_degrees()
    if reweighted:
        popularity[known] *= counts[known] / had[known]
        had[known] = counts[known]
    popularity *= np.minimum(counts, had) / np.where(known, had, 1) * 2.0**-half_lives
    popularity += np.maximum(counts - had, 0)
    return popularity.astype(np.float32)
