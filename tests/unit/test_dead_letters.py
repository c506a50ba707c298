"""A dead letter holds its record whole, and gives it back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError, TransientError
from likewise.log.topics import TopicSpec
from likewise.messages.dead_letters import (
    DeadLetter,
    decode_dead_letter,
    encode_headers,
    send_dead_letters,
)
from likewise.records import TopicPartition
from likewise.testing import MemoryBroker
from likewise.testing.memory_log import MemoryRecord

NOT_JSON = InvalidInputError("not_json", "JSON is malformed")
headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple)
records = st.builds(
    MemoryRecord,
    topic=st.just("likes"),
    partition=st.integers(0, 99),
    offset=st.integers(0, 2**62),
    timestamp=st.integers(-1, 2**41),
    key=st.none() | st.binary(max_size=5),
    value=st.none() | st.binary(max_size=20),
    headers=headers,
)


@given(records, st.text(max_size=600))
def test_a_dead_letter_is_read_back_as_it_was_sent(record: MemoryRecord, detail: str) -> None:
    letter = DeadLetter.of(record, InvalidInputError("wrong_type", detail))
    carrier = carrier_of(letter)
    read = decode_dead_letter(carrier)
    assert read.detail.encode(errors="replace") == letter.detail.encode(errors="replace")
    assert (read.key, read.value, read.headers) == (record.key, record.value, record.headers)
    assert read.source == TopicPartition(record.topic, record.partition)
    assert (read.offset, read.timestamp_ms, read.code) == (
        record.offset,
        record.timestamp,
        "wrong_type",
    )
    assert read.truncated_bytes is None


@given(records)
def test_a_dead_letter_sent_again_that_fails_again_has_one_reason(record: MemoryRecord) -> None:
    carrier = carrier_of(DeadLetter.of(record, NOT_JSON))
    again = DeadLetter.of(carrier, InvalidInputError("too_large", "the event is too long"))
    assert decode_dead_letter(carrier_of(again)) == again
    assert again.headers == record.headers


@pytest.mark.parametrize(
    "odd",
    [
        (),
        (("likewise_reason", b"not_json"),),
        tuple((f"likewise_source_{name}", b"\xff") for name in ("topic", "partition", "offset")),
    ],
)
def test_a_record_that_is_no_dead_letter_is_refused(odd: tuple[tuple[str, bytes], ...]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        decode_dead_letter(MemoryRecord("likes.dead-letters", 0, 0, 0, None, b"x", odd))
    assert refused.value.code == "not_a_dead_letter"


def test_without_a_topic_for_dead_letters_they_are_not_given_up() -> None:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec("likes", 1, {})])
    letter = DeadLetter.of(MemoryRecord("likes", 0, 0, 0, None, b"x"), NOT_JSON)
    with pytest.raises(TransientError, match="dead-letters"):
        send_dead_letters(broker.sink(), "likes.dead-letters", [letter])


def carrier_of(letter: DeadLetter) -> MemoryRecord:
    carried = tuple(encode_headers(letter))
    return MemoryRecord("likes.dead-letters", 0, 0, 0, letter.key, letter.value, carried)
