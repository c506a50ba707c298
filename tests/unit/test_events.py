"""Decoding is total: any bytes give an event, or the reason why they give none."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.event_decoding import (
    MAX_EVENT_BYTES,
    _Body,
    _decode_usual_form,
    _UsualBody,
    decode_any_form,
    decode_event,
)
from likewise.messages.event_times import event_time_ms
from likewise.messages.events import (
    Event,
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
    encode_event,
    event_key,
)
from likewise.messages.ids import DISLIKE, HIDE, RESERVED_KINDS, ItemId, SignalKind, UserId

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.records import Record

ANN, FILM = UserId("u42"), ItemId("i7")
LIKE = Like(ANN, FILM)
PAIR = {"user_id": "u42", "item_id": "i7"}

user_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64).map(UserId)
item_ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64).map(ItemId)
kinds = st.from_regex(r"\A[a-z][a-z0-9_-]{0,31}\Z").filter(lambda kind: kind not in RESERVED_KINDS)
signal_kinds = st.sampled_from([DISLIKE, HIDE]) | kinds.map(SignalKind)
recommendation_ids = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Like, user_ids, item_ids),
    st.builds(Unlike, user_ids, item_ids),
    st.builds(ForgetUser, user_ids),
    st.builds(RetireItem, item_ids),
    st.builds(RestoreItem, item_ids),
    st.builds(Signal, user_ids, item_ids, signal_kinds),
    st.builds(Unsignal, user_ids, item_ids, signal_kinds),
    st.tuples(user_ids, user_ids)
    .filter(lambda users: users[0] != users[1])
    .map(lambda users: MergeUsers(*users)),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
fields = [field.name for field in msgspec.structs.fields(_Body)]
bodies = st.dictionaries(st.sampled_from(fields), json_values).map(lambda body: as_json(body))

# Usual events but for a field or two, which may be there twice.
nearly_usual = st.tuples(
    st.fixed_dictionaries(
        {"user_id": user_ids | st.text(max_size=300), "item_id": item_ids | st.integers()},
        optional={
            "action": st.sampled_from(
                ["like", "unlike", "forget_user", "signal", "unsignal", "dislike", "", None]
            ),
            "kind": st.sampled_from(["buy", "like", "hide", "Buy", "buy\n", "", None, 3]),
            "recommendation_id": st.sampled_from(["r-1", "r 1", "r-1\n", "x" * 65, "", None, 3]),
            "timestamp": st.integers() | st.floats(allow_nan=False) | st.text() | st.booleans(),
            "version": st.sampled_from([1, 2, 1.0, True, "1"]),
            "specversion": st.sampled_from([None, "1.0"]),
        },
    ),
    st.dictionaries(st.sampled_from(fields), json_values, max_size=2),
).map(
    lambda parts: (
        as_json({**parts[0], "more": 0})[:-1] + b"," + as_json({**parts[1], "less": 0})[1:]
    )
)
keys = st.none() | st.sampled_from([b"u42", b'"u42"', b"\xff"])


@dataclass(frozen=True)
class ARecord:
    """A record of the likes topic."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = "likes"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()


def test_a_user_and_an_item_are_enough_for_a_like() -> None:
    assert decode_event(ARecord(b'{"user_id": "u42", "item_id": "i7"}')) == LIKE


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"action": "like", "user_id": "u42", "item_id": "i7"}, LIKE),
        ({"action": "unlike", "user_id": "u42", "item_id": "i7"}, Unlike(ANN, FILM)),
        ({"action": "forget_user", "user_id": "u42"}, ForgetUser(ANN)),
        ({"action": "forget_user", "user_id": "u42", "item_id": "i7"}, ForgetUser(ANN)),
        ({"action": "retire_item", "item_id": "i7"}, RetireItem(FILM)),
        ({"action": "restore_item", "item_id": "i7"}, RestoreItem(FILM)),
        ({"action": "dislike", **PAIR}, Signal(ANN, FILM, DISLIKE)),
        ({"action": "undislike", **PAIR}, Unsignal(ANN, FILM, DISLIKE)),
        ({"action": "hide", **PAIR}, Signal(ANN, FILM, HIDE)),
        ({"action": "unhide", **PAIR}, Unsignal(ANN, FILM, HIDE)),
        ({"action": "hide", "kind": "buy", **PAIR}, Signal(ANN, FILM, HIDE)),
        ({"action": "signal", "kind": "buy", **PAIR}, Signal(ANN, FILM, SignalKind("buy"))),
        ({"action": "unsignal", "kind": "x-1_", **PAIR}, Unsignal(ANN, FILM, SignalKind("x-1_"))),
        (
            {"action": "merge_users", "user_id": "u42", "into": "ada"},
            MergeUsers(ANN, UserId("ada")),
        ),
        ({"action": "merge_users", "user_id": "u42", "into": 7}, MergeUsers(ANN, UserId("7"))),
    ],
)
def test_each_action_is_an_event_of_its_own(body: dict[str, object], event: Event) -> None:
    assert decode_event(ARecord(as_json(body))) == event


@pytest.mark.parametrize(
    "more",
    [
        {"colour": "red", "nested": {"deep": [1, 2]}},
        {"timestamp": 1_700_000_000_000},
        {"timestamp": 1.5},
        {"timestamp": "2026-11-22T10:00:00Z"},
        {"version": 1},
        {"action": None},
        {"type": {"ignored": "without specversion"}, "data": 3},
        {"kind": {"of": "another system"}, "into": [1]},
        {"recommendation_id": "01J8Z7-Q4_" + "x" * 54},
    ],
)
def test_what_else_the_body_says_changes_nothing(more: dict[str, object]) -> None:
    assert decode_event(ARecord(as_json({"user_id": "u42", "item_id": "i7", **more}))) == LIKE


@given(nearly_usual | bodies, keys, st.sampled_from([(), (("trace", b"1"),)]))
def test_the_usual_form_is_read_as_any_other(
    value: bytes, key: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    record = ARecord(value, key, headers)
    assert outcome(decode_event, record) == outcome(decode_any_form, record)


@pytest.mark.parametrize("kind", [_Body, _UsualBody])
def test_null_means_not_given_in_every_optional_field(kind: type[msgspec.Struct]) -> None:
    body = {"user_id": "u42", "item_id": "i7"}
    optional = [field.name for field in msgspec.structs.fields(kind) if not field.required]
    nulls = dict.fromkeys(set(optional) - body.keys() - {"data"})
    assert decode_event(ARecord(as_json({**body, **nulls}))) == LIKE
    for field in {*nulls, "data"}:
        assert decode_event(ARecord(as_json({**body, field: None}))) == LIKE, field


def test_a_body_of_nulls_is_read_as_fast_as_one_without() -> None:
    record = ARecord(
        b'{"user_id":"u42","item_id":"i7","action":null,"timestamp":null,"version":null}'
    )
    assert _decode_usual_form(record) == LIKE


@pytest.mark.parametrize(
    "body",
    [
        {**PAIR, "recommendation_id": "01J8Z7Q4"},
        {**PAIR, "action": "signal", "kind": "buy"},
        {**PAIR, "action": "unsignal", "kind": "buy", "recommendation_id": None},
    ],
)
def test_likes_and_signals_take_the_fast_path(body: dict[str, object]) -> None:
    record = ARecord(as_json(body))
    decoded = _decode_usual_form(record)
    assert decoded is not None
    assert decoded == decode_any_form(record)


def test_integers_serve_as_ids() -> None:
    assert decode_event(ARecord(b'{"user_id": 42, "item_id": -7}')) == Like(
        UserId("42"), ItemId("-7")
    )


def test_an_id_may_have_256_bytes_and_no_more() -> None:
    longest = "é" * 128
    body = as_json({"user_id": longest, "item_id": "i"})
    assert decode_event(ARecord(body)) == Like(UserId(longest), ItemId("i"))
    assert refusal_of(as_json({"user_id": longest + "e", "item_id": "i"})) == "invalid_id"
    assert refusal_of(as_json({"user_id": "u", "item_id": "x" * 257})) == "invalid_id"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "null_value"),
        (b"", "not_json"),
        (b"like", "not_json"),
        (b'{"user_id": "u", "item_id": "i"', "not_json"),
        (b'{"user_id": "u", "item_id": "i"} {}', "not_json"),
        (b'{"user_id": "\xff", "item_id": "i"}', "not_json"),
        (b'\xff\xfe{\x00"\x00', "not_json"),
        (b'{"user_id": "u", "item_id": "i", "timestamp": NaN}', "not_json"),
        (b"null", "wrong_type"),
        (b"[]", "wrong_type"),
        (b'"like"', "wrong_type"),
        (b'{"user_id": ["u"], "item_id": "i"}', "wrong_type"),
        (b'{"user_id": {"id": "u"}, "item_id": "i"}', "wrong_type"),
        (b'{"user_id": true, "item_id": "i"}', "wrong_type"),
        (b'{"user_id": 1.5, "item_id": "i"}', "wrong_type"),
        (b'{"user_id": "u", "item_id": "i", "action": 3}', "wrong_type"),
        (b'{"user_id": "u", "item_id": "i", "version": "one"}', "wrong_type"),
        (b"{}", "missing_field"),
        (b'{"user_id": "u"}', "missing_field"),
        (b'{"item_id": "i"}', "missing_field"),
        (b'{"user_id": "u", "item_id": null}', "missing_field"),
        (b'{"action": "forget_user", "item_id": "i"}', "missing_field"),
        (b'{"action": "retire_item", "user_id": "u"}', "missing_field"),
        (b'{"user_id": "", "item_id": "i"}', "invalid_id"),
        (b'{"user_id": "u", "item_id": ""}', "invalid_id"),
        (b'{"user_id": "\\ud800", "item_id": "i"}', "not_json"),
        (b'{"user_id": "u", "item_id": "i", "action": "love"}', "unknown_action"),
        (b'{"user_id": "u", "item_id": "i", "action": "LIKE"}', "unknown_action"),
        (b'{"user_id": "u", "item_id": "i", "version": 2}', "unsupported_version"),
        (b'{"user_id": "u", "item_id": "i", "version": 0}', "unsupported_version"),
        (b'{"action": "signal", "user_id": "u", "item_id": "i"}', "missing_field"),
        (b'{"action": "signal", "kind": "buy", "user_id": "u"}', "missing_field"),
        (b'{"action": "signal", "kind": 3, "user_id": "u", "item_id": "i"}', "wrong_type"),
        (b'{"action": "signal", "kind": "Buy", "user_id": "u", "item_id": "i"}', "invalid_kind"),
        (b'{"action": "signal", "kind": "", "user_id": "u", "item_id": "i"}', "invalid_kind"),
        (b'{"action": "signal", "kind": "b*", "user_id": "u", "item_id": "i"}', "invalid_kind"),
        (b'{"action": "signal", "kind": "buy\\n", "user_id": "u", "item_id": "i"}', "invalid_kind"),
        (b'{"action": "signal", "kind": "hide", "user_id": "u", "item_id": "i"}', "invalid_kind"),
        (b'{"action": "unsignal", "kind": "like", "user_id": "u", "item_id": "i"}', "invalid_kind"),
        (b'{"action": "hide", "user_id": "u"}', "missing_field"),
        (b'{"action": "merge_users", "user_id": "u"}', "missing_field"),
        (b'{"action": "merge_users", "into": "u"}', "missing_field"),
        (b'{"action": "merge_users", "user_id": "u", "into": ["v"]}', "wrong_type"),
        (b'{"action": "merge_users", "user_id": "u", "into": ""}', "invalid_id"),
        (b'{"action": "merge_users", "user_id": "1", "into": 1}', "invalid_merge"),
        (b'{"user_id": "u", "item_id": "i", "recommendation_id": ""}', "invalid_recommendation_id"),
        (
            b'{"user_id": "u", "item_id": "i", "recommendation_id": "a b"}',
            "invalid_recommendation_id",
        ),
        (b'{"user_id": "u", "item_id": "i", "recommendation_id": 7}', "wrong_type"),
    ],
)
def test_an_event_that_breaks_the_contract_is_refused_with_its_reason(
    value: bytes | None, code: str
) -> None:
    assert refusal_of(value) == code


def test_an_event_of_a_megabyte_is_refused_unread() -> None:
    assert refusal_of(as_json({"user_id": "u", "item_id": "x" * 1_000_000})) == "too_large"
    padded = b'{"user_id": "u42", "item_id": "i7"}'.ljust(MAX_EVENT_BYTES)
    assert decode_event(ARecord(padded)) == LIKE
    assert refusal_of(padded + b" ") == "too_large"


@pytest.mark.parametrize("field", ["user_id", "data", "type", "unknown"])
def test_deep_nesting_is_refused_or_ignored_and_ends_nothing(field: str) -> None:
    depth = 30_000
    body = b'{"user_id":"u","item_id":"i","%s":%s%s}' % (
        field.encode(),
        b"[" * depth,
        b"]" * depth,
    )
    refused_or_read(ARecord(body))


@pytest.mark.parametrize("digits", [19, 20, 39, 257, 4_300, 4_301, 60_000])
@pytest.mark.parametrize("field", ["user_id", "item_id", "version", "timestamp"])
def test_huge_integers_are_refused_or_read_and_end_nothing(field: str, digits: int) -> None:
    body = {"user_id": '"u"', "item_id": '"i"', field: "9" * digits}
    text = ",".join(f'"{name}":{value}' for name, value in body.items())
    refused_or_read(ARecord(f"{{{text}}}".encode()))


@pytest.mark.parametrize(
    "timestamp",
    [[], {"seconds": 1_700_000_000}, True, "once", [[1] * 9], 1e300, 10**400, "9" * 5_000],
)
def test_a_timestamp_that_is_no_time_costs_no_event_and_is_reported(timestamp: object) -> None:
    body = {"user_id": "u42", "item_id": "i7"}
    told: list[object] = []
    record = ARecord(as_json(body | {"timestamp": timestamp}))
    assert decode_event(record, on_unclear_time=told.append) == LIKE
    assert told == [timestamp]
    for clear in (None, 1_700_000_000, 1.5, "2026-11-22T10:00:00Z", ""):
        decode_event(ARecord(as_json(body | {"timestamp": clear})), on_unclear_time=told.append)
    assert len(told) == 1


def test_the_unclear_time_of_a_refused_event_is_not_reported() -> None:
    told: list[object] = []
    signal = {**PAIR, "action": "signal", "kind": "Buy", "timestamp": "once"}
    with pytest.raises(InvalidInputError):
        decode_event(ARecord(as_json(signal)), on_unclear_time=told.append)
    assert told == []


def test_a_key_that_names_the_user_is_right_and_so_is_none() -> None:
    body = as_json({"user_id": "u42", "item_id": "i7"})
    assert decode_event(ARecord(body, key=b"u42")) == LIKE
    assert decode_event(ARecord(body, key=None)) == LIKE
    assert decode_event(ARecord(body, key=b'"u42"')) == LIKE


@pytest.mark.parametrize("key", [b"somebody else", b"", b"\xff", b"i7", b"u42 "])
def test_a_key_that_disagrees_with_the_body_is_refused(key: bytes) -> None:
    body = as_json({"user_id": "u42", "item_id": "i7"})
    assert refusal_of(body, key=key) == "key_mismatch"


def test_items_are_retired_under_their_own_key() -> None:
    body = as_json({"action": "retire_item", "item_id": "i7"})
    assert decode_event(ARecord(body, key=b"i7")) == RetireItem(FILM)
    assert refusal_of(body, key=b"u42") == "key_mismatch"


def test_a_structured_cloud_event_is_read() -> None:
    envelope = {
        "specversion": "1.0",
        "type": "com.example.shop.unlike",
        "source": "/shop",
        "id": "1",
        "data": {"user_id": "u42", "item_id": "i7"},
    }
    assert decode_event(ARecord(as_json(envelope))) == Unlike(ANN, FILM)
    envelope["data"] = {"user_id": "u42", "item_id": "i7", "action": "like"}
    assert decode_event(ARecord(as_json(envelope))) == LIKE


def test_a_binary_cloud_event_is_read() -> None:
    headers = (("ce_specversion", b"1.0"), ("ce_type", b"com.example.forget_user"))
    record = ARecord(as_json({"user_id": "u42"}), headers=headers)
    assert decode_event(record) == ForgetUser(ANN)


@pytest.mark.parametrize("data", [{}, {"data": None}])
def test_the_event_in_a_cloud_event_may_be_base64(data: dict[str, None]) -> None:
    body = as_json({"user_id": "u42", "item_id": "i7", "timestamp": "2026-01-01T00:00:00Z"})
    envelope = {
        "specversion": "1.0",
        "type": "com.example.unlike",
        "data_base64": base64.b64encode(body).decode(),
        **data,
    }
    assert decode_event(ARecord(as_json(envelope))) == Unlike(ANN, FILM)
    assert event_time_ms(ARecord(as_json(envelope))) == 1_767_225_600_000


@pytest.mark.parametrize(
    "kind",
    [
        "like", "com.example.like", "com.example.like.v1", "com.example.like.V2", "like/v1",
        "com.example.like.v1.2", "com.example.like.1.0.0", "com.example.v3.like", "shop:like:v1beta1",
        "com.example.like_v2", "com.example.like-v1", "com.example.like.2026-01-01",
        "https://example.com/events/like/v1",
    ],
)  # fmt: skip
def test_a_version_in_a_cloud_events_type_is_passed_over(kind: str) -> None:
    data = {"user_id": "u42", "item_id": "i7"}
    envelope = {"specversion": "1.0", "type": kind, "data": data}
    assert decode_event(ARecord(as_json(envelope))) == LIKE
    headers = (("ce_specversion", b"1.0"), ("ce_type", kind.replace("like", "unlike").encode()))
    assert decode_event(ARecord(as_json(data), headers=headers)) == Unlike(ANN, FILM)


@pytest.mark.parametrize("kind", ["v1", "com.example.love.v1", "...", "like.v1.love"])
def test_a_cloud_events_type_without_an_action_is_refused(kind: str) -> None:
    envelope = {"specversion": "1.0", "type": kind, "data": {"user_id": "u42", "item_id": "i7"}}
    assert refusal_of(as_json(envelope)) == "unknown_action"


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        ({"specversion": "1.0", "type": "like", "data_base64": "%"}, "wrong_type"),
        ({"specversion": "1.0", "type": "like", "data_base64": 7}, "wrong_type"),
        ({"specversion": "1.0", "type": "like", "data_base64": ""}, "not_json"),
        ({"specversion": "0.3", "type": "like"}, "unsupported_version"),
        ({"specversion": "1.0"}, "missing_field"),
        ({"specversion": "1.0", "type": 3}, "missing_field"),
        ({"specversion": "1.0", "type": "like"}, "not_json"),
        ({"specversion": "1.0", "type": "like", "data": None}, "wrong_type"),
        ({"specversion": "1.0", "type": "like", "data": "text"}, "wrong_type"),
        ({"specversion": "1.0", "type": "com.example.love", "data": {}}, "unknown_action"),
        ({"specversion": "1.0", "type": "like", "data": {}}, "missing_field"),
    ],
)
def test_a_cloud_event_that_breaks_the_contract_is_refused(
    envelope: dict[str, object], code: str
) -> None:
    assert refusal_of(as_json(envelope)) == code


def test_a_header_without_a_value_is_no_trouble() -> None:
    # Kafka knows null values in headers, whatever the type says.
    null = cast("bytes", None)
    body = as_json({"user_id": "u42", "item_id": "i7"})
    assert decode_event(ARecord(body, headers=(("trace", null),))) == LIKE
    assert (
        decode_event(ARecord(body, headers=(("ce_specversion", null), ("ce_type", null)))) == LIKE
    )
    headers = (("ce_specversion", b"1.0"), ("ce_type", null))
    assert refusal_of(body, headers=headers) == "missing_field"


@given(events, st.none() | recommendation_ids)
def test_what_is_encoded_is_decoded_as_it_was(event: Event, recommendation: str | None) -> None:
    value = encode_event(event, timestamp_ms=1_700_000_000_000, recommendation_id=recommendation)
    assert decode_event(ARecord(value, key=event_key(event))) == event


@given(st.binary(max_size=200), st.none() | st.binary(max_size=20))
def test_any_bytes_give_an_event_or_a_refusal(value: bytes, key: bytes | None) -> None:
    refused_or_read(ARecord(value, key=key))


@given(bodies, st.none() | st.binary(max_size=20))
def test_any_json_gives_an_event_or_a_refusal(value: bytes, key: bytes | None) -> None:
    refused_or_read(ARecord(value, key=key))


@given(
    st.lists(st.tuples(st.sampled_from(["ce_specversion", "ce_type", "x"]), st.binary())),
    bodies,
)
def test_any_headers_give_an_event_or_a_refusal(
    headers: list[tuple[str, bytes]], value: bytes
) -> None:
    refused_or_read(ARecord(value, headers=tuple(headers)))


@given(events, st.data())
def test_an_event_cut_short_is_never_read_as_another(event: Event, data: st.DataObject) -> None:
    value = encode_event(event)
    length = data.draw(st.integers(0, len(value) - 1))
    assert refusal_of(value[:length]) == "not_json"


def outcome(decode: Callable[[Record], Event], record: Record) -> Event | str:
    try:
        return decode(record)
    except InvalidInputError as reason:
        return str(reason)


def refusal_of(
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> str:
    with pytest.raises(InvalidInputError) as refused:
        decode_event(ARecord(value, key=key, headers=headers))
    return refused.value.code


def refused_or_read(record: ARecord) -> None:
    """Decode; fail on anything that is neither an event nor a reason."""
    with suppress(InvalidInputError):
        encode_event(decode_event(record))
