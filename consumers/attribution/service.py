"""The thread of attribution. Without anything to count, it looks at Redis once a second and reads nothing."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from consumers.attribution.runs import Runs
from consumers.attribution.worker import AttributionWorker
from likewise.errors import LikewiseError, TransientError
from likewise.log.topics import Topics
from likewise.retry import StoppedError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.attribution.stats import AttributionStats
    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

_LOOK_EVERY_S = 1.0
_AGAIN_AFTER_S = 30.0
_LONGEST_STOP_S = 10.0
"""What is not counted by then is counted by the next member; the thread dies with the process."""


@contextmanager
def attributing(
    settings: Settings, broker: Broker, store: LikeStore, stats: AttributionStats
) -> Iterator[Runs]:
    """Count for experiments for the length of a `with` block. Errors are logged, and affect nothing else.

    Yields the experiments that it follows.
    """
    stop = threading.Event()
    attribution = Attribution(settings, broker, store, stop, stats)
    # The copied context has the service's name for the log.
    thread = threading.Thread(
        target=copy_context().run, args=[attribution.run], name="attribution", daemon=True
    )
    thread.start()
    try:
        yield attribution.runs
    finally:
        stop.set()
        thread.join(_LONGEST_STOP_S)


class Attribution:
    """Runs a worker whenever there is something to count."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        store: LikeStore,
        stop: threading.Event,
        stats: AttributionStats,
    ) -> None:
        """Connect to nothing yet; `stop` ends `run`."""
        self._settings = settings
        self._topics = Topics(settings.kafka.topic_prefix)
        self._broker = broker
        self._store = store
        self._stop = stop
        self._stats = stats
        self.runs = Runs(store, settings.experiments)
        self._log = get_logger()
        self._missing: list[str] = []

    def run(self) -> None:
        """Count until the stop. Raises nothing."""
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                if self._is_needed():
                    self._work()
            except TransientError:
                pass  # the consumer reports it
            except StoppedError:
                return
            except LikewiseError as error:
                self._log.error("experiments are not counted for now", reason=str(error))
                self._stop.wait(_AGAIN_AFTER_S)
            except Exception:  # noqa: BLE001  # likes must be applied whatever happens here
                self._log.exception("experiments are not counted for now")
                self._stop.wait(_AGAIN_AFTER_S)

    def _is_needed(self) -> bool:
        if not self.runs.to_count():
            return False
        topics = self._topics.exposures, self._topics.likes
        missing = [name for name in topics if not self._broker.partitions(name)]
        if missing != self._missing:
            self._missing = missing
            if missing:
                self._log.error("experiments are not counted: topics are missing", topics=missing)
        return not missing

    def _work(self) -> None:
        self._log.info("counting for experiments")
        AttributionWorker(
            self._settings,
            self._topics,
            self._broker,
            self._store,
            self._stop,
            runs=self.runs,
            stats=self._stats,
        ).run()
