"""What other serialisers write is refused in a sentence that names it and the setting to change."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.event_decoding import decode_event
from likewise.messages.foreign_forms import explained
from likewise.messages.request_decoding import read_request
from likewise.testing.memory_log import MemoryRecord

BODY = b'{"user_id": 42, "item_id": 7}'
SPRING = (("__TypeId__", b"com.example.LikeEvent"),)


def record(
    value: bytes | None, key: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = ()
) -> MemoryRecord:
    return MemoryRecord("likes", 0, 0, 0, key, value, headers)


def refusal(read: MemoryRecord) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        decode_event(read)
    return caught.value


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (b"\x00\x00\x00\x2a", "42 as Java's IntegerSerializer writes it"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x2a", "42 as Java's LongSerializer writes it"),
        (b"\x00\x00\x00\x2b", "a number, as Java's IntegerSerializer"),
        (b"\x00\x00\x00\x00\x0742", "schema 7"),
        (b"\x00\x00\x00\x00\x07\x0442", "schema 7"),
        (b'\x00\x00\x00\x00\x07"someone"', "schema 7"),
    ],
)
def test_a_key_of_another_serialiser_is_named(key: bytes, named: str) -> None:
    reason = refusal(record(BODY, key))
    assert reason.code == "key_mismatch"
    assert named in reason.message
    assert "key.serializer" in reason.message


@pytest.mark.parametrize(
    ("value", "code", "named"),
    [
        (b"\x00\x00\x00\x00\x07" + BODY, "not_json", "Confluent's schema registry (magic byte 0, schema 7"),
        (b"\x00\x00\x01\x00\x00\x02\x04\x08", "not_json", "schema 65536"),
        (b"\xac\xed\x00\x05t\x00\x01", "not_json", "serialised Java object"),
        (b"\xef\xbb\xbf" + BODY, "not_json", "byte order mark"),
        (b"\xff\xfe{\x00", "not_json", "UTF-16"),
        (json.dumps(BODY.decode()).encode(), "wrong_type", "serialised twice"),
        (b'{"userId": 42, "itemId": 7}', "missing_field", '"userId", but the field is `user_id`'),
    ],
)  # fmt: skip
def test_a_value_of_another_serialiser_is_named(value: bytes, code: str, named: str) -> None:
    reason = refusal(record(value))
    assert reason.code == code
    assert named in reason.message
    with pytest.raises(InvalidInputError, match=code) as caught:
        read_request(record(value))
    assert named in caught.value.message


def test_springs_type_header_costs_a_like_nothing_and_is_named_where_something_is_wrong() -> None:
    assert decode_event(record(BODY, headers=SPRING)) == decode_event(record(BODY))
    reason = refusal(record(b'{"userId": 42}', headers=SPRING))
    assert "Spring's JsonSerializer wrote it as com.example.LikeEvent" in reason.message
    assert "@JsonNaming" in reason.message


@given(st.none() | st.binary(), st.lists(st.tuples(st.just("__TypeId__") | st.text(), st.binary())))
def test_any_record_has_its_refusal_explained(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    reason = InvalidInputError("missing_field", "why")
    said = explained(reason, record(value, None, tuple(headers)))
    assert said.code == reason.code
    assert said.message.startswith("why")
