"""Dead letters read back and sent again: byte for byte, each once, and only where they came from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError, LikewiseError, TransientError
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.dead_letters import DeadLetter, send_dead_letters
from likewise.messages.positions import Position
from likewise.operations.dead_letter_replay import (
    Found,
    Replayed,
    ReplayPosition,
    read_dead_letters,
    replay,
)
from likewise.operations.dead_letter_selection import Selection, groups, replay_selected
from likewise.testing import MemoryBroker

TOPICS = Topics("t.")
REFUSED = InvalidInputError("not_json", "no JSON at all")

Sent = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]

headers = st.lists(
    st.tuples(
        st.text(min_size=1).filter(lambda name: not name.startswith("likewise_")), st.binary()
    )
)
records = st.lists(st.tuples(st.integers(0, 2), st.none() | st.binary(), st.binary(), headers))


def broker_with(*sent: Sent) -> MemoryBroker:
    """A broker whose likes topic has these records, all of which became dead letters."""
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec(TOPICS.likes, 3, {}), TopicSpec(TOPICS.dead_letters, 1, {})])
    for partition, key, value, with_headers in sent:
        broker.sink().send(TOPICS.likes, value, key=key, headers=with_headers, partition=partition)
    letters = [DeadLetter.of(record, REFUSED) for record in broker.records(TOPICS.likes)]
    send_dead_letters(broker.sink(), TOPICS.dead_letters, letters)
    return broker


def all_of(broker: MemoryBroker) -> list[Found]:
    partitions = broker.partitions(TOPICS.dead_letters)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    return list(read_dead_letters(broker, start, end))


def content(broker: MemoryBroker) -> list[Sent]:
    return [
        (record.partition, record.key, record.value, list(record.headers))
        for record in broker.records(TOPICS.likes)
    ]


@given(records)
def test_what_is_sent_again_is_the_record_that_was_refused(sent: list[Sent]) -> None:
    broker = broker_with(*sent)
    before = content(broker)
    counts = replay(all_of(broker), broker.sink(), {TOPICS.likes})
    assert counts == Replayed(sent=len(sent))
    assert sorted(content(broker), key=repr) == sorted(before * 2, key=repr)


def test_without_a_sink_it_is_only_counted() -> None:
    broker = broker_with((0, b"u1", b"{", []))
    assert replay(all_of(broker), None, {TOPICS.likes}) == Replayed(sent=1)
    assert len(content(broker)) == 1


def test_a_header_that_names_another_topic_is_not_followed() -> None:
    broker = broker_with((0, b"u1", b"{", []))
    broker.ensure_topics([TopicSpec("elsewhere", 3, {})])
    assert replay(all_of(broker), broker.sink(), {"elsewhere"}) == Replayed(foreign=1)


def test_what_somebody_else_wrote_is_left_alone() -> None:
    broker = broker_with()
    broker.sink().send(TOPICS.dead_letters, b"hello")
    assert all_of(broker) == [Found(Position(0, 0), None)]
    assert replay(all_of(broker), broker.sink(), {TOPICS.likes}) == Replayed(foreign=1)


def test_a_record_without_its_value_can_not_be_sent_again() -> None:
    broker = broker_with((0, b"u1", b"x" * 10, []))
    (found,) = all_of(broker)
    assert found.letter is not None
    short = [found._replace(letter=found.letter.truncated())]
    assert replay(short, broker.sink(), {TOPICS.likes}) == Replayed(without_value=1)
    assert len(content(broker)) == 1


def test_a_failure_is_counted_and_stops_no_other() -> None:
    broker = broker_with((0, b"u1", b"{", []), (0, b"u1", b"[", []))
    broker.fail_with(TransientError("busy"), on="deliver")
    counts = replay(all_of(broker), broker.sink(), {TOPICS.likes})
    assert (counts.sent, counts.failed, counts.failures) == (1, 1, ["busy"])


def test_the_cursor_goes_on_after_the_last_replay() -> None:
    broker = broker_with((0, b"u1", b"{", []))
    cursor = ReplayPosition(broker, TOPICS.dead_letters)
    (partition,) = broker.partitions(TOPICS.dead_letters)
    assert cursor.read() == {partition: 0}
    cursor.move({partition: 1})
    assert ReplayPosition(broker, TOPICS.dead_letters).read() == {partition: 1}


def test_the_cursor_skips_what_retention_has_removed() -> None:
    broker = broker_with((0, b"u1", b"{", []), (0, b"u2", b"{", []))
    (partition,) = broker.partitions(TOPICS.dead_letters)
    broker.delete_records(partition, 1)
    assert ReplayPosition(broker, TOPICS.dead_letters).read() == {partition: 1}


def test_two_replays_at_once_do_not_both_move_the_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("likewise.operations.dead_letter_replay._JOIN_TIMEOUT_S", 0.5)
    broker = broker_with((0, b"u1", b"{", []))
    (partition,) = broker.partitions(TOPICS.dead_letters)
    other = broker.source("likewise-dead-letters", [TOPICS.dead_letters], max_records=1)
    while not other.assignment():
        other.poll(100)
    with pytest.raises(TransientError, match="another replay"):
        ReplayPosition(broker, TOPICS.dead_letters).move({partition: 1})
    assert ReplayPosition(broker, TOPICS.dead_letters).read() == {partition: 0}


def refused(broker: MemoryBroker, code: str, *values: bytes) -> None:
    """Dead-letter records with these values for this reason."""
    for value in values:
        broker.sink().send(TOPICS.likes, value, key=b"u1", partition=0)
        record = broker.records(TOPICS.likes)[-1]
        letter = DeadLetter.of(record, InvalidInputError(code, "because"))
        send_dead_letters(broker.sink(), TOPICS.dead_letters, [letter])


def test_groups_hold_the_newest_of_each_code_and_say_how_much_was_not_read() -> None:
    broker = broker_with()
    refused(broker, "not_json", b"1", b"2", b"3")
    refused(broker, "missing_field", b"4")
    broker.sink().send(TOPICS.dead_letters, b"foreign")
    found = groups(broker, TOPICS, Selection(newest=4), examples=1)
    assert found.counts == {"not_json": 2, "missing_field": 1, "not_a_dead_letter": 1}
    assert found.left_out == 1
    values = {
        code: [one.letter.value for one in newest if one.letter is not None]
        for code, newest in found.newest.items()
    }
    assert values == {"not_json": [b"3"], "missing_field": [b"4"], "not_a_dead_letter": []}


def test_a_replay_by_code_sends_those_alone_and_is_not_remembered() -> None:
    broker = broker_with()
    refused(broker, "not_json", b"1")
    refused(broker, "missing_field", b"2")
    by_code = Selection(codes={"missing_field"}, newest=10)
    assert replay_selected(broker, TOPICS, by_code, dry_run=True) == Replayed(sent=1)
    assert replay_selected(broker, TOPICS, by_code) == Replayed(sent=1)
    assert [value for _, _, value, _ in content(broker)] == [b"1", b"2", b"2"]
    rest = Selection(not_replayed=True)
    assert replay_selected(broker, TOPICS, rest) == Replayed(sent=2)
    assert replay_selected(broker, TOPICS, rest) == Replayed()


def test_one_dead_letter_is_selected_by_its_position() -> None:
    broker = broker_with()
    refused(broker, "not_json", b"1", b"2")
    assert replay_selected(broker, TOPICS, Selection(position=Position(0, 1))) == Replayed(sent=1)
    assert content(broker)[-1][2] == b"2"
    with pytest.raises(LikewiseError, match="no dead letter at offset 0:2"):
        replay_selected(broker, TOPICS, Selection(position=Position(0, 2)))
