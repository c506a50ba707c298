"""Scenarios: decoded completely or refused, and applied where a request sets nothing itself."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId, UserId
from likewise.messages.request_decoding import decode_request
from likewise.messages.request_options import RequestOptions
from likewise.messages.requests import Request, encode_request, with_defaults
from likewise.messages.rules import Boost, MaxPer, Pin
from likewise.messages.scenarios import (
    RemoveScenario,
    Scenario,
    decode_scenario,
    decode_stored_scenario,
    encode_scenario,
)
from likewise.messages.where import Compare
from likewise.testing.memory_log import MemoryRecord

DRAMA = Compare("categories", "$eq", "drama")
ALL = RequestOptions(
    count=20,
    exclude=(ItemId("i1"),),
    explain=False,
    diversity=0.5,
    novelty=0.25,
    include_liked=True,
    fill=True,
    deadline_ms=500,
    where=DRAMA,
    only=(),
    boost=(Boost(DRAMA, 2.0),),
    pin=(Pin(ItemId("i7"), 1), Pin(ItemId("i8"), 15)),
    max_per=MaxPer("artist", 2),
    fields=("title",),
    without=(ItemId("i2"),),
    rotation=1.0,
    explore=0.0,
    source="trending",
)
names = st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,63}\Z")
options = st.builds(
    RequestOptions,
    count=st.none() | st.integers(1, 1000),
    fill=st.none() | st.booleans(),
    where=st.none() | st.just(DRAMA),
    boost=st.none() | st.just(()) | st.just((Boost(DRAMA, 0.5),)),
    rotation=st.none() | st.floats(0, 1),
    source=st.sampled_from([None, "model", "popular", "trending", "new"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("home") | json_values,
        "defaults": json_values
        | st.dictionaries(st.sampled_from(RequestOptions.__struct_fields__), json_values),
        "version": st.sampled_from([1, 2, None]),
    },
).map(lambda body: json.dumps(body).encode())


def record(value: bytes | None, key: bytes | None = b"home") -> MemoryRecord:
    return MemoryRecord("scenarios", 0, 0, 0, key, value, ())


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_a_scenario_sets_every_option() -> None:
    assert all(
        value is not None for value in (getattr(ALL, name) for name in ALL.__struct_fields__)
    )
    scenario = Scenario("home", ALL)
    encoded = encode_scenario(scenario)
    assert decode_scenario(record(encoded)) == scenario
    assert decode_stored_scenario(encoded) == scenario


def test_the_key_is_the_name_where_the_body_has_none() -> None:
    assert decode_scenario(record(body(defaults={}))) == Scenario("home", RequestOptions())
    assert decode_scenario(record(None)) == RemoveScenario("home")


@pytest.mark.parametrize(
    ("value", "code", "named"),
    [
        (b"", "not_json", ""),
        (body(name="away", defaults={}), "key_mismatch", "away"),
        (body(name="Home", defaults={}), "invalid_scenario", "name"),
        (body(name="home"), "missing_field", "defaults"),
        (body(defaults=[]), "wrong_type", "defaults"),
        (body(defaults={}, version=2), "unsupported_version", "2"),
        (body(defaults={"boots": []}), "invalid_scenario", "defaults.boots"),
        (body(defaults={"user_id": "u1"}), "invalid_scenario", "defaults.user_id"),
        (body(defaults={"scenario": "home"}), "invalid_scenario", "defaults.scenario"),
        (body(defaults={"next_of": "r1"}), "invalid_scenario", "defaults.next_of"),
        (body(defaults={"count": "ten"}), "wrong_type", "count"),
        (body(defaults={"count": 0}), "invalid_count", "count"),
        (body(defaults={"where": {"a": {"$regex": "x"}}}), "invalid_where", "where.a.$regex"),
        (body(defaults={"boost": [{"where": {}, "factor": -1}]}), "invalid_boost", "boost[0]"),
        (body(defaults={"only": ["i"] * 10_001}), "too_large", "only"),
    ],
)
def test_a_scenario_that_breaks_the_contract_is_refused_with_its_reason(
    value: bytes, code: str, named: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        decode_scenario(record(value))
    assert refused.value.code == code
    assert named in refused.value.message


@pytest.mark.parametrize("key", [None, b"", b"Home", b"\xff", b"a" * 65, b"likes:*"])
def test_a_key_that_is_no_name_is_refused(key: bytes | None) -> None:
    for value in (None, body(defaults={})):
        with pytest.raises(InvalidInputError):
            decode_scenario(record(value, key))


@given(names, options)
def test_a_scenario_is_decoded_as_it_was_encoded(name: str, defaults: RequestOptions) -> None:
    scenario = Scenario(name, defaults)
    encoded = encode_scenario(scenario)
    assert decode_scenario(record(encoded, name.encode())) == scenario


@given(st.none() | st.binary(max_size=100) | bodies, st.none() | st.binary(max_size=20))
def test_any_bytes_give_a_scenario_a_removal_or_a_refusal(
    value: bytes | None, key: bytes | None
) -> None:
    with suppress(InvalidInputError):
        decoded = decode_scenario(record(value, key))
        if isinstance(decoded, Scenario):
            assert decode_stored_scenario(encode_scenario(decoded)) == decoded


# Applying


def asked(**fields: object) -> Request:
    request = decode_request(body(user_id="u1", scenario="home", **fields))
    assert decode_request(encode_request(request)) == request
    return request


def test_a_request_that_sets_nothing_gets_every_default() -> None:
    applied = with_defaults(asked(), ALL)
    assert {name: getattr(applied, name) for name in ALL.__struct_fields__} == {
        name: getattr(ALL, name) for name in ALL.__struct_fields__
    }
    assert (applied.user_id, applied.scenario) == (UserId("u1"), "home")


def test_what_the_request_sets_wins_even_if_it_is_the_default_of_requests() -> None:
    request = asked(
        count=10, exclude=[], explain=False, diversity=0, include_liked=False, boost=[], where={}
    )
    applied = with_defaults(request, ALL)
    assert (applied.count, applied.exclude, applied.diversity) == (10, (), 0.0)
    assert (applied.include_liked, applied.boost) == (False, ())
    assert applied.where != DRAMA
    assert applied.novelty == 0.25


def test_pins_of_a_scenario_beyond_the_count_are_dropped_and_those_of_a_request_refused() -> None:
    assert with_defaults(asked(count=10), ALL).pin == (Pin(ItemId("i7"), 1),)
    deep = asked(pin=[{"item_id": "i9", "place": 15}])
    assert with_defaults(deep, ALL).pin == (Pin(ItemId("i9"), 15),)
    with pytest.raises(InvalidInputError, match=r"pin\[0\].place"):
        with_defaults(deep, RequestOptions(count=12))


@given(options)
def test_applying_a_scenario_twice_changes_nothing_more(defaults: RequestOptions) -> None:
    applied = with_defaults(asked(rotation=0.0), defaults)
    assert applied.rotation == 0.0
    assert with_defaults(applied, defaults) == applied
