from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from likewise.errors import (
    SettingsError,
)
from likewise.log.topics import TopicSpec
from likewise.messages.reply_routes import (
    CORRELATION_HEADER,
    REPLY_PARTITION_HEADER,
    REPLY_TOPIC_HEADER,
    partition_header,
)
from likewise.settings import ServingSettings
from serving.incoming import OpenRequest, read_request
from serving.unrouted import Unrouted
from tests.serving_rig import (
    REPLIES,
    VERSION,
    Rig,
    error_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_the_headers_of_spring_kafka_come_back_byte_for_byte(rig: Rig) -> None:
    correlation = b"\x00\x01\xff\x00" * 4
    rig.ask({"user_id": "u"}, correlation=correlation, reply_partition=1)
    rig.worker.run_once()
    [record] = rig.broker.records(REPLIES)
    assert record.headers == ((CORRELATION_HEADER, correlation),)
    assert record.partition == 1


def test_a_request_without_headers_is_answered_where_its_body_says(rig: Rig) -> None:
    reply = rig.answer(
        {"user_id": "u", "request_id": 7, "reply_to": REPLIES}, reply_topic=None, correlation=None
    )
    assert reply["request_id"] == "7"


def test_a_request_that_names_no_topic_is_answered_on_the_default_one(rig: Rig) -> None:
    rig.ask({"user_id": "u", "request_id": "r"}, reply_topic=None, correlation=b"c")
    rig.worker.run_once()
    [record] = rig.broker.records(rig.topics.replies)
    assert record.headers == ((CORRELATION_HEADER, b"c"),)
    assert json.loads(record.value or b"")["request_id"] == "r"


@pytest.mark.parametrize(
    ("named", "partition", "reason"),
    [
        ("likes", None, b"reply_topic_refused"),
        ("recommendation-requests", None, b"reply_topic_refused"),
        ("__consumer_offsets", None, b"reply_topic_refused"),
        ("../etc", None, b"reply_topic_refused"),
        ("connect-configs-x", None, b"reply_topic_refused"),
        ("nowhere.replies", None, b"reply_topic_unknown"),
    ],
)
def test_a_request_with_an_unusable_reply_topic_is_dead_lettered(
    rig: Rig, named: str, partition: int | None, reason: bytes
) -> None:
    before = len(rig.broker.records("likes"))
    rig.ask({"user_id": "u"}, reply_topic=named, reply_partition=partition)
    assert rig.answer({"user_id": "other"})["user_id"] == "other"
    [letter] = rig.dead_letters()
    headers = dict(letter.headers)
    assert headers["likewise_reason"] == reason
    assert headers[REPLY_TOPIC_HEADER] == named.encode()
    assert len(rig.broker.records("likes")) == before
    assert rig.committed() == 2


@pytest.mark.parametrize(
    "header",
    [(REPLY_PARTITION_HEADER, b"2"), (REPLY_PARTITION_HEADER, b"the first"), partition_header(2)],
)
def test_an_invalid_reply_partition_is_reported_to_the_reply_topic(
    rig: Rig, header: tuple[str, bytes]
) -> None:
    headers = [(CORRELATION_HEADER, b"c"), (REPLY_TOPIC_HEADER, REPLIES.encode()), header]
    rig.broker.sink().send(
        rig.topics.requests, b'{"user_id": "u", "request_id": 7}', headers=headers
    )
    rig.worker.run_once()
    [record] = rig.broker.records(REPLIES)
    reply = json.loads(record.value or b"")
    assert (error_of(reply), reply["request_id"]) == ("invalid_reply_partition", "7")
    assert record.headers == ((CORRELATION_HEADER, b"c"),)
    assert rig.dead_letters() == []


def test_an_invalid_reply_partition_of_the_default_topic_is_reported_there(rig: Rig) -> None:
    sink = rig.broker.sink()
    sink.send(rig.topics.requests, b'{"user_id": "u"}', headers=[(REPLY_PARTITION_HEADER, b"x")])
    rig.worker.run_once()
    [reply] = rig.replies(rig.topics.replies)
    assert error_of(reply) == "invalid_reply_partition"


def test_a_reply_partition_that_was_added_is_used_at_once(rig: Rig) -> None:
    assert "items" in rig.answer({"user_id": "u"}, reply_partition=1)
    rig.broker.add_partitions(REPLIES, 4)
    rig.now_ms += 1_000
    rig.ask({"user_id": "u"}, reply_partition=3)
    rig.worker.run_once()
    assert [record.partition for record in rig.broker.records(REPLIES)] == [1, 3]


@pytest.mark.parametrize(
    ("topic", "partition"), [(REPLIES, 3), ("new.replies", None), ("new.replies", 1)]
)
def test_a_request_waits_for_what_was_created_since_the_broker_was_last_asked(
    rig: Rig, topic: str, partition: int | None
) -> None:
    rig.ask({"user_id": "early"}, reply_topic="nowhere.replies")
    assert "items" in rig.answer({"user_id": "u"})
    rig.broker.ensure_topics([TopicSpec("new.replies", 2, {})])
    rig.broker.add_partitions(REPLIES, 4)
    rig.ask({"user_id": "u"}, reply_topic=topic, reply_partition=partition)
    rig.ask({"user_id": "late"}, reply_topic="nowhere.replies")
    assert rig.answer({"user_id": "other"})["user_id"] == "other"
    assert rig.committed() == 2
    assert len(rig.dead_letters()) == 1
    rig.now_ms += 1_000
    rig.worker.run_once()
    *_, reply = rig.broker.records(topic)
    assert json.loads(reply.value or b"")["user_id"] == "u"
    assert partition is None or reply.partition == partition
    assert len(rig.dead_letters()) == 2
    assert rig.committed() == 5


def test_requests_that_wait_for_their_topic_are_bounded_and_leave_with_their_partition(
    rig: Rig,
) -> None:
    unrouted = Unrouted(rig.reply_topics, limit=2)
    for number in range(3):
        rig.ask({"user_id": "u"}, reply_topic=f"nowhere.replies.{number}")
    read = (
        read_request(record, default_reply_topic="", received_at_ms=0)
        for record in rig.broker.records(rig.topics.requests)
    )
    wanted = [one for one in read if isinstance(one, OpenRequest)]
    # For the first one the broker was asked, so that there is nothing left to wait for.
    assert [unrouted.hold(one) for one in wanted] == [False, True, True]
    assert not unrouted.hold(wanted[-1])
    assert len(unrouted) == 2
    unrouted.keep_only([])
    assert len(unrouted) == 0
    assert unrouted.take() == []


def test_a_reply_topic_outside_the_pattern_is_refused(model_directory: Path) -> None:
    rig = Rig(
        model_directory,
        VERSION,
        settings=ServingSettings(poll_timeout_ms=1, reply_topic_pattern=r"shop\..*"),
    )
    rig.ask({"user_id": "u"})
    rig.worker.run_once()
    assert dict(rig.dead_letters()[0].headers)["likewise_reason"] == b"reply_topic_refused"


def test_a_reply_topic_that_we_may_not_write_to_stops_nothing(rig: Rig) -> None:
    forbidden = SettingsError("not authorised to write to app.replies")
    rig.ask({"user_id": "u"})
    rig.broker.fail_with(forbidden, forbidden, on="send")
    rig.worker.run_once()
    assert dict(rig.dead_letters()[0].headers)["likewise_reason"] == b"reply_undeliverable"
    assert "user_id" in rig.answer({"user_id": "next"})


def test_a_reply_that_is_too_large_becomes_an_error_reply(rig: Rig) -> None:
    rig.broker.ensure_topics([TopicSpec("narrow.replies", 1, {"max.message.bytes": "300"})])
    rig.ask({"user_id": "u", "count": 50}, reply_topic="narrow.replies")
    assert "error" not in rig.answer({"user_id": "other"})
    [reply] = rig.replies("narrow.replies")
    assert error_of(reply) == "reply_too_large"
    assert reply["user_id"] == "u"


def test_a_request_whose_reply_topic_accepts_nothing_is_dead_lettered(rig: Rig) -> None:
    rig.broker.ensure_topics([TopicSpec("shut.replies", 1, {"max.message.bytes": "1"})])
    rig.ask({"user_id": "u"}, reply_topic="shut.replies")
    assert "error" not in rig.answer({"user_id": "other"})
    assert dict(rig.dead_letters()[0].headers)["likewise_reason"] == b"reply_undeliverable"
    assert rig.committed() == 2
