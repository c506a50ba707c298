from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError, ReplyError
from likewise.messages.ids import ItemId, UserId
from likewise.messages.positions import Position
from likewise.messages.replies import (
    Because,
    ErrorBody,
    ErrorReply,
    ModelStamp,
    Recommendations,
    RecommendedItem,
    decode_reply,
    encode_reply,
)
from likewise.messages.reply_routes import (
    CORRELATION_HEADER,
    MAX_PARTITION,
    MAX_REQUEST_BYTES,
    REPLY_PARTITION_HEADER,
    REPLY_TOPIC_HEADER,
    ReplyRoute,
    partition_header,
    reply_headers,
    reply_route,
)
from likewise.messages.request_options import MAX_DEADLINE_MS, MAX_LISTED_ITEMS
from likewise.messages.requests import (
    Request,
    _Body,
    decode_request,
    encode_request,
    read_request,
)
from likewise.messages.rules import MAX_COUNT
from likewise.testing.memory_log import MemoryRecord

ids = st.text(
    st.characters(exclude_categories=["Cs"]),  # lone surrogates: no UTF-8 for them
    min_size=1,
    max_size=64,
)
item_ids = st.lists(ids.map(ItemId), max_size=5).map(tuple)
positions = st.builds(Position, st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
options: dict[str, Any] = {
    "count": st.integers(1, MAX_COUNT),
    "exclude": item_ids,
    "explain": st.booleans(),
    "diversity": st.floats(0, 1),
    "novelty": st.floats(0, 1),
    "include_liked": st.booleans(),
    "fill": st.booleans(),
    "after": st.none() | positions,
    "deadline_ms": st.none() | st.integers(1, MAX_DEADLINE_MS),
}
requests = (
    st.builds(Request, user_id=ids.map(UserId), similar_to=st.none() | ids.map(ItemId), **options)
    | st.builds(Request, similar_to=ids.map(ItemId), **options)
    | st.builds(Request, liked=item_ids, **options)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
almost_requests = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(_Body.__struct_fields__, json_values),
)
bodies = st.none() | st.binary() | almost_requests.map(lambda body: json.dumps(body).encode())


def record(
    value: bytes | None = b"{}", headers: tuple[tuple[str, bytes], ...] = ()
) -> MemoryRecord:
    return MemoryRecord("requests", 0, 0, 0, None, value, headers)


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


# Requests


@given(requests)
def test_a_request_is_read_back_as_it_was_written(request: Request) -> None:
    assert decode_request(encode_request(request)) == request


@given(requests, ids, ids)
def test_request_id_and_reply_topic_travel_in_the_body(
    request: Request, request_id: str, reply_to: str
) -> None:
    value = encode_request(request, request_id=request_id, reply_to=reply_to)
    assert decode_request(value) == request
    assert reply_route(record(value)) == ReplyRoute(reply_to, request_id=request_id)


@given(bodies)
def test_any_bytes_give_a_request_or_an_invalid_input_error(value: bytes | None) -> None:
    try:
        request = decode_request(value)
    except InvalidInputError:
        return
    assert decode_request(encode_request(request)) == request


@given(bodies, st.lists(st.tuples(st.text(), st.binary())))
def test_the_reply_route_of_any_record_can_be_read(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    route = reply_route(record(value, tuple(headers)))
    assert route is None or route.topic


def test_a_user_id_is_enough_and_ten_items_are_the_default() -> None:
    assert decode_request(b'{"user_id": 42}') == Request(user_id=UserId("42"), count=10)


def test_null_means_not_given_in_every_field() -> None:
    names = [field.name for field in msgspec.structs.fields(_Body)]
    nulls = dict.fromkeys(names)
    assert decode_request(body(**{**nulls, "user_id": "u1"})) == Request(user_id=UserId("u1"))
    assert decode_request(body(**{**nulls, "liked": []})) == Request(liked=())
    for name in set(names) - {"user_id"}:
        assert decode_request(body(**{"user_id": "u1", name: None})) == Request(
            user_id=UserId("u1")
        )


def test_whatever_a_request_can_say_is_a_field_of_the_body() -> None:
    assert {*Request.__struct_fields__} - {"explicit"} < {*_Body.__struct_fields__}


def test_what_is_at_its_default_is_not_written() -> None:
    assert encode_request(Request(user_id=UserId("u1"))) == b'{"user_id":"u1"}'
    assert encode_request(Request(liked=(), fill=False)) == b'{"liked":[],"fill":false}'


def test_unknown_fields_are_ignored() -> None:
    assert decode_request(body(user_id="u1", colour="red")) == Request(user_id=UserId("u1"))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "null_value"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"user_id": "\xff"}', "not_json"),
        (b"[" * 100_000, "wrong_type"),
        (b'{"user_id": ' + b"[" * 100_000, "wrong_type"),
        (b'{"x": ' + b"[" * 100_000, "too_deep"),
        (b'{"user_id": "u1", "count": NaN}', "not_json"),
        (b"[]", "wrong_type"),
        (b'{"user_id": "u1", "x": "' + b"a" * MAX_REQUEST_BYTES + b'"}', "too_large"),
        (body(), "missing_field"),
        (body(user_id=None), "missing_field"),
        (body(user_id=""), "invalid_id"),
        (body(user_id="x" * 257), "invalid_id"),
        (body(user_id=["u1"]), "wrong_type"),
        (body(user_id=1.5), "wrong_type"),
        (body(user_id="u1", count=0), "invalid_count"),
        (body(user_id="u1", count=-1), "invalid_count"),
        (body(user_id="u1", count=MAX_COUNT + 1), "invalid_count"),
        (body(user_id="u1", count=10**30), "invalid_count"),
        (body(user_id="u1", count="10"), "wrong_type"),
        (body(user_id="u1", count=1.5), "wrong_type"),
        (body(user_id="u1", diversity=-0.1), "invalid_diversity"),
        (body(user_id="u1", diversity=1.01), "invalid_diversity"),
        (body(user_id="u1", diversity="much"), "wrong_type"),
        (body(user_id="u1", novelty=2), "invalid_novelty"),
        (body(user_id="u1", novelty=-1e300), "invalid_novelty"),
        (body(user_id="u1", novelty=True), "wrong_type"),
        (body(user_id="u1", include_liked="yes"), "wrong_type"),
        (body(user_id="u1", fill=0), "wrong_type"),
        (body(user_id="u1", deadline_ms=0), "invalid_deadline"),
        (body(user_id="u1", deadline_ms=MAX_DEADLINE_MS + 1), "invalid_deadline"),
        (body(user_id="u1", after="soon"), "invalid_position"),
        (body(user_id="u1", after=7), "wrong_type"),
        (body(user_id="u1", exclude=[""]), "invalid_id"),
        (body(user_id="u1", exclude=["i"] * (MAX_LISTED_ITEMS + 1)), "too_large"),
        (body(user_id="u1", liked=["i1"]), "ambiguous_subject"),
        (body(similar_to="i1", liked=["i1"]), "ambiguous_subject"),
        (body(user_id="u1", version=2), "unsupported_version"),
        (body(user_id="u1", version=0), "unsupported_version"),
        (body(user_id="u1", reply_to=["mine"]), "wrong_type"),
        (body(user_id="u1", request_id=1.5), "wrong_type"),
        (body(user_id="u1", exclude=[None]), "wrong_type"),
    ],
)
def test_a_bad_request_is_refused_with_a_stable_code(value: bytes | None, code: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_request(value)
    assert caught.value.code == code


@pytest.mark.parametrize("field", ["count", "deadline_ms"])
def test_a_zero_is_written_as_it_is_and_refused(field: str) -> None:
    request = Request(user_id=UserId("u1"), **{field: 0})  # type: ignore[arg-type] # either is an int
    with pytest.raises(InvalidInputError):
        decode_request(encode_request(request))


# Where replies go


def test_headers_go_before_the_body_and_come_back_untouched() -> None:
    correlation_id = bytes(range(256))
    headers = (
        (CORRELATION_HEADER, correlation_id),
        (REPLY_TOPIC_HEADER, b"mine"),
        (REPLY_PARTITION_HEADER, b"\x00\x00\x01\x02"),
    )
    route = reply_route(record(body(reply_to="theirs", request_id=7), headers))
    assert route == ReplyRoute("mine", 258, correlation_id, "7")
    assert reply_headers(route) == [(CORRELATION_HEADER, correlation_id)]


def test_a_route_is_found_on_requests_that_can_not_be_answered() -> None:
    assert reply_route(record(body(count=-1, reply_to="mine"))) == ReplyRoute("mine")
    assert reply_route(record(None, ((REPLY_TOPIC_HEADER, b"mine"),))) == ReplyRoute("mine")
    assert reply_route(record(b"\xff", ((REPLY_TOPIC_HEADER, b"mine"),))) == ReplyRoute("mine")


@pytest.mark.parametrize("reply_to", [None, "", True, 1.5, ["mine"], {"topic": "mine"}])
def test_a_request_that_names_no_topic_has_no_route(reply_to: object) -> None:
    assert reply_route(record(body(user_id="u1", reply_to=reply_to))) is None


def test_a_reply_without_correlation_id_has_no_headers() -> None:
    assert reply_headers(ReplyRoute("mine")) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x00\x00\x00\x00\x01",
        b"\xff" * 4,
        b"-1",
        b"two",
        b"99999999999",
        b"3000000000",
    ],
)
def test_a_partition_header_that_is_no_partition_is_refused_and_the_topic_told(raw: bytes) -> None:
    headers = ((REPLY_TOPIC_HEADER, b"mine"), (REPLY_PARTITION_HEADER, raw))
    asked = record(body(user_id="u1"), headers)
    with pytest.raises(InvalidInputError) as caught:
        read_request(asked)
    assert caught.value.code == "invalid_reply_partition"
    assert reply_route(asked) == ReplyRoute("mine")


@pytest.mark.parametrize(
    ("raw", "partition"),
    [
        (b"0", 0),
        (b"7", 7),
        (b"12", 12),
        (b"123", 123),
        (b"1234", 1234),
        (b'"12"', 12),
        (b"0000000012", 12),
        (b"\x00\x00\x00\x01", 1),
        (b"\x00\x000\x00", 0x3000),
        (b"2147483647", MAX_PARTITION),
        (cast("bytes", None), None),
    ],
)
def test_a_partition_is_four_bytes_or_text(raw: bytes, partition: int | None) -> None:
    headers = ((REPLY_TOPIC_HEADER, b'"mine"'), (REPLY_PARTITION_HEADER, raw))
    asked = record(body(user_id="u1"), headers)
    assert read_request(asked) == Request(user_id=UserId("u1"))
    assert reply_route(asked) == ReplyRoute("mine", partition)


@given(st.integers(0, 2**29))
def test_the_partition_header_has_four_bytes_and_is_read_back(partition: int) -> None:
    header = partition_header(partition)
    assert len(header[1]) == 4
    route = reply_route(record(headers=(header, (REPLY_TOPIC_HEADER, b"mine"))))
    assert route == ReplyRoute("mine", partition)


# Replies

scores = st.floats(allow_nan=False, allow_infinity=False)
reasons = st.none() | st.lists(st.builds(Because, ids.map(ItemId), scores), max_size=3).map(tuple)
answers = st.builds(
    Recommendations,
    items=st.lists(st.builds(RecommendedItem, ids.map(ItemId), scores, reasons), max_size=5).map(
        tuple
    ),
    source=st.sampled_from(["model", "popular"]),
    model=st.builds(ModelStamp, st.text(), scores),
    user_id=st.none() | ids.map(UserId),
    request_id=st.none() | ids,
)


@given(answers)
def test_recommendations_are_read_back_as_they_were_written(answer: Recommendations) -> None:
    assert decode_reply(encode_reply(answer)) == answer


def test_an_error_reply_is_raised_with_code_and_message() -> None:
    reply = ErrorReply(error=ErrorBody("unknown_item", "no item i9"), request_id="r1")
    with pytest.raises(ReplyError) as caught:
        decode_reply(encode_reply(reply))
    assert (caught.value.code, caught.value.message) == ("unknown_item", "no item i9")


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_reply_raises_invalid_reply(value: bytes) -> None:
    with pytest.raises(ReplyError) as caught:
        decode_reply(value)
    assert caught.value.code == "invalid_reply"


def test_fields_of_later_servers_are_ignored() -> None:
    value = (
        b'{"items": [{"item_id": "i1", "score": 0.5, "new": 1}], "source": "model",'
        b' "model": {"version": "v1", "age_s": 2.5, "new": 1}, "new": {}}'
    )
    assert decode_reply(value) == Recommendations(
        items=(RecommendedItem(ItemId("i1"), 0.5),), source="model", model=ModelStamp("v1", 2.5)
    )
