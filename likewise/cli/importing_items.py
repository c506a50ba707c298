"""`items import`: a file of items, published to the items topic."""

from __future__ import annotations

import time
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
from likewise.cli.options import Json
from likewise.cli.output import complain, print_json, stdout
from likewise.cli.publishing_documents import catalogue_sink
from likewise.cli.reading_bar import reading_bar
from likewise.cli.reading_options import (
    Delimiter,
    Encoding,
    Member,
    Null,
    Skip,
    check_source,
    reading_option,
)
from likewise.cli.reading_report import LayoutTeller, complain_of_rows
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from likewise.client.bulk import Published
    from likewise.messages.items import CatalogueItem
    from likewise.operations.files.catalogue.options import TableOptions
    from likewise.operations.files.importing import RowCounts


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
        reading_option(
            metavar="FIELD=NAME",
            help="Column of item_id, title, image_url, url, categories, labels or published_at. May be repeated.",
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        reading_option(
            metavar="NAME", help="Column that does not become a label. May be repeated."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        reading_option(metavar="NAME,NAME…", help="All columns of a file without a header line."),
    ] = None,
    separator: Annotated[
        str, reading_option(metavar="TEXT", help="Separates the categories in one text.")
    ] = "|",
    null: Null = None,
    delimiter: Delimiter = None,
    skip: Skip = 0,
    encoding: Encoding = None,
    member: Member = None,
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
        raise typer.Exit(exit_code(counts, counts.rows - counts.bad))
    started_s = time.monotonic()
    published = _publish(cli, reading)
    published_s = time.monotonic() - started_s
    if wait:
        wait_until_all_applied(cli, published)
    applied_s = time.monotonic() - started_s if wait else None
    _print(reading, published, published_s, applied_s, as_json=as_json)
    if code := FAILED if published.failed else exit_code(counts, published.confirmed):
        raise typer.Exit(code)


def _check(reading: _Reading) -> list[CatalogueItem]:
    from likewise.operations.files.catalogue.importing import check_items
    from likewise.operations.files.catalogue.reading import read_items

    with reading_bar("checking") as show:
        chunks = read_items(reading.file, reading.options, reading.teller)
        return check_items(chunks, reading.counts, show, SHOWN)


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


def _account(reading: _Reading) -> dict[str, Any]:
    return account_of_rows(reading.file, reading.teller, reading.counts)


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
        print_json(_account(reading) | account_of_publishing(published, published_s, applied_s))
        return
    print_speed(published, published_s, applied_s, "items")
    complain_of_rows(reading.counts, with_time_format=False)
    complain_of_failures(published, "items")


def _pair(text: str) -> tuple[str, str]:
    from likewise.operations.files.catalogue.columns import FIELDS

    field, separator, name = text.partition("=")
    if not separator or field not in FIELDS:
        raise typer.BadParameter(
            f"--column {text!r} is not of the form FIELD=NAME, where FIELD is one of {', '.join(FIELDS)}"
        )
    return field, name
