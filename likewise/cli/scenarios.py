"""`scenarios`: named defaults for requests, in the topic and in Redis."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import complain, plain, print_json, stdout, table
from likewise.cli.publishing_documents import publish_documents

if TYPE_CHECKING:
    from likewise.cli.context import CommandLine

app = typer.Typer(
    no_args_is_help=True,
    help="Store options of requests under a name, which requests give as `scenario`.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The scenario's name.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the consumers have applied it.")]


@app.command()
def put(
    context: typer.Context,
    name: Name,
    defaults: Annotated[
        str,
        typer.Argument(metavar="OPTIONS", help="A JSON object of options; `-` is standard input."),
    ],
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Store a scenario. It replaces an earlier one of this name.

    OPTIONS can hold any option of a request except those that say whom it is about. A request overrides
    them one by one. Prints the position in the log.

    ```
    likewise scenarios put home '{"count": 12, "where": {"in_stock": true}}'
    likewise recommend u1 --scenario home
    ```
    """
    from likewise.messages.scenarios import encode_scenario
    from likewise.operations.documents import scenario_of_json

    text = sys.stdin.read() if defaults == "-" else defaults
    try:
        parsed = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"OPTIONS are not JSON: {error}") from error
    body = {"name": name, "defaults": parsed}
    scenario = scenario_of_json(name, msgspec.json.encode(body))
    cli = command_line(context)
    documents = [(scenario.name, encode_scenario(scenario))]
    publish_documents(cli, cli.topics.scenarios, documents, wait=wait, as_json=as_json)


@app.command()
def remove(context: typer.Context, name: Name, wait: Wait = False, as_json: Json = False) -> None:
    """Remove a scenario. Requests that name it get an error reply.

    ```
    likewise scenarios remove home
    ```
    """
    from likewise.messages.ids import parse_scenario_name

    cli = command_line(context)
    documents = [(parse_scenario_name(name, "name"), None)]
    publish_documents(cli, cli.topics.scenarios, documents, wait=wait, as_json=as_json)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the scenarios that Redis has.

    ```
    likewise scenarios list
    ```
    """
    found = _stored(command_line(context))
    if as_json:
        print_json(found)
        return
    rows = table("scenario", "options")
    for name, defaults in found.items():
        rows.add_row(plain(name), plain(_text(defaults)))
    stdout().print(rows)


@app.command()
def show(context: typer.Context, name: Name) -> None:
    """Print the options of a scenario as JSON. Exit code 1 if Redis does not have it.

    ```
    likewise scenarios show home
    likewise scenarios show home | jq '.count = 20'
    ```
    """
    found = _stored(command_line(context))
    if name not in found:
        complain(f"there is no scenario {name!r}; there are: {', '.join(found) or 'none'}")
        raise typer.Exit(FAILED)
    print_json(found[name])


def _stored(cli: CommandLine) -> dict[str, Any]:
    with cli.store() as store:
        found = store.scenarios()
    return {name: msgspec.json.decode(found[name])["defaults"] for name in sorted(found)}


def _text(defaults: dict[str, Any]) -> str:
    return msgspec.json.encode(defaults).decode()
