"""Files of likes: what is read, what is refused, and what is published and confirmed."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.events import Like, Unlike
from likewise.messages.ids import ItemId, UserId
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.options import ReadOptions
from likewise.operations.files.reading import read_rows
from likewise.operations.files.rows import Row, event_of_row
from likewise.operations.files.writing import writing_likes

if TYPE_CHECKING:
    from pathlib import Path


def rows_of(path: Path, chunk_rows: int = 1000, **options: Any) -> list[Row]:
    chunks = read_rows(path, ReadOptions(**options), chunk_rows=chunk_rows)
    return [row for chunk in chunks for row in chunk.rows]


def like(user: str, item: str) -> Like:
    return Like(UserId(user), ItemId(item))


def test_ids_in_a_csv_stay_the_text_they_are(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user_id,item_id\n007,12345678901234567890\nNA,1.50\nTrue,1e5\n")
    events = [event_of_row(row)[0] for row in rows_of(path)]
    assert events == [like("007", "12345678901234567890"), like("NA", "1.50"), like("True", "1e5")]


def test_a_column_of_numbers_with_gaps_never_becomes_one_point_zero(tmp_path: Path) -> None:
    path = tmp_path / "likes.parquet"
    pd.DataFrame({"user_id": [1.0, None], "item_id": [2, 3]}).to_parquet(path)
    first, second = rows_of(path)
    assert event_of_row(first)[0] == like("1", "2")
    with pytest.raises(InvalidInputError, match="user_id"):
        event_of_row(second)


def test_an_id_with_a_fraction_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="neither text nor a whole number"):
        event_of_row(Row(1, user=1.5, item="i"))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_csv_may_be_compressed_and_begin_with_a_byte_order_mark(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"likes{suffix}"
    text = "\ufeffuser_id,item_id\nü,i\n".encode()
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    assert [event_of_row(row)[0] for row in rows_of(path)] == [like("ü", "i")]


def test_other_columns_can_be_named_and_further_ones_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("movie,who,stars,when\n7,u1,5,10\n")
    (row,) = rows_of(path, user="who", item="movie", timestamp="when")
    assert event_of_row(row)[:2] == (like("u1", "7"), 10_000)


def test_a_missing_column_is_named_with_those_there_are_and_the_option(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user_id,movie\nu1,7\n")
    with pytest.raises(LikeFileError, match=r"'item_id'.*'user_id', 'movie'.*--item-column"):
        rows_of(path)


def test_a_timestamp_column_that_was_named_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user_id,item_id\nu1,7\n")
    assert len(rows_of(path)) == 1
    with pytest.raises(LikeFileError, match="--timestamp-column"):
        rows_of(path, timestamp="when")


def test_each_bad_row_is_told_by_its_line_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_bytes(
        b"user_id,item_id\n"  # line 1
        b"u1,i1\n"
        b",i2\n"  # 3: no user
        b"u3,i3,too,many\n"  # 4
        b"\n"  # blank lines are nothing
        b"u5\n"  # 6: no item
        b"u\xff6,i6\n"  # 7: not UTF-8
        b"u7," + b"i" * 257 + b"\n"  # 8: too long
        b"u8,i8\n"
    )
    good, bad = [], {}
    for row in rows_of(path, chunk_rows=3):
        try:
            good.append(event_of_row(row)[0])
        except InvalidInputError as error:
            bad[row.line] = error.code
    assert good == [like("u1", "i1"), like("u8", "i8")]
    assert bad == {
        3: "missing_field",
        4: "malformed_line",
        6: "malformed_line",
        7: "invalid_id",
        8: "invalid_id",
    }


def test_an_action_column_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user_id,item_id,action\nu1,i1,unlike\nu1,i2,\nu1,i3,adore\n")
    unlike, default, unknown = rows_of(path)
    assert event_of_row(unlike)[0] == Unlike(UserId("u1"), ItemId("i1"))
    assert event_of_row(default)[0] == like("u1", "i2")
    with pytest.raises(InvalidInputError, match="adore"):
        event_of_row(unknown)


@pytest.mark.parametrize(
    ("timestamp", "expected_ms"),
    [
        ("1260759144", 1_260_759_144_000),
        (1_260_759_144_000, 1_260_759_144_000),
        (1_260_759_144.5, 1_260_759_144_500),
        ("2009-12-14T02:52:24", 1_260_759_144_000),
        ("2009-12-14T03:52:24+01:00", 1_260_759_144_000),
        (datetime(2009, 12, 14, 2, 52, 24, tzinfo=UTC), 1_260_759_144_000),
        ("", None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_times_are_understood_in_the_usual_forms(timestamp: object, expected_ms: int) -> None:
    assert event_of_row(Row(1, "u", "i", timestamp))[1] == expected_ms


@pytest.mark.parametrize("timestamp", ["yesterday", [1], True, float("inf"), "1e400", "1/2/2024"])
def test_a_time_that_means_nothing_costs_the_time_and_not_the_like(timestamp: object) -> None:
    event, time_ms, fault = event_of_row(Row(1, "u", "i", timestamp))
    assert (event, time_ms) == (like("u", "i"), None)
    assert fault is not None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("cut.csv.gz", gzip.compress(b"user_id,item_id\n" + b"u,i\n" * 9999, mtime=0)[:40]),
        ("plain.csv.gz", b"user_id,item_id\nu,i\n"),
        ("text.parquet", b"user_id,item_id\nu,i\n"),
        ("missing.csv", None),
    ],
)
def test_a_file_that_can_not_be_read_is_named(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LikeFileError, match=name):
        rows_of(path)


ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1)
pairs = st.lists(st.tuples(ids, ids))


@pytest.mark.parametrize("name", ["likes.csv", "likes.csv.gz", "likes.parquet"])
def test_what_is_written_is_read_back(tmp_path_factory: Any, name: str) -> None:
    @settings(max_examples=30)
    @given(pairs)
    def round_trip(written: list[tuple[str, str]]) -> None:
        path = tmp_path_factory.getbasetemp() / name
        with writing_likes(path, "parquet" if name.endswith("parquet") else "csv") as write:
            write(written)
        assert [(row.user, row.item) for row in rows_of(path)] == written

    round_trip()


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("before")

    def write_and_fail() -> None:
        with writing_likes(path, "csv") as write:
            write([("u", "i")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
