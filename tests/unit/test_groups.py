"""Whether a consumer group is idle, and which users a log has."""

from __future__ import annotations

from contextlib import closing

import pytest

from likewise.errors import LikewiseError
from likewise.log.topics import TopicSpec
from likewise.messages.events import Like, MergeUsers, RetireItem, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.operations.groups import check_idle, users_of_log
from likewise.testing import MemoryBroker

TOPIC = "likes"


def broker_with_topic() -> MemoryBroker:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec(TOPIC, 2, {})])
    return broker


def test_a_group_without_members_is_idle_and_one_with_a_member_is_not() -> None:
    broker = broker_with_topic()
    check_idle(broker, "group", TOPIC)
    with closing(broker.source("group", (TOPIC,), max_records=1)) as member:
        member.poll(0)
        with pytest.raises(LikewiseError, match="is active"):
            check_idle(broker, "group", TOPIC, timeout_s=0.1)
    check_idle(broker, "group", TOPIC)
    check_idle(broker, "group", "no such topic")


def test_the_users_of_a_log_are_those_of_its_valid_events() -> None:
    broker = broker_with_topic()
    sink = broker.sink()
    ann, bob, guest = map(UserId, ("ann", "bob", "guest"))
    for event in (Like(ann, ItemId("a")), MergeUsers(guest, bob), RetireItem(ItemId("r"))):
        sink.send(TOPIC, encode_event(event), partition=0)
    sink.send(TOPIC, b"not an event", partition=1)
    assert set(users_of_log(broker, TOPIC)) == {ann, bob, guest}
