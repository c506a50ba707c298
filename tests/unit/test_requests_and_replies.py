from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

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
    RankedUser,
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
from likewise.messages.request_decoding import (
    _Body,
    _decode_usual_form,
    decode_any_form,
    decode_request,
    read_request,
)
from likewise.messages.request_options import MAX_DEADLINE_MS, MAX_LISTED_ITEMS
from likewise.messages.requests import Request, encode_request
from likewise.messages.rules import MAX_COUNT, Boost, MaxPer, Pin
from likewise.messages.where import Compare, Not, Or, Where, parse_where, where_json
from likewise.testing.memory_log import MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Callable


def parses(where: Where) -> bool:
    """Whether the drawn field names are names."""
    try:
        return parse_where(where_json(where)) == where
    except InvalidInputError:
        return False


ids = st.text(
    st.characters(exclude_categories=["Cs"]),  # lone surrogates: no UTF-8 for them
    min_size=1,
    max_size=64,
)
names = ids.filter(lambda name: not name.startswith("$"))
item_ids = st.lists(ids.map(ItemId), max_size=5).map(tuple)
where = st.recursive(
    st.builds(
        Compare, ids, st.sampled_from(["$eq", "$ne"]), ids | st.integers(-9, 9) | st.booleans()
    )
    | st.builds(Compare, ids, st.just("$in"), st.lists(ids, max_size=3).map(tuple)),
    lambda inner: st.builds(Not, inner) | st.builds(Or, st.tuples(inner, inner)),
    max_leaves=3,
).filter(parses)
pins = st.lists(ids.map(ItemId), max_size=4, unique=True).map(
    lambda items: tuple(Pin(item, place) for place, item in enumerate(items, start=1))
)
shares = st.floats(0, 1)
recommendation_ids = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
scenario_names = st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,63}\Z")
rules: dict[str, Any] = {
    "where": st.none() | where,
    "only": st.none() | item_ids,
    "boost": st.lists(st.builds(Boost, where, st.floats(0, 1000)), max_size=3).map(tuple),
    "pin": pins,
    "max_per": st.none() | st.builds(MaxPer, names, st.integers(1, MAX_COUNT)),
    "fields": st.lists(names, max_size=3).map(tuple),
    "without": item_ids,
    "rotation": shares,
    "explore": shares,
    "source": st.sampled_from([None, "model", "popular", "trending", "new"]),
}
positions = st.builds(Position, st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
options: dict[str, Any] = {
    "count": st.integers(4, MAX_COUNT),
    "exclude": item_ids,
    "explain": st.booleans(),
    "diversity": st.floats(0, 1),
    "novelty": st.floats(0, 1),
    "include_liked": st.booleans(),
    "fill": st.booleans(),
    "after": st.none() | positions,
    "deadline_ms": st.none() | st.integers(1, MAX_DEADLINE_MS),
}
more: dict[str, Any] = {
    **options,
    **rules,
    "next_of": st.none() | recommendation_ids,
    "scenario": st.none() | scenario_names,
}
requests = (
    st.builds(Request, user_id=ids.map(UserId), similar_to=st.none() | ids.map(ItemId), **options)
    | st.builds(Request, similar_to=ids.map(ItemId), **options)
    | st.builds(Request, liked=item_ids, **options)
    | st.builds(Request, user_id=ids.map(UserId), **more)
    | st.builds(Request, users_for=ids.map(ItemId), **options)
    | st.builds(Request, users_like=ids.map(UserId), **more)
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


def outcome(decode: Callable[[bytes | None], Request], value: bytes | None) -> Request | str:
    try:
        return decode(value)
    except InvalidInputError as reason:
        return str(reason)


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


nearly_usual = st.fixed_dictionaries(
    {},
    optional={
        "user_id": ids | st.integers() | st.text(max_size=300),
        "liked": st.lists(ids | st.integers(), max_size=3),
        "similar_to": ids,
        "count": st.integers(-1, 1_001) | st.floats(),
        "exclude": st.none() | st.lists(ids | st.just(""), max_size=3),
        "diversity": st.floats(-0.1, 1.1) | st.booleans(),
        "novelty": st.sampled_from([0, 1, 0.5, 2, None]),
        "fill": st.booleans() | st.none(),
        "after": st.sampled_from(["3:1042", "3", None]),
        "deadline_ms": st.sampled_from([0, 1, 500, MAX_DEADLINE_MS + 1, None]),
        "version": st.sampled_from([1, 2, 1.0, True, None]),
        "request_id": st.sampled_from(["r-1", 7, None, 1.5]),
        "source": st.sampled_from(["new", "other", None]),
        "unknown": st.none(),
    },
).map(lambda fields: json.dumps(fields).encode())


@given(nearly_usual | bodies)
def test_the_usual_form_is_read_as_any_other(value: bytes | None) -> None:
    assert outcome(decode_request, value) == outcome(decode_any_form, value)


def test_likes_and_counts_take_the_fast_path() -> None:
    asked = body(user_id="u1", count=5, exclude=["i1"], after="3:1042", deadline_ms=500, fill=False)
    assert _decode_usual_form(asked) == decode_any_form(asked)
    assert _decode_usual_form(body(user_id="u1", source="new")) is None


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


def test_sources_that_rank_by_no_taste_need_no_subject() -> None:
    for source in ("popular", "trending", "new"):
        asked = decode_request(body(source=source))
        assert asked == Request(liked=(), source=source)
        assert decode_request(body(source=source, user_id="u1")).liked is None


def test_a_refusal_names_the_field() -> None:
    for name, value in {
        "only": [""], "without": [""], "boost": [{"where": {"a": None}, "factor": 1}],
        "pin": [{"item_id": "a", "place": -1}], "fields": [""], "rotation": 7, "source": "x",
    }.items():  # fmt: skip
        with pytest.raises(InvalidInputError, match=f"`{name}"):
            decode_request(body(user_id="u1", **{name: value}))


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
        (body(users_for="i1", user_id="u1"), "ambiguous_subject"),
        (body(users_for="i1", users_like="u1"), "ambiguous_subject"),
        (body(users_like="u1", liked=[]), "ambiguous_subject"),
        (body(users_like=""), "invalid_id"),
        (body(scenario="home", where={}), "missing_field"),
        (body(source="model"), "missing_field"),
        (body(user_id="u1", where=[]), "invalid_where"),
        (body(user_id="u1", where={"a": {"$regex": "^(a+)+$"}}), "invalid_where"),
        (body(user_id="u1", only=["i"] * (MAX_LISTED_ITEMS + 1)), "too_large"),
        (body(user_id="u1", only=[*range(1_000_000)]), "too_large"),
        (body(user_id="u1", only="i1"), "wrong_type"),
        (body(user_id="u1", without=["i"] * (MAX_LISTED_ITEMS + 1)), "too_large"),
        (body(user_id="u1", without=["x" * 257]), "invalid_id"),
        (body(user_id="u1", boost=[{"where": {}, "factor": float("nan")}]), "not_json"),
        (body(user_id="u1", boost=[{"where": {}, "factor": 1e308 * 10}]), "not_json"),
        (b'{"user_id": "u1", "boost": [{"where": {}, "factor": 1e999}]}', "wrong_type"),
        (body(user_id="u1", boost=[{"where": {}, "factor": -1}]), "invalid_boost"),
        (body(user_id="u1", boost=[{"where": {}, "factor": 1_001}]), "invalid_boost"),
        (body(user_id="u1", boost=[{"where": {}, "factor": 1}] * 21), "invalid_boost"),
        (body(user_id="u1", boost=[{"factor": 2}]), "invalid_where"),
        (body(user_id="u1", boost=[{"where": {"$or": 1}, "factor": 2}]), "invalid_where"),
        (body(user_id="u1", boost=[{"where": {}}]), "wrong_type"),
        (body(user_id="u1", pin=[{"item_id": "i1", "place": 0}]), "invalid_pin"),
        (body(user_id="u1", pin=[{"item_id": "i1", "place": 11}]), "invalid_pin"),
        (body(user_id="u1", count=5, pin=[{"item_id": "i1", "place": 6}]), "invalid_pin"),
        (
            body(user_id="u1", pin=[{"item_id": f"{n}", "place": n} for n in range(102)]),
            "invalid_pin",
        ),
        (body(user_id="u1", pin=[{"item_id": n, "place": 1} for n in "ab"]), "invalid_pin"),
        (body(user_id="u1", pin=[{"item_id": "a", "place": n} for n in (1, 2)]), "invalid_pin"),
        (body(user_id="u1", pin=[{"item_id": "", "place": 1}]), "invalid_id"),
        (body(user_id="u1", pin=[{"item_id": "a", "place": 1.5}]), "wrong_type"),
        (body(user_id="u1", pin=[{"item_id": "a", "place": 10**30}]), "invalid_pin"),
        (body(user_id="u1", max_per={"field": "artist", "count": 0}), "invalid_max_per"),
        (body(user_id="u1", max_per={"field": "artist", "count": 10**30}), "invalid_max_per"),
        (body(user_id="u1", max_per={"field": "", "count": 1}), "invalid_max_per"),
        (body(user_id="u1", max_per={"field": "artist"}), "wrong_type"),
        (body(user_id="u1", fields=["title"] * 51), "invalid_fields"),
        (body(user_id="u1", fields=["$title"]), "invalid_fields"),
        (body(user_id="u1", fields="title"), "wrong_type"),
        (body(user_id="u1", rotation=1.1), "invalid_rotation"),
        (body(user_id="u1", rotation=-1), "invalid_rotation"),
        (body(user_id="u1", explore=2), "invalid_explore"),
        (body(user_id="u1", source="trendy"), "invalid_source"),
        (body(user_id="u1", next_of="a b"), "invalid_recommendation_id"),
        (body(user_id="u1", next_of="a" * 65), "invalid_recommendation_id"),
        (body(user_id="u1", scenario="Home page"), "invalid_scenario"),
        (body(user_id="u1", scenario=""), "invalid_scenario"),
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
catalogue_fields = st.dictionaries(names, ids | scores | st.booleans() | st.lists(ids), max_size=2)
recommended = st.builds(
    RecommendedItem,
    ids.map(ItemId),
    scores,
    reasons,
    st.none() | catalogue_fields,
    st.booleans(),
    st.booleans(),
)
answers = st.builds(
    Recommendations,
    items=st.lists(recommended, max_size=5).map(tuple),
    source=st.sampled_from(["model", "popular", "trending", "new"]),
    model=st.builds(ModelStamp, st.text(), scores),
    user_id=st.none() | ids.map(UserId),
    request_id=st.none() | ids,
    recommendation_id=st.just("") | recommendation_ids,
    users=st.none() | st.lists(st.builds(RankedUser, ids.map(UserId), scores)).map(tuple),
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
