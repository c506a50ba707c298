"""The indexer as a service and as a single build, composed from settings and servers."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.alternatives import Alternatives
from indexer.build import build_model
from indexer.choice import build_best, last_choice
from indexer.cycle import Built, Cycle
from indexer.exclusion import Exclusion
from indexer.progress import Progress, Unwatched
from indexer.publish import Publisher
from indexer.recipes import recipe_of
from indexer.rollout import Rollout
from indexer.rows import rows_of
from indexer.snapshot import Snapshot, local_snapshots
from indexer.steps import Steps
from indexer.warm_start import WarmStart
from indexer.weighing import reader, weights_of
from indexer.worker import Indexer, IndexerStats
from likewise.errors import ModelStoreError, SettingsError
from likewise.extras import extra_of
from likewise.log.topics import Topics
from likewise.models.place import models_place, stats_of
from likewise.ranking.item_index import faiss_is_installed
from likewise.retry import StoppedError, retry
from likewise.service.clock import now_ms
from likewise.service.loop import Retrier, log_retry
from likewise.service.topic_creation import create_topics
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from indexer.cycle import Build, Finished
    from indexer.interactions import Interactions
    from indexer.snapshot import SnapshotSource
    from likewise.log.port import Broker, Sink
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


def run_indexer(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    stats: IndexerStats | None = None,
    progress: Progress | None = None,
    on_start: Callable[[Indexer], None] = lambda indexer: None,
) -> None:
    """Keep the current model up to date until `stop` is set.

    Waits for servers that are not up yet. Updates `stats` continuously. Calls `on_start` with the
    indexer before its first build, so that the caller can use `Indexer.build_now`. Does not close the
    broker and the store: they belong to the caller.

    Raises:
        SettingsError: a server refuses our credentials, a topic is missing and must not be created, or
            nothing would measure prequential canaries.
        UndeliverableError: there is no models topic.
    """
    _require_sampler(settings)
    try:
        sink = retry(lambda: _sink(settings, broker), stop=stop, on_failure=log_retry)
    except StoppedError:
        return
    with closing(sink):
        publisher = _publisher(settings, store, sink)
        snapshots = snapshots_of(settings, store)
        rollout = Rollout(publisher, settings.model, window_s=settings.experiments.window_s)
        stats = stats or IndexerStats()
        stats.model_store = stats_of(publisher.place)
        cycle = _cycle(settings, publisher, stop, progress)
        indexer = Indexer(
            settings.indexer,
            publisher,
            replace(cycle, persist=Retrier(stats, stop)),
            snapshots=snapshots,
            rollout=rollout,
            alternatives=_alternatives(settings),
            stats=stats,
        )
        on_start(indexer)
        try:
            indexer.run()
        finally:
            snapshots.forget()


def index_once(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    progress: Progress | None = None,
    announce: bool = True,
) -> tuple[Manifest, bool]:
    """Build one model of all likes; return its manifest and whether it is now current.

    Without `announce` the model is only written to disk, to compare it with the current one, and becomes
    current only if somebody names it.

    Does not disturb a running indexer: it keeps the marks of changed users, and if that indexer has
    announced a model of a later snapshot meanwhile, that model stays current.

    Raises:
        TransientError: Redis or Kafka cannot be reached.
        ModelFileError: the model cannot be written.
        StoppedError: `stop` was set; nothing was announced.
        SettingsError: a server refuses our credentials, or a topic is missing and must not be
            created.
    """
    watched = progress or Unwatched()
    snapshots = snapshots_of(settings, store)
    exclusion = Exclusion(settings.indexer.excluded_users_file)

    def take() -> Snapshot:
        began_at_ms = now_ms()
        watched.expect(None)
        source = reader(store, weights_of(settings))
        interactions = snapshots.read_all(source, watched)
        whole = Snapshot(interactions, began_at_ms, True, [], source.weights)
        return exclusion.applied_to(whole)

    with ExitStack() as opened:
        opened.callback(snapshots.forget)
        sink = opened.enter_context(closing(_sink(settings, broker)))
        publisher = _publisher(settings, store, sink)
        cycle = replace(_cycle(settings, publisher, stop, watched), announce=announce)
        release = publisher.announce_unless_overtaken if announce else _announce_nothing
        finished = cycle.run(take, release)
        version = finished.manifest.version
        current = publisher.announced()
        publisher.prune(settings.indexer.keep_versions)
        is_current = current is not None and current.version == version
        if is_current:
            _alternatives(settings).build(finished, lambda: not stop.is_set())
    return finished.manifest, is_current


def _cycle(
    settings: Settings, publisher: Publisher, stop: threading.Event, progress: Progress | None
) -> Cycle:
    return Cycle(
        publisher.place,
        building(settings.model, last=models_place(settings)),
        progress or Unwatched(),
        stop,
        now_ms,
        settings.model.popular_half_life_s,
    )


def _require_sampler(settings: Settings) -> None:
    if settings.model.canary_kind == "prequential" and not settings.consumer.quality_samples_per_s:
        raise SettingsError(
            "model.canary_kind (LIKEWISE_MODEL_CANARY_KIND) is prequential, so consumers have to sample likes, "
            "but consumer.quality_samples_per_s (LIKEWISE_CONSUMER_QUALITY_SAMPLES_PER_S) is 0; set it "
            "for the consumers and the indexer, for example to 10"
        )


def _announce_nothing(_finished: Finished) -> None:
    """Leave the current model as it is."""


def building(settings: ModelSettings, *, last: Place | None = None) -> Build:
    """Return a function that builds a model with the settings, starting from the last factors.

    With `ranker=auto` the first build starts from what the newest model in `last` chose, so
    that a restart alone changes no choice.

    Raises:
        MissingExtraError: `model.index` is `faiss`, which is not installed.
    """
    if settings.index == "faiss" and not faiss_is_installed():
        raise extra_of("faiss")
    warm = WarmStart()

    def build(interactions: Interactions, on_step: Callable[[str], None]) -> Built:
        steps = Steps(on_step=on_step)
        if settings.ranker == "auto":
            if warm.recipe is None and last is not None:
                with suppress(ModelStoreError):  # an outage is no reason to wait here
                    warm.recipe = last_choice(last)
            model = build_best(interactions, settings, steps=steps, warm=warm)
        else:
            recipe = recipe_of(settings)
            model = build_model(
                interactions,
                recipe,
                seed=settings.seed,
                steps=steps,
                warm=warm,
                index=settings.index,
            )
        if settings.user_ids:
            likes = rows_of(interactions.user_items).gathered()
            model = replace(model, user_ids=interactions.user_ids, user_items=likes)
        return Built(model, steps.report)

    return build


def snapshots_of(settings: Settings, store: LikeStore) -> SnapshotSource:
    """Return what takes snapshots by `indexer.engine`; connect to nothing."""
    weights = weights_of(settings)
    if settings.indexer.engine == "dask":
        from indexer.cluster.connection import check_settings

        check_settings(settings.indexer)
        from indexer.cluster.snapshots import ClusterSnapshots

        return ClusterSnapshots(store, settings.indexer, clock_ms=now_ms, weights=weights)
    return local_snapshots(store, settings.indexer, now_ms, weights)


def _alternatives(settings: Settings) -> Alternatives:
    model = settings.model
    builds = {
        ranker: building(
            ModelSettings(
                ranker=ranker,
                seed=model.seed,
                max_likes_per_user=model.max_likes_per_user,
                user_ids=model.user_ids,
            )
        )
        for ranker in settings.indexer.alternatives
    }
    return Alternatives(models_place(settings), builds, now_ms)


def _sink(settings: Settings, broker: Broker) -> Sink:
    if settings.kafka.create_topics:
        topics = Topics(settings.kafka.topic_prefix)
        create_topics(broker, topics, settings.kafka.partitions)
    return broker.sink()


def _publisher(settings: Settings, store: LikeStore, sink: Sink) -> Publisher:
    topics = Topics(settings.kafka.topic_prefix)
    return Publisher(models_place(settings), store, sink, topics)
