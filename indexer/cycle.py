"""One build from end to end: snapshot, model, files, announcement."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from indexer.popularity import popularity_of
from likewise.models.files import write_model
from likewise.models.place import local, publish
from likewise.models.versions import new_version
from likewise.retry import StoppedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from indexer.interactions import Interactions
    from indexer.progress import Progress
    from indexer.snapshot import Snapshot
    from indexer.steps import BuildReport
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.ranking.array_types import FloatArray
    from likewise.ranking.model import Model

T = TypeVar("T")


class Built(NamedTuple):
    """A model, and how its build went."""

    model: Model
    report: BuildReport


class Build(Protocol):
    """Builds a model of interactions, and reports each step's name when it begins."""

    def __call__(self, interactions: Interactions, on_step: Callable[[str], None]) -> Built: ...


class Persist(Protocol):
    """Calls a function, and perhaps again if it raises `TransientError`; returns what it returns."""

    def __call__(self, attempt: Callable[[], T], /) -> T: ...


def _once(attempt: Callable[[], T], /) -> T:
    return attempt()


class Finished(NamedTuple):
    """A model whose files are durable, and what it was built from."""

    manifest: Manifest
    snapshot: Snapshot
    popularity: FloatArray | None
    """The popularity [n] of the items; None: their counts."""


@dataclass(slots=True)
class Cycle:
    """Runs the steps of a build in order.

    Checks `stop` between steps; a step can't be interrupted.
    """

    place: Place
    build: Build
    progress: Progress
    stop: threading.Event
    clock_ms: Callable[[], int]
    """Wall-clock time in ms since the epoch."""
    popular_half_life_s: float | None = None
    """The half-life of a like's weight in popularity; None: no decay."""
    persist: Persist = _once
    """Makes the calls on the models: a model store may not answer at first."""
    announce: bool = True
    """False: the version is held back; see `Manifest.held_back`."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each step of the last run took."""

    def run(self, take: Callable[[], Snapshot], release: Callable[[Finished], object]) -> Finished:
        """Return a new model's manifest and basis, when its files are durable and it is released.

        Raises:
            StoppedError: `stop` was set before the last step.
            ModelFileError: the model can't be written.
        """
        self.seconds = {}
        snapshot = self._step("snapshot", take)
        built = self._step("build", lambda: self._build(snapshot))
        manifest = self._step("write", lambda: self._write(snapshot, built))
        finished = Finished(manifest, snapshot, built.model.decayed_counts)
        self._step("announce", lambda: release(finished))
        return finished

    def _build(self, snapshot: Snapshot) -> Built:
        built = self.build(snapshot.interactions, self.progress.step)
        if self.popular_half_life_s is None:
            return built
        half_life_s = self.popular_half_life_s
        popularity = self.persist(lambda: popularity_of(snapshot, self.place, half_life_s))
        return built._replace(model=replace(built.model, decayed_counts=popularity))

    def _write(self, snapshot: Snapshot, built: Built) -> Manifest:
        seconds = {"snapshot": self.seconds["snapshot"]}
        manifest = write_built(
            local(self.place),
            self.clock_ms(),
            snapshot,
            built,
            seconds,
            announce=self.announce,
        )
        self.persist(lambda: publish(self.place, manifest))
        return manifest

    def _step(self, name: str, work: Callable[[], T]) -> T:
        if self.stop.is_set():
            raise StoppedError
        self.progress.step(name)
        started_s = time.perf_counter()
        result = work()
        self.seconds[name] = round(time.perf_counter() - started_s, 3)
        return result


def write_built(
    directory: Path,
    now_ms: int,
    snapshot: Snapshot,
    built: Built,
    seconds: Mapping[str, float],
    *,
    announce: bool = True,
) -> Manifest:
    """Write a model as a new version; `seconds` has the steps before those of its report.

    Raises:
        ModelFileError: the directory can't be written to.
    """
    report: dict[str, Any] = {
        "seconds": {**seconds, **built.report.seconds},
        "choice": built.report.choice,
    }
    if not announce:
        report["announce"] = False
    if snapshot.excluded is not None:
        report["excluded_users"] = snapshot.excluded
    return write_model(
        directory,
        new_version(now_ms),
        built.model,
        snapshot_at_ms=snapshot.began_at_ms,
        build=report,
        weights=snapshot.weights,
    )
