"""The indexer's loop: lead, and whenever enough has changed, build a model and announce it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.cycle import Cycle
from indexer.leader import Leadership, LeadershipLostError, new_holder
from indexer.progress import Progress, Unwatched
from indexer.schedule import Schedule
from indexer.snapshot import Snapshot, Snapshots
from likewise.errors import ModelFileError
from likewise.retry import StoppedError
from likewise.service.logs import get_logger
from likewise.service.loop import Retrier
from likewise.service.stats import WorkerStats
from likewise.service.store_watch import StoreWatch

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from indexer.cycle import Build
    from indexer.publish import Publisher
    from likewise.messages.announcements import Announcement
    from likewise.settings import IndexerSettings

TICK_S = 0.5
"""How often an idle indexer looks for changes; also how long a request to build may wait."""


def time_of_day_ms() -> int:
    """Return the time of day in ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, kw_only=True)
class IndexerStats(WorkerStats):
    """What an indexer has done so far. Only the worker writes; any thread may read.

    Ready: the servers answer, Redis evicts nothing, and this indexer has announced a model or
    another one leads.
    """

    leads: bool = False
    builds: int = 0
    failures: int = 0
    """Builds whose model could not be written."""
    current: Announcement | None = None
    """The model that this indexer built and announced last: its users, items and likes."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each step of the last build took."""


class Indexer:
    """Keeps the current model close to the likes. One of several leads, the others wait."""

    def __init__(
        self,
        settings: IndexerSettings,
        publisher: Publisher,
        build: Build,
        *,
        stop: threading.Event,
        stats: IndexerStats | None = None,
        progress: Progress | None = None,
        popular_half_life_s: float | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        clock_ms: Callable[[], int] = time_of_day_ms,
    ) -> None:
        """Do nothing yet; `stop` is what will end `run`. `clock_s` is monotonic."""
        self.stats = stats or IndexerStats()
        self._settings = settings
        self._publisher = publisher
        self._store = publisher.store
        self._watch = StoreWatch(self._store, self.stats.keeping)
        self._stop = stop
        self._retry = Retrier(self.stats, stop)
        self._progress = progress or Unwatched()
        self._schedule = Schedule(settings, clock_s)
        self._leadership = Leadership(
            self._store, holder=new_holder(), ttl_ms=settings.lease_ms, clock_s=clock_s
        )
        self._snapshots = Snapshots(
            self._store,
            chunk=settings.scan_chunk,
            full_every=settings.full_snapshot_every,
            clock_ms=clock_ms,
        )
        self._cycle = Cycle(
            publisher.directory, build, self._progress, stop, clock_ms, popular_half_life_s
        )
        self._term: int | None = None
        self._waiting = False
        self._asked = False
        self._log = get_logger()

    def run(self) -> None:
        """Build whenever it is due, until told to stop; the step in hand is finished first.

        Servers out of reach are waited for, and so is a disk that takes no model; each failure
        is logged. Any other error ends the indexer.

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
            StoppedError: it was told to stop.
        """
        term = self._lead()
        if term is not None and self._is_due():
            self._build(term)
        keeps_all = self._watch.look()
        has_model = term is None or self.stats.current is not None
        self.stats.heartbeat.beat(ready=has_model and keeps_all)

    def build_now(self) -> None:
        """Ask for a build at once, or as soon as this indexer leads.

        May be called from any thread, and in a signal handler.
        """
        self._asked = True

    def _lead(self) -> int | None:
        """Return the term in which this indexer leads, once it is ready to; None if another does."""
        term = self._retry(self._leadership.lead)
        self.stats.leads = term is not None
        if term is None and not self._waiting:
            self._log.info("another indexer leads; this one waits")
        self._waiting = term is None
        if term is not None and (term != self._term or self._was_emptied()):
            self._take_over()
            self._term = term
        return term

    def _was_emptied(self) -> bool:
        """Whether Redis no longer knows the model that was announced: it has lost its memory."""
        if self.stats.current is None:
            return False
        return self._retry(self._publisher.announced) is None

    def _take_over(self) -> None:
        # The marks of changed users may have been taken by somebody else, or never made.
        self._snapshots.forget()
        self._schedule.start_over()
        self.stats.current = None
        restored = self._retry(self._publisher.restore)
        self._log.info("indexer leads", restored_version=restored and restored.version)

    def _is_due(self) -> bool:
        changed = self._retry(self._store.changed_count)
        users = 0 if self.stats.current is None else self.stats.current.users
        asked, self._asked = self._asked, False
        reason = self._schedule.due(changed=changed, users=users, asked=asked)
        if reason is not None:
            self._log.info("build begins", reason=reason, changed_users=changed)
        return reason is not None

    def _build(self, term: int) -> None:
        def take() -> Snapshot:
            return self._retry(lambda: self._take(term))

        def announce(announcement: Announcement) -> None:
            self._retry(lambda: self._announce(term, announcement))

        try:
            manifest = self._cycle.run(take, announce)
        except LeadershipLostError:
            self._log.warning("the lead was lost during a build; its model is not announced")
        except ModelFileError as error:
            self._schedule.failed()
            self.stats.failures += 1
            self._log.error(
                "the model could not be written; servers keep the current one",
                reason=str(error),
                fix="free disk space, or fix the permissions of the directory",
                next_build_in_s=self._settings.interval_s,
            )
        else:
            self._schedule.built()
            self._note(manifest.announcement())
            self._prune()

    def _take(self, term: int) -> Snapshot:
        self._leadership.check(term)
        snapshot = self._snapshots.take(self._progress)
        if self._leadership.term != term:
            # Who leads now may already have read everything, without these users' last changes.
            self._store.mark_changed(snapshot.taken)
            raise LeadershipLostError
        return snapshot

    def _announce(self, term: int, announcement: Announcement) -> None:
        self._leadership.check(term)
        self._publisher.announce(announcement)

    def _note(self, announcement: Announcement) -> None:
        self.stats.builds += 1
        self.stats.current = announcement
        self.stats.seconds = self._cycle.seconds
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
