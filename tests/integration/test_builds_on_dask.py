"""Builds on a real Dask cluster, of likes in a real Redis: the same models as without, whatever is killed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from indexer.cluster import components
from indexer.cluster.errors import ClusterError
from indexer.cluster.snapshots import ClusterSnapshots
from indexer.cycle import Cycle
from indexer.progress import Unwatched
from indexer.publish import Publisher
from indexer.service import building
from indexer.snapshot import Snapshots
from indexer.weighing import reader
from indexer.worker import Indexer
from likewise.log.topics import Topics
from likewise.messages.ids import ItemId, SignalKind, UserId
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend
from likewise.service.clock import now_ms
from likewise.settings import IndexerSettings, ModelSettings, RedisSettings
from likewise.store.port import Changes, UserChange
from likewise.store.redis import RedisStore
from likewise.store.signals_port import SetChange
from likewise.testing import MemoryBroker
from tests.dask_cluster import PREFIX, DaskCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from indexer.interactions import Interactions
    from likewise.ranking.model import Model
    from likewise.settings.types import Ranker

USERS, ITEMS = 2_600, 1_150
VIEW = SignalKind("view")
WEIGHTS = {VIEW: 0.5}
# Rank 32: 1,150 items are then too many for the dense decomposition, and Lanczos runs on the shards.
SETTINGS = ModelSettings(ranker="blend", rank=32, max_likes_per_user=40)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask"), redis_url) as dask:
        yield dask


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """A store without likes, which the workers read."""
    found = RedisStore(RedisSettings(url=redis_url, key_prefix=PREFIX))
    users = [user for chunk in found.scan_users(1_000) for user in chunk]
    found.apply(Changes(users={user: UserChange(forget=True) for user in users}), {})
    while found.take_changed(10_000):
        pass
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _nothing_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components as small as those of a test stay on the workers, but for the smallest."""
    monkeypatch.setattr(components, "GATHERED_LIKES", 1_000)
    monkeypatch.setattr(components, "_GATHERED_USERS", 10)


def fill(store: RedisStore, *, viewed: bool = False) -> None:
    """Two components, one of them small, and a user with more likes than are used of one."""
    rng = np.random.default_rng(5)
    users = {}
    for number in range(USERS):
        last = ITEMS if number else 900
        rows = (last * rng.random(rng.integers(3, 16)) ** 2).astype(int)
        liked = {ItemId(f"i{row}") for row in (rows if number else range(80))}
        change = UserChange(add=liked)
        if viewed:
            seen = {ItemId(f"i{row}") for row in rng.integers(0, ITEMS, 2).tolist()}
            change.signals = {VIEW: SetChange(add=seen)}
        users[UserId(f"u{number}")] = change
    for number in range(12):
        apart = {ItemId(f"apart{row}") for row in rng.integers(0, 6, 3).tolist()}
        users[UserId(f"apart{number}")] = UserChange(add=apart)
    kinds = {VIEW} if viewed else set()
    store.apply(Changes(users=users, kinds=kinds), {})


def snapshots(store: RedisStore, cluster: DaskCluster, **more: object) -> ClusterSnapshots:
    given: dict[str, object] = {"dask_shards": 3, "dask_timeout_s": 10.0} | more
    settings = IndexerSettings(engine="dask", dask_scheduler=cluster.address, **given)  # type: ignore[arg-type]  # by name
    return ClusterSnapshots(store, settings, clock_ms=lambda: 1, weights=WEIGHTS)


def of_one_process(store: RedisStore) -> Interactions:
    local = Snapshots(store, chunk=500, full_every=9, clock_ms=lambda: 1, weights=WEIGHTS)
    return local.read_all(reader(store, WEIGHTS), Unwatched())


def built(
    interactions: Interactions,
    settings: ModelSettings = SETTINGS,
    on_step: Callable[[str], None] = lambda _: None,
) -> Model:
    return building(settings)(interactions, on_step).model


def smallest_cosine(one: Model, other: Model) -> float:
    """Return the cosine of the largest principal angle between the spaces of item factors."""
    return float(np.linalg.svd(one.item_factors.T @ other.item_factors)[1].min())


def top_lists(model: Model, likes: Interactions) -> list[list[ItemId]]:
    matrix, items = likes.user_items, likes.item_ids
    rows = np.split(matrix.indices, matrix.indptr[1:1_001])[:1_000]
    liked = [{items[column] for column in row.tolist()} for row in rows]
    found = recommend(model, [Query(some, some, 20) for some in liked])
    return [[item.item_id for item in one.items] for one in found]


def assert_equal_to_the_bit(one: Model, other: Model) -> None:
    assert one.recipe == other.recipe
    for table in ("item_factors", "spectrum", "query_weights", "score_weights", "plain_rows"):
        assert np.array_equal(getattr(one, table), getattr(other, table)), table
    assert np.array_equal(one.cooccurrence.data, other.cooccurrence.data)
    assert np.array_equal(one.cooccurrence.indices, other.cooccurrence.indices)


@pytest.mark.parametrize(
    ("ranker", "viewed", "counts"),
    [("blend", False, (1, 2, 8)), ("auto", True, (2,)), ("neighbours", False, (2,))],
)
def test_any_number_of_shards_gives_the_model_of_one_process(
    store: RedisStore, cluster: DaskCluster, ranker: Ranker, viewed: bool, counts: tuple[int, ...]
) -> None:
    fill(store, viewed=viewed)
    likes = of_one_process(store)
    settings = msgspec.structs.replace(SETTINGS, ranker=ranker)
    expected = built(likes, settings)
    lists = top_lists(expected, likes)
    for shards in counts:
        source = snapshots(store, cluster, dask_shards=shards)
        sharded = source.read_all(reader(store, WEIGHTS), Unwatched())
        model = built(sharded, settings)
        source.forget()
        assert model.recipe == expected.recipe
        assert model.item_ids == expected.item_ids
        assert (model.n_users, model.n_likes) == (expected.n_users, expected.n_likes)
        assert model.item_counts.tolist() == expected.item_counts.tolist()
        assert smallest_cosine(model, expected) > 0.9999
        theirs = top_lists(model, likes)
        same = [len({*mine} & {*yours}) for mine, yours in zip(lists, theirs, strict=True)]
        # Annoy divides slightly different vectors of users by other planes.
        assert np.mean(same) > (19.98 if ranker != "neighbours" else 19.0)


def test_two_builds_of_one_snapshot_are_equal_to_the_bit_whatever_worker_is_lost(
    store: RedisStore, cluster: DaskCluster
) -> None:
    fill(store)
    source = snapshots(store, cluster)
    sharded = source.read_all(reader(store, WEIGHTS), Unwatched())
    first = built(sharded)
    source.forget()

    def kill(step: str) -> None:
        if step == "co-occurrence" and all(one.poll() is None for one in cluster.workers):
            cluster.kill_worker()

    again = snapshots(store, cluster)
    second = built(again.read_all(reader(store, WEIGHTS), Unwatched()), on_step=kill)
    again.forget()
    cluster.start()
    assert_equal_to_the_bit(first, second)


def test_a_snapshot_reads_the_changed_users_again_and_leaves_out_the_excluded_ones(
    store: RedisStore, cluster: DaskCluster
) -> None:
    fill(store)
    source = snapshots(store, cluster)
    source.take(Unwatched())
    store.apply(
        Changes(
            users={
                UserId("u7"): UserChange(forget=True),
                UserId("u8"): UserChange(add={ItemId("new")}, remove={ItemId("i1")}),
                UserId("newcomer"): UserChange(add={ItemId("new"), ItemId("i3")}),
            }
        ),
        {},
    )
    for lost in (False, True):
        if lost:  # its shards are read whole
            cluster.kill_worker()
            store.mark_changed([UserId("u8")])
        snapshot = source.take(Unwatched())
        assert not snapshot.full
        excluded = [UserId("u9"), UserId("nobody")]
        for sharded, local in (
            (snapshot.interactions, of_one_process(store)),
            (
                snapshot.interactions.without(excluded)[0],
                of_one_process(store).without(excluded)[0],
            ),
        ):
            assert (sharded.user_ids, sharded.item_ids) == (local.user_ids, local.item_ids)
            gathered = sharded.user_items.gathered()  # type: ignore[attr-defined]  # it is sharded
            assert (gathered != local.user_items).nnz == 0
    source.forget()
    cluster.start()


def test_a_lost_shard_whose_users_changed_fails_the_build_unless_workers_share_a_directory(
    store: RedisStore, cluster: DaskCluster, tmp_path: Path
) -> None:
    fill(store)
    settings = ModelSettings(ranker="blend", rank=16)
    found: list[Model] = []
    for directory in (None, tmp_path / "shards"):
        source = snapshots(store, cluster, dask_directory=directory)
        sharded = source.read_all(reader(store, WEIGHTS), Unwatched())

        def disturb(step: str) -> None:
            if step == "co-occurrence":
                users = {UserId(f"u{row}"): UserChange(add={ItemId("i5")}) for row in range(99)}
                store.apply(Changes(users=users), {})
                cluster.kill_worker()

        if directory is None:
            with pytest.raises(ClusterError, match=r"users of its shard \d have changed since"):
                built(sharded, settings, disturb)
        else:
            found.append(built(sharded, settings, disturb))
        source.forget()
        cluster.start()
    assert found[0].n_users == USERS + 12


def test_a_build_without_its_scheduler_fails_and_the_next_one_works(
    store: RedisStore, cluster: DaskCluster, tmp_path: Path
) -> None:
    fill(store)
    dask = snapshots(store, cluster)
    broker, topics = MemoryBroker(), Topics("")
    broker.ensure_topics(topics.specs(partitions=1))
    publisher = Publisher(tmp_path, store, broker.sink(), topics)
    build = building(ModelSettings(ranker="blend", rank=16))
    kills = iter([True])

    def kill(step: str) -> None:
        if step == "co-occurrence" and next(kills, False):
            cluster.kill_scheduler()

    class Watch(Unwatched):
        def step(self, name: str) -> None:
            kill(name)

    # Nothing renews the lease between two calls of `run_once`.
    settings = IndexerSettings(interval_s=0.001, min_interval_s=0.001, lease_ms=600_000)
    cycle = Cycle(tmp_path, build, Watch(), threading.Event(), now_ms)
    indexer = Indexer(settings, publisher, cycle, snapshots=dask)
    indexer.run_once()
    assert (indexer.stats.failures, indexer.stats.builds) == (1, 0)
    assert store.model_announcement() is None
    assert store.changed_count() == USERS + 12
    cluster.start()
    indexer.run_once()
    assert (indexer.stats.failures, indexer.stats.builds) == (1, 1)
    assert store.changed_count() == 0
    dask.forget()


def test_a_scheduler_that_is_not_there_is_named_with_its_setting(store: RedisStore) -> None:
    settings = IndexerSettings(
        engine="dask", dask_scheduler="tcp://127.0.0.1:9", dask_timeout_s=0.5
    )
    source = ClusterSnapshots(store, settings, clock_ms=lambda: 1)
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:9 \(indexer\.dask_scheduler\)"):
        source.take(Unwatched())


def test_a_scheduler_without_workers_is_reported(
    store: RedisStore, redis_url: str, tmp_path: Path
) -> None:
    with DaskCluster(tmp_path, redis_url, workers=0) as lonely:
        source = snapshots(store, lonely, dask_timeout_s=3.0)
        with pytest.raises(ClusterError, match="no workers; start some with `dask worker"):
            source.take(Unwatched())
