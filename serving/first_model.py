"""The model to begin with: loaded in a thread while the consumer group is joined.

Brokers let a join wait for others who may join too, and a server that starts has to import the
numerical libraries and to verify a model: so it does the one while it waits for the other.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.retry import StoppedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from likewise.log.port import Source
    from likewise.models.holder import ModelHolder, ServedModel
    from likewise.store.port import LikeStore

_LOOK_EVERY_S = 0.02
_HEAD_START_S = 0.1
_STEP_S = 0.005


class FirstModel:
    """Looks once, in a thread, for a model that is there already; else waits for one."""

    def __init__(self, directory: Path, store: LikeStore, stop: threading.Event) -> None:
        """Look for nothing yet."""
        self._directory = directory
        self._store = store
        self._stop = stop
        self._found: ServedModel | None = None

    def joined(self, join: Callable[[], Source]) -> Source:
        """Return a member of the group as soon as there is a model, which `held` then has.

        One that is there already is loaded meanwhile. Should it be broken, the group is left
        again until another one comes: a member without a model would keep requests from others.

        Raises:
            StoppedError: the stop was set before.
            SettingsError: the store refuses our credentials.
        """
        if self._is_in_sight():
            source = join()
            try:
                self._give_head_start(source)
                self._found = self._loaded_beside(source)
            except BaseException:
                source.close()
                raise
            if self._found is not None:
                return source
            source.close()
        from likewise.models.holder import wait_for_first_model

        self._found = wait_for_first_model(self._directory, self._store, self._stop)
        return join()

    def held(self) -> ModelHolder:
        """Return the holder of the model, and let go of it here: it goes when the next one comes."""
        from likewise.models.holder import ModelHolder

        if self._found is None:
            raise ValueError("there is no model before the group is joined")
        found, self._found = self._found, None
        return ModelHolder(self._directory, found)

    def _is_in_sight(self) -> bool:
        return next(self._directory.glob("*/manifest.json"), None) is not None

    def _give_head_start(self, source: Source) -> None:
        """Let the member ask to join before the thread's imports take the interpreter from it."""
        deadline_s = time.monotonic() + _HEAD_START_S
        while time.monotonic() < deadline_s:
            self._keep(source, _STEP_S)

    def _loaded_beside(self, source: Source) -> ServedModel | None:
        with ThreadPoolExecutor(1, thread_name_prefix="first-model") as loader:
            looking = loader.submit(_look, self._directory, self._store)
            while not looking.done():
                self._keep(source, _LOOK_EVERY_S)
            return looking.result()

    def _keep(self, source: Source, wait_s: float) -> None:
        if self._stop.wait(wait_s):
            raise StoppedError
        source.keep_alive()


def _look(directory: Path, store: LikeStore) -> ServedModel | None:
    from likewise.models.holder import find_model

    try:
        return find_model(directory, store.model_announcement())
    except TransientError:
        return None
