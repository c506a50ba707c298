"""The current model. A new one is loaded in the background and used from the next batch on."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError, ModelStoreError
from likewise.messages.announcements import decode_announcement
from likewise.models.files import read_manifest, read_model
from likewise.models.versions import proved_versions
from likewise.retry import StoppedError, delays_s, retry
from likewise.service.logs import get_logger
from likewise.service.loop import log_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from likewise.models.place import Place
    from likewise.ranking.model import Model
    from likewise.store.port import LikeStore

FIRST_MODEL_CHECK_S = 0.25
_FIRST_REMOTE_CHECK_S = 2.0
_LONGEST_CHECK_S = 5.0
_LONGEST_RETRY_S = 30.0
_FIX = (
    "share the indexer's directory (model.directory) with this process, or use a model store (model.store); "
    "`likewise models list` shows what is in it, and `likewise models use VERSION` selects another version"
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model in memory, its name, and how old it is."""

    version: str
    snapshot_at_ms: int
    model: Model


def load_model(place: Place, version: str) -> ServedModel:
    """Return a verified version. Its first batch is as fast as later ones.

    Raises:
        ModelFileError: it is missing, incomplete, corrupt or of a newer format.
        ModelStoreError: the model store cannot be used.
    """
    manifest = read_manifest(place, version)
    model = read_model(place, version)
    # They are computed on first use. Do that now, and not when a request needs them.
    _ = model.item_rows, model.popular_rows, model.by_length
    return ServedModel(version, manifest.snapshot_at_ms, model)


def find_model(place: Place, announcement: bytes | None) -> ServedModel | None:
    """Return the announced model, or else the newest valid one; None if there is none."""
    return _Search(place).find(announcement)


def wait_for_first_model(place: Place, store: LikeStore, stop: threading.Event) -> ServedModel:
    """Return the announced model, or else the newest valid one. Blocks until there is one.

    Raises:
        StoppedError: `stop` was set before.
        SettingsError: the store refuses our credentials.
    """
    log = get_logger()
    search = _Search(place)
    log.info("looking for the first model", directory=str(place))

    check_s = FIRST_MODEL_CHECK_S if isinstance(place, Path) else _FIRST_REMOTE_CHECK_S
    waits_s = delays_s(random.Random(), longest_s=_LONGEST_CHECK_S)
    while not stop.is_set():
        announcement = retry(store.model_announcement, stop=stop, on_failure=log_retry)
        if (found := search.find(announcement)) is not None:
            return found
        # Broken files are costly to verify, and a store may be down: both are tried less and less often.
        stop.wait(next(waits_s) if search.failed else check_s)
    raise StoppedError


class ModelHolder:
    """Holds the current model and follows the announcements. Thread-safe.

    A model that cannot be loaded leaves the current one in place. Loading is retried for as long as
    the model stays announced.
    """

    def __init__(
        self,
        place: Place,
        first: ServedModel,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._current = first
        self._clock_s = clock_s
        self._log = get_logger()
        self._announced: bytes | None = None
        self._wanted: str | None = None
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model-loader")
        self._loading: Future[ServedModel] | None = None
        self._retries_s: Iterator[float] = iter(())
        self._next_try_s = 0.0
        self._changing = threading.Lock()

    def current(self) -> ServedModel:
        """Return the model for the next batch, a new one as soon as it is loaded. No I/O."""
        with self._changing:
            if self._loading is not None and self._loading.done():
                loaded, self._loading = self._loading, None
                self._adopt(loaded)
            return self._current

    def follow(self, announcement: bytes | None) -> None:
        """Start to load the announced model unless it is current. Returns at once."""
        with self._changing:
            if announcement != self._announced:
                self._announced = announcement
                self._wanted = self._version_in(announcement)
                self._retries_s = delays_s(random.Random(), longest_s=_LONGEST_RETRY_S)
                self._next_try_s = 0.0
            if self._wanted in (None, self._current.version) or self._loading is not None:
                return
            if self._clock_s() >= self._next_try_s:
                self._loading = self._loader.submit(load_model, self._place, self._wanted)

    def close(self) -> None:
        """Start no further load. Blocks until a running one has ended."""
        self._loader.shutdown(cancel_futures=True)

    def _adopt(self, loaded: Future[ServedModel]) -> None:
        try:
            model = loaded.result()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the current one stays
            wait_s = next(self._retries_s)
            self._next_try_s = self._clock_s() + wait_s
            if isinstance(error, ModelStoreError):
                return  # its outage is in the log already
            self._log.error(
                "the announced model cannot be loaded; the current one stays in use",
                reason=str(error),
                current=self._current.version,
                fix=_FIX,
                retry_in_s=round(wait_s, 1),
            )
            return
        if model.version == self._wanted:  # otherwise another was announced meanwhile
            self._current = model
            self._log.info("model loaded", version=model.version)

    def _version_in(self, announcement: bytes | None) -> str | None:
        if announcement is None:
            return None
        try:
            return decode_announcement(announcement).version
        except ModelFileError as error:
            self._log.error(
                "the model announcement in Redis is invalid", reason=str(error), fix=_FIX
            )
            return None


class _Search:
    """Looks for a first model. Logs each broken version once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._logged: set[str] = set()
        self.failed = False
        """Whether any version could not be loaded, or the model store not be used."""

    def find(self, announcement: bytes | None) -> ServedModel | None:
        """Return the announced model, or else the newest valid one; None if there is none."""
        try:
            for version in self._candidates(announcement):
                try:
                    return load_model(self._place, version)
                except ModelFileError as error:
                    self._log_once(str(error))
        except ModelStoreError:
            self.failed = True  # its outage is in the log already
        return None

    def _candidates(self, announcement: bytes | None) -> Iterator[str]:
        if announcement is not None:
            try:
                yield decode_announcement(announcement).version
            except ModelFileError as error:
                self._log_once(str(error))
        for manifest in proved_versions(self._place):
            yield manifest.version

    def _log_once(self, reason: str) -> None:
        self.failed = True
        if reason not in self._logged:
            self._logged.add(reason)
            get_logger().error("a model cannot be loaded", reason=reason, fix=_FIX)
