"""Files of recommended lists: an interrupted run continues, and the file is complete or absent."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from likewise.messages.ids import UserId
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.lists import (
    SCHEMA,
    format_of,
    open_parts,
    unfinished_job,
    write_part,
)

if TYPE_CHECKING:
    from pathlib import Path

USERS = [UserId(f"u{number}") for number in range(7)]
JOB = {"model": "20260101T000000.000Z", "count": 2}


def rows_of(users: list[UserId]) -> list[dict[str, Any]]:
    return [
        {"user_id": user, "rank": rank, "item_id": f"i,{rank}", "score": 0.5, "source": "model"}
        for user in users
        for rank in (1, 2)
    ]


def table_of(users: list[UserId]) -> pa.Table:
    return pa.Table.from_pylist(rows_of(users), schema=SCHEMA)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return found
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    if ".csv" in path.name:
        return [
            {**row, "rank": int(row["rank"]), "score": float(row["score"])}
            for row in csv.DictReader(text.splitlines())
        ]
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["l.parquet", "l.csv", "l.csv.gz", "l.ndjson", "l.jsonl.gz"])
def test_all_parts_make_one_file_in_the_order_of_the_users(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    parts = open_parts(path, JOB, lambda: USERS, part_users=3)
    for number, users in parts.missing():
        write_part(path, number, table_of(users))
    assert parts.finish() == 14
    assert read(path) == rows_of(USERS)
    assert list(tmp_path.iterdir()) == [path], "the parts are gone"


def test_an_interrupted_run_continues_with_the_same_users(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    first = open_parts(path, JOB, lambda: USERS, part_users=3)
    number, users = next(first.missing())
    write_part(path, number, table_of(users))
    assert not path.exists()
    assert unfinished_job(path) == {**JOB, "part_users": 3}

    again = open_parts(path, JOB, lambda: pytest.fail("the users are known"), part_users=3)
    assert again.written_users == 3
    assert [users for _, users in again.missing()] == [USERS[3:6], USERS[6:]]
    for number, users in again.missing():
        write_part(path, number, table_of(users))
    again.finish()
    assert read(path) == rows_of(USERS)


def test_parts_of_another_job_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    first = open_parts(path, JOB, lambda: USERS, part_users=3)
    for number, users in first.missing():
        write_part(path, number, table_of(users))
    other = open_parts(path, {**JOB, "count": 3}, lambda: USERS[:1], part_users=3)
    assert other.written_users == 0
    assert other.users == USERS[:1]


def test_a_crash_before_the_job_is_noted_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"

    def crash() -> list[UserId]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_parts(path, JOB, crash, part_users=3)
    assert open_parts(path, JOB, lambda: USERS, part_users=3).users == USERS


def test_no_users_give_a_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    assert open_parts(path, JOB, list, part_users=3).finish() == 0
    assert read(path) == []


@pytest.mark.parametrize("name", ["l", "l.txt", "l.parquet.gz", "l.gz"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LikeFileError, match="must end in"):
        format_of(tmp_path / name)


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LikeFileError, match="nowhere"):
        open_parts(tmp_path / "nowhere" / "l.csv", JOB, lambda: USERS, part_users=3)
