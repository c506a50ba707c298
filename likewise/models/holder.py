"""The model in use: loaded in the background, taken over between two batches."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.messages.announcements import decode_announcement
from likewise.models.files import list_versions, read_manifest, read_model
from likewise.retry import StoppedError, delays_s, retry
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from likewise.errors import TransientError
    from likewise.ranking.model import Model
    from likewise.store.port import LikeStore

FIRST_MODEL_CHECK_S = 0.25
_LONGEST_CHECK_S = 5.0
_LONGEST_RETRY_S = 30.0
_MEND = (
    "whoever uses models needs the indexer's directory (model.directory); `likewise models list` "
    "shows what is in it, `likewise models use VERSION` chooses another"
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model in memory, its name, and how old it is."""

    version: str
    snapshot_at_ms: int
    model: Model


def load_model(directory: Path, version: str) -> ServedModel:
    """Return a version from disk, verified and warm: its first batch costs no more than others.

    Raises:
        ModelFileError: it is missing, incomplete, corrupt or of a newer format.
    """
    manifest = read_manifest(directory, version)
    model = read_model(directory, version)
    # Both are computed with the first use, and that shall not be a request's.
    _ = model.item_rows, model.popular_rows
    return ServedModel(version, manifest.snapshot_at_ms, model)


def find_model(directory: Path, announcement: bytes | None) -> ServedModel | None:
    """Return the announced model, else the newest sound one on disk, or None."""
    return _Search(directory).find(announcement)


def wait_for_first_model(directory: Path, store: LikeStore, stop: threading.Event) -> ServedModel:
    """Block until there is a model: the announced one, else the newest sound one on disk.

    Raises:
        StoppedError: `stop` was set before.
        SettingsError: the store refuses our credentials.
    """
    log = get_logger()
    search = _Search(directory)
    log.info("looking for the first model", directory=str(directory))

    def note_failure(error: TransientError, wait_s: float) -> None:
        log.warning("trying again", reason=str(error), in_s=round(wait_s, 2))

    waits_s = delays_s(random.Random(), longest_s=_LONGEST_CHECK_S)
    while not stop.is_set():
        announcement = retry(store.model_announcement, stop=stop, on_failure=note_failure)
        if (found := search.find(announcement)) is not None:
            return found
        # Broken files are costly to check: those are looked at less and less often.
        stop.wait(next(waits_s) if search.met_broken else FIRST_MODEL_CHECK_S)
    raise StoppedError


class ModelHolder:
    """Holds the current model and follows the announcements; never without a model.

    One that can't be loaded leaves the one before in place; it is tried again for as long as it
    stays announced. Thread-safe.
    """

    def __init__(
        self,
        directory: Path,
        first: ServedModel,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
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
        """Return the model for the next batch: a new one as soon as it is loaded. No I/O."""
        with self._changing:
            if self._loading is not None and self._loading.done():
                loaded, self._loading = self._loading, None
                self._take_over(loaded)
            return self._current

    def see(self, announcement: bytes | None) -> None:
        """Take note of what is announced; starts to load it where it is news. Returns at once."""
        with self._changing:
            if announcement != self._announced:
                self._announced = announcement
                self._wanted = self._version_in(announcement)
                self._retries_s = delays_s(random.Random(), longest_s=_LONGEST_RETRY_S)
                self._next_try_s = 0.0
            if self._wanted in (None, self._current.version) or self._loading is not None:
                return
            if self._clock_s() >= self._next_try_s:
                self._loading = self._loader.submit(load_model, self._directory, self._wanted)

    def close(self) -> None:
        """Start no further load; one that runs is waited for."""
        self._loader.shutdown(cancel_futures=True)

    def _take_over(self, loaded: Future[ServedModel]) -> None:
        try:
            model = loaded.result()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the old one stays
            wait_s = next(self._retries_s)
            self._next_try_s = self._clock_s() + wait_s
            self._log.error(
                "the announced model can't be loaded; the one before stays in use",
                reason=str(error),
                current=self._current.version,
                mend=_MEND,
                again_in_s=round(wait_s, 1),
            )
            return
        if model.version == self._wanted:  # else another was announced while it was loaded
            self._current = model
            self._log.info("model taken over", version=model.version)

    def _version_in(self, announcement: bytes | None) -> str | None:
        if announcement is None:
            return None
        try:
            return decode_announcement(announcement).version
        except ModelFileError as error:
            self._log.error("the announcement in Redis is no good", reason=str(error), mend=_MEND)
            return None


class _Search:
    """Looks for a first model; says once of each version that it is broken."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._said: set[str] = set()

    @property
    def met_broken(self) -> bool:
        """Whether anything was found that could not be loaded."""
        return bool(self._said)

    def find(self, announcement: bytes | None) -> ServedModel | None:
        """Return the announced model, else the newest sound one on disk, or None."""
        for version in self._candidates(announcement):
            try:
                return load_model(self._directory, version)
            except ModelFileError as error:
                self._say(str(error))
        return None

    def _candidates(self, announcement: bytes | None) -> Iterator[str]:
        if announcement is not None:
            try:
                yield decode_announcement(announcement).version
            except ModelFileError as error:
                self._say(str(error))
        for manifest in list_versions(self._directory):
            yield manifest.version

    def _say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            get_logger().error("a model can't be used", reason=reason, mend=_MEND)
