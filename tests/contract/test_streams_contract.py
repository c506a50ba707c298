"""The contract of the port `Broker`, tested on a real broker and on the one in memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import UndeliverableError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import TopicSpec
from likewise.records import Committed, Span, TopicPartition
from likewise.testing import MemoryBroker
from tests.conftest import IN_CONTAINERS
from tests.services import kafka_settings
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.log.port import Broker, LogReader, Source
    from likewise.records import Record

TIMEOUT_S = 10.0


@pytest.fixture(params=["memory", "kafka"])
def broker(request: pytest.FixtureRequest, prefix: str) -> Iterator[Broker]:
    made: Broker = (
        MemoryBroker()
        if request.param == "memory"
        else KafkaBroker(
            kafka_settings(
                request.getfixturevalue("bootstrap_servers"),
                prefix,
                session_timeout_ms=2_000,
                request_timeout_ms=10_000,
            )
        )
    )
    with closing(made):
        yield made


@pytest.fixture
def topic(broker: Broker, prefix: str) -> str:
    name = f"{prefix}events"
    broker.ensure_topics([TopicSpec(name, 3, {})])
    return name


@pytest.fixture
def join(broker: Broker, topic: str) -> Iterator[Callable[..., Source]]:
    """Make members of groups; they leave when the test ends."""
    with ExitStack() as stack:

        def join(
            group: str = "group", *, max_records: int = 100, seek_first: bool = False
        ) -> Source:
            source = broker.source(group, [topic], max_records=max_records, seek_first=seek_first)
            return stack.enter_context(closing(source))

        yield join


def publish(broker: Broker, topic: str, values: list[bytes], partition: int = 0) -> None:
    with closing(broker.sink()) as sink:
        deliveries = [sink.send(topic, value, partition=partition) for value in values]
        for delivery in deliveries:
            delivery.result(TIMEOUT_S)


def collect(source: Source | LogReader, count: int) -> list[Record]:
    """Poll until this many records have come; fail if more follow."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(source.poll(100))
        return len(records) >= count

    wait_until(enough, f"{count} records")
    records.extend(source.poll(50))
    assert len(records) == count
    return records


def values(records: list[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


# Sending and reading


def test_a_partition_keeps_the_order_in_which_records_were_sent(broker: Broker, topic: str) -> None:
    publish(broker, topic, numbered(250), partition=1)
    with closing(broker.reader({TopicPartition(topic, 1): 0})) as reader:
        records = collect(reader, 250)
    assert values(records) == numbered(250)
    assert [record.offset for record in records] == list(range(250))
    assert {(record.topic, record.partition) for record in records} == {(topic, 1)}


def test_a_delivery_returns_the_partition_and_offset(broker: Broker, topic: str) -> None:
    with closing(broker.sink()) as sink:
        assert sink.send(topic, b"a", partition=2).result(TIMEOUT_S) == (2, 0)
        assert sink.send(topic, b"b", partition=2).result(TIMEOUT_S) == (2, 1)


def test_a_delivery_calls_back_once_when_its_result_is_known(broker: Broker, topic: str) -> None:
    called = threading.Semaphore(0)
    with closing(broker.sink()) as sink:
        delivery = sink.send(topic, b"a", partition=2)
        delivery.add_done_callback(called.release)
        assert called.acquire(timeout=TIMEOUT_S)
        assert delivery.result(0) == (2, 0)
        delivery.add_done_callback(called.release)  # known already: at once
        assert called.acquire(timeout=0)
    assert not called.acquire(timeout=0)


def test_equal_keys_go_to_the_same_partition_and_others_spread(broker: Broker, topic: str) -> None:
    places: dict[bytes, set[int]] = {}
    with closing(broker.sink()) as sink:
        for _ in range(3):
            for number in range(30):
                key = b"user-%d" % number
                place, _offset = sink.send(topic, b"x", key=key).result(TIMEOUT_S)
                places.setdefault(key, set()).add(place)
    assert all(len(partitions) == 1 for partitions in places.values())
    assert set.union(*places.values()) == {0, 1, 2}


def test_key_value_headers_and_time_arrive_as_they_were_sent(broker: Broker, topic: str) -> None:
    headers = [("id", bytes(range(256))), ("empty", b""), ("id", b"again")]
    before_ms = time.time_ns() // 1_000_000
    with closing(broker.sink()) as sink:
        sink.send(topic, b"\x00\xff", key=b"\xfe", headers=headers, partition=0).result(TIMEOUT_S)
    with closing(broker.reader({TopicPartition(topic, 0): 0})) as reader:
        (record,) = collect(reader, 1)
    assert (record.key, record.value) == (b"\xfe", b"\x00\xff")
    assert [tuple(header) for header in record.headers] == headers
    assert before_ms <= record.timestamp <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("key", [None, b"k"])
def test_a_null_value_stays_null(broker: Broker, topic: str, key: bytes | None) -> None:
    with closing(broker.sink()) as sink:
        sink.send(topic, None, key=key, partition=0).result(TIMEOUT_S)
    with closing(broker.reader({TopicPartition(topic, 0): 0})) as reader:
        (record,) = collect(reader, 1)
    assert record.value is None


def test_a_topic_with_a_higher_limit_takes_a_large_record(broker: Broker, prefix: str) -> None:
    name = f"{prefix}roomy"
    broker.ensure_topics([TopicSpec(name, 1, {"max.message.bytes": str(4 * 1024 * 1024)})])
    value = bytes(range(256)) * 4096 * 2
    publish(broker, name, [value])
    with closing(broker.reader({TopicPartition(name, 0): 0})) as reader:
        (record,) = collect(reader, 1)
    assert record.value == value


def test_a_record_larger_than_the_limit_is_undeliverable(broker: Broker, topic: str) -> None:
    with closing(broker.sink()) as sink, pytest.raises(UndeliverableError):
        sink.send(topic, bytes(5 * 1024 * 1024)).result(TIMEOUT_S)


def test_sending_to_an_unknown_topic_is_refused_at_once_and_does_not_create_it(
    broker: Broker, topic: str, prefix: str
) -> None:
    with closing(broker.sink()) as sink:
        started_s = time.monotonic()
        with pytest.raises(UndeliverableError):
            sink.send(f"{prefix}nowhere", b"x").result(TIMEOUT_S)
        assert time.monotonic() - started_s < 10.0
        sink.send(topic, b"x").result(TIMEOUT_S)
    assert broker.partitions(f"{prefix}nowhere") == []


def test_sending_to_a_topic_works_once_it_was_created(broker: Broker, prefix: str) -> None:
    name = f"{prefix}late"
    with closing(broker.sink()) as sink:
        with pytest.raises(UndeliverableError):
            sink.send(name, b"x")
        broker.ensure_topics([TopicSpec(name, 1, {})])

        def sent() -> bool:
            try:
                return sink.send(name, b"x").result(TIMEOUT_S) == (0, 0)
            except UndeliverableError:
                return False

        wait_until(sent, "the topic is known")


@pytest.mark.parametrize("partition", [3, 2**31 - 1])
def test_sending_to_an_unknown_partition_is_refused(
    broker: Broker, topic: str, partition: int
) -> None:
    with closing(broker.sink()) as sink, pytest.raises(UndeliverableError):
        sink.send(topic, b"x", partition=partition).result(TIMEOUT_S)


def test_after_a_flush_everything_sent_is_in_the_log(broker: Broker, topic: str) -> None:
    with closing(broker.sink(linger_ms=50)) as sink:
        for value in numbered(300):
            sink.send(topic, value, partition=0)
        sink.flush(TIMEOUT_S)
        assert broker.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 300}


def test_closing_a_sink_sends_what_is_queued(broker: Broker, topic: str) -> None:
    with closing(broker.sink(linger_ms=1_000)) as sink:
        sink.send(topic, b"x", partition=0)
    assert broker.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 1}


def test_a_reader_starts_at_its_offsets_and_sees_later_records(broker: Broker, topic: str) -> None:
    publish(broker, topic, numbered(10), partition=0)
    publish(broker, topic, numbered(10), partition=2)
    start = {TopicPartition(topic, 0): 7, TopicPartition(topic, 2): 10}
    with closing(broker.reader(start)) as reader:
        assert values(collect(reader, 3)) == [b"7", b"8", b"9"]
        publish(broker, topic, [b"new"], partition=2)
        assert values(collect(reader, 1)) == [b"new"]


def test_an_empty_poll_returns_after_its_timeout(broker: Broker, topic: str) -> None:
    with closing(broker.reader({TopicPartition(topic, 0): 0})) as reader:
        reader.poll(10)
        started_s = time.monotonic()
        assert reader.poll(200) == []
        assert 0.15 < time.monotonic() - started_s < 10.0


# Topics


def test_ensuring_topics_twice_leaves_them_as_they_are(broker: Broker, topic: str) -> None:
    publish(broker, topic, [b"x"])
    broker.ensure_topics([TopicSpec(topic, 7, {})])
    assert broker.partitions(topic) == [TopicPartition(topic, number) for number in range(3)]
    assert broker.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 1}


def test_asking_for_an_unknown_topic_finds_nothing_and_does_not_create_it(
    broker: Broker, prefix: str
) -> None:
    assert broker.partitions(f"{prefix}unknown") == []
    assert broker.partitions(f"{prefix}unknown") == []


def test_topic_sizes_has_all_topics(broker: Broker, topic: str, prefix: str) -> None:
    broker.ensure_topics([TopicSpec(f"{prefix}single", 1, {})])
    sizes = broker.topic_sizes()
    assert (sizes[topic], sizes[f"{prefix}single"]) == (3, 1)
    assert f"{prefix}unknown" not in sizes


def test_offsets_span_from_the_oldest_record_to_the_next_one(broker: Broker, topic: str) -> None:
    partitions = broker.partitions(topic)
    with closing(broker.sink(linger_ms=20)) as sink:  # all in one batch
        for value in numbered(4):
            sink.send(topic, value, partition=1)
    assert list(broker.beginning_offsets(partitions).values()) == [0, 0, 0]
    assert broker.end_offsets(partitions) == dict(zip(partitions, [0, 4, 0], strict=True))
    assert broker.end_offsets([]) == {}


def test_a_topic_has_a_unique_id_that_stays(broker: Broker, topic: str, prefix: str) -> None:
    broker.ensure_topics([TopicSpec(f"{prefix}other", 1, {})])
    log = broker.log_id(topic)
    assert log is not None
    assert broker.log_id(f"{prefix}other") not in (None, log)
    publish(broker, topic, [b"x"])
    assert broker.log_id(topic) == log
    assert broker.log_id(f"{prefix}unknown") is None


def test_least_ends_are_at_most_the_ends_and_miss_no_batch(broker: Broker, topic: str) -> None:
    where = TopicPartition(topic, 1)
    for start in (0, 3):
        with closing(broker.sink(linger_ms=20)) as sink:  # all in one batch
            for value in numbered(3):
                sink.send(topic, value, partition=1)
        assert start < broker.least_ends([where])[where] <= start + 3
    assert broker.least_ends([]) == {}


# Groups


def test_a_new_group_begins_with_the_oldest_record(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    for partition in range(3):
        publish(broker, topic, numbered(5), partition)
    member = join()
    records = collect(member, 15)
    for partition in range(3):
        assert values([r for r in records if r.partition == partition]) == numbered(5)
    assert member.assignment() == set(broker.partitions(topic))


def test_a_poll_returns_no_more_records_than_asked_for(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(10))
    member = join(max_records=4)
    batches: list[int] = []
    wait_until(
        lambda: batches.append(len(member.poll(100))) or sum(batches) == 10,  # type: ignore[func-returns-value]
        "10 records",
    )
    assert max(batches) == 4


def test_the_next_member_continues_at_the_commit(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(10))
    first = join()
    collect(first, 10)
    first.commit({TopicPartition(topic, 0): 6})
    first.close()
    assert values(collect(join(), 4)) == [b"6", b"7", b"8", b"9"]


def test_a_note_is_kept_with_its_commit_until_the_next_one(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(10))
    where = TopicPartition(topic, 0)
    note = "open1:" + "x" * 3_900
    first = join()
    collect(first, 10)
    assert first.committed() == {}
    first.commit({where: 6}, {where: note})
    # Tansu loses notes.
    kept = Committed(6, note if isinstance(broker, MemoryBroker) or IN_CONTAINERS else "")
    assert first.committed() == {where: kept}
    first.close()
    second = join()
    collect(second, 4)
    assert second.committed() == {where: kept}
    second.commit({where: 7})
    assert second.committed() == {where: Committed(7)}


def test_what_was_not_committed_is_read_again(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(3))
    first = join()
    collect(first, 3)
    first.close()
    assert values(collect(join(), 3)) == numbered(3)


def test_committed_offsets_can_be_asked_for_and_none_were_before(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    partitions = broker.partitions(topic)
    assert broker.committed("group", partitions) == dict.fromkeys(partitions)
    publish(broker, topic, numbered(2))
    member = join()
    collect(member, 2)
    member.commit({partitions[0]: 2})
    assert broker.committed("group", partitions) == dict(zip(partitions, [2, None, None]))  # noqa: B905 - three partitions, three values
    assert broker.committed("others", partitions) == dict.fromkeys(partitions)


def test_groups_read_independently_of_each_other(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(3))
    for group in ("one", "two"):
        assert values(collect(join(group), 3)) == numbered(3)


def test_a_member_knows_where_the_partitions_end_that_it_has_read(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(3), partition=0)
    publish(broker, topic, numbered(2), partition=1)
    member = join()
    assert member.known_ends() == {}, "it has no partitions before its first poll"
    collect(member, 5)
    ends = member.known_ends()
    assert ends[TopicPartition(topic, 0)] == 3
    assert ends[TopicPartition(topic, 1)] == 2


def test_a_seek_moves_one_partition_and_no_other(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(5), partition=0)
    publish(broker, topic, numbered(5), partition=1)
    member = join()
    collect(member, 10)
    member.seek(TopicPartition(topic, 0), 3)
    assert [(r.partition, r.value) for r in collect(member, 2)] == [(0, b"3"), (0, b"4")]
    member.seek_to_beginning(TopicPartition(topic, 1))
    assert [(r.partition, r.offset) for r in collect(member, 5)] == [(1, n) for n in range(5)]


def test_with_seek_first_nothing_is_read_before_the_seek(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    for partition in (0, 1):
        publish(broker, topic, numbered(5), partition)
    member = join(seek_first=True)

    def assigned_without_records() -> bool:
        assert member.poll(100) == []
        assert member.spans() == {}
        return bool(member.assignment())

    wait_until(assigned_without_records, "partitions are assigned")
    member.seek(TopicPartition(topic, 1), 3)
    assert [(r.partition, r.value) for r in collect(member, 2)] == [(1, b"3"), (1, b"4")]
    member.keep_alive()
    assert member.poll(200) == [], "the other one is still held"
    held = member.rebalances()
    other = join(seek_first=True)
    share_the_topic(broker, topic, [member, other])
    assert member.rebalances() > held
    publish(broker, topic, [b"new"], partition=1)
    assert [*member.poll(300), *other.poll(300)] == [], "after a rebalance, all are"


def test_spans_cover_what_the_last_poll_read(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(9), partition=2)
    where = TopicPartition(topic, 2)
    member = join(max_records=4)
    for start in (0, 4):
        wait_until(lambda: member.poll(100), "a batch")
        assert member.spans() == {where: Span(start, start + 4)}
    member.seek(where, 7)
    wait_until(lambda: member.poll(100), "a batch")
    assert member.spans() == {where: Span(7, 9)}
    assert member.poll(100) == []
    assert member.spans() == {}
    with closing(broker.reader({where: 5})) as reader:
        wait_until(lambda: reader.poll(100), "the rest")
        assert reader.spans() == {where: Span(5, 9)}


def test_without_transactions_nothing_is_held_back(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(3))
    member = join()
    collect(member, 3)
    assert member.held_back() == {}
    assert broker.held_back(broker.partitions(topic)) == dict.fromkeys(broker.partitions(topic), 0)


def test_seeking_a_partition_of_another_member_does_nothing(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(2))
    member = join()
    collect(member, 2)
    member.seek(TopicPartition(topic, 99), 0)
    member.seek_to_beginning(TopicPartition("no-such-topic", 0))
    assert member.poll(50) == []


def test_committing_a_partition_of_another_member_does_nothing(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    first, second = join(), join()
    share_the_topic(broker, topic, [first, second])
    others = next(iter(second.assignment()))
    first.commit({others: 0})
    assert broker.committed("group", [others]) == {others: None}


def share_the_topic(broker: Broker, topic: str, members: list[Source]) -> None:
    """Poll until every partition has exactly one member, and every member has partitions."""

    def shared() -> bool:
        # In parallel, as members in separate processes do: a rebalance waits for all of them.
        assert list(pool.map(lambda member: member.poll(500), members)) == [[]] * len(members)
        return all(member.assignment() for member in members) and all_assigned_once(
            broker, topic, members
        )

    with ThreadPoolExecutor(len(members)) as pool:
        wait_until(shared, "the members share the partitions")


def test_two_members_share_the_partitions_and_one_gets_all_when_the_other_leaves(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    first, second = join(), join()
    share_the_topic(broker, topic, [first, second])
    share = second.assignment()
    for partition in range(3):
        publish(broker, topic, [b"before"], partition)
    collect(first, 3 - len(share))
    for record in collect(second, len(share)):
        second.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
    for partition in range(3):
        publish(broker, topic, [b"after"], partition)
    second.close()
    seen: list[Record] = []

    def continued() -> bool:
        seen.extend(first.poll(100))
        return {TopicPartition(r.topic, r.partition) for r in seen if r.value == b"after"} >= set(
            broker.partitions(topic)
        )

    wait_until(continued, "the other member continues at the commits")
    assert not [
        r for r in seen if r.value == b"before" and TopicPartition(topic, r.partition) in share
    ]


def test_a_member_that_only_keeps_alive_loses_nothing(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(5))
    member = join(max_records=2)
    batch: list[Record] = []
    wait_until(lambda: batch.extend(member.poll(100)) or batch, "a batch")  # type: ignore[func-returns-value]
    assert values(batch) == [b"0", b"1"]
    publish(broker, topic, numbered(5, start=5))
    for _ in range(30):
        member.keep_alive()
    member.commit({TopicPartition(topic, 0): 2})
    assert values(collect(member, 8)) == numbered(8, start=2)


def test_a_member_without_partitions_is_a_member_too(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    members = [join() for _ in range(4)]
    assert not members[0].is_member(), "it joins with its first poll"

    def all_are_members() -> bool:
        list(pool.map(lambda member: member.poll(500), members))
        return all(member.is_member() for member in members) and all_assigned_once(
            broker, topic, members
        )

    with ThreadPoolExecutor(len(members)) as pool:
        wait_until(all_are_members, "all are members")
    assert sorted(len(member.assignment()) for member in members) == [0, 1, 1, 1]


def all_assigned_once(broker: Broker, topic: str, members: list[Source]) -> bool:
    """Whether every partition is assigned to exactly one member."""
    shares = [member.assignment() for member in members]
    return sum(map(len, shares)) == 3 and set.union(*shares) == set(broker.partitions(topic))


def test_a_member_with_short_rare_polls_gets_partitions_too(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(1))
    member = join()
    pause = threading.Event()

    def has_partitions() -> bool:
        member.poll(0)
        pause.wait(0.7)
        return bool(member.assignment())

    wait_until(has_partitions, "partitions are assigned")


def test_a_member_that_rejoins_continues_at_the_commits(
    broker: Broker, topic: str, join: Callable[..., Source]
) -> None:
    publish(broker, topic, numbered(10))
    member = join()
    collect(member, 10)
    member.commit({TopicPartition(topic, 0): 6})
    member.rejoin()
    assert member.assignment() == set()
    assert not member.is_member()
    assert values(collect(member, 4)) == [b"6", b"7", b"8", b"9"]
    assert member.assignment() == set(broker.partitions(topic))
    member.commit({TopicPartition(topic, 0): 10})
    assert broker.committed("group", [TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 10}


def test_the_configuration_of_a_topic_can_be_read(broker: Broker, prefix: str) -> None:
    topic = f"{prefix}kept"
    broker.ensure_topics(
        [TopicSpec(topic, 1, {"retention.ms": "-1", "retention.bytes": "1000000"})]
    )
    config = broker.topic_config(topic)
    if IN_CONTAINERS or isinstance(broker, MemoryBroker) or config:  # Tansu may not say
        assert (config["retention.ms"], config["retention.bytes"]) == ("-1", "1000000")
    assert broker.topic_config(f"{prefix}nowhere") == {}


def test_an_epoch_ends_where_the_log_ends_while_its_leader_leads(
    broker: Broker, prefix: str
) -> None:
    topic = TopicPartition(f"{prefix}epochs", 0)
    broker.ensure_topics([TopicSpec(topic.topic, 1, {})])
    with closing(broker.sink()) as sink:
        for number in range(3):
            sink.send(topic.topic, b"%d" % number).result(10)
    with closing(broker.reader({topic: 0})) as reader:
        records: list[Any] = []
        while len(records) < 3:
            records += reader.poll(1_000)
    epochs = {topic: int(records[-1].leader_epoch)}
    assert broker.epoch_ends(epochs) in ({topic: 3}, {})
    assert broker.epoch_ends(epochs) or not (IN_CONTAINERS or isinstance(broker, MemoryBroker))
    assert broker.epoch_ends({}) == {}
