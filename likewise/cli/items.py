"""`items`: what the items are, in the topic and in Redis."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.importing_items import import_items
from likewise.cli.options import Json
from likewise.cli.output import (
    complain,
    ignoring_closed_pipe,
    plain,
    print_json,
    progress,
    stdout,
    table,
)
from likewise.cli.publishing_documents import publish_documents
from likewise.messages.ids import ItemId, parse_item_id

app = typer.Typer(
    no_args_is_help=True,
    help="Publish what items are: title, categories, labels; for filters, rules and display.",
)

Items = Annotated[list[str], typer.Argument(metavar="ITEM...", help="One or more item ids.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the consumers have applied it.")]

app.command("import")(import_items)


@app.command()
def put(
    context: typer.Context,
    item: Annotated[
        str,
        typer.Argument(
            metavar="ITEM", help="The item as JSON, `-` to read it from standard input; or its id."
        ),
    ],
    title: Annotated[str | None, typer.Option(help="The title.")] = None,
    image_url: Annotated[str | None, typer.Option(help="Where its picture is.")] = None,
    url: Annotated[str | None, typer.Option(help="Where its page is.")] = None,
    category: Annotated[list[str] | None, typer.Option(help="A category. May be repeated.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A label. Numbers, `true`, `false` and JSON lists are recognised. May be repeated.",
        ),
    ] = None,
    published_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the item was published.")
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Publish one item. It replaces all that was known about the item.

    Prints the position in the log.

    ```
    likewise items put i7 --title "Blue note" --category jazz --label price=9.9
    likewise items put '{"item_id": "i7", "labels": {"price": 9.9}}'
    ```
    """
    from likewise.messages.items import encode_item
    from likewise.operations.documents import item_of_json

    fields = {
        "title": title,
        "image_url": image_url,
        "url": url,
        "categories": category,
        "labels": dict(map(_label, label)) if label else None,
        "published_at": _number_or_text(published_at),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    if item == "-" or item.lstrip().startswith("{"):
        if given:
            raise typer.BadParameter("give the item either as JSON or by options")
        raw = sys.stdin.buffer.read() if item == "-" else item.encode()
    else:
        raw = msgspec.json.encode({"item_id": item, **given})
    found = item_of_json(raw)
    cli = command_line(context)
    documents = [(found.item_id, encode_item(found))]
    publish_documents(cli, cli.topics.items, documents, wait=wait, as_json=as_json)


@app.command()
def remove(context: typer.Context, items: Items, wait: Wait = False, as_json: Json = False) -> None:
    """Remove items from the catalogue. Their likes stay, and they can still be recommended.

    To stop recommending an item, use `likewise retire`.

    ```
    likewise items remove i7
    ```
    """
    cli = command_line(context)
    documents = [(parse_item_id(item), None) for item in items]
    publish_documents(cli, cli.topics.items, documents, wait=wait, as_json=as_json)


@app.command()
def show(context: typer.Context, items: Items, as_json: Json = False) -> None:
    """Show items as Redis has them. Exit code 1 if one is not in the catalogue.

    ```
    likewise items show i7
    likewise items show i7 i8 --json
    ```
    """
    wanted = [ItemId(item) for item in items]
    with command_line(context).store() as store:
        found = store.catalogue_get(wanted)
    stored = [one for one in found if one is not None]
    if as_json:
        print_json([msgspec.Raw(one) for one in stored])
    else:
        for one in stored:
            _print_item(msgspec.json.decode(one))
    for item, document in zip(wanted, found, strict=True):
        if document is None:
            complain(f"item {item!r} is not in the catalogue")
    if len(stored) < len(wanted):
        raise typer.Exit(FAILED)


@app.command()
def export(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="File to write; `-` is standard output.")
    ],
    as_json: Json = False,
) -> None:
    """Write all items of the catalogue to a file of JSON lines, which `import` reads back identically.

    The file is replaced when the new one is complete. A name that ends in `.gz` is compressed. Items
    that change during the export may be in their old or new state.

    ```
    likewise items export items.jsonl.gz
    likewise items export - | jq -r .title
    ```
    """
    from likewise.operations.files.catalogue.exporting import export_items, lines_into

    if file == "-" and as_json:
        raise typer.BadParameter("with FILE `-`, standard output is JSON lines; leave out --json")
    with command_line(context).store() as store, progress() as bars:
        bar = bars.add_task("exporting", total=store.catalogue_size().items)

        def show(written: int) -> None:
            bars.update(bar, completed=written)

        if file == "-":
            with ignoring_closed_pipe():
                lines_into(sys.stdout.buffer, store, show)
            return
        written = export_items(Path(file), store, show)
    if as_json:
        print_json({"file": file, "items": written})
    else:
        stdout().print(f"{written:,} items in {file}")


def _print_item(item: dict[str, Any]) -> None:
    rows = table("", "")
    rows.show_header = False
    for name, value in item.items():
        for inner, one in value.items() if isinstance(value, dict) else [(name, value)]:
            rows.add_row(plain(inner), plain(", ".join(one) if isinstance(one, list) else str(one)))
    stdout().print(rows)


def _label(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"--label {text!r} is not of the form NAME=VALUE")
    try:
        parsed: object = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value
    return name, parsed


def _number_or_text(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text
