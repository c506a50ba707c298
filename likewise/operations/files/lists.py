"""Writes the recommended lists of many users to one file, in parts: an interrupted run continues.

The parts are in a directory next to the file, `.{name}.parts`, each complete or absent. The file gets
its name when all parts are there.
"""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pyarrow as pa
from pyarrow import csv, parquet

from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.packing import is_packed, written
from likewise.operations.files.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from likewise.messages.ids import UserId

Format = Literal["parquet", "csv", "ndjson"]
FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("score", pa.float32()),
        ("source", pa.string()),
    ]
)
_PLAIN = csv.WriteOptions(quoting_style="needed")
_JOB = "job.json"
_USERS = "users.json"


def format_of(path: Path) -> Format:
    """Return the format for the file's name, which may end in `.gz` except for Parquet.

    Raises:
        LikeFileError: the name has none of the known endings.
    """
    packed = is_packed(path)
    found = FORMATS.get((path.with_suffix("") if packed else path).suffix.lower())
    if found is None or (packed and found == "parquet"):
        raise LikeFileError(
            f"{path}: the name of the file must end in {', '.join(FORMATS)}, or .csv.gz, .ndjson.gz"
        )
    return found


class ListParts:
    """The parts of one file of lists. Not thread-safe."""

    def __init__(self, path: Path, users: list[UserId], part_users: int) -> None:
        """Continue the parts of `open_parts`, which creates what this expects."""
        self.path = path
        self.users = users
        self._part_users = part_users
        self._directory = _directory(path)

    def missing(self) -> Iterator[tuple[int, list[UserId]]]:
        """Yield the number and the users of each part that is not written yet, in order."""
        for number in range(self._count):
            if not _part(self.path, number).exists():
                start = number * self._part_users
                yield number, self.users[start : start + self._part_users]

    @property
    def written_users(self) -> int:
        """The number of users whose lists are written."""
        return len(self.users) - sum(len(users) for _, users in self.missing())

    def finish(self) -> int:
        """Join the parts to the file, remove them, and return the number of rows.

        Raises:
            LikeFileError: the file can't be written; the parts remain.
        """
        rows = 0
        with _errors(self.path):
            with replacing(self.path) as aside, _writer(self.path, aside) as write:
                for number in range(self._count):
                    part = parquet.read_table(_part(self.path, number), schema=SCHEMA)
                    write(part)
                    rows += part.num_rows
            shutil.rmtree(self._directory)
        return rows

    @property
    def _count(self) -> int:
        return -(-len(self.users) // self._part_users)


def unfinished_job(path: Path) -> dict[str, Any] | None:
    """Return what `open_parts` was given for an interrupted run; None if there is none."""
    try:
        job: dict[str, Any] = msgspec.json.decode((_directory(path) / _JOB).read_bytes(), type=dict)
    except (OSError, msgspec.MsgspecError):
        return None
    return job


def open_parts(
    path: Path, job: dict[str, Any], users: Callable[[], Sequence[UserId]], *, part_users: int
) -> ListParts:
    """Return the parts of the file: those of an interrupted run of the same job, or new ones.

    `job` is everything the lists depend on but the users, as JSON. `users` is called for new parts
    only. Parts of another job are removed.

    Raises:
        LikeFileError: the directory of the parts can't be written.
    """
    directory = _directory(path)
    job = {**job, "part_users": part_users}
    with _errors(path):
        if unfinished_job(path) == job:
            known = msgspec.json.decode((directory / _USERS).read_bytes(), type=list[str])
        else:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            known = [str(user) for user in users()]
            (directory / _USERS).write_bytes(msgspec.json.encode(known))
            with replacing(directory / _JOB) as aside:  # last, so that it means the rest is there
                aside.write_bytes(msgspec.json.encode(job))
    return ListParts(path, known, part_users)  # type: ignore[arg-type]  # ids of our own file


def write_part(path: Path, number: int, rows: pa.Table) -> None:
    """Write one part of the file, durable when this returns. Any process may write any part.

    Raises:
        LikeFileError: it can't be written.
    """
    with replacing(_part(path, number)) as aside:
        parquet.write_table(rows, aside)


def _part(path: Path, number: int) -> Path:
    return _directory(path) / f"{number:06}.parquet"


def _directory(path: Path) -> Path:
    return path.with_name(f".{path.name}.parts")


@contextmanager
def _writer(path: Path, aside: Path) -> Iterator[Callable[[pa.Table], None]]:
    kind = format_of(path)
    if kind == "parquet":
        with parquet.ParquetWriter(aside, SCHEMA) as parts:
            yield parts.write_table
        return
    with written(aside, packed=is_packed(path)) as file:
        if kind == "csv":
            with closing(csv.CSVWriter(file, SCHEMA, write_options=_PLAIN)) as lines:
                yield lines.write_table
        else:
            encoder = msgspec.json.Encoder()

            def write(rows: pa.Table) -> None:
                file.write(encoder.encode_lines(rows.to_pylist()))

            yield write


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LikeFileError(f"{path} can't be written: {error.strerror or error}") from error
