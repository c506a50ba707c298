"""Joins the consumer group while the first model and the catalogue are loaded.

A broker lets a member that joins wait for others, and a server that starts has to import the
numerical libraries and to verify a model. It does both at the same time.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.models.place import is_here
from likewise.retry import StoppedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from likewise.log.port import Source
    from likewise.models.holder import ModelHolder
    from likewise.models.place import Place
    from likewise.store.port import LikeStore
    from serving.catalogue_follower import CatalogueFollower

_KEEP_ALIVE_EVERY_S = 0.02
_HEAD_START_S = 0.1
_HEAD_START_STEP_S = 0.005


def join_with_model(
    join: Callable[[], Source],
    place: Place,
    store: LikeStore,
    catalogue: CatalogueFollower,
    stop: threading.Event,
) -> tuple[Source, ModelHolder]:
    """Return a member of the group and a model to answer with, with the catalogue loaded. Blocks.

    A model that exists already is loaded while the group is joined, and so is a small catalogue.
    If the model is broken or the catalogue large, the group is left until there is another one, or
    all of it: a member that cannot answer yet would hold up the requests of its partitions. `join`
    waits for the broker.

    Raises:
        StoppedError: `stop` was set before.
        SettingsError: the store refuses our credentials.
    """
    holder = None
    if is_here(place):
        source = join()
        try:
            holder = _load_while_joining(source, place, store, catalogue, stop)
        except BaseException:
            source.close()
            raise
        if holder is not None and catalogue.loaded:
            return source, holder
        source.close()
    holder = holder or _wait_for_model(place, store, stop)
    try:
        catalogue.load()
        return join(), holder
    except BaseException:
        holder.close()
        raise


def _load_while_joining(
    source: Source,
    place: Place,
    store: LikeStore,
    catalogue: CatalogueFollower,
    stop: threading.Event,
) -> ModelHolder | None:
    def keep_alive(wait_s: float) -> None:
        if stop.wait(wait_s):
            raise StoppedError
        source.keep_alive()

    # The member asks to join before the imports in the other thread slow this one down.
    deadline_s = time.monotonic() + _HEAD_START_S
    while time.monotonic() < deadline_s:
        keep_alive(_HEAD_START_STEP_S)
    with ThreadPoolExecutor(1, thread_name_prefix="first-model") as loader:
        loading = loader.submit(_find_model, place, store, catalogue)
        while not loading.done():
            keep_alive(_KEEP_ALIVE_EVERY_S)
        return loading.result()


# NumPy is imported with these, and not while the member asks to join.


def _find_model(place: Place, store: LikeStore, catalogue: CatalogueFollower) -> ModelHolder | None:
    from likewise.models.holder import ModelHolder, find_model

    try:
        found = find_model(place, store.model_announcement())
        catalogue.load_if_small()
    except TransientError:
        return None
    return None if found is None else ModelHolder(place, found)


def _wait_for_model(place: Place, store: LikeStore, stop: threading.Event) -> ModelHolder:
    from likewise.models.holder import ModelHolder, wait_for_first_model

    return ModelHolder(place, wait_for_first_model(place, store, stop))
