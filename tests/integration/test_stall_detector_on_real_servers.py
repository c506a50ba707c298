"""A group that makes no progress on a real broker, with living members, recovers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from kafka.coordinator.consumer import ConsumerCoordinator

from likewise.log.topics import Topics
from likewise.settings import KafkaSettings
from tests.consuming import caught_up, consuming, opened, random_events, send, settings_for
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.log.kafka.reading import KafkaSource

PATIENCE_S = 6.0


def leaves_a_partition_unassigned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the group's leader leave out a partition in its first assignment."""
    original, happened = ConsumerCoordinator._perform_assignment, list[str]()

    def perform(self: Any, *arguments: Any) -> Any:
        if happened:
            return original(self, *arguments)
        happened.append(self.group_id)
        with pytest.MonkeyPatch.context() as forgetting:
            forgetting.setattr(self._cluster, "partitions_for_topic", lambda _topic: {0})
            return original(self, *arguments)

    monkeypatch.setattr(ConsumerCoordinator, "_perform_assignment", perform)
    return happened


def gets_no_answer_to_its_join(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the first join go unanswered."""
    original, happened = ConsumerCoordinator._do_join_and_sync_async, list[str]()

    async def join(self: Any) -> Any:
        if not happened:
            happened.append(self.group_id)
            await self._manager._net.sleep(3_600)
        return await original(self)

    monkeypatch.setattr(ConsumerCoordinator, "_do_join_and_sync_async", join)
    return happened


@pytest.mark.parametrize("stall", [leaves_a_partition_unassigned, gets_no_answer_to_its_join])
def test_events_that_nobody_reads_are_applied_after_a_rejoin(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    stall: Callable[[pytest.MonkeyPatch], list[str]],
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    monkeypatch.setattr(KafkaSettings, "group_patience_s", PATIENCE_S)
    happened = stall(monkeypatch)
    topic = Topics(prefix).likes
    with opened(settings) as (broker, store), closing(broker.sink()) as sink:
        send(sink, topic, islice(random_events(1), 200))
        with consuming(settings) as stats:
            wait_until(lambda: caught_up(broker, store, topic), "all is applied")
    assert happened
    assert stats.rejoins >= 1


def test_a_group_whose_leader_left_while_it_formed_gets_another(
    bootstrap_servers: str, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    monkeypatch.setattr(KafkaSettings, "group_patience_s", PATIENCE_S)
    topic, group = Topics(prefix).likes, settings.consumer.group
    with opened(settings) as (broker, store), closing(broker.sink()) as sink:
        send(sink, topic, islice(random_events(1), 200))
        members = [broker.source(group, [topic], max_records=1)]
        joined(members)
        members.append(broker.source(group, [topic], max_records=1))
        joined(members)
        for member in reversed(members):  # the leader last, before it has noticed the other
            member.close()
        with consuming(settings):
            wait_until(lambda: caught_up(broker, store, topic), "all is applied", timeout_s=90)


def joined(members: list[KafkaSource]) -> None:
    """Return once all are members and have partitions."""
    with ThreadPoolExecutor(len(members)) as pool:

        def have_partitions() -> bool:
            list(pool.map(lambda member: member.poll(100), members))
            return all(member.is_member() and member.assignment() for member in members)

        wait_until(have_partitions, "all have joined")
