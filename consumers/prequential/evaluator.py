"""The evaluator: scores the sampler's probes with the current model, in a thread."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing, contextmanager, suppress
from contextvars import copy_context
from math import ceil, inf
from queue import Empty, Queue
from typing import TYPE_CHECKING

from consumers.prequential.contender import Contender
from consumers.prequential.limits import RateLimit
from consumers.prequential.sampler import Sampler
from consumers.prequential.scoring import CUTOFF, score
from likewise.errors import SettingsError, TransientError
from likewise.messages.quality import SLOTS, MeasuredQuality, encode_quality
from likewise.models.holder import ModelHolder, wait_for_first_model
from likewise.retry import StoppedError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from consumers.prequential.probes import Probe
    from consumers.prequential.stats import QualityStats
    from likewise.messages.experiments import Experiment
    from likewise.messages.ids import ItemId
    from likewise.models.holder import ServedModel
    from likewise.models.place import Place
    from likewise.store.port import LikeStore

# Probes are collected for this long: scoring ten at once costs hardly more than one.
_TURN_S = 0.5
# The queue has room for the probes that come while the model ranks for this long.
_LONGEST_RANKING_S = 5.0
_REFRESH_INTERVAL_S = 1.0
_LOG_INTERVAL_S = 60.0
_NOTE_INTERVAL_S = 5.0


@contextmanager
def evaluating(
    place: Place,
    store: LikeStore,
    samples_per_s: float,
    stats: QualityStats,
    *,
    canary: Callable[[], Experiment | None] = lambda: None,
) -> Iterator[Sampler]:
    """Score probes for the length of a `with` block; yields the sampler that takes them.

    `canary` returns the prequential canary that runs, without I/O: both its models are scored. No probes are taken before there is a model in `place`. Errors are logged, and affect
    nothing else.
    """
    queue: Queue[Probe] = Queue(ceil(samples_per_s * _LONGEST_RANKING_S))
    stop = threading.Event()
    evaluator = PrequentialEvaluator(place, store, queue, stats, stop=stop, canary=canary)
    # The copied context has the service's name for the log.
    thread = threading.Thread(
        target=copy_context().run, args=[evaluator.run], name="evaluator", daemon=True
    )
    thread.start()
    try:
        yield Sampler(store, RateLimit(samples_per_s), queue, stats)
    finally:
        stop.set()
        thread.join()


class PrequentialEvaluator:
    """Takes probes off a queue and counts how many items the current model recommends."""

    def __init__(
        self,
        place: Place,
        store: LikeStore,
        queue: Queue[Probe],
        stats: QualityStats,
        *,
        stop: threading.Event,
        canary: Callable[[], Experiment | None] = lambda: None,
    ) -> None:
        """Read nothing yet; `stop` ends `run`."""
        self._contender = Contender(place, store, canary)
        self._place = place
        self._store = store
        self._queue = queue
        self._stats = stats
        self._stop = stop
        self._log = get_logger()
        self._retired_version: int | None = None
        self._retired: Collection[ItemId] = frozenset()
        self._next_refresh_s = 0.0
        self._next_log_s = time.monotonic() + _LOG_INTERVAL_S
        self._next_note_s = 0.0
        self._slot = random.randrange(SLOTS)
        self._logged = 0
        self._broken_version: str | None = None

    def run(self) -> None:
        """Wait for a model, then score probes until told to stop. Raises nothing."""
        try:
            first = wait_for_first_model(self._place, self._store, self._stop)
            with closing(ModelHolder(self._place, first)) as models, closing(self._contender):
                while not self._stop.is_set():
                    self._run_once(models)
        except StoppedError:
            return
        except Exception:  # noqa: BLE001  # likes must be applied whatever happens here
            self._log.exception("quality is no longer measured; likes are applied as before")
        finally:
            self._stats.model_version = None

    def _run_once(self, models: ModelHolder) -> None:
        self._refresh(models)
        current = models.current()
        self._stats.model_version = current.version
        probes = self._valid(self._collect(), current)
        if probes:
            self._score(current, probes)
        self._note_rates()
        self._log_rates()

    def _refresh(self, models: ModelHolder) -> None:
        """Follow the announced model and the retired items, once a second."""
        now_s = time.monotonic()
        if now_s < self._next_refresh_s:
            return
        self._next_refresh_s = now_s + _REFRESH_INTERVAL_S
        with suppress(TransientError):  # the consumer reports it; what is known is good enough
            self._contender.follow(models.current())
            lookup = self._store.lookup([], [])
            models.follow(lookup.model_announcement)
            if lookup.retired_version != self._retired_version:
                self._retired_version, self._retired = self._store.retired()

    def _collect(self) -> list[Probe]:
        """Return the probes that are queued after a short wait."""
        self._stop.wait(_TURN_S)
        probes: list[Probe] = []
        with suppress(Empty):
            while True:
                probes.append(self._queue.get_nowait())
        return probes

    def _valid(self, probes: list[Probe], current: ServedModel) -> list[Probe]:
        """Return the probes that tell something about the model; discard and count the others.

        A like from before the model's snapshot may be in the model: after Redis was lost, the log
        is read again. A retired item is never recommended, on purpose.
        """
        valid = []
        for probe in probes:
            if 0 < probe.at_ms < current.snapshot_at_ms:
                self._stats.discarded["seen_by_model"] += 1
            elif probe.item_id in self._retired:
                self._stats.discarded["retired_item"] += 1
            else:
                valid.append(probe)
        return valid

    def _score(self, current: ServedModel, probes: list[Probe]) -> None:
        try:
            outcomes = score(current.model, probes, self._retired)
        except Exception:  # noqa: BLE001  # the next model may work
            self._stats.discarded["failed"] += len(probes)
            if self._broken_version != current.version:
                self._broken_version = current.version
                self._log.exception("quality cannot be measured", model=current.version)
            return
        self._stats.count(outcomes)
        self._contender.compare(current, probes, outcomes, self._retired)

    def _note_rates(self) -> None:
        """Keep the hit rates in the store for others, at most every five seconds."""
        now_s = time.monotonic()
        if not self._stats.window or now_s < self._next_note_s:
            return
        self._next_note_s = now_s + _NOTE_INTERVAL_S
        measured = MeasuredQuality(
            hit_rate=self._stats.hit_rate or 0.0,
            popular_hit_rate=self._stats.popular_hit_rate or 0.0,
            samples=self._stats.window,
            measured_at_ms=time.time_ns() // 1_000_000,
        )
        try:
            self._store.note_quality(self._slot, encode_quality(measured))
        except TransientError:
            pass  # the consumer reports it
        except SettingsError as error:
            self._next_note_s = inf
            self._log.warning("the measured quality is not kept in Redis", reason=str(error))

    def _log_rates(self) -> None:
        """Log the hit rates at most once a minute, and only when they are new."""
        scored = self._stats.outcomes.total()
        now_s = time.monotonic()
        if scored == self._logged or now_s < self._next_log_s:
            return
        self._logged, self._next_log_s = scored, now_s + _LOG_INTERVAL_S
        self._log.info(
            "quality",
            **{
                f"hit_rate_at_{CUTOFF}": round(self._stats.hit_rate or 0.0, 4),
                "popular_hit_rate": round(self._stats.popular_hit_rate or 0.0, 4),
            },
            of_the_last=self._stats.window,
            model=self._stats.model_version,
        )
