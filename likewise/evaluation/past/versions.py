"""Which model version was current at a moment: by the models topic, or by what is on disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.messages.announcements import valid_announcement
from likewise.messages.times import iso_time
from likewise.models.canaries import is_unproved, read_canary
from likewise.models.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.evaluation.past.moments import Moment
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.records import Record

_STAMP = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True, slots=True)
class ModelThen:
    """A version on disk to answer with."""

    version: str
    certain: bool
    """Whether it is known that this version was current at the moment."""
    pruned: str | None
    """The version that was current, if it is not on disk any more."""
    reason: str
    """How the version was found, as a sentence."""


def built_at_ms(version: str) -> int:
    """Return when the version was written, as its name states it (ms since the epoch)."""
    stamp = datetime.strptime(version.partition("Z")[0], _STAMP).replace(tzinfo=UTC)
    return int(stamp.timestamp() * 1000)


def _current_from_ms(place: Place, manifest: Manifest) -> float:
    """Return when the version can have become current: a canary when it was promoted, or never."""
    canary = read_canary(place, manifest.version)
    if manifest.held_back:
        return math.inf
    if canary is None:
        return built_at_ms(manifest.version)
    if is_unproved(place, manifest.version) or canary.stopped_at_ms is None:
        return math.inf
    return canary.stopped_at_ms


def model_then(place: Place, announcements: Iterable[Record], moment: Moment) -> ModelThen:
    """Return the version to answer with; `announcements` are those of the topic up to the moment.

    The topic is compacted, so it may have lost the announcement that counted. The newest version that
    had been written by then was most likely current, unless an operator had chosen another one.

    Raises:
        ModelFileError: no version on disk is old enough.
    """
    manifests = list_versions(place)
    versions = [manifest.version for manifest in manifests]
    announced = None
    for record in announcements:
        if (found := valid_announcement(record.value)) is not None:
            announced = found.version
    if announced in versions and announced is not None:
        return ModelThen(announced, True, None, f"the models topic names {announced}")
    written = [one.version for one in manifests if _current_from_ms(place, one) <= moment.time_ms]
    if not written:
        oldest = f"the oldest is {versions[-1]}" if versions else "there are none"
        raise ModelFileError(
            f"no model on disk was built by {iso_time(moment.time_ms)}: {oldest}; "
            "`indexer.keep_versions` says how many are kept"
        )
    if announced is not None:
        reason = f"{announced} was current, but was removed; {written[0]} is the newest older one"
        return ModelThen(written[0], False, announced, reason)
    reason = f"{written[0]} is the newest on disk that had been built; its announcement is not kept"
    return ModelThen(written[0], False, None, reason)
