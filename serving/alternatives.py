"""The rankers that can be asked by name, next to the current model (`indexer.alternatives`).

One is loaded when it is first asked for, and again when the indexer has written a newer version.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from likewise.errors import ModelFileError, ModelStoreError
from likewise.models.holder import load_model
from likewise.models.layout import alternatives_in
from likewise.models.place import is_remote
from likewise.models.versions import list_versions
from likewise.service.logs import get_logger
from likewise.settings.types import Ranker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from likewise.models.holder import ServedModel
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place

LOOK_EVERY_S = 1.0
STORE_LOOK_EVERY_S = 30.0
"""How often a model store is asked for newer versions; each time is a request that somebody pays for."""
RANKERS: tuple[str, ...] = get_args(Ranker)


@dataclass(slots=True)
class _Loaded:
    """One ranker: its model if it has been asked for, and when to look for a newer one."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    model: ServedModel | None = None
    next_look_s: float = 0.0
    broken: str | None = None
    """The version that could not be loaded, which is not tried again."""


class Alternatives:
    """The alternatives, loaded as needed. Thread-safe."""

    def __init__(self, place: Place, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Read nothing yet. `place` is that of the models."""
        self._place = alternatives_in(place)
        self._look_every_s = STORE_LOOK_EVERY_S if is_remote(place) else LOOK_EVERY_S
        self._clock_s = clock_s
        self._rankers = {ranker: _Loaded() for ranker in RANKERS}

    def manifests(self) -> dict[str, Manifest]:
        """Return the newest manifest of each ranker that has been built, by name. Reads the disk, or the store."""
        found = {ranker: list_versions(self._place / ranker) for ranker in RANKERS}
        return {ranker: manifests[0] for ranker, manifests in found.items() if manifests}

    def names(self) -> list[str]:
        """Return the rankers that have been built. Reads the disk, or the store."""
        return list(self.manifests())

    def get(self, name: str) -> ServedModel | None:
        """Return a ranker's model, its newest version as of a second ago (in a model store: half a minute).

        None if there is none. Blocks while the version is verified and loaded. A version that cannot be loaded leaves the last
        one in use.
        """
        ranker = self._rankers.get(name)
        if ranker is None:  # a name becomes a path only if it is a ranker's
            return None
        # While one thread loads a newer version, others use the last one, and wait only for the first.
        if ranker.loading.acquire(blocking=ranker.model is None):
            try:
                if self._clock_s() >= ranker.next_look_s:
                    ranker.next_look_s = self._clock_s() + self._look_every_s
                    with suppress(ModelStoreError):  # the outage is in the log already
                        self._look(name, ranker)
            finally:
                ranker.loading.release()
        return ranker.model

    def keep_only(self, names: Collection[str | None]) -> None:
        """Release the models of other rankers."""
        for name in self._rankers.keys() - names:
            self._rankers[name] = _Loaded()

    def _look(self, name: str, ranker: _Loaded) -> None:
        place = self._place / name
        version = next((manifest.version for manifest in list_versions(place)), None)
        if version is None:
            ranker.model = None  # the settings no longer name it
        elif version != ranker.broken and (ranker.model is None or version != ranker.model.version):
            try:
                ranker.model = load_model(place, version)
            except ModelFileError as error:
                # It may just have been replaced by the next one.
                ranker.broken, ranker.next_look_s = version, 0.0
                get_logger().error(
                    "an alternative cannot be loaded", ranker=name, reason=str(error)
                )
