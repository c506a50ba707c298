"""What follows the lists of an experiment, counted on real servers by two consumers, while Redis is lost."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.embedded import EmbeddedRedis
from likewise.experiments.runs import run_key
from likewise.experiments.tally import to_fields
from likewise.log.ranges import read_between
from likewise.log.topics import Topics
from likewise.messages.experiments import encode_experiment
from likewise.operations.tallies import tally_of
from likewise.settings.loader import environment_of
from likewise.store.attribution_port import AttributionUpdate
from tests.attributing import counted_in, experiment, send_traffic
from tests.consuming import consuming, opened, settings_for
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.records import Record, TopicPartition
    from likewise.store.port import LikeStore


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as redis:
        yield redis


def test_two_consumers_count_what_the_topics_define_also_after_redis_was_lost(
    server: EmbeddedRedis, bootstrap_servers: str, prefix: str
) -> None:
    settings = settings_for(bootstrap_servers, server.url, prefix)
    environment = {**environment_of(settings), "COLUMNS": "200"}
    topics, now_ms = Topics(prefix), time.time_ns() // 1_000_000
    wide = experiment(started_at_ms=now_ms)
    with opened(settings) as (broker, store), closing(broker.sink()) as sink:
        with consuming(settings) as stats, consuming(settings):
            document = encode_experiment(wide)
            sink.send(topics.experiments, document, key=wide.name.encode()).result(30.0)
            send_traffic(sink, topics, wide, seed=1, now_ms=now_ms, lists=300)
            wait_until(lambda: is_counted(broker, store, topics), "all is counted", 60.0)
            with Redis.from_url(server.url) as operator:
                operator.flushall()
            send_traffic(sink, topics, wide, seed=2, now_ms=now_ms, lists=100)
            wait_until(lambda: is_counted(broker, store, topics), "all is counted again", 60.0)
        counted = to_fields(tally_of(store, wide))
        assert counted == counted_in(records(broker, topics), topics, wide)
        assert stats.attribution.heartbeat.ready is False  # readiness is the consumer's own
        command = ["experiments", "verify", wide.name]
        ended = CliRunner().invoke(app, [*command, "--json"], env=environment)
        found = json.loads(ended.stdout)
        assert (ended.exit_code, found["proven"], found["differences"]) == (0, True, {})
        assert found["tally"]["variants"]["wide"]["lists"] == counted["/wide/lists"]
        assert found["verdict"]["comparisons"][0]["variant"] == "wide"
        store.apply_attribution(AttributionUpdate(counts={run_key(wide): {"/wide/likes": 7}}))
        ended = CliRunner().invoke(app, command, env=environment)
        assert ended.exit_code == 1
        assert "1 counts differ" in ended.stdout
        assert "/wide/likes" in ended.stdout


def is_counted(broker: Broker, store: LikeStore, topics: Topics) -> bool:
    """Whether all of both topics is counted."""
    ends = broker.end_offsets(partitions(broker, topics))
    reached = store.attribution_positions()
    return all(one in reached and reached[one].offset == end for one, end in ends.items())


def records(broker: Broker, topics: Topics) -> list[Record]:
    both = partitions(broker, topics)
    start, end = broker.beginning_offsets(both), broker.end_offsets(both)
    return [record for some in read_between(broker, start, end) for record in some]


def partitions(broker: Broker, topics: Topics) -> list[TopicPartition]:
    return [*broker.partitions(topics.exposures), *broker.partitions(topics.likes)]
