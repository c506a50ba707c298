"""Popularity that fades: a like counts half as much after each half-life.

Sets in Redis hold no times. But each build knows the counts of the one before it, and so how many
likes are new: `decayed` multiplies what there was by ``2^(-dt / half-life)`` and adds those. That is
exponential decay kept in one number an item (Cohen and Strauss, "Maintaining Time-Decaying Stream
Aggregates", PODS 2003; Cormode et al., "Forward Decay", ICDE 2009), exact to within the time between
two builds. The state is in the model files, so that the next build continues from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.svd import item_degrees
from likewise.errors import ModelFileError
from likewise.models.files import read_model
from likewise.models.versions import list_versions

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.interactions import Interactions
    from indexer.snapshot import Snapshot
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model


def popularity_of(snapshot: Snapshot, directory: Path, half_life_s: float) -> FloatArray:
    """Return the popularity [n] of the snapshot's items, going on from the newest model on disk.

    The first snapshot has all of its likes count in full.
    """
    for manifest in list_versions(directory):
        try:
            before = read_model(directory, manifest.version)
        except ModelFileError:
            continue
        # A clock that went backwards lets no time pass.
        passed_s = max(snapshot.began_at_ms - manifest.snapshot_at_ms, 0) / 1000
        return decayed(before, snapshot.interactions, passed_s / half_life_s)
    counts: FloatArray = item_degrees(snapshot.interactions.user_items).astype(np.float32)
    return counts


def decayed(before: Model, now: Interactions, half_lives: float) -> FloatArray:
    """Return the popularity [n] of the items so many half-lives after the model `before`.

    As many likes are new as an item's count has grown by. Where it has shrunk, nobody knows the
    age of the likes that went: they take their share. An item that was not there, or that had
    vanished, starts from its count. Where `before` knows no decay, its counts are gone on from.
    """
    rows = before.item_rows
    places = np.array([rows.get(item_id, -1) for item_id in now.item_ids], np.intp)
    known = places >= 0
    had, popularity = np.zeros(len(places)), np.zeros(len(places))
    had[known] = before.item_counts[places[known]]
    popularity[known] = before.popularity[places[known]]
    counts = item_degrees(now.user_items)
    popularity *= np.minimum(counts, had) / np.maximum(had, 1) * 2.0**-half_lives
    popularity += np.maximum(counts - had, 0)
    return popularity.astype(np.float32)
