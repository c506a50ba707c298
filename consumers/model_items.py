"""Which items a model has, read from wherever the models are."""

from __future__ import annotations

import random
import threading
import time
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError, ModelStoreError
from likewise.models.known_items import KnownItems
from likewise.retry import delays_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.models.place import Place

_LONGEST_RETRY_S = 30.0


class ModelItems:
    """Reads the items of one version at a time: from a directory at once, from a model store in a thread.

    A model store may take long to answer, and events must not wait for it. Not thread-safe.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._reading: _Reading | None = None
        self._retries_s: Iterator[float] = iter(())
        self._next_try_s: float | None = None

    def read(self, version: str) -> KnownItems | None:
        """Return the items of a version; None while they are read from a model store. Then call it again.

        Raises:
            ModelFileError: the version is not there, or its list of items cannot be read.
        """
        if isinstance(self._place, Path):
            return KnownItems.read(self._place, version)
        reading = self._reading
        if reading is None or reading.version != version:
            self._retries_s = delays_s(random.Random(), longest_s=_LONGEST_RETRY_S)
            self._reading = _Reading(self._place, version)
            return None
        if not reading.done:
            return None
        if isinstance(reading.error, ModelFileError):
            self._reading = None
            raise reading.error
        if reading.items is None:
            self._try_again(version)
        return reading.items

    def _try_again(self, version: str) -> None:
        """Start to read again if it is time to: the store could not be used."""
        now_s = time.monotonic()
        if self._next_try_s is None:
            self._next_try_s = now_s + next(self._retries_s)
        elif now_s >= self._next_try_s:
            self._next_try_s = None
            self._reading = _Reading(self._place, version)


class _Reading:
    """Reads the items of one version in a thread."""

    def __init__(self, place: Place, version: str) -> None:
        self.version = version
        self._place = place
        self.items: KnownItems | None = None
        self.error: Exception | None = None
        # Daemonic: a stop does not wait for a store that does not answer.
        self._thread = threading.Thread(
            target=copy_context().run, args=[self._read], name="model-items", daemon=True
        )
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether there are items, or an error."""
        return not self._thread.is_alive()

    def _read(self) -> None:
        try:
            self.items = KnownItems.read(self._place, self.version)
        except (ModelFileError, ModelStoreError) as error:
            self.error = error
