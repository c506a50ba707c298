"""`export`: the current likes of all users, as a file."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from likewise.cli.context import command_line
from likewise.cli.options import Json
from likewise.cli.output import complain, ignoring_closed_pipe, print_json, progress, stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress

    from likewise.messages.ids import UserId
    from likewise.store.port import LikeStore

    Pair = tuple[str, str]

_USERS_AT_ONCE = 1_000


def export(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="File to write; `-` is standard output (CSV).")
    ],
    kind: Annotated[
        Literal["csv", "parquet"] | None,
        typer.Option("--format", help="Default: Parquet for FILE.parquet, CSV otherwise."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the likes of all users to a file: rows of user_id and item_id, sorted.

    The file is replaced when the new one is complete. Likes that change during the export may or may
    not be included. Exporting, importing and exporting again gives the same file.

    ```
    likewise export likes.csv.gz
    likewise export - | sort | uniq -c
    ```
    """
    from likewise.operations.files.writing import csv_writer, format_of, writing_likes

    if file == "-" and (as_json or kind == "parquet"):
        raise typer.BadParameter(
            "with FILE `-`, standard output is CSV; leave out --json and --format parquet"
        )
    with command_line(context).store() as store:
        if file == "-":
            _to_stdout(store, csv_writer)
            return
        path = Path(file)
        chosen = kind or format_of(path)
        with writing_likes(path, chosen) as write:
            users, likes = _write_all(store, write, lossless=chosen == "parquet")
    if as_json:
        print_json({"file": file, "users": users, "likes": likes})
    else:
        stdout().print(f"{likes:,} likes of {users:,} users in {file}")


def _to_stdout(
    store: LikeStore, csv_writer: Callable[..., Callable[[Sequence[Pair]], None]]
) -> None:
    with ignoring_closed_pipe():
        _write_all(store, csv_writer(sys.stdout), lossless=False)


def _write_all(
    store: LikeStore, write: Callable[[Sequence[Pair]], None], *, lossless: bool
) -> tuple[int, int]:
    """Write all pairs; return the numbers of users and likes.

    Warns of ids with line breaks in text: `import` reads them as unclosed quotes.
    """
    likes = broken = 0
    with progress() as bars:
        users = _users_in_order(store, bars)
        bar = bars.add_task("exporting", total=len(users))
        for start in range(0, len(users), _USERS_AT_ONCE):
            chunk = users[start : start + _USERS_AT_ONCE]
            items = store.likes(chunk)
            pairs = [
                (user, item)
                for user, liked in zip(chunk, items, strict=True)
                for item in sorted(liked)
            ]
            write(pairs)
            likes += len(pairs)
            broken += sum("\n" in text or "\r" in text for pair in pairs for text in pair)
            bars.advance(bar, len(chunk))
    if broken and not lossless:
        complain(f"{broken:,} ids contain line breaks, which `import` reads from Parquet only")
    return len(users), likes


def _users_in_order(store: LikeStore, bars: Progress) -> list[UserId]:
    """Return all users, sorted. Takes memory for their ids."""
    bar = bars.add_task("finding users", total=None)
    found: list[UserId] = []
    for chunk in store.scan_users(_USERS_AT_ONCE):
        found += chunk
        bars.update(bar, completed=len(found))
    bars.update(bar, total=len(found))
    found.sort()
    return [user for user, _ in groupby(found)]  # a scan may name a user twice
