"""`items import`: a file of items, published to the items topic."""

from __future__ import annotations

import time
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.exit_codes import FAILED, ROWS_LEFT_OUT
from likewise.cli.importing import reading_bar, speed_of
from likewise.cli.options import Json
from likewise.cli.output import complain, print_json, stdout
from likewise.cli.publishing_documents import catalogue_sink
from likewise.cli.reading_options import check_source
from likewise.cli.reading_report import LayoutTeller, complain_of_rows
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.client.bulk import Published
    from likewise.messages.items import CatalogueItem
    from likewise.operations.files.catalogue.options import TableOptions
    from likewise.operations.files.importing import RowCounts

_SHOWN = 5
_PANEL = "How to read FILE (detected if not given)"


def _option(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_PANEL, **more)


class _Reading(NamedTuple):
    """A file, how to read it, and what was found so far."""

    file: str
    options: TableOptions
    teller: LayoutTeller
    counts: RowCounts


def import_items(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Delimited text, JSON lines, a JSON array or Parquet; plain or gz, bz2, xz, zst, zip; or a "
            "directory of such files. `-` is standard input.",
        ),
    ],
    column: Annotated[
        list[str] | None,
        _option(
            metavar="FIELD=NAME",
            help="Column of item_id, title, image_url, url, categories, labels or published_at. May be repeated.",
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        _option(metavar="NAME", help="Column that does not become a label. May be repeated."),
    ] = None,
    columns: Annotated[
        str | None,
        _option(metavar="NAME,NAME…", help="All columns of a file without a header line."),
    ] = None,
    separator: Annotated[
        str, _option(metavar="TEXT", help="Separates the categories in one text.")
    ] = "|",
    null: Annotated[
        list[str] | None,
        _option(metavar="TEXT", help="Text that means no value, such as NULL. May be repeated."),
    ] = None,
    delimiter: Annotated[
        str | None, _option(metavar="TEXT", help="Field separator: `;`, `tab`, `space`, `::` …")
    ] = None,
    skip: Annotated[
        int, _option(min=0, metavar="LINES", help="Number of lines to skip at the start.")
    ] = 0,
    encoding: Annotated[
        str | None, _option(metavar="NAME", help="Text encoding: `latin-1`, `cp1252`, `gbk` …")
    ] = None,
    member: Annotated[
        str | None,
        _option(
            metavar="NAME",
            help="Files to read from a ZIP archive or directory: a name or a pattern.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the consumers have applied all items.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Publish nothing. Show how FILE is read, and its first items."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Publish a file of items, one per row. Each replaces all that was known about the item.

    Columns are recognised by their usual names; every other column becomes a label. In delimited text, a
    label is a number, or true or false, if the column holds nothing else at its start. Categories are a
    list, or text separated by `|`. Bad rows are listed and left out, and the exit code is 5. A time that
    cannot be read is left out.

    Importing a file again changes nothing. Items that are missing from the file stay.

    ```
    likewise items import movies.csv --dry-run
    likewise items import products.parquet --column item_id=sku --wait
    likewise items import movies.dat --columns movieId,title,genres
    ```
    """
    from likewise.operations.files.catalogue.importing import SHOWN_BAD_ROWS
    from likewise.operations.files.catalogue.options import TableOptions
    from likewise.operations.files.importing import RowCounts

    cli = command_line(context)
    check_source(file)
    options = TableOptions(
        columns=dict(_pair(text) for text in column or ()),
        leave_out=frozenset(leave_out or ()),
        names=tuple(name.strip() for name in (columns or "").split(",") if name.strip()),
        separator=separator,
        null=frozenset(null or ()),
        delimiter=delimiter,
        skip=skip,
        encoding=encoding,
        member=member,
    )
    counts = RowCounts(shown_bad=SHOWN_BAD_ROWS)
    reading = _Reading(file, options, LayoutTeller(always=dry_run), counts)
    if dry_run:
        _print_check(reading, _check(reading), as_json=as_json)
        raise typer.Exit(_exit_code(counts, counts.rows - counts.bad))
    started_s = time.monotonic()
    published = _publish(cli, reading)
    published_s = time.monotonic() - started_s
    if wait:
        _wait(cli, published)
    applied_s = time.monotonic() - started_s if wait else None
    _print(reading, published, published_s, applied_s, as_json=as_json)
    if code := FAILED if published.failed else _exit_code(counts, published.confirmed):
        raise typer.Exit(code)


def _exit_code(counts: RowCounts, published: int) -> int:
    if not counts.bad:
        return 0
    return ROWS_LEFT_OUT if published else FAILED


def _check(reading: _Reading) -> list[CatalogueItem]:
    from likewise.operations.files.catalogue.importing import check_items
    from likewise.operations.files.catalogue.reading import read_items

    with reading_bar("checking") as show:
        chunks = read_items(reading.file, reading.options, reading.teller)
        return check_items(chunks, reading.counts, show, _SHOWN)


def _publish(cli: CommandLine, reading: _Reading) -> Published:
    from likewise.client.bulk import BULK_LINGER_MS, BulkPublisher
    from likewise.operations.files.catalogue.importing import publish_items
    from likewise.operations.files.catalogue.reading import read_items

    chunks = read_items(reading.file, reading.options, reading.teller)
    first = list(islice(chunks, 1))  # fails before connecting if the file cannot be read
    with (
        cli.broker() as broker,
        catalogue_sink(cli, broker, linger_ms=BULK_LINGER_MS) as sink,
        reading_bar("publishing") as show,
    ):
        publisher = BulkPublisher(sink, cli.topics.items)
        try:
            publish_items(chain(first, chunks), publisher, reading.counts, show)
        except (KeyboardInterrupt, LikewiseError):
            if confirmed := publisher.finish().confirmed:
                complain(
                    f"stopped early: {confirmed:,} items were published; run it again to publish all"
                )
            raise
        return publisher.finish()


def _wait(cli: CommandLine, published: Published) -> None:
    from likewise.operations.applied import wait_until_applied

    with cli.store() as store, reading_bar("applying") as show:
        wait_until_applied(
            store,
            published.next_offsets,
            on_progress=lambda left: show(
                max(published.confirmed - left, 0), 1 - left / max(published.confirmed, left, 1)
            ),
        )


def _account(reading: _Reading) -> dict[str, Any]:
    counts, teller = reading.counts, reading.teller
    return {
        "file": reading.file,
        "read_as": {name: str(layout) for name, layout in list(teller.layouts.items())[:_SHOWN]},
        "rows": counts.rows,
        "bad_rows": counts.bad,
        "bad_rows_by_code": counts.bad_by_code,
        "first_bad_rows": [row._asdict() for row in counts.first_bad],
        "rows_without_their_time": counts.untimed,
    }


def _print_check(reading: _Reading, first: list[CatalogueItem], *, as_json: bool) -> None:
    from likewise.messages.items import encode_item

    items = [encode_item(item).decode() for item in first]
    if as_json:
        print_json(_account(reading) | {"first_items": items})
        return
    counts = reading.counts
    complain_of_rows(counts, with_time_format=False)
    stdout().print(f"{counts.rows:,} rows, {counts.rows - counts.bad:,} items; the first ones:")
    for item in items:
        stdout().print(f"  {item}", markup=False)


def _print(
    reading: _Reading,
    published: Published,
    published_s: float,
    applied_s: float | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            _account(reading)
            | {
                "published": published.confirmed,
                "failed": published.failed,
                "failures": published.failures,
                "published_s": round(published_s, 3),
                "applied_s": None if applied_s is None else round(applied_s, 3),
            }
        )
        return
    stdout().print(f"published  {speed_of(published.confirmed, published_s, 'items')}")
    if applied_s is not None:
        stdout().print(f"applied    {speed_of(published.confirmed, applied_s, 'items')}")
    complain_of_rows(reading.counts, with_time_format=False)
    if published.failed:
        complain(f"{published.failed:,} items were not confirmed; run it again. The first ones:")
        for failure in published.failures:
            complain(f"  {failure}")


def _pair(text: str) -> tuple[str, str]:
    from likewise.operations.files.catalogue.columns import FIELDS

    field, separator, name = text.partition("=")
    if not separator or field not in FIELDS:
        raise typer.BadParameter(
            f"--column {text!r} is not of the form FIELD=NAME, where FIELD is one of {', '.join(FIELDS)}"
        )
    return field, name
