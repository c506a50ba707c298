"""`import`: a file of likes, published as events."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.import_outcome import (
    SHOWN,
    account_of_publishing,
    account_of_rows,
    complain_of_failures,
    exit_code,
    print_speed,
    wait_until_all_applied,
)
from likewise.cli.likes_sink import sink_of
from likewise.cli.options import Json
from likewise.cli.output import complain, print_json, stdout
from likewise.cli.reading_bar import reading_bar
from likewise.cli.reading_options import check_source, with_reading_options, with_signal_kinds
from likewise.cli.reading_report import LayoutTeller, complain_of_rows, refusal
from likewise.errors import LikewiseError
from likewise.operations.files.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.client.bulk import Published
    from likewise.log.port import Broker
    from likewise.operations.files.importing import RowCounts
    from likewise.operations.files.rows import Taken
    from likewise.operations.files.taken_back import TakenBack


class _Source(NamedTuple):
    """The file to read: its name in messages, its path, and how to read it."""

    name: str
    path: str
    options: ReadOptions


@with_reading_options
def import_likes(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Delimited text, JSON lines or Parquet; plain or gz, bz2, xz, zst, zip; or a directory "
            "of such files. `-` is standard input.",
        ),
    ],
    reading: ReadOptions,
    strict: bool = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the consumers have applied all events.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Publish nothing. Show how FILE is read, and its first events."
        ),
    ] = False,
    bring_back: Annotated[
        bool,
        typer.Option("--bring-back", help="Also publish likes that later events removed."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish a file of likes to the likes topic, one event per row.

    Publishes rows in the file's order, so a later row of a user overrides an earlier one. Bad rows are
    listed and left out, and the exit code is 5. A row whose time cannot be read is published without
    the time. Ids are text and are not changed.

    It is safe to import a file twice, or again after Ctrl-C. A like that a later event in the topic
    removed (`unlike`, `forget_user`) is not published; a row without a time is older than any event.
    `--bring-back` publishes such likes as well.

    ```
    likewise import likes.csv
    likewise import ratings.csv.gz --min-rating 4 --wait
    likewise import u.data --dry-run
    likewise import events.csv --kind-column event --map buy=like
    zcat dump.gz | likewise import - --delimiter tab --no-header
    likewise import erased.csv --action forget_user
    ```
    """
    cli = command_line(context)
    reading = with_signal_kinds(reading, cli.given.signals.kinds)
    check_source(file)
    with ExitStack() as opened:
        path = opened.enter_context(_copied()) if file == "-" and strict else file
        source = _Source(file, path, reading)
        if dry_run or strict:
            counts = _check(source, strict=strict, dry_run=dry_run, as_json=as_json)
            if dry_run:
                raise typer.Exit(exit_code(counts, published=counts.rows - counts.bad))
        started_s = time.monotonic()
        teller = LayoutTeller()
        counts, published = _publish(cli, source, teller, bring_back=bring_back)
    published_s = time.monotonic() - started_s
    applied_s = None
    if wait:
        wait_until_all_applied(cli, published)
        applied_s = time.monotonic() - started_s
    _print(source, teller, counts, published, published_s, applied_s, as_json=as_json)
    code = FAILED if published.failed else exit_code(counts, published.confirmed)
    if code:
        raise typer.Exit(code)


@contextmanager
def _copied() -> Iterator[str]:
    """Provide a copy of standard input, which can be read twice."""
    with tempfile.NamedTemporaryFile(prefix="likewise-import-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield copy.name


def _check(source: _Source, *, strict: bool, dry_run: bool, as_json: bool) -> RowCounts:
    from likewise.operations.files.errors import LikeFileError
    from likewise.operations.files.importing import check_rows
    from likewise.operations.files.reading import read_rows

    teller = LayoutTeller(always=dry_run)
    with reading_bar("checking") as show:
        chunks = read_rows(source.path, source.options, on_layout=teller)
        counts, first = check_rows(chunks, show, source.options, SHOWN)
    if dry_run:
        _print_check(source, teller, counts, first, as_json=as_json)
    if strict and (reason := refusal(source.name, counts, teller.warnings)):
        raise LikeFileError(reason)
    return counts


def _publish(
    cli: CommandLine, source: _Source, teller: LayoutTeller, *, bring_back: bool
) -> tuple[RowCounts, Published]:
    from likewise.client.bulk import BULK_LINGER_MS, BulkPublisher
    from likewise.operations.files.importing import RowCounts, publish_rows
    from likewise.operations.files.reading import read_rows

    counts = RowCounts()
    chunks = read_rows(source.path, source.options, on_layout=teller)
    first = list(islice(chunks, 1))  # fails before connecting if the file cannot be read
    with cli.broker() as broker, sink_of(cli, broker, linger_ms=BULK_LINGER_MS) as sink:
        taken_back = None if bring_back else _taken_back(cli, broker)
        publisher = BulkPublisher(sink, cli.topics.likes)
        try:
            with reading_bar("publishing") as show:
                publish_rows(
                    chain(first, chunks), publisher, counts, show, source.options, taken_back
                )
        except (KeyboardInterrupt, LikewiseError):
            if confirmed := publisher.finish().confirmed:
                complain(
                    f"stopped early: {confirmed:,} events were published; run it again to publish all"
                )
            raise
        return counts, publisher.finish()


def _taken_back(cli: CommandLine, broker: Broker) -> TakenBack:
    from likewise.operations.files.taken_back import read_taken_back

    with reading_bar("comparing with the log") as show:
        return read_taken_back(broker, cli.topics.likes, show)


def _account(source: _Source, teller: LayoutTeller, counts: RowCounts) -> dict[str, Any]:
    rows = account_of_rows(source.name, teller, counts)
    return rows | {"warnings": teller.warnings, "skipped": counts.skipped}


def _print_check(
    source: _Source, teller: LayoutTeller, counts: RowCounts, first: list[Taken], *, as_json: bool
) -> None:
    from likewise.messages.events import encode_event

    events = [encode_event(event, timestamp_ms=time_ms).decode() for event, time_ms, _ in first]
    if as_json:
        print_json(_account(source, teller, counts) | {"first_events": events})
        return
    complain_of_rows(counts)
    left_out = counts.bad + sum(counts.skipped.values())
    stdout().print(f"{counts.rows:,} rows, {counts.rows - left_out:,} events; the first ones:")
    for event in events:
        stdout().print(f"  {event}", markup=False)


def _print(
    source: _Source,
    teller: LayoutTeller,
    counts: RowCounts,
    published: Published,
    published_s: float,
    applied_s: float | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        publishing = account_of_publishing(published, published_s, applied_s)
        print_json(_account(source, teller, counts) | publishing)
        return
    print_speed(published, published_s, applied_s, "events")
    complain_of_rows(counts)
    complain_of_failures(published, "events")
