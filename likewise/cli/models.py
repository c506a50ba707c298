"""`models`: list, choose, compare and remove the model versions on disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.comparing import compare
from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
from likewise.cli.output import complain, duration, print_json, size, stdout, table
from likewise.errors import TransientError

if TYPE_CHECKING:
    from likewise.operations.canaries import CanaryRow
    from likewise.operations.models import ModelRow

app = typer.Typer(no_args_is_help=True, help="List, choose, compare and remove model versions.")


@app.command("list")
def list_models(
    context: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also verify the checksum of every file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the model versions, newest first. An asterisk marks the current version.

    A version that was tried on a share of the users first (`model.canary_share`) has the evidence: how its likes
    a list differ from those of the model before, and the interval.

    ```
    likewise models list
    likewise models list --verify --json
    ```
    """
    from likewise.models.place import models_place

    cli = command_line(context)
    place = models_place(cli.settings)
    rows = _rows(cli, verify=verify)
    if as_json:
        print_json(rows)
    elif rows:
        _print_table(rows)
    else:
        stdout().print(f"no models in {place}; `likewise index --once` builds one", markup=False)


@app.command()
def use(
    context: typer.Context,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A version that `likewise models list` shows.")
    ],
) -> None:
    """Make a version the current one. Servers load it within a second.

    It stays current until the indexer announces its next build.

    ```
    likewise models use 20260131T120000.000Z
    ```
    """
    from contextlib import closing

    from likewise.models.place import models_place
    from likewise.operations.models import use_version

    cli = command_line(context)
    with cli.broker() as broker, cli.store() as store:
        broker.ensure_topics(cli.topics.core_specs(cli.settings.kafka.partitions))
        with closing(broker.sink()) as sink:
            use_version(models_place(cli.settings), store, sink, cli.topics, version)
    stdout().print(f"{version} is the current model")


@app.command()
def prune(
    context: typer.Context,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of newest versions to keep. Default: indexer.keep_versions."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; show what would be removed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove old model versions, except those in use: the current one, and those of running experiments.

    ```
    likewise models prune --keep 2 --dry-run
    ```
    """
    from likewise.models.place import models_place
    from likewise.models.versions import removable_versions, remove_old_versions
    from likewise.operations.models import versions_in_use

    cli = command_line(context)
    place = models_place(cli.settings)
    kept = cli.settings.indexer.keep_versions if keep is None else keep
    # Without Redis it is unknown which versions are in use.
    with cli.store() as store:
        in_use = versions_in_use(store)
    remove = removable_versions if dry_run else remove_old_versions
    removed = remove(place, keep=kept, in_use=in_use)
    if as_json:
        print_json(removed)
        return
    for name in removed:
        stdout().print(f"{'would remove' if dry_run else 'removed'} {name}")
    if not removed:
        stdout().print("nothing to remove")


app.command()(compare)


def _rows(cli: CommandLine, *, verify: bool) -> list[ModelRow]:
    """Return the versions; none is current, with a warning, if Redis cannot be reached."""
    from likewise.models.place import models_place
    from likewise.operations.models import current_version, model_rows

    place = models_place(cli.settings)
    try:
        with cli.store() as store:
            return model_rows(place, current_version(store), store=store, verify=verify)
    except TransientError as error:
        complain(f"the current version is unknown: {error}")
        return model_rows(place, None, verify=verify)


def _print_table(rows: list[ModelRow]) -> None:
    names = ["", "version", "#age", "ranker", "#users", "#items", "#likes", "#size", "files"]
    tried = any(row.canary is not None for row in rows)
    shown = table(*names, *(["canary"] if tried else []))
    verdicts = {None: "", True: "sound", False: "[red]broken[/]"}
    for row in rows:
        shown.add_row(
            "*" if row.current else "",
            row.version,
            duration(time.time() - row.snapshot_at_ms / 1000),
            row.ranker,
            f"{row.users:,}",
            f"{row.items:,}",
            f"{row.likes:,}",
            size(row.bytes),
            verdicts[row.sound],
            *([_canary(row.canary)] if tried else []),
        )
    stdout().print(shown)


def _canary(canary: CanaryRow | None) -> str:
    """Return the state of a canary and its evidence, such as `rolled back, -41% (-55% to -27%)`."""
    if canary is None:
        return ""
    running = canary.state == "running"
    state = canary.state.replace("_", " ")
    if running:
        state = (
            "tested with likes"
            if canary.kind == "prequential"
            else f"{100 * canary.share:.3g}% of users"
        )
    if canary.effect is None:
        return state
    if canary.low is None or canary.high is None:
        return f"{state}, {canary.effect:+.1%}"
    return f"{state}, {canary.effect:+.1%} ({canary.low:+.1%} to {canary.high:+.1%})"
