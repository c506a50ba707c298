"""Makes a new model current: at once, or once it has proved itself as a canary.

The experiment is in the log, and next to the model's files. So the next leader continues what a leader began
that died.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from indexer.canary import Decided, Evidence, canary_of, decide, tries
from likewise.errors import InvalidInputError, ModelFileError
from likewise.experiments.comparison import relative_effect
from likewise.experiments.verdict import verdict_json, verdict_of
from likewise.messages.experiments import decode_stored_experiment
from likewise.models.canaries import is_running, read_canary, write_canary
from likewise.models.files import read_manifest
from likewise.models.versions import list_versions
from likewise.operations.experiments import stopped
from likewise.operations.tallies import tally_of
from likewise.service.clock import now_ms
from likewise.service.logs import get_logger
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.cycle import Finished
    from indexer.publish import Publisher
    from likewise.messages.experiments import Experiment
    from likewise.store.port import LikeStore


def read_evidence(store: LikeStore, experiment: Experiment) -> Evidence:
    """Return what has been counted of the experiment, and the verdict on it.

    Raises:
        TransientError: Redis cannot be reached.
    """
    tally = tally_of(store, experiment)
    return Evidence(verdict_of(experiment, tally), tally)


_EVENTS: Final = {
    "promoted": "canary promoted",
    "rolled_back": "canary rolled back",
    "stopped": "canary stopped",
}


class Running(NamedTuple):
    """A canary that has not ended."""

    version: str
    current: str
    """The version that it is compared with."""
    experiment: Experiment


@dataclass(slots=True)
class CanaryStats:
    """How the canaries of this indexer go. Only the worker writes; any thread may read."""

    version: str | None = None
    """The version that is tried now."""
    effect: float | None = None
    """Its estimate so far: how its likes differ from those of the current model, relative to these."""
    ended: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_EVENTS, 0)))
    """Canaries that have ended, by decision."""


class Rollout:
    """Announces models, or tries them first as canaries. One for each indexer; only the leader calls it.

    Methods raise `TransientError` when Redis or Kafka cannot be reached; calling them again is safe.
    """

    def __init__(
        self,
        publisher: Publisher,
        settings: ModelSettings | None = None,
        *,
        window_s: float = 0.0,
        evidence: Callable[[LikeStore, Experiment], Evidence] = read_evidence,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Start without a canary. `evidence` reads what has been counted of an experiment."""
        self.stats = CanaryStats()
        self._publisher = publisher
        self._store = publisher.store
        self._place = publisher.place
        self._settings = settings or ModelSettings()
        self._window_s = window_s
        self._evidence = evidence
        self._clock_ms = clock_ms
        self._running: Running | None = None
        self._applied = False
        """Whether consumers have applied the start of the canary."""
        self._log = get_logger()

    @property
    def running(self) -> bool:
        """Whether a canary runs, so that no other build should begin."""
        return self._running is not None

    def release(self, finished: Finished) -> None:
        """Announce the model, or begin its canary: then it is `running`.

        Ends a canary that runs. Announces at once if the settings ask for no canary, and if there is no
        current model on disk with any likes to compare with.

        Raises:
            ModelFileError: the canary cannot be written next to the model.
        """
        announcement = finished.manifest.announcement()
        if self._running is not None:
            self._end(self._running, Decided("stopped", f"replaced by {announcement.version}"))
        current = self._comparable()
        if current is None:
            self._publisher.announce(announcement)
            return
        experiment = canary_of(
            announcement.version,
            current,
            self._settings,
            window_s=self._window_s,
            users=finished.snapshot.interactions.user_ids,
            now_ms=self._clock_ms(),
        )
        write_canary(self._place, announcement.version, experiment)
        self._publisher.publish_experiment(experiment)
        self._begin(Running(announcement.version, current, experiment))

    def look(self, check: Callable[[], None]) -> None:
        """End the canary if the users, the clock or an operator have decided it.

        `check` raises if this indexer no longer leads.
        """
        running = self._running
        if running is None:
            return
        stored = self._stored(running.experiment.name)
        if stored is not None and not is_running(stored):
            check()
            self._note_end(running, stored)  # stopped by a command
            return
        evidence = self._evidence(self._store, running.experiment)
        compared = evidence.verdict.comparisons[0]
        self.stats.effect = relative_effect(running.experiment, compared.effect)
        decided = self._lost(running, stored) or self._decide(running, evidence)
        self._applied = stored is not None
        if decided is not None:
            check()
            self._end(running, decided, evidence)

    def resume(self) -> None:
        """Continue the canary that an earlier leader began.

        Call it before the current model is restored: if Redis has lost that, it has lost what was
        counted, too, and the canary ends.
        """
        self.rest()
        found = list(self._unfinished())
        for older in found[1:]:
            self._end(older, Decided("stopped", f"replaced by {found[0].version}"))
        if not found:
            return
        running = found[0]
        self._begin(running)
        if self._publisher.announced() is None:
            self._end(running, Decided("stopped", "Redis has lost its data"))
        elif self._stored(running.experiment.name) is None:
            # The leader before may have died before this. A repetition changes nothing.
            self._publisher.publish_experiment(running.experiment)

    def rest(self) -> None:
        """Have no canary: it has ended, or another leader has it."""
        self._running = None
        self._applied = False
        self.stats.version = self.stats.effect = None

    def _comparable(self) -> str | None:
        """Return the current version if a canary can be compared with it."""
        if not tries(self._settings):
            return None
        current = self._publisher.announced()
        if current is None or not current.likes:
            return None
        with suppress(ModelFileError):
            return read_manifest(self._place, current.version).version
        return None

    def _lost(self, running: Running, stored: Experiment | None) -> Decided | None:
        """Return that the canary ends if its experiment or its model is gone."""
        if self._applied and stored is None:
            return Decided("stopped", "the experiment was removed")
        try:
            read_manifest(self._place, running.version)
        except ModelFileError as error:
            return Decided("stopped", str(error))
        return None

    def _decide(self, running: Running, evidence: Evidence) -> Decided | None:
        """Return how the canary ends now; None if it goes on."""
        decided = decide(
            running.experiment,
            evidence,
            now_ms=self._clock_ms(),
            longest_s=self._settings.canary_max_s,
        )
        announced = self._publisher.announced()
        if announced is None or announced.version == running.current:
            return decided
        if announced.version != running.version:
            return Decided("stopped", f"{announced.version} was made the current version")
        promoted = decided is not None and decided.decision == "promoted"
        return decided if promoted else Decided("promoted", "it was made the current version")

    def _unfinished(self) -> Iterator[Running]:
        """Yield the canaries whose files say that they run, newest first; usually none or one."""
        for manifest in list_versions(self._place):
            experiment = read_canary(self._place, manifest.version)
            if experiment is not None and is_running(experiment):
                current = experiment.variants[0].model or ""
                yield Running(manifest.version, current, experiment)

    def _stored(self, name: str) -> Experiment | None:
        """Return the experiment as consumers have applied it; None if they have not yet."""
        raw = self._store.experiments().get(name)
        with suppress(InvalidInputError):
            return None if raw is None else decode_stored_experiment(raw)
        return None

    def _begin(self, running: Running) -> None:
        self._running = running
        self._applied = False
        self.stats.version = running.version
        self._log.info(
            "canary runs",
            version=running.version,
            current=running.current,
            experiment=running.experiment.name,
            kind=running.experiment.kind,
        )

    def _end(self, running: Running, decided: Decided, evidence: Evidence | None = None) -> None:
        """Make the decision take effect: first for servers, then in the log, then next to the files.

        After a crash in between, the next leader finds the canary running, and comes here again.
        """
        if decided.decision == "promoted":
            manifest = read_manifest(self._place, running.version)
            self._publisher.announce(manifest.announcement())
        ended = stopped(
            running.experiment,
            decided.decision,
            now_ms=self._clock_ms(),
            reason=decided.reason,
            verdict=None if evidence is None else verdict_json(evidence.verdict),
        )
        self._publisher.publish_experiment(ended)
        self._note_end(running, ended)

    def _note_end(self, running: Running, ended: Experiment) -> None:
        """Record the end next to the version, in the statistics and in this process's log."""
        decision, reason = "stopped", ""
        if ended.outcome is not None:
            decision, reason = ended.outcome.decision, ended.outcome.reason
        try:
            write_canary(self._place, running.version, ended)
        except ModelFileError as error:
            # Kafka has it. A full disk must not end the indexer.
            self._log.warning("the end of a canary was not recorded", reason=str(error))
        self.rest()
        self.stats.ended[decision] += 1
        log = self._log.warning if decision == "rolled_back" else self._log.info
        facts = {"version": running.version, "current": running.current, "reason": reason}
        log(_EVENTS[decision], **facts)
