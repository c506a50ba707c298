"""Files of items: what is read, what becomes of each column, and what is refused."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.items import CatalogueItem, encode_item
from likewise.operations.files.catalogue.options import TableOptions
from likewise.operations.files.catalogue.reading import read_items
from likewise.operations.files.errors import LikeFileError

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.operations.files.catalogue.reading import ItemRow
    from likewise.operations.files.layout import Layout


def test_movies_of_movielens_are_items(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text(
        "movieId,title,genres\n"
        '1,Toy Story (1995),Adventure|Animation|Children\n11,"American President, The (1995)",Comedy\n'
        "3,1984,(no genres listed)\n"
    )
    assert bodies(path) == [
        {"item_id": "1", "title": "Toy Story (1995)", "categories": ["Adventure", "Animation", "Children"]},
        {"item_id": "11", "title": "American President, The (1995)", "categories": ["Comedy"]},
        {"item_id": "3", "title": "1984"},
    ]  # fmt: skip


def test_a_file_without_a_header_is_read_by_the_names_that_the_caller_gives(tmp_path: Path) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes("1::Misérables, Les::Drama|Musical\n".encode("latin-1"))
    found = bodies(path, names=("movieId", "title", "genres"), encoding="latin-1")
    assert found == [
        {"item_id": "1", "title": "Misérables, Les", "categories": ["Drama", "Musical"]}
    ]


def test_items_of_gorse_keep_their_labels_and_times(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(
        "item_id,is_hidden,categories,time_stamp,labels,comment\n"
        "7,false,a|b,2020-01-01 00:00:00 +0000 UTC,x|y,words\n"
    )
    [item] = items(path)
    assert (item.item_id, item.categories) == ("7", ("a", "b"))
    assert item.labels == {"is_hidden": False, "labels": ("x", "y"), "comment": "words"}
    assert item.published_at_ms == 1_577_836_800_000


def test_gorse_s_json_with_its_own_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write_lines(path, {
        "ItemId": "7", "IsHidden": False, "Categories": ["a"], "Timestamp": "2020-01-01T00:00:00Z",
        "Labels": {"topics": ["x", "y"], "price": 2.5}, "Comment": "words",
    })  # fmt: skip
    assert bodies(path) == [
        {
            "item_id": "7",
            "categories": ["a"],
            "labels": {"Comment": "words", "IsHidden": False, "price": 2.5, "topics": ["x", "y"]},
            "published_at": 1_577_836_800_000,
        }
    ]


def test_products_of_amazon_are_items(tmp_path: Path) -> None:
    path = tmp_path / "meta.json.gz"
    line = {
        "asin": "0001048791", "title": "The Crucible", "imUrl": "http://x/1.jpg", "price": 9.9,
        "categories": [["Books", "Drama"], ["Books"]], "brand": "", "salesRank": {"Books": 6334800},
        "also_buy": ["a", "b"],
    }  # fmt: skip
    path.write_bytes(gzip.compress(json.dumps(line).encode()))
    assert bodies(path) == [
        {
            "item_id": "0001048791",
            "title": "The Crucible",
            "image_url": "http://x/1.jpg",
            "categories": ["Books", "Drama"],
            "labels": {"also_buy": ["a", "b"], "price": 9.9},
        }
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_object_by_object(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "items.json"
    path.write_text(json.dumps([{"id": n, "genre": "a|b"} for n in range(3)], indent=indent))
    assert bodies(path) == [{"item_id": str(n), "categories": ["a", "b"]} for n in range(3)]


def test_a_broken_array_is_read_up_to_the_line_that_breaks_it(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    path.write_text('[\n{"id": 1},\n{"id": 2},\noops]')
    first, second, broken = rows(path)
    assert (first.row.line, second.row.line, broken.row.line) == (2, 3, 4)
    assert "nothing is read from here on" in broken.taken.message


def test_parquet_keeps_the_types_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pd.DataFrame(
        {
            "item_id": [1, 2],
            "published_at": [pd.Timestamp("2024-01-01", tz="UTC"), pd.NaT],
            "categories": [["a", "b"], None],
            "price": [1.5, None],
            "in_stock": [True, False],
            "code": ["007", ""],
        }
    ).to_parquet(path)
    assert bodies(path) == [
        {
            "item_id": "1",
            "categories": ["a", "b"],
            "labels": {"code": "007", "in_stock": True, "price": 1.5},
            "published_at": 1_704_067_200_000,
        },
        {"item_id": "2", "labels": {"in_stock": False}},
    ]


def test_a_text_is_a_number_only_in_a_column_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text(
        "item_id\tprice\tcode\tband\tsold\n1\t9.50\t007\t311\tTrue\n2\t-3\t12\tQueen\tfalse\n3\t\t\t\t\n"
    )
    assert [item.labels for item in items(path)] == [
        {"price": 9.5, "code": "007", "band": "311", "sold": True},
        {"price": -3, "code": "12", "band": "Queen", "sold": False},
        {},
    ]


def test_columns_can_be_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("article,id,text,secret\nx1,1,hello,hidden\n")
    found = bodies(
        path, columns={"item_id": "article", "title": "text"}, leave_out=frozenset({"secret", "id"})
    )
    assert found == [{"item_id": "x1", "title": "hello"}]


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("name,price\na,1\n", {}, "no column of item ids"),
        ("item_id,x\na,1\n", {"columns": {"title": "y"}}, "no column 'y' for title"),
        ("item_id,x\na,1\n", {"columns": {"item_id": "y"}}, "no column 'y'"),
        ("a,b\n", {"names": ("item_id",)}, "2 columns .* names 1"),
        ("", {}, "empty"),
        ("[]", {}, "no rows"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_is_missing(
    tmp_path: Path, text: str, options: Any, complaint: str
) -> None:
    path = tmp_path / "items.csv"
    path.write_text(text)
    with pytest.raises(LikeFileError, match=complaint):
        bodies(path, **options)


def test_a_bad_row_is_named_with_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(
        f"item_id,title,x\n1,fine,\n,no id,\n{'x' * 300},long id,\n4,too,many,fields\n5,fine\n"
    )
    found = list(rows(path))
    bad = {
        one.row.line: one.taken.code for one in found if isinstance(one.taken, InvalidInputError)
    }
    assert bad == {3: "missing_field", 4: "invalid_id", 5: "malformed_line"}
    assert [one.row.line for one in found if not isinstance(one.taken, InvalidInputError)] == [2, 6]


def test_what_json_cannot_hold_is_refused_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(
        b'{"item_id": "a", "x": NaN}\n{"item_id": "b", "x": Infinity}\n{"item_id": "\xe9"}\n'
    )
    fine, infinite, latin = rows(path)
    assert fine.taken.item.labels == {}
    assert infinite.taken.code == "invalid_label"
    assert "--encoding" in latin.taken.message


def test_a_time_that_cannot_be_parsed_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item_id,published_at\n1,some day\n")
    [row] = rows(path)
    assert not isinstance(row.taken, InvalidInputError)
    assert row.taken.item == CatalogueItem(item_id=row.taken.item.item_id)
    assert "some day" in str(row.taken.time_fault)


readable = st.characters(exclude_categories=["C", "Z"], exclude_characters="|$")
texts = st.text(readable, min_size=1, max_size=8)
labels = st.dictionaries(
    texts,
    texts | st.booleans() | st.integers(-(2**53), 2**53) | st.lists(texts, max_size=3),
    max_size=4,
)


@settings(max_examples=40)
@given(
    st.builds(
        lambda **fields: fields,
        item_id=texts,
        title=texts,
        url=texts,
        categories=st.lists(texts, max_size=3, unique=True),
        labels=labels,
        published_at=st.integers(0, 4_000_000_000_000),
    )
)
def test_what_export_writes_is_read_back_identically(
    tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    write_lines(path, body)
    [item] = items(path)
    again = path.with_name("again.jsonl")
    again.write_bytes(encode_item(item) + b"\n")
    assert items(again) == [item]


def write_lines(path: Path, *lines: object) -> None:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def rows(path: Path, **options: Any) -> Any:
    layouts: dict[str, Layout] = {}
    for chunk in read_items(str(path), TableOptions(**options), layouts.__setitem__):
        yield from chunk.rows


def items(path: Path, **options: Any) -> list[CatalogueItem]:
    found: list[ItemRow] = list(rows(path, **options))
    for one in found:
        if isinstance(one.taken, InvalidInputError):
            raise one.taken
    return [one.taken.item for one in found if not isinstance(one.taken, InvalidInputError)]


def bodies(path: Path, **options: Any) -> list[Any]:
    return [json.loads(encode_item(item)) for item in items(path, **options)]
