"""Items, models, dead letters, messages and the live stream of a gateway in its own process, on real servers."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from likewise.embedded import EmbeddedRedis
from likewise.log.topics import Topics
from serving.service import run_server
from tests.consuming import caught_up, consuming, opened
from tests.live_gateway import live_gateway
from tests.services import in_a_thread
from tests.serving_rig import BLOCK_ITEMS, VERSION, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx


OTHER = "20260102T000000.000Z"


def events_of(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the server-sent events of an open stream."""
    kind = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


def next_tick(
    events: Iterator[tuple[str, dict[str, Any]]], holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    return next(data for kind, data in events if kind == "tick" and holds(data))


@pytest.mark.timeout(300)
def test_items_models_dead_letters_and_messages(
    bootstrap_servers: str, redis_url: str, tmp_path: Path
) -> None:
    with live_gateway(tmp_path, bootstrap_servers, redis_url) as gateway:
        settings = gateway.settings
        topics = Topics(settings.kafka.topic_prefix)
        with (
            gateway.client() as client,
            opened(settings) as (broker, store),
            consuming(settings),
            in_a_thread(settings, "server", partial(run_server, settings)),
        ):
            put = client.put("/v1/items/i%2F1", json={"title": "Amélie", "categories": ["comedy"]})
            assert put.status_code == 200
            wait_until(lambda: store.catalogue_size().items == 1, "the item is applied")
            found = wait_until(
                lambda: client.get("/v1/items", params={"q": "amel"}).json()["items"], "it is found"
            )
            assert (found[0]["item_id"], found[0]["title"]) == ("i/1", "Amélie")
            assert client.get("/v1/categories").json() == [{"name": "comedy", "items": 1}]

            write_block_model(settings.model.directory, OTHER, blocks=2)
            assert client.post(f"/v1/models/{OTHER}/use").json()["version"] == OTHER
            wait_until(
                lambda: client.get("/v1/rankers").json()[0]["version"] == OTHER,
                "the gateway uses the other model",
            )
            current = [row["version"] for row in client.get("/v1/models").json()["versions"]]
            assert current == [OTHER, VERSION]

            sink = broker.sink()
            sink.send(topics.likes, b"{", key=b"ann").result(10)
            sink.close()
            groups = wait_until(
                lambda: client.get("/v1/dead-letters").json()["groups"], "a dead letter is there"
            )
            assert [(group["code"], group["count"]) for group in groups] == [("not_json", 1)]
            replayed = client.post("/v1/dead-letters/replay", json={"codes": ["not_json"]})
            assert replayed.json()["sent"] == 1
            wait_until(
                lambda: client.get("/v1/dead-letters").json()["total"] == 2, "it is refused again"
            )

            for liked in likes_but_one(1):
                body = {"user_id": "ann", "item_id": liked}
                position = client.post("/v1/messages/Like", json=body).json()["position"]
            question = {"user_id": "ann", "count": BLOCK_ITEMS, "after": position}
            sent = client.post("/v1/messages/RequestForUser", json=question).json()
            assert sent["topic"] == topics.requests
            assert sent["reply"]["user_id"] == "ann"
            assert sent["reply"]["items"]
            wait_until(lambda: caught_up(broker, store, topics.likes), "all likes are applied")
            likes = client.get("/v1/users/ann/likes").json()
            assert [one["item_id"] for one in likes["items"]] == likes_but_one(1)
            status = client.get("/v1/status?counts=true").json()
            assert (status["redis"]["users"], status["redis"]["items"]) == (1, 1)


@pytest.mark.timeout(300)
def test_the_live_stream_moves_and_survives_an_outage_of_redis(
    bootstrap_servers: str, tmp_path: Path
) -> None:
    with (
        EmbeddedRedis(tmp_path / "redis") as redis,
        live_gateway(tmp_path, bootstrap_servers, redis.url) as gateway,
        gateway.client() as client,
        consuming(gateway.settings),
        client.stream("GET", "/v1/live") as stream,
    ):
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = events_of(stream)
        first = next_tick(events, lambda tick: tick["behind"] == 0)
        assert first["model"]["version"] == VERSION
        with gateway.client() as other:
            other.put("/v1/users/ann/likes/x").raise_for_status()
        next_tick(events, lambda tick: bool(tick["events_per_s"]))
        kind, like = next(event for event in events if event[0] == "like")
        assert (kind, like["user_id"], like["item_id"]) == ("like", "ann", "x")

        redis.kill()
        broken = next_tick(events, lambda tick: bool(tick["problems"]))
        assert broken["problems"][0]["sentence"].startswith("Redis cannot be reached")
        assert broken["behind"] is None
        assert broken["events_per_s"] is not None
        redis.start()
        next_tick(events, lambda tick: tick["behind"] == 0 and not tick["problems"])
