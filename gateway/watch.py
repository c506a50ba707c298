"""Beats while the gateway works, and decides whether it is ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError
from likewise.service.logs import get_logger
from likewise.service.store_watch import StoreWatch

if TYPE_CHECKING:
    from gateway.gateway import Gateway

_BEAT_EVERY_S = 0.5
_ASK_KAFKA_EVERY_S = 5.0
LONGEST_RANKING_S = 180.0


async def watch(gateway: Gateway) -> None:
    """Beat until the gateway stops. It is silent while the thread that answers hangs.

    Ready: Redis and Kafka answer, and Redis evicts nothing.
    """
    stats = gateway.stats
    store_watch = StoreWatch(gateway.store, stats.keeping)
    kafka = asyncio.create_task(_watch_kafka(gateway))
    try:
        while not gateway.stop.is_set():
            keeps_all = await gateway.run(store_watch.look)
            ready = keeps_all and gateway.answers.ready and stats.kafka_answers
            if gateway.answers.silent_s < LONGEST_RANKING_S:
                stats.heartbeat.beat(ready=ready)
            await _pause(gateway, _BEAT_EVERY_S)
    finally:
        kafka.cancel()


async def _watch_kafka(gateway: Gateway) -> None:
    """Ask Kafka a small question from time to time."""
    likes = gateway.topics.likes
    while True:
        try:
            await gateway.run(
                lambda: gateway.broker.least_ends(gateway.broker.partitions(likes)[:1])
            )
        except LikewiseError as error:
            _note_kafka(gateway, reason=str(error))
        else:
            _note_kafka(gateway)
        await _pause(gateway, _ASK_KAFKA_EVERY_S if gateway.stats.kafka_answers else _BEAT_EVERY_S)


def _note_kafka(gateway: Gateway, *, reason: str | None = None) -> None:
    answers = reason is None
    if gateway.stats.kafka_answers and not answers:
        gateway.stats.server_errors["kafka"] += 1
        get_logger().warning("Kafka does not answer", reason=reason)
    elif answers and not gateway.stats.kafka_answers:
        get_logger().info("Kafka answers again")
    gateway.stats.kafka_answers = answers


async def _pause(gateway: Gateway, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await gateway.stop.wait()
    except TimeoutError:
        return
