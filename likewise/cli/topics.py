"""`topics`: the Kafka topics of a deployment."""

from __future__ import annotations

import typer

from likewise.cli.context import command_line
from likewise.cli.options import Json
from likewise.cli.output import print_json, stdout, table

app = typer.Typer(no_args_is_help=True, help="Create the Kafka topics.")


@app.command()
def create(context: typer.Context, as_json: Json = False) -> None:
    """Create the topics that do not exist yet, so that the services need no right to create them.

    Existing topics stay as they are. Run the services with `LIKEWISE_KAFKA_CREATE_TOPICS=false`.

    ```
    likewise topics create
    LIKEWISE_KAFKA_PARTITIONS=24 likewise topics create --json
    ```
    """
    cli = command_line(context)
    specs = cli.topics.specs(cli.settings.kafka.partitions)
    with cli.broker() as broker:
        broker.ensure_topics(specs)
        found = {spec.name: len(broker.partitions(spec.name)) for spec in specs}
    if as_json:
        print_json(found)
        return
    shown = table("topic", "#partitions")
    for name, partitions in found.items():
        shown.add_row(name, str(partitions))
    stdout().print(shown)
