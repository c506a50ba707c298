"""Which experiments are to be counted now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.experiments.runs import outside_experiments, run_of
from likewise.experiments.window import LATENESS_MS
from likewise.log.topics import EXPOSURES_KEPT_MS
from likewise.messages.experiments import decode_stored_experiment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.experiments.runs import Run
    from likewise.messages.experiments import Experiment
    from likewise.settings.experiments import ExperimentSettings
    from likewise.store.port import LikeStore

_ERASE_AFTER_S = 60.0


class Runs:
    """Looks the experiments up in the store. Not thread-safe."""

    def __init__(self, store: LikeStore, settings: ExperimentSettings) -> None:
        """Look at nothing yet."""
        self._store = store
        self._outside = [outside_experiments(settings.window_s)] if settings.lists == "all" else []
        self._decoded: dict[bytes, Run | None] = {}
        self.canary: Experiment | None = None
        """The prequential canary that runs, as of the last look. Any thread may read it."""
        self._missing: dict[str, tuple[Run, float]] = {}
        """Runs by key, and since when they have been missing."""

    def to_count(self) -> list[Run]:
        """Return the runs whose counts may still change; in one round trip if no experiment has stopped.

        Raises:
            TransientError: the store cannot be reached.
        """
        stored = self._store.experiments()
        before, self._decoded = self._decoded, {raw: self._run(raw) for raw in stored.values()}
        known = [run for run in self._decoded.values() if run is not None]
        self._erase_removed([run for run in before.values() if run is not None], known)
        self.canary = _prequential(known)
        shown = [run for run in known if run.shows_lists]
        stopped = any(_stopped_at_ms(run) is not None for run in shown)
        closed = self._store.closed_runs() if stopped else frozenset()
        return [*(run for run in shown if run.key not in closed), *self._outside]

    def _run(self, raw: bytes) -> Run | None:
        if raw in self._decoded:
            return self._decoded[raw]
        try:
            return run_of(decode_stored_experiment(raw))
        except InvalidInputError:  # servers log it
            return None

    def _erase_removed(self, before: Iterable[Run], known: Iterable[Run]) -> None:
        """Erase the counts of experiments that were removed, once they have been missing for a minute.

        A replica that becomes the primary may lack an experiment until the log is applied again.
        """
        now_s = time.monotonic()
        keys = {run.key for run in known}
        for run in before:
            if run.key not in keys:
                self._missing.setdefault(run.key, (run, now_s))
        for key, (run, since_s) in [*self._missing.items()]:
            if key in keys:
                del self._missing[key]
            elif now_s - since_s >= _ERASE_AFTER_S:
                self._store.erase_run(key, run.variants)
                del self._missing[key]


def start_ms(runs: Iterable[Run], now_ms: int) -> int | None:
    """Return the time from which records can count; None without runs.

    Outside experiments, every list counts that Kafka keeps.
    """
    starts = [
        now_ms - EXPOSURES_KEPT_MS if run.experiment is None else run.since_ms for run in runs
    ]
    return min(starts, default=None)


def closed(runs: Iterable[Run], read_to_ms: int) -> list[str]:
    """Return the keys of the runs that have stopped, and for which every record is counted."""
    return [
        run.key
        for run in runs
        if (stopped_at_ms := _stopped_at_ms(run)) is not None
        and read_to_ms >= stopped_at_ms + run.window_ms + LATENESS_MS
    ]


def _prequential(runs: Iterable[Run]) -> Experiment | None:
    """Return the latest prequential canary that runs; usually there is none or one."""
    running = [
        run.experiment
        for run in runs
        if run.experiment and not run.shows_lists and run.experiment.stopped_at_ms is None
    ]
    return max(running, key=lambda one: one.started_at_ms, default=None)


def _stopped_at_ms(run: Run) -> int | None:
    return None if run.experiment is None else run.experiment.stopped_at_ms
