"""Filters: what is accepted, what each refusal names, and that a filter survives encoding."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.where import (
    MAX_DEPTH,
    MAX_IN_VALUES,
    MAX_NODES,
    And,
    Compare,
    Not,
    Op,
    Or,
    Where,
    parse_where,
    where_json,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
operators = st.sampled_from([*get_args(Op), "$and", "$or", "$not", "$regex", "$where", ""])
nearly_filters = st.recursive(
    json_values,
    lambda inner: st.dictionaries(operators | st.text(max_size=5), inner | st.lists(inner)),
    max_leaves=8,
)

scalars = (
    st.text(st.characters(codec="utf-8"), max_size=20)
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)
ordered = scalars.filter(lambda value: not isinstance(value, bool))
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).filter(
    lambda name: not name.startswith("$") and name != "published_at"
)
times = st.integers(-62_135_596_799_000, 253_402_300_799_000)
compared = st.one_of(
    st.builds(Compare, names, st.sampled_from(["$eq", "$ne"]), scalars),
    st.builds(Compare, names, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ordered),
    st.builds(
        Compare, names, st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=4).map(tuple)
    ),
    st.builds(Compare, names | st.just("published_at"), st.just("$exists"), st.booleans()),
    st.builds(Compare, st.just("published_at"), st.sampled_from(["$gt", "$lte", "$ne"]), times),
    st.builds(
        Compare, st.just("published_at"), st.just("$in"), st.lists(times, max_size=2).map(tuple)
    ),
)


def _groups(inner: st.SearchStrategy[Where]) -> st.SearchStrategy[Where]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts) | st.builds(Not, inner)


filters: st.SearchStrategy[Where] = st.recursive(compared | st.just(And(())), _groups, max_leaves=6)


def refusal_of(raw: object) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as refused:
        parse_where(raw)
    return refused.value


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({}, And(())),
        ({"a": 1}, Compare("a", "$eq", 1)),
        ({"a": {"$gte": 1, "$lt": 2}}, And((Compare("a", "$gte", 1), Compare("a", "$lt", 2)))),
        ({"a": 1, "b": "x"}, And((Compare("a", "$eq", 1), Compare("b", "$eq", "x")))),
        ({"$not": {"a": True}}, Not(Compare("a", "$eq", True))),
        ({"a": {"$not": {"$in": ["x"]}}}, Not(Compare("a", "$in", ("x",)))),
        ({"$or": [{"a": 1}, {}]}, Or((Compare("a", "$eq", 1), And(())))),
        ({"$and": [{"a": 1}]}, And((Compare("a", "$eq", 1),))),
        ({"a": {"$in": []}}, Compare("a", "$in", ())),
        ({"a.b": {"$exists": False}}, Compare("a.b", "$exists", False)),
        ({"published_at": "1970-01-02T00:00:00Z"}, Compare("published_at", "$eq", 86_400_000)),
        (
            {"published_at": {"$gt": 1_767_225_600}},
            Compare("published_at", "$gt", 1_767_225_600_000),
        ),
        ({"labels.published_at": "soon"}, Compare("labels.published_at", "$eq", "soon")),
    ],
)
def test_a_filter_in_mongodbs_form_is_a_tree(raw: object, where: Where) -> None:
    assert parse_where(raw) == where


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (None, "`where` is not an object"),
        ([], "`where` is not an object"),
        ("category == 'drama'", "`where` is not an object"),
        ({"a": {"$regex": "^(a+)+$"}}, "`where.a.$regex` is not an operator"),
        ({"a": {"$in": [{"$regex": "x"}]}}, "`where.a.$in[0]` is not a string"),
        ({"a": {"$eq": {"$gt": 1}}}, "`where.a.$eq` is not a string"),
        ({"$where": "sleep(1000)"}, "`where.$where` is not an operator"),
        ({"$expr": {}}, "`where.$expr` is not an operator"),
        ({"a": None}, "`where.a` is not a string"),
        ({"a": {}}, "`where.a` has no operator"),
        ({"a": {"b": 1}}, "`where.a.b` is not an operator"),
        ({"a": ["x"]}, "`where.a` is a list; use $in"),
        ({"a": {"$in": "x"}}, "`where.a.$in` is not a list"),
        ({"a": {"$in": [["x"]]}}, "`where.a.$in[0]` is a list"),
        ({"a": {"$exists": 1}}, "`where.a.$exists` is not true or false"),
        ({"a": {"$gt": True}}, "`where.a.$gt` is true or false"),
        ({"a": {"$gt": float("nan")}}, "`where.a.$gt` is not a string, a finite number"),
        ({"a": float("inf")}, "`where.a` is not a string, a finite number"),
        ({"a": 10**400}, "`where.a` is not a string, a finite number"),
        ({"a": "x" * 1_025}, "`where.a` is longer than 1024 bytes"),
        ({"a": "é" * 513}, "`where.a` is longer than 1024 bytes"),
        ({"": 1}, "`where.` is not a name"),
        ({"x" * 257: 1}, "is not a name of 1 to 256 bytes"),
        ({"$and": []}, "`where.$and` is not a list of filters"),
        ({"$or": {"a": 1}}, "`where.$or` is not a list of filters"),
        ({"$or": [{"a": 1}, 3]}, "`where.$or[1]` is not an object"),
        ({"$not": [{"a": 1}]}, "`where.$not` is not an object"),
        ({"a": {"$not": "x"}}, "`where.a.$not` is not an object"),
        ({"published_at": "soon"}, "`where.published_at` is not a time"),
        ({"published_at": {"$in": [True]}}, "`where.published_at.$in[0]` is not a time"),
        ({"published_at": ""}, "`where.published_at` is not a time"),
    ],
)
def test_a_refusal_names_the_place(raw: object, place: str) -> None:
    refusal = refusal_of(raw)
    assert refusal.code == "invalid_where"
    assert place in refusal.message


def _nested(wrap: str, depth: int) -> dict[str, Any]:
    where: dict[str, Any] = {"a": 1}
    for _ in range(depth - 1):
        where = {wrap: where if wrap == "$not" else [where]}
    return where


@pytest.mark.parametrize("wrap", ["$not", "$and", "$or"])
def test_the_depth_is_bounded(wrap: str) -> None:
    parse_where(_nested(wrap, MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 50, 900):
        refusal = refusal_of(_nested(wrap, depth))
        assert f"nested more than {MAX_DEPTH} deep" in refusal.message
        assert len(refusal.message) < 400
    inner: dict[str, Any] = {"$eq": 1}
    for _ in range(50):
        inner = {"$not": inner}
    assert "nested" in refusal_of({"a": inner}).message


def test_the_size_is_bounded() -> None:
    parse_where({"a": {"$in": list(range(MAX_IN_VALUES))}})
    assert "1000 values" in refusal_of({"a": {"$in": [0] * (MAX_IN_VALUES + 1)}}).message
    parse_where({f"f{at}": 1 for at in range(MAX_NODES - 1)})
    assert "200 conditions" in refusal_of({f"f{at}": 1 for at in range(MAX_NODES)}).message
    assert "200 conditions" in refusal_of({"$or": [{}] * 100_000}).message


def test_true_is_not_one_where_filters_are_compared() -> None:
    one, true = parse_where({"a": 1}), parse_where({"a": True})
    assert one != true
    assert {one: "one", true: "true"}[true] == "true"
    assert parse_where({"a": {"$in": [0, True]}}) != parse_where({"a": {"$in": [False, 1]}})
    assert parse_where({"a": 1}) == parse_where({"a": 1.0})
    assert Not(one) != Not(true)


@given(filters)
def test_a_filter_is_parsed_back_as_it_was_encoded(where: Where) -> None:
    encoded = json.loads(json.dumps(where_json(where)))
    parsed = parse_where(encoded)
    assert parsed == where
    assert hash(parsed) == hash(where)


@given(nearly_filters)
def test_anything_is_a_filter_or_an_invalid_where(raw: object) -> None:
    where: Where = And(())
    with suppress(InvalidInputError):
        where = parse_where(raw)
    assert parse_where(where_json(where)) == where
