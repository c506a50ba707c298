"""Further rankers, built from the snapshot of the current model, for comparison with it.

Each is a version in a directory named after the ranker, next to the models. None is ever announced.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.cycle import write_built
from likewise.errors import ModelStoreError
from likewise.models.layout import alternatives_in
from likewise.models.place import local, publish
from likewise.models.versions import remove_old_versions
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.cycle import Build, Finished
    from likewise.models.place import Place
    from likewise.settings.types import Ranker


@dataclass(slots=True)
class Alternatives:
    """Builds further rankers after a model, and removes their older versions."""

    place: Place
    """That of the models."""
    builds: Mapping[Ranker, Build]
    clock_ms: Callable[[], int]
    """Wall-clock time in ms since the epoch."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long the last build of each ranker took."""
    failures: Counter[str] = field(default_factory=Counter)
    """Builds that failed, by ranker."""

    def build(self, finished: Finished, goes_on: Callable[[], bool]) -> None:
        """Build each ranker from the snapshot of a finished model, while `goes_on` returns true.

        A failure is logged and counted, and leaves the ranker's last version in place. Never raises.
        """
        with suppress(OSError, ModelStoreError):
            self._remove_unnamed()
        for ranker, build in self.builds.items():
            if not goes_on():
                return
            try:
                self._build(ranker, build, finished)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the model is current
                self.failures[ranker] += 1
                get_logger().error(
                    "an alternative could not be built", ranker=ranker, reason=repr(error)
                )

    def _build(self, ranker: Ranker, build: Build, finished: Finished) -> None:
        began_s = time.perf_counter()
        place = alternatives_in(self.place) / ranker
        # Its permissions do not matter: those of the models' directory above it apply.
        local(place).mkdir(parents=True, exist_ok=True)
        snapshot = finished.snapshot
        built = build(snapshot.interactions, lambda _step: None)
        built = built._replace(model=replace(built.model, decayed_counts=finished.popularity))
        manifest = write_built(local(place), self.clock_ms(), snapshot, built, {})
        publish(place, manifest)
        remove_old_versions(place, keep=1, in_use={manifest.version})
        self.seconds[ranker] = round(time.perf_counter() - began_s, 3)
        get_logger().info(
            "alternative built",
            ranker=ranker,
            version=manifest.version,
            seconds=self.seconds[ranker],
        )

    def _remove_unnamed(self) -> None:
        """Remove the rankers that the settings no longer name: their likes would never be updated."""
        place = alternatives_in(self.place)
        if not isinstance(place, Path):
            for name in place.folders():
                if name not in self.builds:
                    place.remove(name)
            return
        if not place.is_dir():
            return
        for path in place.iterdir():
            if path.name not in self.builds:
                shutil.rmtree(path, ignore_errors=True)
