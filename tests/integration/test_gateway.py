"""A gateway in its own process: a like counts, outages end, and a stop loses nothing."""

from __future__ import annotations

import signal
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import httpx

from likewise.embedded import EmbeddedBroker, EmbeddedRedis
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from tests.consuming import consuming
from tests.live_gateway import live_gateway
from tests.serving_rig import item, likes_but_one
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live_gateway import LiveGateway


def test_an_answer_counts_the_like_whose_position_it_carries(
    tmp_path: Path, bootstrap_servers: str, redis_url: str
) -> None:
    with (
        live_gateway(tmp_path, bootstrap_servers, redis_url) as gateway,
        consuming(gateway.settings),
        gateway.client() as client,
    ):
        path = "/v1/users/ann/recommendations"
        for liked in likes_but_one(3, missing=2):
            put = client.put(f"/v1/users/ann/likes/{liked}")
            assert put.status_code == 200
            answer = client.get(
                path, headers={"Likewise-Position": put.headers["Likewise-Position"]}
            )
            assert answer.status_code == 200
            shown = [one["item_id"] for one in answer.json()["items"]]
            assert liked not in shown
        assert shown[0] == item(3, 2)
        undone = client.delete(f"/v1/users/ann/likes/{liked}?wait=applied")
        assert undone.status_code == 200
        assert liked in {one["item_id"] for one in client.get(path).json()["items"]}
        # It is looked at twice a second.
        wait_until(lambda: client.get("/readyz").text == "ready\n", "the gateway is ready")


def test_a_stop_under_load_loses_no_confirmed_like(
    tmp_path: Path, bootstrap_servers: str, redis_url: str
) -> None:
    confirmed: list[str] = []
    enough = threading.Event()

    def like(writer: int, gateway: LiveGateway) -> None:
        with gateway.client() as client:
            for number in range(100_000):
                item_id = f"{writer}-{number}"
                try:
                    put = client.put(f"/v1/users/u{writer}/likes/{item_id}")
                except httpx.TransportError:
                    return
                if put.status_code != 200:
                    assert put.status_code == 503
                    return
                confirmed.append(f"{put.json()['position']} {item_id}")
                if len(confirmed) > 200:
                    enough.set()

    with live_gateway(tmp_path, bootstrap_servers, redis_url) as gateway:
        writers = [threading.Thread(target=like, args=(one, gateway)) for one in range(8)]
        for writer in writers:
            writer.start()
        assert enough.wait(60)
        gateway.process.send_signal(signal.SIGTERM)
        for writer in writers:
            writer.join(60)
        assert gateway.process.wait(30) == 0
    with closing(KafkaBroker(gateway.settings.kafka)) as broker:
        topic = Topics(gateway.settings.kafka.topic_prefix).likes
        partitions = broker.partitions(topic)
        total = sum(broker.end_offsets(partitions).values())
        found: set[str] = set()
        count = 0
        with closing(broker.reader(dict.fromkeys(partitions, 0))) as reader:
            while count < total:
                for record in reader.poll(1_000):
                    count += 1
                    event = decode_event(record)
                    found.add(f"{record.partition}:{record.offset} {event.item_id}")  # type: ignore[union-attr]  # all are likes
    assert len(confirmed) > 200
    assert set(confirmed) <= found


def test_outages_of_redis_and_kafka_are_503_and_end(tmp_path: Path) -> None:
    answers, likes = "/v1/users/ann/recommendations", "/v1/users/ann/likes/x"
    with (
        EmbeddedRedis(tmp_path / "redis") as redis,
        EmbeddedBroker(tmp_path / "broker") as kafka,
        live_gateway(tmp_path, kafka.bootstrap_servers, redis.url) as gateway,
        gateway.client() as client,
    ):
        wait_until(lambda: client.get("/readyz").status_code == 200, "it is ready")
        redis.kill()
        failed = client.get(answers)
        assert (failed.status_code, failed.json()["code"]) == (503, "unavailable")
        assert failed.headers["Retry-After"] == "1"
        assert client.put(likes).status_code == 200  # Kafka has it
        wait_until(lambda: client.get("/readyz").status_code == 503, "it is not ready")
        assert client.get("/healthz").status_code == 200
        redis.start()
        wait_until(lambda: client.get(answers).status_code == 200, "it answers again")

        kafka.kill()
        failed = client.put(likes)
        assert (failed.status_code, failed.json()["code"]) == (503, "unavailable")
        assert client.get(answers).status_code == 200  # Redis has what it needs
        wait_until(lambda: client.get("/readyz").status_code == 503, "it is not ready")
        kafka.start()
        with closing(KafkaBroker(gateway.settings.kafka)) as broker:  # it forgets its topics
            broker.ensure_topics(Topics(gateway.settings.kafka.topic_prefix).specs(2))
        wait_until(lambda: client.put(likes).status_code == 200, "it publishes again")
        wait_until(lambda: client.get("/readyz").status_code == 200, "it is ready again")
