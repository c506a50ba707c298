"""Writes the parts of a file of lists in several processes.

Threads would share one processor: most of the time goes to Python objects, the likes of each user.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import connection
from typing import TYPE_CHECKING, NamedTuple

from likewise.cli.all_lists import Lister
from likewise.messages.request_decoding import decode_request
from likewise.models.holder import load_model
from likewise.models.place import models_place
from likewise.operations.files.lists import write_part
from likewise.store.redis import RedisStore
from serving.catalogue_reading import CatalogueReader
from serving.querying import QuerySettings
from serving.rules import asks_for_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import UserId
    from likewise.messages.requests import Request
    from likewise.models.holder import ServedModel
    from likewise.operations.files.lists import ListParts
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


class ListJob(NamedTuple):
    """What the lists of every user depend on. Can be sent to another process."""

    settings: Settings
    model_version: str
    request: bytes
    """As it would be in a record; its subject is ignored."""
    path: Path
    """The file that the parts belong to."""


def write_parts(
    job: ListJob, parts: ListParts, *, processes: int, on_users: Callable[[int], object]
) -> None:
    """Write all missing parts; `on_users` is called with the number of users of each as it is written.

    A single part is written in this process. On an exception, the parts that have begun are
    finished.

    Raises:
        TransientError: the store cannot be reached. The parts so far stay.
        LikeFileError: a part cannot be written.
        ModelFileError: the model cannot be read.
    """
    missing = list(parts.missing())
    if len(missing) <= 1 or processes == 1:
        writer = _PartWriter(job)
        for number, users in missing:
            on_users(writer.write(number, users))
        return
    # Not forked: a fork does not copy the threads of this process.
    pool = ProcessPoolExecutor(
        min(processes, len(missing)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
    )
    try:
        for written in as_completed([pool.submit(_write, job, *part) for part in missing]):
            on_users(written.result())
    finally:
        pool.shutdown(cancel_futures=True)


class _PartWriter:
    def __init__(self, job: ListJob) -> None:
        settings, request = job.settings, decode_request(job.request)
        store = RedisStore(settings.redis)
        served = load_model(models_place(settings), job.model_version)
        self._path = job.path
        self._lister = Lister(
            store,
            served,
            request,
            QuerySettings(weights=settings.signals.weights),
            view=_view(store, served, request),
        )

    def write(self, number: int, users: Sequence[UserId]) -> int:
        """Write one part and return the number of its users."""
        write_part(self._path, number, self._lister.lists(users))
        return len(users)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


_writers: list[_PartWriter] = []
"""That of this process, once it has been given a part."""


def _write(job: ListJob, number: int, users: Sequence[UserId]) -> int:
    if not _writers:
        _writers.append(_PartWriter(job))
    return _writers[0].write(number, users)


def _view(store: LikeStore, served: ServedModel, request: Request) -> CatalogueView | None:
    """Return the catalogue for the model's items if the request's rules need it."""
    if not asks_for_catalogue(request):
        return None
    reader = CatalogueReader(store, threading.Event())
    return reader.whole(store.catalogue_size().items).aligned(served.model)
