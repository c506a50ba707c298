"""Records as other people's clients write them, and replies as those clients read them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import kafka
import pytest

from likewise.log.topics import TopicSpec
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.ids import UserId
from likewise.messages.reply_routes import REPLY_TOPIC_HEADER
from likewise.records import TopicPartition
from tests.consuming import caught_up, consuming
from tests.requesting import requester, serving, settings_for
from tests.serving_rig import error_of, item, items_of, like, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.settings import Settings
    from tests.requesting import Requester

VERSION = "20260101T000000.000Z"
NULLS = dict.fromkeys(["action", "timestamp", "version", "specversion", "type", "data"])
SPRING = ("__TypeId__", b"com.example.LikeEvent")

# What `pip install kafka-python` alone can read: no codec but gzip, which is Python's own.
READ_WITHOUT_CODECS = """
import json, sys
sys.modules.update(dict.fromkeys(
    ["lz4", "lz4.frame", "lz4f", "lz4framed", "snappy", "zstandard", "cramjam", "compression"]
))
from kafka import KafkaConsumer, TopicPartition
consumer = KafkaConsumer(
    bootstrap_servers=sys.argv[1], group_id=None, auto_offset_reset="earliest", metrics_enabled=False
)
wanted = [TopicPartition(t, p) for t in sys.argv[2:] for p in consumer.partitions_for_topic(t)]
consumer.assign(wanted)
ends = consumer.end_offsets(wanted)
read = []
while any(consumer.position(one) < ends[one] for one in wanted):
    for records in consumer.poll(1000).values():
        read += [(record.topic, len(record.value)) for record in records]
print(json.dumps(read))
"""


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return settings_for(bootstrap_servers, redis_url, prefix, tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[Requester]:
    with requester(settings) as asking:
        yield asking


def envelope(**fields: object) -> bytes:
    return json.dumps({"specversion": "1.0", "id": "1", "source": "/shop", **fields}).encode()


def event(item_id: str, **fields: object) -> bytes:
    return json.dumps({"user_id": "42", "item_id": item_id, **fields}).encode()


def test_likes_of_other_serialisers_count_or_become_dead_letters_that_name_them(
    settings: Settings, app: Requester
) -> None:
    data = base64.b64encode(event("base64")).decode()
    binary = [("ce_specversion", b"1.0"), ("ce_type", b"com.example.like/v2")]
    sent: list[tuple[bytes | None, bytes, list[Any]]] = [
        (b"42", event("nulls", **NULLS), []),
        (b"42", envelope(type="com.example.like.v1", data_base64=data, data=None), []),
        (b"42", event("binary"), binary),
        (b'"42"', event("spring"), [SPRING]),
        (b"\x00\x00\x00\x2a", event("integer key"), []),
        (b"42", b"\x00\x00\x00\x00\x07" + event("framed"), []),
        (b"42", json.dumps(event("twice").decode()).encode(), []),
        (b"42", b'{"userId": "42", "itemId": "camel"}', [SPRING]),
    ]
    producer = kafka.KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, metrics_enabled=False
    )
    with closing(producer), consuming(settings):
        for key, value, headers in sent:
            producer.send(app.topics.likes, value, key=key, headers=headers, partition=0).get(10)
        wait_until(lambda: caught_up(app.broker, app.store, app.topics.likes), "all is applied")
    [liked] = app.store.likes([UserId("42")])
    assert liked == {"nulls", "base64", "binary", "spring"}
    with closing(app.broker.reader({TopicPartition(app.topics.dead_letters, 0): 0})) as reader:
        letters = [decode_dead_letter(record) for record in reader.poll(10_000)]
    assert [letter.code for letter in letters] == [
        "key_mismatch", "not_json", "wrong_type", "missing_field",
    ]  # fmt: skip
    named = [
        "IntegerSerializer",
        "schema registry (magic byte 0, schema 7",
        "twice",
        "Spring's Json",
    ]
    for letter, name in zip(letters, named, strict=True):
        assert name in letter.detail


def test_requests_of_other_clients_are_answered_or_get_an_error_that_names_them(
    settings: Settings, app: Requester, prefix: str
) -> None:
    write_block_model(settings.model.directory, VERSION, blocks=10)
    like(app.store, "u", likes_but_one(3))
    nulls = dict.fromkeys(
        ["count", "exclude", "explain", "diversity", "fill", "include_liked", "after"]
    )
    internal = f"{prefix}connect-configs"
    app.broker.ensure_topics([TopicSpec(internal, 1, {})])
    text = app.ask({"user_id": "u", **nulls, "count": 40}, partition=b"1")
    garbage = app.ask({"user_id": "u"}, partition=b"first")
    beyond = app.ask({"user_id": "u"}, partition=7)
    framed = app.ask(b"\x00\x00\x00\x00\x07" + b'{"user_id": "u"}')
    bare = app.ask({"user_id": "u", "fill": False})
    app.ask({"user_id": "u"}, topic=internal)
    with serving(settings) as stats:
        assert len(items_of(app.reply(text))) == 40
        assert error_of(app.reply(garbage)) == "invalid_reply_partition"
        assert error_of(app.reply(beyond)) == "invalid_reply_partition"
        assert "Confluent" in app.reply(framed)["error"]["message"]
        assert items_of(app.reply(bare)) == [item(3, 0)]
        wait_until(lambda: stats.dead_letters == 1, "a dead letter")
    [large] = app.records[text]
    assert large.partition == 1
    assert {*app.broker.end_offsets(app.broker.partitions(internal)).values()} == {0}
    topics = [app.reply_topic, app.topics.dead_letters]
    read = subprocess.run(
        [sys.executable, "-c", READ_WITHOUT_CODECS, settings.kafka.bootstrap_servers, *topics],
        stdout=subprocess.PIPE, check=True, timeout=60,
    )  # fmt: skip
    sizes = json.loads(read.stdout)
    assert [app.reply_topic, len(large.value or b"")] in sizes
    assert len(sizes) == 6
    headers = dict(next(iter(app.records[framed])).headers)
    assert REPLY_TOPIC_HEADER not in headers
