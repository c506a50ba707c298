"""When an event happened: what it says itself, else its envelope, else its record."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.event_times import event_time_ms
from likewise.messages.events import Like, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.messages.times import iso_time, parse_time_ms
from likewise.testing.memory_log import MemoryRecord

RECORD_MS = 1_800_000_000_000
LIKE = {"user_id": "u", "item_id": "i"}


def record(
    body: dict[str, Any] | bytes | None, *headers: tuple[str, bytes], timestamp: int = RECORD_MS
) -> MemoryRecord:
    value = json.dumps(body).encode() if isinstance(body, dict) else body
    return MemoryRecord("likes", 0, 0, timestamp, None, value, headers)


@pytest.mark.parametrize(
    ("written", "time_ms"),
    [
        (1_700_000_000, 1_700_000_000_000),
        (1_700_000_000.25, 1_700_000_000_250),
        (1_700_000_000_250, 1_700_000_000_250),
        ("1700000000", 1_700_000_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000_000),
        ("2023-11-14", 1_699_920_000_000),
        ("", None),
        (None, None),
        (math.nan, None),
        ("NaN", None),
        (pd.NaT, None),
    ],
)
def test_a_time_may_be_a_number_or_iso_8601(written: object, time_ms: int | None) -> None:
    assert parse_time_ms(written) == time_ms


@pytest.mark.parametrize("written", [True, [], "soon", 1e300, -1e300, 10**400, math.inf, "1e300"])
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(InvalidInputError, match="invalid_timestamp"):
        parse_time_ms(written)


@given(st.integers(10**11, 253_402_300_799_999))
def test_a_moment_written_as_iso_8601_is_read_as_the_same(time_ms: int) -> None:
    assert parse_time_ms(iso_time(time_ms)) == time_ms


def test_an_events_own_time_goes_before_its_records() -> None:
    written = encode_event(Like(UserId("u"), ItemId("i")), timestamp_ms=1_700_000_000_000)
    assert event_time_ms(record(written)) == 1_700_000_000_000
    assert event_time_ms(record(LIKE)) == RECORD_MS


def test_a_cloud_events_time_stands_in_for_one_of_its_data() -> None:
    envelope = {"specversion": "1.0", "type": "like", "time": "2023-11-14T22:13:20Z", "data": LIKE}
    assert event_time_ms(record(envelope)) == 1_700_000_000_000
    timed = envelope | {"data": LIKE | {"timestamp": 1_600_000_000}}
    assert event_time_ms(record(timed)) == 1_600_000_000_000
    binary = [("ce_specversion", b"1.0"), ("ce_time", b"2023-11-14T22:13:20Z")]
    assert event_time_ms(record(LIKE, *binary)) == 1_700_000_000_000


@pytest.mark.parametrize(
    "body", [None, b"", b"\xff", b"{", LIKE | {"timestamp": "noon"}, LIKE | {"timestamp": [1]}]
)
def test_what_is_no_time_is_passed_over(body: dict[str, Any] | bytes | None) -> None:
    assert event_time_ms(record(body)) == RECORD_MS
    assert event_time_ms(record(body, ("ce_time", b"\xff"), ("ce_time", b"?"))) == RECORD_MS


def test_a_record_without_any_time_has_none() -> None:
    assert event_time_ms(record(LIKE, timestamp=-1)) is None


@given(
    st.binary(max_size=60)
    | st.recursive(st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps({"timestamp": value, "specversion": "1.0", "data": value}).encode()
    )
)
def test_any_bytes_have_the_time_of_their_record_at_least(value: bytes) -> None:
    assert isinstance(event_time_ms(record(value)), int)
