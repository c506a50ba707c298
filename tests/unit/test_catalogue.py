"""The catalogue's masks are those of a filter in plain Python, whatever is in it and however it changes."""

from __future__ import annotations

import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.catalogue.cache import ArrayCache
from likewise.catalogue.catalogue import MAX_LABELS, Catalogue
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem
from likewise.messages.where import And, Compare, Not, Or, Where, parse_where
from tests.brute_force_filter import passes
from tests.model_items import ModelItems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.catalogue.view import CatalogueView

IDS = [ItemId(f"i{number}") for number in range(8)]
WORDS = ("", "a", "b", "ab", "é", "z\0", "z")
FIELDS = ("item_id", "title", "categories", "published_at", "x", "labels.x", "y", "title.x", "none")

words = st.sampled_from(WORDS)
numbers = st.sampled_from([-1, 0, 1, 2, 0.5, 2**53, 1e300])
lists = st.lists(words, max_size=3).map(tuple)
labels = st.dictionaries(
    st.sampled_from(["x", "y", "title"]), words | numbers | st.booleans() | lists, max_size=3
)
operands = words | numbers | st.booleans() | st.sampled_from(IDS)
leaves = (
    st.builds(Compare, st.sampled_from(FIELDS), st.sampled_from(["$eq", "$ne"]), operands)
    | st.builds(
        Compare,
        st.sampled_from(FIELDS),
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        words | numbers | st.sampled_from(IDS),
    )
    | st.builds(
        Compare,
        st.sampled_from(FIELDS),
        st.sampled_from(["$in", "$nin"]),
        st.lists(operands, max_size=3).map(tuple),
    )
    | st.builds(Compare, st.sampled_from(FIELDS), st.just("$exists"), st.booleans())
)
filters: st.SearchStrategy[Where] = st.recursive(
    leaves,
    lambda parts: (
        st.builds(And, st.lists(parts, max_size=3).map(tuple))
        | st.builds(Or, st.lists(parts, max_size=3).map(tuple))
        | st.builds(Not, parts)
    ),
    max_leaves=6,
)


@st.composite
def changes(draw: st.DrawFn) -> dict[ItemId, CatalogueItem | None]:
    """Return items to put, and None for those to remove."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=len(IDS)))
    return {
        item_id: draw(
            st.none()
            | st.builds(
                CatalogueItem,
                st.just(item_id),
                title=st.none() | words,
                categories=lists,
                labels=labels,
                published_at_ms=st.none() | st.sampled_from([0, 1, 2]),
            )
        )
        for item_id in ids
    }


@settings(max_examples=80, deadline=None)
@given(
    st.lists(changes(), max_size=5),
    st.permutations(IDS).flatmap(lambda ids: st.integers(0, len(ids)).map(lambda n: ids[:n])),
    st.lists(filters, min_size=1, max_size=4),
)
def test_a_mask_holds_the_items_that_pass_one_by_one_after_every_change(
    history: list[dict[ItemId, CatalogueItem | None]], model_ids: list[ItemId], asked: list[Where]
) -> None:
    catalogue, model = Catalogue(), ModelItems(model_ids)
    items: dict[ItemId, CatalogueItem] = {}
    before = catalogue.aligned(model)
    for change in [{}, *history]:
        expected_before = [mask_of(where, items, model_ids) for where in asked]
        catalogue.apply(change.items())
        items = {one: item for one, item in (items | change).items() if item is not None}
        assert len(catalogue) == len(items)
        assert [before.mask(where).tolist() for where in asked] == expected_before
        before = catalogue.aligned(model)
        for where in asked:
            assert before.mask(where).tolist() == mask_of(where, items, model_ids), where
            assert before.matches(where, IDS).tolist() == mask_of(where, items, IDS), where
            assert set(before.newest(where)) == {
                one
                for one, item in items.items()
                if item.published_at_ms is not None and passes(where, one, item)
            }


def mask_of(
    where: Where, items: Mapping[ItemId, CatalogueItem], item_ids: Sequence[ItemId]
) -> list[bool]:
    return [passes(where, item_id, items.get(item_id)) for item_id in item_ids]


@settings(max_examples=40, deadline=None)
@given(st.lists(changes(), min_size=1, max_size=4), st.sampled_from(["title", "categories", "x"]))
def test_groups_are_equal_where_values_are_and_times_are_those_of_the_items(
    history: list[dict[ItemId, CatalogueItem | None]], field: str
) -> None:
    catalogue, model = Catalogue(), ModelItems(IDS)
    items: dict[ItemId, CatalogueItem | None] = {}
    for change in history:
        catalogue.apply(change.items())
        items |= change
        view = catalogue.aligned(model)
        values = [group_value(items.get(item_id), field) for item_id in IDS]
        groups = view.groups(field).tolist()
        for one, value in zip(groups, values, strict=True):
            assert (one == -1) == (value is None)
            for other, other_value in zip(groups, values, strict=True):
                assert (one == other) == (value == other_value)
        times = [item.published_at_ms if item else None for item in map(items.get, IDS)]
        assert [None if np.isnan(one) else one for one in view.published_ms()] == times


def group_value(item: CatalogueItem | None, field: str) -> Any:
    if item is None:
        return None
    value = item.labels.get(field) if field == "x" else getattr(item, field)
    if isinstance(value, tuple):
        value = value[0] if value else None
        return None if value is None else (list, value)
    return None if value is None else (bool if isinstance(value, bool) else object, value)


def put(catalogue: Catalogue, **labels_by_id: dict[str, Any] | None) -> None:
    catalogue.apply(
        (ItemId(one), None if labels is None else CatalogueItem(ItemId(one), labels=labels))
        for one, labels in labels_by_id.items()
    )


def ids_of(view: CatalogueView, model: ModelItems, where: dict[str, Any]) -> set[str]:
    mask = view.mask(parse_where(where))
    return {one for one, chosen in zip(model.item_ids, mask, strict=True) if chosen}


def test_many_unique_strings_are_found_like_few() -> None:
    model = ModelItems([ItemId(f"i{number}") for number in range(3_000)])
    catalogue = Catalogue()
    for start in range(0, 3_000, 1_000):
        put(
            catalogue,
            **{one: {"name": f"name of {one}"} for one in model.item_ids[start : start + 1_000]},
        )
    assert ids_of(catalogue.aligned(model), model, {"name": "name of i7"}) == {"i7"}
    put(
        catalogue, i7={"name": "name of i8"}, i9=None, i10={"name": 3}, i11={"name": ["name of i8"]}
    )
    view = catalogue.aligned(model)
    assert ids_of(view, model, {"name": "name of i8"}) == {"i7", "i8", "i11"}
    assert ids_of(view, model, {"name": {"$in": ["name of i7", "name of i9", 3]}}) == {"i10"}
    assert ids_of(view, model, {"name": {"$gte": "name of i998"}}) == {"i998", "i999"}
    # i7 is in the group of i8, i9 in none, i10 in that of a number, i11 in that of a list.
    assert len(set(view.groups("name").tolist())) == 3_000 - 1


def test_a_mask_is_made_once_and_again_only_when_one_of_its_fields_changes() -> None:
    catalogue, model = Catalogue(), ModelItems(IDS)
    put(catalogue, i0={"x": 1, "y": 1}, i1={"x": 2, "y": 1}, i2={"y": 1})
    cheap = parse_where({"x": {"$lt": 2}})
    first = catalogue.aligned(model).mask(cheap)
    assert not first.flags.writeable
    put(catalogue, i1={"x": 2, "y": 7}, i7={"y": 2})
    assert catalogue.aligned(model).mask(parse_where({"x": {"$lt": 2}}))[:2].tolist() == [
        True,
        False,
    ]
    put(catalogue, i1={"x": 2, "y": 8})
    second = catalogue.aligned(model).mask(cheap)
    assert catalogue.aligned(model).mask(cheap) is second
    put(catalogue, i1={"x": 1, "y": 8})
    third = catalogue.aligned(model).mask(cheap)
    assert third[:2].tolist() == [True, True]
    assert second[:2].tolist() == [True, False]


def test_true_and_1_are_different_filters() -> None:
    catalogue, model = Catalogue(), ModelItems(IDS)
    put(catalogue, i0={"x": True}, i1={"x": 1})
    view = catalogue.aligned(model)
    assert ids_of(view, model, {"x": True}) == {"i0"}
    assert ids_of(view, model, {"x": 1}) == {"i1"}


def test_the_cache_removes_what_was_not_used_for_longest_and_counts_large_filters() -> None:
    cache = ArrayCache(max_bytes=30_000)
    for key in range(50):
        cache.add(key, (1,), np.zeros(500, np.bool_))
        assert cache.find(0, (1,)) is not None
    assert len(cache) == 30
    assert cache.find(1, (1,)) is None
    cache.add("a long filter", (1,), np.zeros(1, np.bool_), 29_000)
    assert len(cache) == 1
    cache.add("a longer one", (1,), np.zeros(1, np.bool_), 30_000)
    assert len(cache) == 0


def test_an_item_in_a_row_of_a_removed_one_has_its_own_values_alone() -> None:
    catalogue, model = Catalogue(), ModelItems(IDS)
    put(catalogue, i0={"x": 1, "y": ["a", "b"]}, i1={"x": 2})
    put(catalogue, i0=None)
    put(catalogue, i2={"z": "new"})
    view = catalogue.aligned(model)
    assert ids_of(view, model, {"x": {"$exists": True}}) == {"i1"}
    assert ids_of(view, model, {"y": "b"}) == set()
    assert ids_of(view, model, {"z": "new"}) == {"i2"}


def test_changes_without_end_leave_no_memory_behind() -> None:
    catalogue = Catalogue()
    for number in range(3_000):
        name = f"{number:0400d}"
        put(catalogue, i0={"name": name, "tags": [name], "price": number})
        put(catalogue, i1={"price": 1}, **{f"new{number}": {}, f"new{number - 1}": None})
    assert held_bytes(catalogue) < 2_000_000  # of which two tables of 1,024 strings


def held_bytes(catalogue: Catalogue) -> int:
    """Return the bytes of everything that the columns hold."""
    seen: dict[int, int] = {}
    left: list[Any] = [catalogue._state.snapshot, catalogue._rows.of]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen[id(one)] = one.nbytes if isinstance(one, np.ndarray) else sys.getsizeof(one)
        if isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        left += [getattr(one, name) for name in getattr(type(one), "__slots__", ())]
    return sum(seen.values())


def test_fields_that_few_items_have_take_memory_for_those_alone() -> None:
    catalogue = Catalogue()
    catalogue.apply(
        (one.item_id, one)
        for one in (
            CatalogueItem(ItemId(f"i{at}"), labels={f"attribute {at % 2_000}": at, "x": at})
            for at in range(20_000)
        )
    )
    numbers = sum(
        part.slots.values.nbytes
        for column in catalogue._state.snapshot.columns.values()
        for part in column.parts.values()
    )
    assert numbers < 20_000 * 2 * 10


def test_labels_beyond_the_limit_are_not_known_to_filters() -> None:
    catalogue, model = Catalogue(), ModelItems(IDS)
    put(
        catalogue, i0={f"x{number}": 1 for number in range(MAX_LABELS)}, i1={"one more": 1, "x7": 1}
    )
    assert catalogue.labels_ignored
    view = catalogue.aligned(model)
    assert ids_of(view, model, {"x7": 1}) == {"i0", "i1"}
    assert ids_of(view, model, {"one more": 1}) == set()


def test_a_model_that_is_no_longer_used_is_let_go() -> None:
    catalogue, old, new = Catalogue(), ModelItems(IDS[:3]), ModelItems(IDS[:5])
    put(catalogue, i0={"x": 1})
    catalogue.aligned(old)
    reference = weakref.ref(old)
    view = catalogue.aligned(new)
    del old
    assert reference() is None
    put(catalogue, i4={"x": 1})
    assert ids_of(view, new, {"x": 1}) == {"i0"}
    assert ids_of(catalogue.aligned(new), new, {"x": 1}) == {"i0", "i4"}


def test_newest_first_and_in_the_same_order_on_every_server() -> None:
    items = [CatalogueItem(one, published_at_ms=at // 4) for at, one in enumerate(IDS)]
    some, other = Catalogue(), Catalogue()
    some.apply((one.item_id, one) for one in items)
    other.apply((one.item_id, one) for one in reversed(items))
    order = [*some.aligned(ModelItems([])).newest()]
    assert set(order[:4]) == set(IDS[4:])
    assert [*other.aligned(ModelItems(IDS)).newest()] == order


def test_views_see_one_state_while_items_are_removed_and_added_again_without_pause() -> None:
    catalogue, model, stop = Catalogue(), ModelItems(IDS), threading.Event()
    on, off, both = ({"side": one, "number": one == "on"} for one in ("on", "off", "both"))
    put(catalogue, **dict.fromkeys(IDS, on))
    sides, numbers = parse_where({"side": "on"}), parse_where({"number": True})

    def look() -> int:
        looks = 0
        while not stop.is_set() or not looks:
            view = catalogue.aligned(model)
            of_sides = view.mask(sides)
            assert of_sides.all() or not of_sides.any()
            assert (view.mask(numbers) == of_sides).all()
            assert ((view.groups("side") == view.groups("side")[0]) | ~of_sides).all()
            assert (view.matches(sides, IDS) <= of_sides).all()
            looks += 1
        return looks

    with ThreadPoolExecutor(3) as pool:
        looking = [pool.submit(look) for _ in range(3)]
        for labels in (None, off, None, on, both, None, on) * 200:
            every: dict[str, dict[str, Any] | None] = dict.fromkeys(IDS, labels)
            put(catalogue, **every)
        stop.set()
        assert all(one.result(20) for one in looking)
    assert catalogue.aligned(model).mask(sides).all()
