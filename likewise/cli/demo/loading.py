"""`up --demo`: loads the films into the catalogue and the real likes of them, while the services start."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from likewise.cli.demo.catalogue import catalogue_item
from likewise.client.bulk import BULK_LINGER_MS, BulkPublisher
from likewise.errors import LikewiseError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.events import Like
from likewise.messages.items import encode_item
from likewise.operations.applied import wait_until_applied
from likewise.retry import StoppedError
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from likewise.cli.demo.films import FilmLikes
    from likewise.cli.supervision import Service
    from likewise.log.port import Broker
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

ALTERNATIVES = ("spectral", "cooccurrence", "neighbours")
_LAST = 100


def with_demo(settings: Settings, given: Collection[str]) -> Settings:
    """Return the settings with what the page can show, where they are not given (dotted names).

    The first model takes a fast choice: a visitor should not wait for a better one.
    """
    indexer, model = settings.indexer, settings.model
    if "indexer.alternatives" not in given:
        indexer = msgspec.structs.replace(indexer, alternatives=ALTERNATIVES)
    if "model.user_ids" not in given:
        model = msgspec.structs.replace(model, user_ids=True)
    if "model.effort" not in given:
        model = msgspec.structs.replace(model, effort="fast")
    return msgspec.structs.replace(settings, indexer=indexer, model=model)


class DemoLoading:
    """Loads the films and likes in a thread, then runs the indexer, whose first model has all of them."""

    name = "demo"

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], FilmLikes],
        tell: Callable[[str, str], None],
        indexer: Service,
    ) -> None:
        """Start nothing yet."""
        self._settings = settings
        self._load = load
        self._tell = tell
        self._indexer = indexer
        self._indexer_runs = False
        self._loaded = threading.Event()
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def tend(self) -> None:
        """Start the indexer once all is loaded, and again if it ends.

        Raises:
            LikewiseError: the data cannot be loaded.
            ServiceEndedError: the indexer cannot run with its settings.
        """
        if self._failure is not None:
            raise LikewiseError(f"the films could not be loaded: {self._failure}")
        if self._indexer_runs:
            self._indexer.tend()
        elif self._loaded.is_set():
            self._indexer.start()
            self._indexer_runs = True

    def ready(self) -> bool:
        """Whether a model has the likes."""
        return self._indexer_runs and self._indexer.ready()

    def ask_to_stop(self) -> None:
        """Stop loading, and the indexer."""
        self._stop.set()
        self._indexer.ask_to_stop()

    def await_end(self, deadline_s: float) -> None:
        """Return when both have ended, or at the deadline (monotonic)."""
        self._thread.join(max(deadline_s - time.monotonic(), 0))
        self._indexer.await_end(deadline_s)

    def _run(self) -> None:
        try:
            with (
                closing(KafkaBroker(self._settings.kafka, client_id="demo")) as broker,
                closing(RedisStore(self._settings.redis)) as store,
            ):
                self._load_into(broker, store)
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001  # `tend` raises it in the main thread
            self._failure = error
        else:
            self._loaded.set()

    def _load_into(self, broker: Broker, store: LikeStore) -> None:
        films = self._load()
        if is_loaded(films, store):
            self._tell("up", "demo: the films and their likes are there already")
            return
        self._tell(
            "up",
            f"demo: loading {len(films.films):,} films and {len(films.likes):,} likes of "
            f"{len(films.users):,} people (MovieLens)",
        )
        began_s = time.monotonic()
        ends = publish(films, broker, self._settings)
        wait_until_applied(store, ends, on_progress=self._check_stop)
        self._tell("up", f"demo: loaded in {time.monotonic() - began_s:.0f} s; building a model")

    def _check_stop(self, _left: int) -> None:
        if self._stop.is_set():
            raise StoppedError


def is_loaded(films: FilmLikes, store: LikeStore) -> bool:
    """Whether the store has the likes: most of the last ones, since people may have taken some back."""
    last = films.likes[-_LAST:]
    liked = store.likes([like.user_id for like in last])
    return 2 * sum(like.item_id in items for like, items in zip(last, liked, strict=True)) > len(
        last
    )


def publish(films: FilmLikes, broker: Broker, settings: Settings) -> dict[TopicPartition, int]:
    """Publish all films, then all likes; return the offset after the last record of each partition.

    Raises:
        LikewiseError: the broker does not take all of them.
    """
    topics = Topics(settings.kafka.topic_prefix)
    broker.ensure_topics(topics.specs(settings.kafka.partitions))
    ends: dict[TopicPartition, int] = {}
    with closing(broker.sink(linger_ms=BULK_LINGER_MS)) as sink:
        items, likes = BulkPublisher(sink, topics.items), BulkPublisher(sink, topics.likes)
        for item_id, film in films.films.items():
            items.send(encode_item(catalogue_item(item_id, film)), item_id.encode())
        for user_id, item_id, timestamp_ms in films.likes:
            likes.publish(Like(user_id, item_id), timestamp_ms=timestamp_ms)
        for publisher in (items, likes):
            published = publisher.finish()
            if published.failed:
                raise LikewiseError(
                    f"{published.failed} records were not published: {published.failures[0]}"
                )
            ends |= published.next_offsets
    return ends
