"""Items and scenarios from plain Kafka clients, through a consumer that is killed, to the commands."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import kafka
import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.log.topics import Topics
from likewise.messages.ids import ItemId
from likewise.messages.items import decode_stored_item
from likewise.settings.loader import environment_of
from tests.consuming import caught_up, opened, settings_for
from tests.integration.test_consumer_survives_sigkill import a_consumer_process
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

ITEMS = 3_000
SCENARIO = b'{"defaults": {"count": 5, "where": {"price": {"$lt": 3}}}}'
CLOUD_EVENT_HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"com.shop.item.v1"),
    ("ce_id", b"1"),
    ("ce_source", b"/shop"),
]


@pytest.mark.timeout(300)
def test_items_of_plain_clients_survive_the_kill_of_a_consumer(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    topics = Topics(prefix)
    with opened(settings) as (broker, store):
        send(bootstrap_servers, topics.items, item_records())
        send(bootstrap_servers, topics.scenarios, [(b"home", SCENARIO, [])])
        with a_consumer_process(settings, tmp_path) as consumer:
            wait_until(lambda: store.catalogue_size().items > 0, "some items are applied")
            consumer.send_signal(signal.SIGKILL)
        send(bootstrap_servers, topics.items, last_records())
        with a_consumer_process(settings, tmp_path):
            wait_until(lambda: all_applied(broker, store, topics), "everything is applied")
            lag = partial(run_json, settings, "status")
            wait_until(lambda: lag()["kafka"]["items"]["lag"] == 0, "offsets are committed")
        expected = {f"i{n}": float(n) for n in range(1, ITEMS)} | {"cloudy": 1.5, "late": 2.0}
        assert prices(store) == expected
        assert store.catalogue_get([ItemId("i0")]) == [None]
        verified = run_json(settings, "verify")
        assert verified["items"]["equal"]
        assert (verified["items"]["documents"], verified["items"]["invalid_records"]) == (
            ITEMS + 1,
            2,
        )
        assert verified["scenarios"]["equal"]
        letters = run_json(settings, "dead-letters", "list")["dead_letters"]
        assert sorted(letter["reason"] for letter in letters) == ["key_mismatch", "not_json"]
        status = run_json(settings, "status")
        assert (status["redis"]["items"], status["redis"]["scenarios"]) == (ITEMS + 1, 1)


@pytest.mark.timeout(300)
def test_what_commands_import_they_show_export_and_remove(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    file, copy = tmp_path / "movies.csv", tmp_path / "items.jsonl.gz"
    file.write_text('movieId,title,genres,year\n1,"Toy, Story",A|B,1995\n,bad,,\n2,Heat,A,1996\n')
    with opened(settings) as (_, store), a_consumer_process(settings, tmp_path):
        found = run_json(settings, "items", "import", str(file), "--wait", code=5)
        assert (found["rows"], found["published"], found["bad_rows"]) == (3, 2, 1)
        assert found["first_bad_rows"][0]["line"] == 3
        label = ("--label", "price=9.9", "--label", 'tags=["x"]')
        run(
            settings,
            "items",
            "put",
            "i7",
            "--title",
            "Blue",
            "--category",
            "jazz",
            *label,
            "--wait",
        )
        assert run_json(settings, "items", "show", "i7", "1") == [
            {"item_id": "i7", "title": "Blue", "categories": ["jazz"], "labels": {"price": 9.9, "tags": ["x"]}},
            {"item_id": "1", "title": "Toy, Story", "categories": ["A", "B"], "labels": {"year": 1995}},
        ]  # fmt: skip
        assert run_json(settings, "items", "export", str(copy))["items"] == 3
        before = sorted(one for chunk in store.catalogue_items() for one in chunk)
        run(settings, "items", "remove", "i7", "1", "2", "--wait")
        run(settings, "items", "show", "i7", code=1)
        assert run_json(settings, "items", "import", str(copy), "--wait")["published"] == 3
        assert sorted(one for chunk in store.catalogue_items() for one in chunk) == before
        run(settings, "items", "put", '{"item_id": "i8", "labels": {"a": {}}}', code=1)

        run(settings, "scenarios", "put", "home", '{"count": 5}', "--wait")
        run(settings, "scenarios", "put", "home", '{"user_id": "u1"}', code=1)
        assert run_json(settings, "scenarios", "list") == {"home": {"count": 5}}
        assert json.loads(run(settings, "scenarios", "show", "home")) == {"count": 5}
        run(settings, "scenarios", "remove", "home", "--wait")
        run(settings, "scenarios", "show", "home", code=1)


def item_records() -> Iterable[tuple[bytes, bytes | None, list[tuple[str, bytes]]]]:
    for number in range(ITEMS):
        body = {
            "item_id": f"i{number}",
            "title": f"title {number}",
            "labels": {"price": float(number)},
        }
        yield f"i{number}".encode(), json.dumps(body).encode(), []
    yield b"cloudy", b'{"labels": {"price": 1.5}}', CLOUD_EVENT_HEADERS
    yield b"i1", b"no item", []


def last_records() -> list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]]:
    return [
        (b"i0", None, []),
        (b"another", b'{"item_id": "i2"}', []),
        (b"late", b'{"item_id": "late", "labels": {"price": 2.0}}', []),
    ]


def send(
    bootstrap_servers: str,
    topic: str,
    records: Iterable[tuple[bytes, bytes | None, list[tuple[str, bytes]]]],
) -> None:
    """Publish records as an app with kafka-python does."""
    producer: Any = kafka.KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    with closing(producer):
        for key, value, headers in records:
            producer.send(topic, value, key=key, headers=headers)
        producer.flush(30)


def all_applied(broker: Broker, store: LikeStore, topics: Topics) -> bool:
    return all(caught_up(broker, store, topic) for topic in topics.documents)


def prices(store: LikeStore) -> dict[str, object]:
    items = [decode_stored_item(one) for chunk in store.catalogue_items() for one in chunk]
    return {item.item_id: item.labels["price"] for item in items}


def run(settings: Settings, *arguments: str, code: int = 0) -> str:
    """Call the command line, check its exit code, and return its standard output."""
    environment: dict[str, str | None] = dict.fromkeys(
        name for name in os.environ if name.startswith("LIKEWISE_")
    )
    result = CliRunner().invoke(app, arguments, env={**environment, **environment_of(settings)})
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def run_json(settings: Settings, *arguments: str, code: int = 0) -> Any:
    return json.loads(run(settings, *arguments, "--json", code=code))
