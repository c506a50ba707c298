"""The indexer as processes of their own, on a real broker and a real Redis."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from indexer.progress import Unwatched
from indexer.service import index_once
from indexer.snapshot import Snapshots, read_all
from indexer.weighing import Reader
from likewise.embedded import EmbeddedRedis
from likewise.log.topics import Topics
from likewise.messages.announcements import TOPIC_KEY, decode_announcement
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.models.checksums import verify_checksums
from likewise.models.files import read_manifest, read_model
from likewise.models.versions import list_versions
from likewise.operations.models import use_version
from likewise.records import TopicPartition
from likewise.settings import IndexerSettings, ModelSettings, RedisSettings
from likewise.settings.loader import environment_of
from likewise.settings.signals import SignalSettings
from likewise.store.port import Changes, UserChange
from likewise.store.signals_port import SetChange
from tests.consuming import opened, settings_for
from tests.tables import assert_identical
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.messages.announcements import Announcement
    from likewise.records import Record
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

ANN, BOB = UserId("ann"), UserId("bob")
SELDOM_S = 3_600.0


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings of an indexer that builds at its start, and else only when it is asked."""
    return msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix),
        indexer=IndexerSettings(interval_s=SELDOM_S, min_interval_s=SELDOM_S, lease_ms=2_000),
        model=ModelSettings(directory=tmp_path / "models"),
    )


def like(store: LikeStore, user: UserId, *items: str) -> None:
    change = UserChange(add={ItemId(item) for item in items})
    store.apply(Changes(users={user: change}), {})


def announced(store: LikeStore) -> Announcement | None:
    raw = store.model_announcement()
    return None if raw is None else decode_announcement(raw)


def announced_on_topic(broker: Broker, settings: Settings) -> list[Record]:
    topic = TopicPartition(Topics(settings.kafka.topic_prefix).models, 0)
    end = broker.end_offsets([topic])[topic]
    reader = broker.reader({topic: 0})
    records: list[Record] = []

    def all_read() -> bool:
        records.extend(reader.poll(100))
        return len(records) >= end  # more may have come meanwhile

    try:
        wait_until(all_read, f"{end} announcements on the topic")
    finally:
        reader.close()
    return records


@contextmanager
def an_indexer_process(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m indexer`, and kill it at the end if it still runs."""
    environment = {**os.environ, **environment_of(settings)}
    with (
        log.open("ab") as stderr,
        subprocess.Popen([sys.executable, "-m", "indexer"], env=environment, stderr=stderr) as ours,
    ):
        try:
            yield ours
        finally:
            ours.kill()


def wait_for_model(
    store: LikeStore, log: Path, *, other_than: Announcement | None = None
) -> Announcement:
    """Return the current model once it is another one."""

    def is_another() -> bool:
        return announced(store) not in {None, other_than}

    try:
        wait_until(is_another, "a new model is announced")
    except AssertionError as late:
        raise AssertionError(log.read_text()) from late
    current = announced(store)
    assert current is not None
    return current


def test_likes_in_redis_become_a_model_that_both_redis_and_the_topic_name(
    settings: Settings, tmp_path: Path
) -> None:
    with opened(settings) as (broker, store):
        like(store, ANN, "x", "y")
        like(store, BOB, "y", "z")
        with an_indexer_process(settings, tmp_path / "log") as indexer:
            current = wait_for_model(store, tmp_path / "log")
            wait_until(
                lambda: len(announced_on_topic(broker, settings)) == 1, "the topic names the model"
            )
            indexer.terminate()
            assert indexer.wait(20) == 0, (tmp_path / "log").read_text()
        [record] = announced_on_topic(broker, settings)
        assert record.key == TOPIC_KEY
        assert decode_announcement(record.value or b"") == current
        assert (current.users, current.items, current.likes) == (2, 3, 4)
        model = read_model(settings.model.directory, current.version)
        assert model.item_ids == ["x", "y", "z"]
        assert store.changed_count() == 0
        assert store.acquire_lease("indexer", "other", 1), "a stop gives the lease back"


def test_a_signal_has_a_model_built_at_once(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with opened(settings) as (_, store), an_indexer_process(settings, log) as indexer:
        first = wait_for_model(store, log)
        like(store, ANN, "x")
        indexer.send_signal(signal.SIGUSR1)
        second = wait_for_model(store, log, other_than=first)
        assert (first.users, second.users) == (0, 1)


def test_when_the_leader_is_killed_another_takes_over(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with opened(settings) as (_, store), an_indexer_process(settings, log) as leader:
        first = wait_for_model(store, log)
        with an_indexer_process(settings, log) as other:
            wait_until(lambda: "another indexer leads" in log.read_text(), "the other waits")
            like(store, ANN, "x")
            leader.kill()
            second = wait_for_model(store, log, other_than=first)
            assert second.users == 1
            other.terminate()
            assert other.wait(20) == 0, log.read_text()


def test_a_build_killed_at_any_moment_leaves_only_whole_models(
    settings: Settings, tmp_path: Path
) -> None:
    log, rng = tmp_path / "log", random.Random(20261122)
    with opened(settings) as (_, store):
        for number in range(200):
            like(store, UserId(f"u{number}"), *(f"i{rng.randrange(99)}" for _ in range(20)))
        with an_indexer_process(settings, log):
            wait_for_model(store, log)
        for _ in range(3):
            with an_indexer_process(settings, log) as indexer:
                # The dead leader's lease lapses, then the newcomer builds: we kill it meanwhile.
                wait_until(a_model_is_written(settings, store), "a build writes its model")
                indexer.kill()
            current = announced(store)
            assert current is not None
            for manifest in list_versions(settings.model.directory):
                verify_checksums(settings.model.directory, manifest)
            assert read_manifest(settings.model.directory, current.version)
        settled = announced(store)
        with an_indexer_process(settings, log) as indexer:
            wait_for_model(store, log, other_than=settled)
            indexer.terminate()
            assert indexer.wait(20) == 0
        assert not any(settings.model.directory.glob(".aside-*"))


def a_model_is_written(settings: Settings, store: LikeStore) -> Callable[[], bool]:
    """Return a condition that holds while a model is written, and when one is announced."""
    before = announced(store)
    aside = settings.model.directory.glob
    return lambda: any(aside(".aside-*")) or announced(store) != before


BUY, VIEW = SignalKind("buy"), SignalKind("view")
WEIGHTS = {BUY: 3.0, VIEW: 0.1}


def test_snapshots_of_what_changed_equal_those_of_everything(settings: Settings) -> None:
    rng = random.Random(7)
    with opened(settings) as (_, store):
        source = Snapshots(store, chunk=7, full_every=100, clock_ms=lambda: 0, weights=WEIGHTS)
        for turn in range(6):
            for _ in range(40):
                change_at_random(store, rng)
            snapshot = source.take(Unwatched())
            everything = read_all(Reader(store, WEIGHTS), chunk=5, progress=Unwatched())
            assert snapshot.full == (turn == 0)
            assert_identical(snapshot.interactions, everything)


def test_signals_in_redis_are_weights_in_a_model(settings: Settings) -> None:
    weighted = msgspec.structs.replace(
        settings, signals=SignalSettings(kinds={"view": 0.25, "buy": 0.0})
    )
    with opened(weighted) as (broker, store):
        like(store, ANN, "x", "y")
        viewer = UserChange(signals={VIEW: SetChange({ItemId("z")}), BUY: SetChange({ItemId("w")})})
        store.apply(Changes(users={UserId("viewer"): viewer}, kinds={VIEW, BUY}), {})
        manifest, _ = index_once(weighted, broker, store, threading.Event())
        assert (manifest.weights, manifest.users) == ({"view": 0.25}, 2)
        model = read_model(weighted.model.directory, manifest.version)
        assert model.item_ids == ["x", "y", "z"]
        assert model.item_counts.tolist() == [1, 1, 1]
        assert model.degrees.tolist() == [1, 1, 0.25]


def change_at_random(store: LikeStore, rng: random.Random) -> None:
    items = [ItemId(f"é {number}") for number in rng.sample(range(30), 6)]
    change = UserChange(
        forget=rng.random() < 0.2, add=set(items[: rng.randrange(4)]), remove=set(items[4:])
    )
    kind = rng.choice([BUY, VIEW, DISLIKE])
    change.signals = {kind: SetChange(set(items[2:5]), set(items[5:]))}
    changes = Changes(users={UserId(f"user {rng.randrange(50)}"): change}, kinds={kind})
    changes.forgotten_kinds = frozenset({BUY, VIEW, DISLIKE})
    store.apply(changes, {})


def test_a_single_build_beside_a_leader_and_a_rollback(settings: Settings, tmp_path: Path) -> None:
    # The leader must not build in between: as it does when it has lost a short lease, or when its
    # model is empty.
    indexer = msgspec.structs.replace(settings.indexer, lease_ms=30_000)
    settings = msgspec.structs.replace(settings, indexer=indexer)
    log = tmp_path / "log"
    topics = Topics(settings.kafka.topic_prefix)
    with opened(settings) as (broker, store), ExitStack() as stack:
        like(store, UserId("bob"), "y")
        stack.enter_context(an_indexer_process(settings, log))
        first = wait_for_model(store, log)
        like(store, ANN, "x")
        manifest, is_current = index_once(settings, broker, store, threading.Event())
        assert is_current
        assert announced(store) == manifest.announcement()
        assert store.changed_count() == 1, "the mark is left to the leader"
        sink = broker.sink()
        use_version(settings.model.directory, store, sink, topics, first.version)
        sink.close()
        assert announced(store) == first

        def is_first_on_topic() -> bool:
            last = announced_on_topic(broker, settings)[-1]
            return decode_announcement(last.value or b"") == first

        # The embedded broker names the end of a topic late at times.
        wait_until(is_first_on_topic, "the version is announced on the topic")


def test_the_model_is_announced_again_to_a_redis_that_comes_back_empty(
    settings: Settings, prefix: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    forgetful = {"appendonly": "no"}
    with EmbeddedRedis(tmp_path / "one", config=forgetful) as redis:
        theirs = RedisSettings(url=redis.url, key_prefix=prefix, timeout_s=1.0)
        settings = msgspec.structs.replace(settings, redis=theirs)
        with opened(settings) as (_, store), an_indexer_process(settings, log) as indexer:
            first = wait_for_model(store, log)
            port = redis.port
            redis.stop()
            wait_until(lambda: "retrying" in log.read_text(), "the indexer misses Redis")
            assert indexer.poll() is None
            with EmbeddedRedis(
                tmp_path / "two", port=port, config=forgetful, password=redis.password
            ):
                wait_for_model(store, log)
                wait_for_model(store, log, other_than=first)
                assert indexer.poll() is None
