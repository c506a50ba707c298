"""Clocks that jump, and a log that grows, is recreated, or loses its beginning or its tail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest
from redis import Redis

from likewise.errors import TransientError
from likewise.log.topics import Topics
from likewise.messages.events import ForgetUser, Like, Unlike
from likewise.messages.ids import ItemId, UserId
from likewise.operations.status import kafka_status
from likewise.settings.loader import environment_of
from likewise.store.port import Advance, Changes, UserChange
from tests.consuming import caught_up, opened, send
from tests.faults.audit import audit, settle
from tests.faults.deployment import ROOT, deployed, settings_for
from tests.faults.kafka_server import KafkaServer, kafka_server
from tests.faults.scene import Scene, scene_of
from tests.faults.traffic import Traffic
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.messages.events import Event
    from likewise.settings import Settings
    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort

# Offsets of the wall clock, one after another.
JUMPS_S = (3_600, -86_400, 86_400 * 400, -3_600, 0)
ANSWERS_AFTER_A_JUMP = 10
ANN, BOB = UserId("ann"), UserId("bob")


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaServer]:
    """A broker whose topics can grow, be recreated and lose records."""
    with kafka_server() as server:
        yield server


@pytest.mark.timeout(400)
def test_a_clock_that_jumps_loses_no_event_and_leaves_no_request_open(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    clock = tmp_path / "clock"
    clock.write_text("0")
    with scene_of(settings, tmp_path, effort.seed, clock_file=clock) as scene:
        with scene.flowing():
            for jump_s in JUMPS_S[: 2 * effort.rounds]:
                before = scene.version()
                replace(clock, str(jump_s))
                figures.faults[f"clock off by {jump_s:+,} s"] += 1
                scene.wait_for_another_model(before)
                wait_for_answers(scene)
        scene.audit(figures)


@pytest.mark.timeout(400)
def test_partitions_added_under_traffic_are_read_from_their_beginning(
    kafka: KafkaServer,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = on_kafka(kafka, redis_url, prefix, tmp_path)
    # No merges: with the new partitions the events of a guest lie in two of them, and merging such a
    # guest is not exact (docs/decisions/0029).
    with scene_of(settings, tmp_path, effort.seed, merges=False) as scene:
        # Producers that start later know the new partitions from the beginning.
        later = Traffic(
            scene.broker,
            scene.topics,
            bootstrap_servers=settings.kafka.bootstrap_servers,
            seed=effort.seed + 1,
            merges=False,
        )
        with scene.flowing():
            scene.wait_for_progress()
            for topic in (scene.topics.likes, scene.topics.requests):
                kafka.add_partitions(topic, settings.kafka.partitions + 3)
                figures.faults["topic with more partitions"] += 1
            wait_until(
                lambda: (
                    len(scene.broker.partitions(scene.topics.likes)) > settings.kafka.partitions
                ),
                "the partitions are there",
            )
            with later.flowing():
                wait_until(lambda: later.ledger.outcomes.total() > 50, "replies")
        settle(scene.broker, scene.store, scene.topics, later)
        scene.audit(figures)
        audit(scene.broker, scene.store, scene.topics, later.ledger, figures)
        used = {partition for partition, _ in later.ledger.confirmed}
        assert max(used) >= settings.kafka.partitions, "no event went to a new partition"


@pytest.mark.timeout(300)
def test_after_partitions_were_added_a_lost_redis_is_rebuilt_as_it_was(
    kafka: KafkaServer, redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    settings = on_kafka(kafka, redis_url, prefix, tmp_path)
    topics = Topics(prefix)
    users = [UserId(f"user {number}") for number in range(200)]
    gone, kept, late = ItemId("gone"), ItemId("kept"), ItemId("late")
    with opened(settings) as (broker, store):
        publish(broker, topics, [Like(user, item) for item in (gone, kept) for user in users])
        kafka.add_partitions(topics.likes, settings.kafka.partitions + 4)
        figures.faults["topic with more partitions"] += 1
        wait_until(
            lambda: len(broker.partitions(topics.likes)) > settings.kafka.partitions,
            "the partitions are there",
        )
        publish(broker, topics, [Unlike(user, gone) for user in users])
        publish(broker, topics, [ForgetUser(user) for user in users[::2]])
        publish(broker, topics, [Like(user, late) for user in users[::4]])
        expected = [
            ({late} if number % 4 == 0 else set()) if number % 2 == 0 else {kept}
            for number in range(len(users))
        ]
        for _ in range(2):
            with deployed(settings, tmp_path, ["consumers", "consumers"]):
                wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied")
            assert store.likes(users) == expected
            assert likewise(settings, "verify") == 0
            with closing(Redis.from_url(redis_url)) as client:
                client.delete(*client.scan_iter(f"{prefix}*", count=1_000))
            figures.faults["Redis lost"] += 1


@pytest.mark.timeout(300)
def test_a_topic_recreated_with_fewer_partitions_is_read_and_a_warning_logged(
    kafka: KafkaServer, redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    settings = on_kafka(kafka, redis_url, prefix, tmp_path)
    topics = Topics(prefix)
    with opened(settings) as (broker, store):
        publish(broker, topics, [Like(ANN, ItemId("item 0")), Like(BOB, ItemId("item 1"))])
        others = [UserId(f"other {number}") for number in range(100)]
        publish(broker, topics, [Like(user, ItemId("item 0")) for user in others])
        with deployed(settings, tmp_path, ["consumers"]):
            wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied")
        kafka.recreate(topics.likes, 1)
        figures.faults["topic recreated with fewer partitions"] += 1
        wait_until(lambda: len(broker.partitions(topics.likes)) == 1, "the new topic is there")
        publish(broker, topics, [Unlike(ANN, ItemId("item 0")), Like(BOB, ItemId("item 2"))])
        with deployed(settings, tmp_path, ["consumers"]) as [consumer]:
            wait_until(lambda: caught_up(broker, store, topics.likes), "the new log is applied")
            # The likes of the old log stay, and those of the new log are added.
            assert store.likes([ANN, BOB]) == [set(), {"item 1", "item 2"}]
            assert store.likes(others) == [{"item 0"}] * len(others)
            assert "was recreated" in consumer.log.read_text()


@pytest.mark.timeout(300)
def test_a_topic_recreated_longer_under_running_consumers_is_read_from_its_beginning(
    kafka: KafkaServer, redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    settings = on_kafka(kafka, redis_url, prefix, tmp_path)
    topics = Topics(prefix)
    users = [UserId(f"user {number}") for number in range(100)]
    with (
        opened(settings) as (broker, store),
        deployed(settings, tmp_path, ["consumers", "consumers"]) as consumers,
    ):
        publish(broker, topics, [Like(user, ItemId("old")) for user in users])
        wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied")
        kafka.recreate(topics.likes, settings.kafka.partitions)
        figures.faults["topic recreated under running consumers"] += 1
        # Every stored position is within the new log: only the topic's id shows that it is another.
        items = [ItemId(f"new {number}") for number in range(5)]
        publish(broker, topics, [Like(user, item) for item in items for user in users])
        wait_until(lambda: store.likes(users) == [{"old", *items}] * 100, "all of the new log")
        wait_until(lambda: caught_up(broker, store, topics.likes), "its end")
        assert any("was recreated" in consumer.log.read_text() for consumer in consumers)


@pytest.mark.timeout(300)
def test_events_lost_to_retention_are_reported_and_the_rest_can_be_repaired(
    kafka: KafkaServer, redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    settings = on_kafka(kafka, redis_url, prefix, tmp_path)
    topics = Topics(prefix)
    early, late = ItemId("early"), ItemId("late")
    with opened(settings) as (broker, store):
        publish(broker, topics, [Like(ANN, early), Unlike(ANN, ItemId("never"))])
        with deployed(settings, tmp_path, ["consumers"]):
            wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied")
        # While no consumer runs, retention removes events.
        publish(broker, topics, [Like(ANN, ItemId(f"gone {number}")) for number in range(20)])
        ends = broker.end_offsets(broker.partitions(topics.likes))
        publish(broker, topics, [Like(ANN, late), Unlike(ANN, early)])
        kafka.remove_records_before(
            topics.likes, {partition.partition: at for partition, at in ends.items()}
        )
        figures.faults["offsets out of retention"] += 1
        with deployed(settings, tmp_path, ["consumers"]) as [consumer]:
            wait_until(
                lambda: caught_up(broker, store, topics.likes), "the remaining events are applied"
            )
            wait_until(lambda: "retention removed events" in consumer.log.read_text(), "a warning")
        assert store.likes([ANN]) == [{late}]
        assert likewise(settings, "verify") == 1, "removed events can't be verified"
        assert likewise(settings, "verify", "--allow-unproven") == 0
        # Other damage in Redis is repaired as far back as the log reaches.
        positions = broker.end_offsets(broker.partitions(topics.likes))
        damage = Changes(users={ANN: UserChange(add={early}, remove={late})})
        store.apply(damage, {p: Advance(at, at) for p, at in positions.items()})
        assert likewise(settings, "verify", "--allow-unproven") == 1
        assert likewise(settings, "verify", "--allow-unproven", "--repair") == 0
        assert store.likes([ANN]) == [{late}]
        assert likewise(settings, "verify", "--allow-unproven") == 0
        # If Redis is lost too, the rebuild is incomplete, and that is logged.
        lose_redis(settings)
        with deployed(settings, tmp_path, ["consumers"]) as [consumer]:
            wait_until(
                lambda: caught_up(broker, store, topics.likes), "the remaining events are applied"
            )
            wait_until(lambda: "cannot be restored" in consumer.log.read_text(), "a warning")
        assert kafka_status(settings, broker, store).gone >= 20


@pytest.mark.timeout(300)
def test_a_log_that_lost_its_tail_and_grew_again_is_noticed(
    kafka: KafkaServer, redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    settings = on_kafka(kafka, redis_url, prefix, tmp_path)
    settings = msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, partitions=1)
    )
    topics = Topics(prefix)
    with opened(settings) as (broker, store):
        publish(broker, topics, [Like(ANN, ItemId("kept"))])
        saved = kafka.copy_of(topics.likes, 0)
        publish(broker, topics, [Like(ANN, ItemId(f"lost {number}")) for number in range(10)])
        with deployed(settings, tmp_path, ["consumers"]):
            wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied")
        kafka.kill()
        kafka.put_back(saved)
        kafka.start()
        wait_until(kafka.answers, "the broker answers again", timeout_s=90)
        figures.faults["log that lost its tail"] += 1
    # More events than were lost: the stored position is within the new log too.
    fresh = {ItemId(f"new {number}") for number in range(20)}
    with opened(settings) as (broker, store):
        publish(broker, topics, [Like(ANN, item) for item in sorted(fresh)])
        with deployed(settings, tmp_path, ["consumers"]) as [consumer]:
            wait_until(lambda: caught_up(broker, store, topics.likes), "the new log is applied")
            wait_until(lambda: "lost its tail" in consumer.log.read_text(), "a warning")
        assert store.likes([ANN])[0] >= fresh | {ItemId("kept")}


def lose_redis(settings: Settings) -> None:
    """Delete all keys of the deployment at once, as a server loses them."""
    with Redis.from_url(settings.redis.url) as operator:
        operator.delete(*operator.scan_iter(f"{settings.redis.key_prefix}*"))


def on_kafka(kafka: KafkaServer, redis_url: str, prefix: str, directory: Path) -> Settings:
    """Return settings for Apache Kafka."""
    return settings_for(
        kafka.bootstrap_servers, redis_url, prefix, directory, session_timeout_ms=6_000
    )


def publish(broker: Broker, topics: Topics, events: Sequence[Event]) -> None:
    """Publish events; wait for a topic that was just created."""

    def published() -> bool:
        try:
            with closing(broker.sink()) as sink:
                send(sink, topics.likes, events)
        except TransientError:
            return False
        return True

    wait_until(published, "the broker accepts the events")


def replace(file: Path, text: str) -> None:
    """Replace a file atomically."""
    aside = file.with_suffix(".new")
    aside.write_text(text)
    aside.rename(file)


def wait_for_answers(scene: Scene) -> None:
    """Return once some more requests were answered with items; errors do not count."""
    outcomes = scene.traffic.ledger.outcomes
    before = outcomes["model"] + outcomes["popular"]
    wait_until(
        lambda: outcomes["model"] + outcomes["popular"] > before + ANSWERS_AFTER_A_JUMP, "answers"
    )


def likewise(settings: Settings, *arguments: str) -> int:
    """Run a command as an operator would; return its exit code."""
    environment = {**os.environ, **environment_of(settings), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "likewise", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), json.dumps([done.stdout, done.stderr])
    return done.returncode
