"""`import`: a file of likes, published as events."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.likes_sink import likes_sink
from likewise.cli.options import ItemColumn, Json, TimestampColumn, UserColumn
from likewise.cli.output import complain, duration, print_json, progress, stdout
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.like_files.importing import RowCounts
    from likewise.like_files.reading import Columns
    from likewise.publishing import Published


def import_likes(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="CSV, CSV.gz or Parquet."),
    ],
    user_column: UserColumn = "user_id",
    item_column: ItemColumn = "item_id",
    timestamp_column: TimestampColumn = "timestamp",
    action_column: Annotated[
        str, typer.Option(help="Column that says `like`, `unlike`…, if any.")
    ] = "action",
    strict: Annotated[
        bool, typer.Option("--strict", help="Check all first; publish nothing if a row is bad.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return only when the consumers have applied it all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish a file of likes to the likes topic, each row an event.

    Rows are published in the file's order, so a user's later rows count over earlier ones. Bad rows
    are listed and left out. Importing a file twice, or again after a Ctrl-C, does no harm.

    ```
    likewise import likes.csv
    likewise import ratings.csv.gz --user-column userId --item-column movieId --wait
    ```
    """
    from likewise.like_files.reading import Columns

    cli = command_line(context)
    columns = Columns(user_column, item_column, timestamp_column, action_column)
    if strict:
        _check(file, columns)
    started_s = time.monotonic()
    counts, published = _publish(cli, file, columns)
    published_s = time.monotonic() - started_s
    applied_s = None
    if wait:
        _wait(cli, published)
        applied_s = time.monotonic() - started_s
    _print(file, counts, published, published_s, applied_s, as_json=as_json)
    if published.failed or (counts.bad and not published.confirmed):
        raise typer.Exit(FAILED)


def _check(file: Path, columns: Columns) -> None:
    from likewise.like_files.errors import LikeFileError
    from likewise.like_files.importing import check_rows
    from likewise.like_files.reading import read_rows

    with _bar("checking") as show:
        counts = check_rows(read_rows(file, columns), show)
    if counts.bad:
        first = counts.first_bad[0]
        raise LikeFileError(
            f"{file}: {counts.bad} of {counts.rows} rows are bad, the first in line {first.line}: "
            f"{first.reason}. Nothing was published; without --strict they are left out"
        )


def _publish(cli: CommandLine, file: Path, columns: Columns) -> tuple[RowCounts, Published]:
    from likewise.like_files.importing import RowCounts, publish_rows
    from likewise.like_files.reading import read_rows
    from likewise.publishing import BULK_LINGER_MS, BulkPublisher

    counts = RowCounts()
    with likes_sink(cli, linger_ms=BULK_LINGER_MS) as sink, _bar("publishing") as show:
        publisher = BulkPublisher(sink, cli.topics.likes)
        try:
            publish_rows(read_rows(file, columns), publisher, counts, show)
        except (KeyboardInterrupt, LikewiseError):
            if confirmed := publisher.finish().confirmed:
                complain(f"stopped early: {confirmed:,} events are published; run it again for all")
            raise
        return counts, publisher.finish()


def _wait(cli: CommandLine, published: Published) -> None:
    from likewise.applied import wait_until_applied

    with cli.store() as store, _bar("applying") as show:
        wait_until_applied(
            store,
            published.next_offsets,
            on_progress=lambda left: show(
                published.confirmed - left, 1 - left / max(published.confirmed, 1)
            ),
        )


def _print(
    file: Path,
    counts: RowCounts,
    published: Published,
    published_s: float,
    applied_s: float | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "file": str(file),
                "rows": counts.rows,
                "published": published.confirmed,
                "failed": published.failed,
                "failures": published.failures,
                "bad_rows": counts.bad,
                "first_bad_rows": [row._asdict() for row in counts.first_bad],
                "published_s": round(published_s, 3),
                "applied_s": None if applied_s is None else round(applied_s, 3),
            }
        )
        return
    out = stdout()
    out.print(f"published  {_speed(published.confirmed, published_s)}")
    if applied_s is not None:
        out.print(f"applied    {_speed(published.confirmed, applied_s)}")
    if counts.bad:
        complain(f"{counts.bad:,} bad rows of {counts.rows:,} were left out, the first of them:")
        for row in counts.first_bad:
            complain(f"  line {row.line}: {row.reason}")
    if published.failed:
        complain(f"{published.failed:,} events were not confirmed; run it again. The first ones:")
        for failure in published.failures:
            complain(f"  {failure}")


def _speed(events: int, seconds: float) -> str:
    return f"{events:,} events in {duration(seconds)} ({events / max(seconds, 1e-9):,.0f}/s)"


@contextmanager
def _bar(doing: str) -> Iterator[Callable[[int, float], None]]:
    """Show a bar on a terminal; it is told how much is done, and as a share of all."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    started_s = time.monotonic()
    with progress(
        TextColumn(doing),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    ) as bars:
        bar = bars.add_task(doing, total=1.0, speed="")

        def show(done: int, share: float) -> None:
            per_s = done / max(time.monotonic() - started_s, 1e-9)
            bars.update(bar, completed=share, speed=f"{done:,} ({per_s:,.0f}/s)")

        yield show
