"""Files as other tools write them: found out, told, and never read as less or other than they say."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import resource
import uuid
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.messages.event_decoding import decode_event
from likewise.messages.event_times import event_time_ms
from likewise.messages.times import parse_time_ms
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.fields import MalformedError, split_fields
from likewise.testing.memory_log import MemoryRecord

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(file: str, *options: str, code: int = 0, stdin: bytes | None = None) -> Any:
    """Return what `import --dry-run --json` says of the file, its complaints as `said`."""
    arguments = ["import", file, "--dry-run", "--json", *options]
    result = CliRunner().invoke(app, arguments, input=stdin)
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout or "{}") | {"said": result.stderr}


def pairs(account: Any) -> list[tuple[str, str]]:
    events = [json.loads(text) for text in account["first_events"]]
    return [(event.get("user_id"), event.get("item_id")) for event in events]


def times(account: Any) -> list[int | None]:
    """Return the times of the first events, as readers of the topic see them."""
    records = [
        MemoryRecord("likes", 0, 0, -1, None, text.encode(), ()) for text in account["first_events"]
    ]
    assert [decode_event(record) for record in records]
    return [event_time_ms(record) for record in records]


# What text looks like


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("user_id,item_id\n1,2\n3,4\n", []),
        ("user_id;item_id\n1;2\n3;4\n", []),
        ("User_ID\t item_id\n1\t2\n3\t4\n", []),
        ("userId|movieId\n1|2\n3|4\n", []),
        ("UserID::MovieID::x\n1::2::a,b\n3::4::c\n", []),
        ('"User-ID";"ISBN"\n"1";"2"\n"3";"4"\n', []),
        ("user_id:token\titem_id:token\n1\t2\n3\t4\n", []),
        ("user_id, item_id\n1, 2\n3, 4\n", []),
        ("1\t2\n3\t4\n", []),
        ("1::2::5::978300760\n3::4::1::978302109\n", []),
        ("% bip unweighted\n\n1 2\n3   4\n", []),
        ("# from\tto\n1\t2\n3\t4\n", []),
        ("# user_id item_id\n1 2\n3 4\n", []),
        ("sep=;\nuser_id;item_id\n1;2\n3;4\n", []),
        ("user_id,item_id\r1,2\r3,4\r", []),
        ("\n\nuser_id,item_id\r\n1,2\r\n\r\n3,4", []),
        ("a report\nuser_id,item_id\n1,2\n3,4\n", ["--skip", "1"]),
        (
            "who~what\n1~2\n3~4\n",
            ["--delimiter", "~", "--user-column", "who", "--item-column", "2"],
        ),
        ("2,x,1\n4,y,3\n", ["--no-header", "--user-column", "3", "--item-column", "1"]),
        ('item_id,note,user_id\n2,"a\nb, c",1\n4,,3\n', []),
        ('item_id,note,user_id\n2,"say \\"x\\"",1\n4,12" vinyl,3\n', []),
    ],
)
def test_delimiter_header_and_columns_are_found_or_named(
    tmp_path: Path, text: str, options: list[str]
) -> None:
    (tmp_path / "file").write_text(text, newline="")
    assert pairs(check("file", *options)) == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alice,film1\nbob,film2\n", ["'alice', 'film1'", "--no-header", "delimiter ','"]),
        ("user_id,movie_title\n1,2\n", ["'item_id'", "'movie_title'", "--item-column"]),
        ("u1\t2009-05-04T23:08:57Z\tartist\n", ["column 2 holds times", "--item-column"]),
        ("user_id,item_id,item_id\n1,2,3\n", ["2 columns 'item_id'", "--item-column 2"]),
        ('[{"user_id": 1, "item_id": 2}]\n', ["JSON array", "jq"]),
        ("<!DOCTYPE html><html>", ["HTML or XML"]),
        ("Obj\x01avro", ["Avro"]),
        ("\n\n", ["empty"]),
        ("", ["empty"]),
    ],
)
def test_what_can_not_be_told_is_said_with_what_to_do(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "file").write_text(text)
    said = check("file", code=1)["said"]
    for word in words:
        assert word in said


# Rows that are bad


@pytest.mark.parametrize(
    ("text", "bad_lines", "good"),
    [
        ('u,i\nq5,"broken\nq6,b\nq7,b\nq14,"c"\n', [2], "q6 q7 q14"),
        ('u,i\nq5,"broken\nq6,b\nq7,b"\n', [2], "q6 q7"),
        ('u,i\nq5,"broken\nq6,b\n', [2], "q6"),
        ('u,i,note\nq5,a,"broken\nq6,b,c\nq7,b,d"\n', [2], "q6 q7"),
        ("u,i\nex1,a,b\nex2,c\n", [2], "ex2"),
        ("u,i\nq1\nq2,b\n", [2], "q2"),
        ("u,i\nq1,a,\nq2,b\n", [], "q1 q2"),
        ('u,i\nq1,"a"b\nq2,b\n', [2], "q2"),
        ("u,i\nq1," + "x" * (2 << 20) + "\nq2,b\n", [2], "q2"),
        ("u,i\n" + "q0,i\n" * 30_000 + 'q1,"a\nq2,b\n', [30_002], "q0"),
    ],
)
def test_a_bad_row_takes_no_other_with_it(
    tmp_path: Path, text: str, bad_lines: list[int], good: str
) -> None:
    (tmp_path / "file").write_text(text)
    account = check("file", "--user-column", "u", "--item-column", "i", code=5 if bad_lines else 0)
    assert [row["line"] for row in account["first_bad_rows"]] == bad_lines
    assert list(dict.fromkeys(user for user, _ in pairs(account))) == good.split()
    assert account["rows"] == text.count("\n") - 1
    if bad_lines:
        assert (
            f"line {bad_lines[0]}"
            in check("file", "--strict", "--user-column", "u", "--item-column", "i", code=1)["said"]
        )


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (r'"\""",b', [r"\"", "b"]),
        (r'"\""', ['"']),
        (r'"say \"hi\"","b"', ['say "hi"', "b"]),
        (r'"C:\",b', ["C:\\", "b"]),
        (r'"a\"b"",c"', ['a"b",c']),
    ],
)
def test_doubled_quotes_come_before_escaped_ones(line: str, fields: list[str]) -> None:
    assert split_fields(line, ",") == fields


def test_a_file_of_nothing_but_bad_rows_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("user_id,item_id,action\n1,2,view\n1,3,buy\n")
    assert "--map" in CliRunner().invoke(app, ["import", "file", "--dry-run"]).stderr
    assert check("file", code=1)["bad_rows"] == 2


@given(st.lists(st.text('",\\\n ab', max_size=12), max_size=8), st.sampled_from([",", ";", "::"]))
def test_every_line_of_any_text_counts_as_a_row_or_as_bad(lines: list[str], delimiter: str) -> None:
    import csv

    for line in lines:
        try:
            fields = split_fields(line, delimiter)
        except MalformedError:
            continue
        assert fields  # and quoting them again gives the same
        if len(delimiter) == 1:
            text = io.StringIO()
            csv.writer(
                text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=""
            ).writerow(fields)
            assert split_fields(text.getvalue(), delimiter) == fields


# Ids are text


@pytest.mark.parametrize("ids", [("Bob", "nan"), ("NaN", "NULL"), ("1.0", "007"), ("None", "1e5")])
def test_ids_stay_the_text_they_are(tmp_path: Path, ids: tuple[str, str]) -> None:
    (tmp_path / "file.csv").write_text(f"user_id,item_id\n{ids[0]},{ids[1]}\n")
    parquet.write_table(pa.table({"user_id": [ids[0]], "item_id": [ids[1]]}), "file.parquet")
    for file in ("file.csv", "file.parquet"):
        assert pairs(check(file)) == [ids]
        assert check(file, "--null", ids[1], code=1)["bad_rows_by_code"] == {"missing_field": 1}


def test_parquet_ids_may_be_of_any_whole_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user_id": pa.array([uuid.UUID(int=7).bytes], pa.uuid()),
            "item_id": pa.array([Decimal("12.00")], pa.decimal128(10, 2)),
            "timestamp": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
        }
    )
    parquet.write_table(table, "A.PARQUET")
    account = check("A.PARQUET")
    assert pairs(account) == [("00000000-0000-0000-0000-000000000007", "12")]
    assert times(account) == [1_700_000_000_123]
    assert pairs(check("-", stdin=(tmp_path / "A.PARQUET").read_bytes())) == pairs(account)


# Ratings and kinds


KINDS = "timestamp,visitorid,event,itemid\n1433221332117,1,view,7\n1433224214164,1,buy,8\n1433224244282,2,undo,8\n"


@pytest.mark.parametrize(
    ("text", "options", "found", "skipped"),
    [
        (KINDS, ["--kind-column", "event", "--only", "buy"], "18", 2),
        (KINDS, ["--map", "buy=like", "--map", "undo=unlike"], "18 28", 1),
        ("user_id,item_id,rating\n1,7,5\n1,8,0.5\n", ["--min-rating", "3.5"], "17", 1),
        (
            "1::7::5::978300760\n1::8::1::978302109\n",
            ["--rating-column", "3", "--min-rating", "3"],
            "17",
            1,
        ),
        ("feedback_type,user_id,item_id\nlike,1,7\nread,1,8\n", ["--only", "like"], "17", 1),
    ],
)
def test_a_rating_or_a_kind_decides_where_that_is_asked_for(
    tmp_path: Path, text: str, options: list[str], found: str, skipped: int
) -> None:
    (tmp_path / "file").write_text(text)
    account = check("file", *options, "--strict")
    assert [user + item for user, item in pairs(account)] == found.split()
    assert sum(account["skipped"].values()) == skipped
    # Else it is named, and refused by --strict.
    unasked = check("file")
    (warning,) = unasked["warnings"]
    assert "every row is read as a like" in warning
    assert "is ignored" in check("file", "--strict", code=1)["said"]


def test_a_rating_or_kind_that_is_asked_for_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("user_id,item_id\n1,2\n")
    assert "--rating-column" in check("file", "--min-rating", "3", code=1)["said"]
    assert "--kind-column" in check("file", "--only", "buy", code=1)["said"]
    assert "not an action" in check("file", "--map", "buy=love", code=2)["said"]


SIGNALS = "user_id,item_id,kind\n1,7,like\n1,8,view\n1,9,hide\n1,6,wishlist\n"


def test_kinds_with_a_weight_are_signals_and_others_bad_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKEWISE_SIGNALS_VIEW", "0.1")
    (tmp_path / "file").write_text(SIGNALS)
    account = check("file", code=5)
    events = [json.loads(text) for text in account["first_events"]]
    assert [(event["action"], event.get("kind")) for event in events] == [
        ("like", None),
        ("signal", "view"),
        ("hide", None),
    ]
    (bad,) = account["first_bad_rows"]
    assert (bad["line"], account["bad_rows_by_code"]) == (5, {"unknown_kind": 1})
    assert "'wishlist' is neither an action nor a kind in [signals]" in bad["reason"]


def test_a_kind_of_another_name_is_mapped_to_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text(KINDS)
    arguments = ["--map", "view=seen", "--map", "buy=like"]
    assert "'seen' is not an action" in check("file", *arguments, code=2)["said"]
    monkeypatch.setenv("LIKEWISE_SIGNALS_SEEN", "0.1")
    events = [json.loads(text) for text in check("file", *arguments)["first_events"]]
    assert [(event["action"], event.get("kind")) for event in events] == [
        ("signal", "seen"),
        ("like", None),
    ]


# Times


def test_a_like_is_never_dropped_for_its_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(
        "user_id,item_id,timestamp\n1,a,1/2/2024\n2,a,soon\n3,a,20240131\n"
    )
    account = check("file")
    assert (times(account), account["rows_without_their_time"]) == (
        [None, None, 1_706_659_200_000],
        2,
    )
    assert (
        "day 1 of month 2, or day 2 of month 1"
        in CliRunner().invoke(app, ["import", "file", "--dry-run"]).stderr
    )
    check("file", "--strict", code=1)
    expected = [parse_time_ms(day) for day in ("2024-02-01", "2024-01-02")]
    for form, time_ms in zip(("day-first", "month-first"), expected, strict=True):
        assert times(check("file", "--timestamp-format", form))[0] == time_ms
    assert times(check("file", "--timestamp-format", "%d/%m/%Y")) == [expected[0], None, None]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01",
        "1969-12-31T23:59:59Z",
        "1970-01-02",
        "9999-12-31T23:59:59.999Z",
        "2611-10-25T16:40:31.120Z",
    ],
)
def test_a_files_time_is_the_events_time(tmp_path: Path, time: str) -> None:
    (tmp_path / "file").write_text(f"user_id,item_id,timestamp\n1,a,{time}\n")
    assert times(check("file")) == [parse_time_ms(time)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_unit_can_be_named(tmp_path: Path, unit: str) -> None:
    number = 20_240_131 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    (tmp_path / "file").write_text(f"user_id,item_id,timestamp\n1,a,{number}\n")
    assert times(check("file", "--timestamp-format", unit)) == [20_240_131_000]


# Containers and encodings


def test_compressed_files_archives_and_directories_are_read(tmp_path: Path) -> None:
    text = b"user_id,item_id\nu,i\n"
    for name, content in {
        "a.gz": gzip.compress(text),
        "a.bz2": bz2.compress(text),
        "a.xz": lzma.compress(text) + lzma.compress(b"v,j\n"),
        "a.csv.zst": pa.compress(text, "zstd", asbytes=True),
        "no-ending": gzip.compress(text),
    }.items():
        (tmp_path / name).write_bytes(content)
        expected = [("u", "i"), ("v", "j")] if name == "a.xz" else [("u", "i")]
        assert pairs(check(name)) == pairs(check("-", stdin=content)) == expected
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.writestr("ml/ratings.csv", text)
        archive.writestr("__MACOSX/ml/._ratings.csv", b"\0\5")
    assert pairs(check("a.zip")) == [("u", "i")]
    with zipfile.ZipFile("a.zip", "a") as archive:
        archive.writestr("ml/movies.csv", "movieId,title\n1,x\n")
    assert "ml/movies.csv" in check("a.zip", code=1)["said"]
    assert pairs(check("a.zip", "--member", "ratings.csv")) == [("u", "i")]


def test_a_directory_of_parts_is_one_file(tmp_path: Path) -> None:
    for name, content in {
        "out/action=like/part-0.csv": b"user_id,item_id\nu,i\n",
        "out/action=like/part-1.csv": b"",
        "out/action=unlike/part-0.csv.gz": gzip.compress(b"user_id,item_id\nv,j\nw\n"),
        "out/_SUCCESS": b"",
        "out/.part-0.csv.crc": b"crc",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    account = check("out", code=5)
    assert [json.loads(event)["action"] for event in account["first_events"]] == ["like", "unlike"]
    assert account["first_bad_rows"][0]["part"] == "action=unlike/part-0.csv.gz"
    assert account["first_bad_rows"][0]["line"] == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_recognised(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "file").write_bytes("user_id\titem_id\nü\tб\n".encode(encoding))
    assert pairs(check("file")) == [("ü", "б")]


def test_another_encoding_is_named_or_spoils_only_its_rows(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("user_id;item_id;x\nü;i;\nu;i;é\n".encode("latin-1"))
    account = check("file", code=5)
    assert pairs(account) == [("u", "i")]
    assert "--encoding" in account["first_bad_rows"][0]["reason"]
    assert pairs(check("file", "--encoding", "latin-1")) == [("ü", "i"), ("u", "i")]
    assert "--encoding klingon" in check("file", "--encoding", "klingon", code=1)["said"]


def test_json_lines_are_read(tmp_path: Path) -> None:
    lines = [
        {"reviewerID": "u", "asin": "i", "unixReviewTime": 1_370_476_800},
        {"reviewerID": {"$oid": "v"}, "asin": 12345678901234567890, "unixReviewTime": None},
    ]
    (tmp_path / "file").write_text("\n".join([*map(json.dumps, lines), "", "{'a': 1}", "[]"]))
    account = check("file", code=5)
    assert pairs(account) == [("u", "i"), ("v", "12345678901234567890")]
    assert [row["line"] for row in account["first_bad_rows"]] == [4, 5]
    (tmp_path / "file").write_text('{"event": {"who": 1}, "item_id": "i"}\n')
    assert pairs(check("file", "--user-column", "event.who")) == [("1", "i")]


# Traps


def test_a_small_file_takes_little_memory_however_much_it_unpacks_to(tmp_path: Path) -> None:
    block = gzip.compress(b"x" * (1 << 20), 9)
    start = gzip.compress(b"user_id,item_id\nu,i\nv,")
    (tmp_path / "line.csv.gz").write_bytes(start + block * 300 + gzip.compress(b"\nw,i\n"))
    parquet.write_table(
        pa.table({"user_id": ["x" * 100_000_000], "item_id": ["i"]}),
        "ids.parquet",
        compression="zstd",
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    account = check("line.csv.gz", code=5)
    assert pairs(account) == [("u", "i"), ("w", "i")]
    assert "longer than" in account["first_bad_rows"][0]["reason"]
    assert "unpacks from" in check("ids.parquet", code=1)["said"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_a_missing_file_is_a_usage_error() -> None:
    assert "no file or directory" in check("gone.csv", code=2)["said"]


def test_a_column_is_named_by_the_error_of_a_file_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"user_id,item_id\n")
    with pytest.raises(LikeFileError, match="not Parquet"):
        raise_for(str(tmp_path / "a.parquet"))


def raise_for(path: str) -> None:
    from likewise.operations.files.reading import read_rows

    list(read_rows(path))
