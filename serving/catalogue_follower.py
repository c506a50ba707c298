"""Keeps the catalogue of the store in memory: reads all of it, then follows its changes in a thread.

Without a catalogue in the store, this is one small read a second.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.retry import StoppedError, delays_s, retry
from likewise.service.logs import get_logger
from likewise.service.loop import log_retry
from serving.catalogue_reading import CatalogueReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.catalogue.catalogue import Catalogue
    from likewise.catalogue.view import CatalogueView, Items
    from likewise.messages.experiments import Experiment
    from likewise.messages.scenarios import Scenario
    from serving.catalogue_reading import FollowedStore
    from serving.stats import CatalogueStats

LOOK_EVERY_S = 0.25
LOOK_EVERY_WITHOUT_CATALOGUE_S = 1.0
# About half a second to read. A member of a group should not hold up requests for longer.
FEW_ITEMS = 50_000
_CHANGES_A_LOOK = 10_000
_LONGEST_RETRY_S = 5.0
_JOIN_S = 5.0


class CatalogueFollower:
    """The catalogue, scenarios and experiments, as new as the last look. Any thread may ask for them."""

    def __init__(self, store: FollowedStore, stop: threading.Event, stats: CatalogueStats) -> None:
        """Read nothing yet. Following, and reading all, ends when `stop` is set."""
        self._store = store
        self._stop = stop
        self._stats = stats
        self._reader = CatalogueReader(store, stop)
        self._catalogue: Catalogue | None = None
        self._scenarios: dict[str, Scenario] = {}
        self._experiments: tuple[Experiment, ...] = ()
        self._cursor: str | None = None
        self._labels_logged = False

    @property
    def loaded(self) -> bool:
        """Whether all of the catalogue has been read."""
        return self._catalogue is not None

    def view(self, items: Items) -> CatalogueView:
        """Return the catalogue as it is now, aligned with the items of a model. No I/O."""
        if self._catalogue is None:
            raise RuntimeError("a server answers only after it has loaded the catalogue")
        return self._catalogue.aligned(items)

    def scenario(self, name: str) -> Scenario | None:
        """Return the scenario as it is now; None if there is none of this name. No I/O."""
        return self._scenarios.get(name)

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """The running experiments as they are now, in the order in which they take requests. No I/O."""
        return self._experiments

    def load_if_small(self) -> None:
        """Load the catalogue if that takes no more than a moment.

        Raises:
            TransientError: the store cannot be reached.
            StoppedError: the stop was set.
        """
        if self._store.catalogue_size().items <= FEW_ITEMS:
            self._read_all()

    def load(self) -> None:
        """Return once the catalogue is loaded, however long the store is unavailable. Blocks.

        Raises:
            StoppedError: the stop was set before.
            SettingsError: the store refuses our credentials.
        """
        if not self.loaded:
            retry(self._read_all, stop=self._stop, on_failure=log_retry)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the changes in a thread for the length of a `with` block, or until the stop."""
        left = threading.Event()
        thread = threading.Thread(target=self._follow, args=(left,), name="catalogue", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join(_JOIN_S)

    def look(self) -> bool:
        """Apply what has changed since the last look. Returns whether there may be more already.

        Raises:
            TransientError: the store cannot be reached. The next look continues.
        """
        if self._cursor is None or self._catalogue is None:
            self._read_all()
            return False
        changes = self._store.catalogue_changes(self._cursor, _CHANGES_A_LOOK)
        if changes.gap:
            get_logger().info("the changes of the catalogue are not known; reading all of it")
            self._read_all()
            return False
        if changes.items:
            items = self._reader.items(changes.items)
            self._cursor = None  # if applying fails half-way, everything is read again
            self._catalogue.apply(items)
        if changes.scenarios:
            self._scenarios = self._reader.scenarios()
        if changes.experiments:
            self._experiments = self._reader.experiments()
        self._cursor = changes.cursor
        self._note_look()
        return len(changes.items) > _CHANGES_A_LOOK // 2

    def _read_all(self) -> None:
        """Read everything, while the catalogue so far is still in use, and use that from now on."""
        cursor = self._store.catalogue_cursor()  # first: what changes meanwhile is read again
        size = self._store.catalogue_size()
        catalogue = self._reader.whole(size.items)
        self._scenarios = self._reader.scenarios() if size.scenarios else {}
        self._experiments = self._reader.experiments() if size.experiments else ()
        if self._catalogue is not None:
            catalogue.align_as(self._catalogue)
        self._catalogue = catalogue
        self._cursor = cursor
        self._note_look()

    def _follow(self, left: threading.Event) -> None:
        waits_s = delays_s(random.Random(), longest_s=_LONGEST_RETRY_S)
        pause_s = self._pause_s()
        while not left.wait(pause_s) and not self._stop.is_set():
            try:
                more = self.look()
            except StoppedError:
                return
            except TransientError as error:
                pause_s = next(waits_s)
                log_retry(error, pause_s)
            except Exception:  # noqa: BLE001  # the age of the last look shows what this cannot fix
                get_logger().exception("cannot follow the catalogue")
                pause_s = _LONGEST_RETRY_S
            else:
                waits_s = delays_s(random.Random(), longest_s=_LONGEST_RETRY_S)
                pause_s = 0.0 if more else self._pause_s()

    def _pause_s(self) -> float:
        holds_any = self._catalogue or self._scenarios or self._experiments
        return LOOK_EVERY_S if holds_any else LOOK_EVERY_WITHOUT_CATALOGUE_S

    def _note_look(self) -> None:
        stats = self._stats
        stats.items = 0 if self._catalogue is None else len(self._catalogue)
        stats.scenarios = len(self._scenarios)
        stats.experiments = len(self._experiments)
        stats.unreadable = self._reader.unreadable
        stats.looked_at_s = time.monotonic()
        if self._catalogue is not None and self._catalogue.labels_ignored != self._labels_logged:
            self._labels_logged = True
            get_logger().error("the items have too many different labels; filters ignore the rest")
