"""Reads stored items, scenarios and experiments. What cannot be read is logged and left out."""

from __future__ import annotations

import ctypes
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from likewise.errors import InvalidInputError
from likewise.experiments.assignment import in_order
from likewise.messages.experiments import decode_stored_experiment
from likewise.messages.scenarios import decode_stored_scenario
from likewise.retry import StoppedError
from likewise.service.logs import get_logger
from likewise.store.catalogue_port import CatalogueStore
from likewise.store.experiments_port import ExperimentStore

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from likewise.catalogue.catalogue import Catalogue
    from likewise.catalogue.gathering import Item
    from likewise.messages.experiments import Experiment
    from likewise.messages.ids import ItemId
    from likewise.messages.scenarios import Scenario

# Each batch copies all columns, so that there are few.
_ITEMS_A_BATCH = 16_384
_PROGRESS_EVERY_S = 5.0
_LOGGED_A_READ = 10


class FollowedStore(CatalogueStore, ExperimentStore, Protocol):
    """The parts of a store that servers and gateways follow."""


class CatalogueReader:
    """Reads the catalogue and the experiments of a store."""

    def __init__(self, store: FollowedStore, stop: threading.Event) -> None:
        """Reading all items ends early when `stop` is set."""
        self._store = store
        self._stop = stop
        self._logged = 0
        self.unreadable = 0
        """Stored documents that could not be read, each time they were tried."""

    def whole(self, expected: int) -> Catalogue:
        """Return the catalogue of all stored items, of which there are about so many.

        Raises:
            TransientError: the store cannot be reached.
            StoppedError: the stop was set.
        """
        # NumPy is imported with it, which a server does while it joins its group.
        from likewise.catalogue.catalogue import Catalogue

        self._logged = 0
        catalogue = Catalogue()
        if not expected:
            return catalogue
        log, began_s = get_logger(), time.monotonic()
        next_log_s = began_s + _PROGRESS_EVERY_S
        items = self._stored_items()
        while batch := [*islice(items, _ITEMS_A_BATCH)]:
            catalogue.apply(self._readable(batch))
            if time.monotonic() >= next_log_s:
                next_log_s += _PROGRESS_EVERY_S
                log.info("reading the catalogue", items=len(catalogue), of=expected)
        _release_memory()
        log.info(
            "catalogue read", items=len(catalogue), seconds=round(time.monotonic() - began_s, 2)
        )
        return catalogue

    def items(self, item_ids: Sequence[ItemId]) -> list[tuple[ItemId, Item | None]]:
        """Return these items as they are now; None for those that are removed or cannot be read.

        Raises:
            TransientError: the store cannot be reached.
        """
        from likewise.catalogue.stored import decode_for_filters

        self._logged = 0
        found: list[tuple[ItemId, Item | None]] = []
        for item_id, raw in zip(item_ids, self._store.catalogue_get(item_ids), strict=True):
            try:
                item = None if raw is None else decode_for_filters(raw)[1]
            except InvalidInputError as error:
                item = None
                self._note_unreadable("a stored item cannot be read", str(error), item=item_id)
            found.append((item_id, item))
        return found

    def scenarios(self) -> dict[str, Scenario]:
        """Return all scenarios that can be read, by name.

        Raises:
            TransientError: the store cannot be reached.
        """
        self._logged = 0
        found = {}
        for name, raw in self._store.scenarios().items():
            try:
                found[name] = decode_stored_scenario(raw)
            except InvalidInputError as error:
                self._note_unreadable("a stored scenario cannot be read", str(error), scenario=name)
        return found

    def experiments(self) -> tuple[Experiment, ...]:
        """Return the running experiments that can be read, in the order in which they take requests.

        Prequential canaries are left out: they take none.

        Raises:
            TransientError: the store cannot be reached.
        """
        self._logged = 0
        found = []
        for name, raw in self._store.experiments().items():
            try:
                found.append(decode_stored_experiment(raw))
            except InvalidInputError as error:
                event = "a stored experiment cannot be read"
                self._note_unreadable(event, str(error), experiment=name)
        return tuple(one for one in in_order(found) if one.kind != "prequential")

    def _stored_items(self) -> Iterator[bytes]:
        for chunk in self._store.catalogue_items():
            if self._stop.is_set():
                raise StoppedError
            yield from chunk

    def _readable(self, batch: Sequence[bytes]) -> Iterator[tuple[ItemId, Item]]:
        from likewise.catalogue.stored import decode_for_filters

        for raw in batch:
            try:
                yield decode_for_filters(raw)
            except InvalidInputError as error:
                begin = raw[:80].decode(errors="replace")
                self._note_unreadable("a stored item cannot be read", str(error), begin=begin)

    def _note_unreadable(self, event: str, reason: str, **which: str) -> None:
        self.unreadable += 1
        self._logged += 1
        if self._logged <= _LOGGED_A_READ:
            get_logger().error(event, reason=reason, **which)


def _release_memory() -> None:
    """Return the free memory of the process to the system: glibc keeps 100 bytes of each item read."""
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
