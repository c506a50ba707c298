"""What may be shown, with plain Kafka clients, a consumer and servers on real servers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from consumers.service import run_consumer
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.settings.loader import environment_of
from tests.plain_kafka import PlainApp, plain_app
from tests.requesting import PARTITIONS, serving, settings_for
from tests.services import in_a_thread
from tests.serving_rig import item, items_of, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from likewise.settings import Settings

VERSION = "20260101T000000.000Z"
BLOCKS = 50


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return settings_for(bootstrap_servers, redis_url, prefix, tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[PlainApp]:
    """An application, with a consumer at work and a model of 250 items."""
    write_block_model(settings.model.directory, VERSION, blocks=BLOCKS)
    prefix = settings.kafka.topic_prefix
    with closing(KafkaBroker(settings.kafka, client_id="test")) as broker:
        broker.ensure_topics(Topics(prefix).specs(PARTITIONS))
    with (
        in_a_thread(settings, "consumer", partial(run_consumer, settings)),
        plain_app(settings.kafka.bootstrap_servers, prefix) as asking,
    ):
        yield asking


@contextmanager
def a_server(settings: Settings, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **environment_of(settings)}
    with (
        (directory / "server.log").open("ab") as log,
        subprocess.Popen([sys.executable, "-m", "serving"], env=environment, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(240)
def test_twenty_pages_hold_no_item_twice_with_likes_in_between_and_a_server_killed(
    settings: Settings, app: PlainApp, tmp_path: Path
) -> None:
    position = app.event("like", "ann", "c7.0")
    pages: list[dict[str, Any]] = []
    liked = {"c7.0"}
    shown: list[str] = []
    previous: dict[str, str] = {}

    def next_page() -> bytes:
        return app.send(user_id="ann", count=10, after=position, **previous)

    with a_server(settings, tmp_path) as server:
        while len(pages) < 20:
            asked = next_page()
            if len(pages) == 8:
                server.kill()
                break
            pages.append(app.reply(asked))
            previous = {"next_of": pages[-1]["recommendation_id"]}
            shown += items_of(pages[-1])
            liked.add(shown[-3])
            position = app.event("like", "ann", shown[-3])
    with a_server(settings, tmp_path):
        pages.append(app.reply(asked))
        while len(pages) < 20:
            shown += items_of(pages[-1])
            liked.add(shown[-1])
            position = app.event("like", "ann", shown[-1])
            previous = {"next_of": pages[-1]["recommendation_id"]}
            pages.append(app.reply(next_page()))
        shown += items_of(pages[-1])
        stranger = app.ask(user_id="bob", **previous)
    assert [len(items_of(page)) for page in pages] == [10] * 20
    assert len({*shown}) == 200
    assert "c7.0" not in shown
    assert stranger["error"]["code"] == "unknown_recommendation"


GENRES = ["drama", "comedy", "noir", "war"]
Document = dict[str, Any]
# Filters, and what they mean in plain Python for one document, or for an item without one.
FILTERS: list[tuple[Document, Callable[[Document | None], object]]] = [
    ({"categories": "noir"}, lambda one: one and "noir" in one["categories"]),
    (
        {"categories": {"$in": ["war", "noir"]}, "price": {"$gte": 20, "$lt": 60}},
        lambda one: one and {"war", "noir"} & {*one["categories"]} and 20 <= one["price"] < 60,
    ),
    (
        {"$or": [{"price": {"$lt": 5}}, {"$not": {"stock": True}}]},
        lambda one: not one or one["price"] < 5 or not one["stock"],
    ),
    ({"lang": {"$nin": ["en", "de"]}}, lambda one: one and one["lang"] not in {"en", "de"}),
    (
        {"lang": {"$ne": "en"}, "stock": True},
        lambda one: one and one["lang"] != "en" and one["stock"],
    ),
    ({"published_at": {"$gte": "2024-01-01T00:00:00Z"}}, lambda one: one and one["year"] >= 2024),
    ({"price": {"$exists": False}}, lambda one: not one),
]


BAD_RULES: list[tuple[Document, str]] = [
    ({"where": {"title": {"$regex": ".*"}}}, "invalid_where"),
    ({"scenario": "nowhere"}, "unknown_scenario"),
    ({"boost": [{"where": {}, "factor": -1}]}, "invalid_boost"),
]


def a_document(rng: random.Random, item_id: str) -> Document:
    return {
        "item_id": item_id,
        "title": f"Title of {item_id}",
        "categories": rng.sample(GENRES, rng.randint(1, 3)),
        "price": rng.uniform(0, 100),
        "stock": rng.random() < 0.7,
        "lang": rng.choice(["en", "de", "fr"]),
        "year": rng.randint(2018, 2026),
    }


def publish_item(app: PlainApp, one: Document) -> None:
    labels = {name: one[name] for name in ("price", "stock", "lang")}
    body = {name: one[name] for name in ("item_id", "title", "categories")}
    published_at = f"{one['year']}-06-01T12:00:00Z"
    app.publish("items", one["item_id"], {**body, "labels": labels, "published_at": published_at})


@pytest.mark.timeout(240)
def test_filters_lists_signals_and_scenarios_show_what_plain_python_says(
    settings: Settings, app: PlainApp
) -> None:
    rng = random.Random(14)
    ids = sorted(item(block, number) for block in range(BLOCKS) for number in range(5))
    documents = {item_id: a_document(rng, item_id) for item_id in ids[:200]}
    for one in documents.values():
        publish_item(app, one)
    for item_id in ids[:10]:
        app.publish("items", item_id, None)
        del documents[item_id]
    liked, disliked, hidden = rng.sample(ids, 3)
    app.event("like", "ann", liked)
    app.event("dislike", "ann", disliked)
    end = app.event("hide", "ann", hidden)
    never = {liked, disliked, hidden}
    defaults = {"where": FILTERS[0][0], "count": 1_000, "fields": ["title"]}
    app.publish("scenarios", "noir", {"name": "noir", "defaults": defaults})

    def shown(**options: Any) -> list[str]:
        return items_of(app.ask(user_id="ann", after=end, count=1_000, **options))

    with serving(settings):
        wait_until(
            lambda: "items" in app.ask(user_id="bob", scenario="noir"), "the scenario is followed"
        )
        for where, holds in FILTERS:
            expected = {item_id for item_id in ids if holds(documents.get(item_id))}
            assert {*shown(where=where)} == expected - never, where
        assert {*shown()} == {*ids} - never
        mine = rng.sample(ids, 30)
        assert {*shown(only=mine, where={"price": {"$lt": 50}})} == {
            one for one in mine if one in documents and documents[one]["price"] < 50
        } - never
        noir = app.ask(user_id="bob", scenario="noir")["items"]
        assert {one["item_id"] for one in noir} == {
            item_id for item_id, one in documents.items() if "noir" in one["categories"]
        }
        assert all(one["fields"] == {"title": f"Title of {one['item_id']}"} for one in noir)
        pages = [app.ask(user_id="bob", scenario="noir", count=7)]
        while items_of(pages[-1]):
            previous = pages[-1]["recommendation_id"]
            pages.append(app.ask(user_id="bob", scenario="noir", count=7, next_of=previous))
        walked = [one for page in pages for one in items_of(page)]
        assert len(walked) == len({*walked}) == len(noir)
        for bad, code in BAD_RULES:
            assert app.ask(user_id="ann", **bad)["error"]["code"] == code
