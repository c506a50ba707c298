"""Catalogue items: any record of the items topic gives an item, a removal, or the reason why neither."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId
from likewise.messages.items import (
    MAX_ITEM_BYTES,
    CatalogueItem,
    RemoveItem,
    decode_item,
    decode_stored_item,
    encode_item,
)
from likewise.testing.memory_log import MemoryRecord

I7 = ItemId("i7")
text = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64).map(ItemId)
label_names = text.filter(lambda name: name and not name.startswith("$"))
labels = st.dictionaries(
    label_names,
    text
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(text, max_size=3).map(tuple),
    max_size=4,
)
items = st.builds(
    CatalogueItem,
    item_id=ids,
    title=st.none() | text,
    image_url=st.none() | text,
    url=st.none() | text,
    categories=st.lists(text, max_size=3).map(tuple),
    labels=labels,
    published_at_ms=st.none() | st.integers(-62_135_596_799_000, 253_402_300_799_000),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    *["item_id", "title", "image_url", "url", "categories", "labels", "published_at", "version"],
    *["specversion", "type", "data", "data_base64"],
]
bodies = st.dictionaries(st.sampled_from(FIELDS), json_values).map(
    lambda body: json.dumps(body).encode()
)


def record(
    value: bytes | None, key: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = ()
) -> MemoryRecord:
    return MemoryRecord("items", 0, 0, 0, key, value, headers)


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def refusal_of(value: bytes | None, key: bytes | None = None) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as refused:
        decode_item(record(value, key))
    return refused.value


def test_every_field_is_read() -> None:
    value = body(
        item_id="i7",
        title="Solaris",
        image_url="https://example.com/i7.jpg",
        url="https://example.com/i7",
        categories=["drama", "space"],
        labels={"price": 9.9, "year": 1972, "lang": "ru", "hd": True, "cast": ["a", "b"]},
        published_at="1972-03-20T00:00:00Z",
        unknown={"ignored": 1},
    )
    assert decode_item(record(value, b"i7")) == CatalogueItem(
        item_id=I7,
        title="Solaris",
        image_url="https://example.com/i7.jpg",
        url="https://example.com/i7",
        categories=("drama", "space"),
        labels={"price": 9.9, "year": 1972, "lang": "ru", "hd": True, "cast": ("a", "b")},
        published_at_ms=69_897_600_000,
    )


@pytest.mark.parametrize(
    ("value", "key", "decoded"),
    [
        (b'{"item_id": "i7"}', None, CatalogueItem(I7)),
        (b"{}", b"i7", CatalogueItem(I7)),
        (b"{}", b'"i7"', CatalogueItem(I7)),
        (b'{"item_id": 7, "version": 1}', b"7", CatalogueItem(ItemId("7"))),
        (b'{"labels": {"a": null}, "title": null, "categories": null}', b"i7", CatalogueItem(I7)),
        (b"{}", b"likes:*", CatalogueItem(ItemId("likes:*"))),
        (b"{}", b"{x}\n[a-z]?", CatalogueItem(ItemId("{x}\n[a-z]?"))),
        (None, b"i7", RemoveItem(I7)),
        (None, b'"i7"', RemoveItem(I7)),
        (None, "é".encode(), RemoveItem(ItemId("é"))),
    ],
)
def test_the_key_is_the_id_where_the_body_has_none(
    value: bytes | None, key: bytes | None, decoded: CatalogueItem | RemoveItem
) -> None:
    assert decode_item(record(value, key)) == decoded


def test_cloud_events_are_read_in_both_modes() -> None:
    item = {"item_id": "i7", "title": "Solaris"}
    envelope = {"specversion": "1.0", "type": "com.example.item.changed", "data": item}
    assert decode_item(record(body(**envelope), b"i7")) == CatalogueItem(I7, "Solaris")
    headers = (("ce_specversion", b"1.0"), ("ce_type", b"com.example.item.changed"))
    assert decode_item(record(body(**item), b"i7", headers)) == CatalogueItem(I7, "Solaris")
    assert refusal_of(body(specversion="0.3", type="x", data=item)).code == "unsupported_version"


@pytest.mark.parametrize(
    ("value", "key", "code", "named"),
    [
        (None, None, "missing_field", "item_id"),
        (None, b"", "invalid_id", "item_id"),
        (None, b"\xff", "invalid_id", "key"),
        (None, b"\x00\x00\x00\x07", "invalid_id", "IntegerSerializer"),
        (None, b"x" * 257, "invalid_id", "item_id"),
        (b"{}", None, "missing_field", "item_id"),
        (b"", b"i7", "not_json", ""),
        (b"null", b"i7", "wrong_type", ""),
        (b'{"item_id": "i8"}', b"i7", "key_mismatch", "i8"),
        (b'{"item_id": ""}', b"i7", "invalid_id", "item_id"),
        (b'{"item_id": "\\"i7\\""}', b'"i7"', "invalid_id", "item_id"),
        (b'{"version": 2}', b"i7", "unsupported_version", "2"),
        (b'{"title": 3}', b"i7", "wrong_type", "title"),
        (b'{"categories": "drama"}', b"i7", "wrong_type", "categories"),
        (b'{"categories": [3]}', b"i7", "wrong_type", "categories"),
        (body(categories=["c"] * 101), b"i7", "too_large", "categories"),
        (b'{"labels": ["a"]}', b"i7", "wrong_type", "labels"),
        (body(labels={f"l{n}": 1 for n in range(101)}), b"i7", "too_large", "labels"),
        (b'{"labels": {"a": {"b": 1}}}', b"i7", "invalid_label", "labels.a"),
        (b'{"labels": {"a": [1]}}', b"i7", "invalid_label", "labels.a"),
        (b'{"labels": {"a": ["x", null]}}', b"i7", "invalid_label", "labels.a"),
        (b'{"labels": {"": 1}}', b"i7", "invalid_label", "labels."),
        (b'{"labels": {"$gt": 1}}', b"i7", "invalid_label", "labels.$gt"),
        (body(labels={"x" * 257: 1}), b"i7", "invalid_label", "labels.x"),
        (b'{"labels": {"a": NaN}}', b"i7", "not_json", ""),
        (b'{"labels": {"a": 9223372036854775808}}', b"i7", "invalid_label", "labels.a"),
        (b'{"labels": {"a": -%s}}' % (b"9" * 400), b"i7", "invalid_label", "labels.a"),
        (body(labels={"a": ["x"] * 1_001}), b"i7", "too_large", "labels.a"),
        (b'{"labels": {"a": "%s"}}' % (b"x" * 10_000_000), b"i7", "too_large", "65536"),
        (b'{"published_at": "soon"}', b"i7", "invalid_published_at", "published_at"),
        (b'{"published_at": true}', b"i7", "invalid_published_at", "published_at"),
        (b'{"published_at": {"seconds": 1}}', b"i7", "invalid_published_at", "published_at"),
        (b'{"published_at": %s}' % (b"9" * 400), b"i7", "invalid_published_at", "published_at"),
        (b'{"x": ' + b"[" * 30_000, b"i7", "too_deep", ""),
        (b'{"title": "\\ud800"}', b"i7", "not_json", ""),
    ],
)
def test_a_record_that_breaks_the_contract_is_refused_with_its_reason(
    value: bytes | None, key: bytes | None, code: str, named: str
) -> None:
    refusal = refusal_of(value, key)
    assert refusal.code == code
    assert named in refusal.message


def test_an_item_of_64_kib_is_the_largest() -> None:
    largest = body(title="").replace(b'""', b'"%s"' % (b"x" * (MAX_ITEM_BYTES - 13)))
    assert len(largest) == MAX_ITEM_BYTES
    item = decode_item(record(largest, b"i7"))
    assert isinstance(item, CatalogueItem)
    assert decode_stored_item(encode_item(item)) == item
    assert refusal_of(largest + b" ", b"i7").code == "too_large"


@given(items)
def test_an_item_is_decoded_as_it_was_encoded(item: CatalogueItem) -> None:
    encoded = encode_item(item)
    assert decode_item(record(encoded, item.item_id.encode())) == item
    assert decode_stored_item(encoded) == item


@given(items)
def test_equal_items_have_equal_bodies(item: CatalogueItem) -> None:
    reordered: dict[str, Any] = dict(reversed(item.labels.items()))
    assert encode_item(item) == encode_item(
        CatalogueItem(
            item.item_id,
            item.title,
            item.image_url,
            item.url,
            item.categories,
            reordered,
            item.published_at_ms,
        )
    )


@given(st.none() | st.binary(max_size=200) | bodies, st.none() | st.binary(max_size=20))
def test_any_bytes_give_an_item_a_removal_or_a_refusal(
    value: bytes | None, key: bytes | None
) -> None:
    with suppress(InvalidInputError):
        decoded = decode_item(record(value, key))
        if isinstance(decoded, CatalogueItem):
            assert decode_stored_item(encode_item(decoded)) == decoded


@given(st.binary(max_size=200) | bodies)
def test_any_stored_bytes_give_an_item_or_an_invalid_input(raw: bytes) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_stored_item(raw), CatalogueItem)
