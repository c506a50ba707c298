"""The indexer's loop: while it leads, build and announce a model whenever enough has changed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.alternatives import Alternatives
from indexer.cluster.errors import ClusterError
from indexer.exclusion import Exclusion
from indexer.leader import Leadership, LeadershipLostError, new_holder
from indexer.rollout import CanaryStats, Rollout
from indexer.schedule import Schedule
from indexer.snapshot import local_snapshots
from likewise.errors import ModelFileError
from likewise.retry import StoppedError
from likewise.service.logs import get_logger
from likewise.service.loop import Retrier
from likewise.service.stats import WorkerStats
from likewise.service.store_watch import StoreWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.cycle import Cycle, Finished
    from indexer.publish import Publisher
    from indexer.snapshot import Snapshot, SnapshotSource
    from likewise.messages.announcements import Announcement
    from likewise.messages.ids import UserId
    from likewise.settings import IndexerSettings

TICK_S = 0.5
"""How often an idle indexer checks for changes, and the longest wait of `build_now`."""


@dataclass(slots=True, kw_only=True)
class IndexerStats(WorkerStats):
    """What an indexer has done so far. Only the worker writes; any thread may read.

    Ready: the servers answer, Redis evicts nothing, and this indexer has announced a model or
    another one leads.
    """

    leads: bool = False
    builds: int = 0
    failures: int = 0
    """Builds whose model could not be built on a cluster, or not be written."""
    current: Announcement | None = None
    """The model that this indexer built last, or else the one that it found: its users, items and likes."""
    canary: CanaryStats = field(default_factory=CanaryStats)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each step of the last build took."""
    alternative_seconds: Mapping[str, float] = field(default_factory=dict)
    """How long the last build of each alternative took, by ranker."""
    alternative_failures: Mapping[str, int] = field(default_factory=dict)
    """Alternatives that could not be built, by ranker."""


class Indexer:
    """Keeps the current model up to date. One of several indexers leads; the others wait."""

    def __init__(
        self,
        settings: IndexerSettings,
        publisher: Publisher,
        cycle: Cycle,
        *,
        snapshots: SnapshotSource | None = None,
        rollout: Rollout | None = None,
        alternatives: Alternatives | None = None,
        stats: IndexerStats | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet. `cycle.stop` ends `run`. `clock_s` is monotonic.

        By default, snapshots are of likes alone and read in this process, a new model is announced at
        once, and there are no alternatives.

        Raises:
            SettingsError: the file of excluded users cannot be read.
        """
        self.stats = stats or IndexerStats()
        self._settings = settings
        self._exclusion = Exclusion(settings.excluded_users_file)
        self._publisher = publisher
        self._rollout = rollout or Rollout(publisher, clock_ms=cycle.clock_ms)
        self.stats.canary = self._rollout.stats
        self._store = publisher.store
        self._watch = StoreWatch(self._store, self.stats.keeping)
        self._cycle = cycle
        self._stop = cycle.stop
        self._retry = Retrier(self.stats, cycle.stop)
        self._schedule = Schedule(settings, clock_s)
        self._leadership = Leadership(
            self._store, holder=new_holder(), ttl_ms=settings.lease_ms, clock_s=clock_s
        )
        self._snapshots = snapshots or local_snapshots(self._store, settings, cycle.clock_ms)
        self._alternatives = alternatives or Alternatives(publisher.place, {}, cycle.clock_ms)
        self.stats.alternative_seconds = self._alternatives.seconds
        self.stats.alternative_failures = self._alternatives.failures
        self._term: int | None = None
        self._waiting = False
        self._requested = False
        self._log = get_logger()

    def run(self) -> None:
        """Build whenever a build is due, until `stop` is set; then finish the current step.

        Retries while a server can't be reached or the disk is full, and logs each failure. Any other
        error ends the indexer.

        Raises:
            SettingsError: a server refuses our credentials.
            UndeliverableError: there is no models topic.
        """
        with self._leadership.kept(), suppress(StoppedError):
            while not self._stop.is_set():
                self.run_once()
                self._stop.wait(TICK_S)

    def run_once(self) -> None:
        """Build if this indexer leads and a build is due.

        Raises:
            StoppedError: `stop` was set.
        """
        term = self._lead()
        self._look_at_canary(term)
        finished = self._build(term) if term is not None and self._is_due() else None
        self._beat()
        if finished is not None:
            self._alternatives.build(finished, lambda: self._still_leads(term))

    def build_now(self) -> None:
        """Request a build at once, or as soon as this indexer leads.

        Call it from any thread or from a signal handler.
        """
        self._requested = True

    def _beat(self) -> None:
        keeps_all = self._watch.look()
        has_model = not self.stats.leads or self.stats.current is not None
        self.stats.heartbeat.beat(ready=has_model and keeps_all)

    def _still_leads(self, term: int | None) -> bool:
        self._beat()
        return self._leadership.term == term and not self._stop.is_set()

    def _lead(self) -> int | None:
        """Return the term in which this indexer leads, ready to build; None if another leads."""
        term = self._retry(self._leadership.lead)
        self.stats.leads = term is not None
        if term is None and not self._waiting:
            self._log.info("another indexer leads; this one waits")
        self._waiting = term is None
        if term is not None and (term != self._term or self._was_emptied()):
            self._begin_term()
            self._term = term
        return term

    def _look_at_canary(self, term: int | None) -> None:
        if not self._rollout.running:
            return
        if term is None:
            self._rollout.rest()
            return
        try:
            self._retry(lambda: self._rollout.look(lambda: self._leadership.check(term)))
        except LeadershipLostError:
            self._log.warning("lost the lead; the canary is left to the next leader")

    def _was_emptied(self) -> bool:
        """Whether Redis has lost the announcement, and with it probably everything else."""
        if self.stats.current is None:
            return False
        return self._retry(self._publisher.announced) is None

    def _begin_term(self) -> None:
        # Another indexer may have taken the marks of changed users, or they were never made.
        self._snapshots.forget()
        self._schedule.start_over()
        self.stats.current = None
        self._retry(self._rollout.resume)
        restored = self._retry(self._publisher.restore)
        if self._rollout.running:  # and so no build begins
            self.stats.current = self._retry(self._publisher.announced)
        self._log.info("indexer leads", restored_version=restored and restored.version)

    def _is_due(self) -> bool:
        """Whether to build now; while a canary runs, only on request."""
        requested, self._requested = self._requested, False
        if self._rollout.running and not requested:
            return False
        changed = self._retry(self._store.changed_count)
        users = 0 if self.stats.current is None else self.stats.current.users
        reason = self._schedule.due(changed=changed, users=users, asked=requested)
        if reason is not None:
            self._log.info("build begins", reason=reason, changed_users=changed)
        return reason is not None

    def _build(self, term: int) -> Finished | None:
        """Build a model, and announce it or begin its canary; return it, or None if that failed."""
        taken: list[UserId] = []

        def take() -> Snapshot:
            snapshot = self._retry(lambda: self._take(term))
            taken.extend(snapshot.taken)
            return snapshot

        def release(finished: Finished) -> None:
            self._retry(lambda: self._release(term, finished))

        try:
            finished = self._cycle.run(take, release)
        except LeadershipLostError:
            self._log.warning("lost the lead during a build; the model is not announced")
        except ClusterError as error:
            self._note_failure()
            self._snapshots.forget()
            self._retry(lambda: self._store.mark_changed(taken))
            self._log.error(
                "the model could not be built on the cluster; servers keep the current one",
                reason=str(error),
                next_build_in_s=self._settings.interval_s,
            )
        except ModelFileError as error:
            self._note_failure()
            self._log.error(
                "the model could not be written; servers keep the current one",
                reason=str(error),
                fix="free disk space, or fix the permissions of the directory",
                next_build_in_s=self._settings.interval_s,
            )
        else:
            self._schedule.built()
            self._note(finished.manifest.announcement())
            self._prune()
            return finished
        return None

    def _note_failure(self) -> None:
        self._schedule.failed()
        self.stats.failures += 1

    def _take(self, term: int) -> Snapshot:
        self._leadership.check(term)
        snapshot = self._snapshots.take(self._cycle.progress)
        if self._leadership.term != term:
            # The new leader may have read everything already, without the last changes of these users.
            self._store.mark_changed(snapshot.taken)
            raise LeadershipLostError
        return self._exclusion.applied_to(snapshot)

    def _release(self, term: int, finished: Finished) -> None:
        self._leadership.check(term)
        self._rollout.release(finished)

    def _note(self, announcement: Announcement) -> None:
        self.stats.builds += 1
        self.stats.current = announcement
        self.stats.seconds = self._cycle.seconds
        if self._rollout.running:
            return
        self._log.info(
            "model announced",
            version=announcement.version,
            users=announcement.users,
            items=announcement.items,
            likes=announcement.likes,
            seconds=self._cycle.seconds,
        )

    def _prune(self) -> None:
        try:
            removed = self._retry(lambda: self._publisher.prune(self._settings.keep_versions))
        except OSError as error:
            self._log.warning("old models were not removed", reason=str(error))
        else:
            if removed:
                self._log.info("old models removed", versions=removed)
