"""A server over fakes, with a clock that does not run, and block models whose answers are known."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from likewise.log.topic_listing import TopicListing
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.announcements import encode_announcement
from likewise.messages.experiments import encode_experiment
from likewise.messages.exposures import decode_exposure
from likewise.messages.ids import ItemId, UserId
from likewise.messages.reply_routes import CORRELATION_HEADER, REPLY_TOPIC_HEADER, partition_header
from likewise.models.files import write_model
from likewise.models.holder import ModelHolder, load_model
from likewise.ranking.recipe import Recipe
from likewise.records import TopicPartition
from likewise.service.loop import GroupMember
from likewise.service.stall_detector import StallDetector
from likewise.service.store_watch import StoreWatch
from likewise.settings import ImpressionsSettings, ServingSettings, Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from serving.catalogue_follower import CatalogueFollower
from serving.impressions import Impressions
from serving.lost_requests import LostRequests
from serving.new_items import NewItems
from serving.ports import Ports
from serving.reply_topics import ReplyTopics
from serving.service import LONGEST_RETRY_S
from serving.stats import ServingStats
from serving.store_view import StoreView
from serving.variant_models import VariantModels
from serving.worker import ServingWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from likewise.messages.experiments import Experiment
    from likewise.messages.exposures import Exposure
    from likewise.records import Record
    from likewise.store.port import LikeStore

REPLIES = "app.replies"
VERSION = "20260101T000000.000Z"
BLOCKS = 12
BLOCK_ITEMS = 5
SNAPSHOT_AT_MS = 1_700_000_000_000


def item(block: int, number: int, catalogue: str = "c") -> ItemId:
    """Return the id of an item of a block."""
    return ItemId(f"{catalogue}{block}.{number}")


def block_items(block: int, catalogue: str = "c") -> set[ItemId]:
    """Return all items of a block."""
    return {item(block, number, catalogue) for number in range(BLOCK_ITEMS)}


def likes_but_one(block: int, missing: int = 0) -> list[ItemId]:
    """Return all items of a block but one: who likes them has to be given that one."""
    return sorted(block_items(block) - {item(block, missing)})


def write_block_model(
    directory: Path, version: str, *, blocks: int, catalogue: str = "c", user_ids: bool = False
) -> bytes:
    """Write a model whose users like their own block's items, each all but one; announce it so.

    Who likes items of one block can only be given that block's items.
    """
    users = [
        (
            UserId(f"{block}/{missing}"),
            block_items(block, catalogue) - {item(block, missing, catalogue)},
        )
        for block in range(blocks)
        for missing in range(BLOCK_ITEMS)
    ]
    likes = UserLikes([user for user, _ in users], [likes for _, likes in users])
    interactions = interactions_of([likes])
    model = build_model(interactions, Recipe(rank=blocks))
    if user_ids:
        model = replace(model, user_ids=interactions.user_ids)
    manifest = write_model(directory, version, model, snapshot_at_ms=SNAPSHOT_AT_MS)
    return encode_announcement(manifest.announcement())


def like(store: LikeStore, user_id: str, items: Sequence[str] | set[ItemId]) -> None:
    """Let the user like the items, now."""
    change = UserChange(add={ItemId(one) for one in items})
    store.apply(Changes(users={UserId(user_id): change}), {})


class InThisThread(Executor):
    """An executor without threads: work is done when it is submitted."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """See `Executor.submit`; an exception is raised here."""
        done: Future[Any] = Future()
        done.set_result(work(*given, **named))
        return done


class Rig:
    """One deployment in memory; `worker.run_once()` is one turn of its server."""

    def __init__(
        self,
        directory: Path,
        version: str,
        *,
        partitions: int = 1,
        settings: ServingSettings | None = None,
        impressions: ImpressionsSettings | None = None,
        experiments: ExperimentSettings | None = None,
        store: MemoryStore | None = None,
        broker: type[MemoryBroker] = MemoryBroker,
        patience_s: float = 60.0,
        executor: Executor | None = None,
    ) -> None:
        self.patience_s = patience_s
        self.executor = executor or InThisThread()
        self.now_ms = SNAPSHOT_AT_MS + 1_500
        self.topics = Topics()
        self.broker = broker(clock_ms=lambda: self.now_ms)
        self.broker.ensure_topics(self.topics.specs(partitions))
        self.broker.ensure_topics([TopicSpec(REPLIES, 2, {})])
        self.store = store or MemoryStore()
        self.directory = directory
        self.version = version
        self.settings = settings or ServingSettings(poll_timeout_ms=1)
        self.all_settings = Settings(
            serving=self.settings,
            impressions=impressions or ImpressionsSettings(),
            experiments=experiments or ExperimentSettings(),
        )
        self.stop = threading.Event()
        self._sink = self.broker.sink()
        self.worker = self.new_worker()

    def new_worker(self) -> ServingWorker:
        """Return another server of the group."""
        listing = TopicListing(self.broker.topic_sizes, clock_s=lambda: self.now_ms / 1000)
        pattern = self.settings.reply_topic_pattern
        self.reply_topics = ReplyTopics(listing, self.topics, pattern)
        self.source = self.broker.source(
            self.settings.group, [self.topics.requests], max_records=self.settings.max_batch
        )
        stats = ServingStats()
        self.impressions = Impressions(self.store, self.all_settings.impressions, stats)
        models = ModelHolder(self.directory, load_model(self.directory, self.version))
        self.new_items = NewItems(self.store, models, self.settings.new_item_likes, stats)
        detector = StallDetector(
            self.broker,
            (self.topics.requests,),
            lambda asked: self.broker.committed(self.settings.group, asked).values(),
            patience_s=self.patience_s,
        )
        watch = StoreWatch(self.store, stats.keeping)
        self.catalogue = CatalogueFollower(self.store, self.stop, stats.catalogue)
        self.catalogue.load()
        self.variants = VariantModels(self.directory, self.catalogue, models)
        ports = Ports(
            self.source,
            GroupMember(
                self.source, detector, watch, stats, self.stop, longest_retry_s=LONGEST_RETRY_S
            ),
            self.broker.sink(),
            StoreView(self.store, listing, self.topics.likes),
            models,
            self.reply_topics,
            LostRequests(self.broker),
            self.impressions,
            self.new_items,
            self.catalogue,
            self.variants,
        )
        return ServingWorker(
            ports,
            self.executor,
            self.topics,
            self.all_settings,
            stop=self.stop,
            stats=stats,
            clock_ms=lambda: self.now_ms,
        )

    def replace_worker(self) -> None:
        """Let the server leave the group, as a killed one does, and start another one."""
        self.source.close()
        self.worker = self.new_worker()

    def ask(
        self,
        body: dict[str, Any] | bytes | None,
        *,
        correlation: bytes | None = b"\x01",
        reply_topic: str | None = REPLIES,
        reply_partition: int | None = None,
        partition: int | None = None,
    ) -> None:
        """Publish a request, as a Spring application does."""
        headers = []
        if correlation is not None:
            headers.append((CORRELATION_HEADER, correlation))
        if reply_topic is not None:
            headers.append((REPLY_TOPIC_HEADER, reply_topic.encode()))
        if reply_partition is not None:
            headers.append(partition_header(reply_partition))
        value = json.dumps(body).encode() if isinstance(body, dict) else body
        self._sink.send(self.topics.requests, value, headers=headers, partition=partition)

    def answer(self, body: dict[str, Any] | bytes | None, **how: Any) -> dict[str, Any]:
        """Ask, let the server turn once and record what it shows, and return the one reply."""
        before = len(self.replies())
        self.ask(body, **how)
        self.worker.run_once()
        self.impressions.write_pending()
        [reply] = self.replies()[before:]
        return reply

    def run_experiment(self, experiment: Experiment) -> None:
        """Write the experiment to the store, and follow it as the server's threads do."""
        changes = Changes(experiments={experiment.name: encode_experiment(experiment)})
        self.store.apply(changes, {})
        self.catalogue.look()
        self.variants.look()

    def exposures(self) -> list[Exposure]:
        """Return all exposures so far."""
        return [decode_exposure(record) for record in self.broker.records(self.topics.exposures)]

    def replies(self, topic: str = REPLIES) -> list[dict[str, Any]]:
        """Return the bodies of all replies so far."""
        return [json.loads(record.value or b"") for record in self.broker.records(topic)]

    def dead_letters(self) -> list[Record]:
        """Return all dead letters so far."""
        return self.broker.records(self.topics.dead_letters)

    def applied(self, partition: int, up_to: int) -> None:
        """Move the position of a likes partition, as a consumer does."""
        where = TopicPartition(self.topics.likes, partition)
        [before] = self.store.positions([where])
        self.store.apply(Changes(), {where: Advance(before, up_to)})

    def committed(self, partition: int = 0) -> int | None:
        """Return how far the group has committed the request topic."""
        where = TopicPartition(self.topics.requests, partition)
        return self.broker.committed(self.settings.group, [where])[where]


def items_of(reply: dict[str, Any]) -> list[str]:
    """Return the ids of the recommended items, best first."""
    return [one["item_id"] for one in reply["items"]]


def error_of(reply: dict[str, Any]) -> str:
    """Return the code of an error reply."""
    code: str = reply["error"]["code"]
    return code


@contextmanager
def running(rig: Rig) -> Iterator[None]:
    """Let the rig's worker run in its own thread, for the length of a `with` block."""
    thread = threading.Thread(target=rig.worker.run)
    thread.start()
    try:
        yield
    finally:
        rig.stop.set()
        thread.join(10)
    assert not thread.is_alive()
