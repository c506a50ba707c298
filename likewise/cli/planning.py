"""`plan`: what a deployment of a given size needs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.options import Json
from likewise.cli.output import duration, print_json, stdout, table

if TYPE_CHECKING:
    from rich.table import Table

    from likewise.operations.planning.plan import Load, Plan

_MOST = 10**12
_LIKES_PER_REQUEST = 0.1


def plan(
    users: Annotated[int, typer.Option(help="Users with at least one like.", min=1, max=_MOST)],
    items: Annotated[int, typer.Option(help="Items that are liked.", min=1, max=_MOST)],
    likes: Annotated[int, typer.Option(help="Likes in total.", min=1, max=_MOST)],
    requests_per_second: Annotated[
        float,
        typer.Option("--requests-per-second", "-r", help="Requests at the busiest time."),
    ],
    likes_per_second: Annotated[
        float | None,
        typer.Option(help="Events at the busiest time. Default: a tenth of the requests."),
    ] = None,
    gateway: Annotated[
        bool, typer.Option("--gateway", help="Requests come over HTTP instead of Kafka.")
    ] = False,
    id_bytes: Annotated[int, typer.Option(help="Length of an item id.", min=1, max=512)] = 12,
    lists_per_user: Annotated[
        int, typer.Option(help="Lists kept for each user: impressions.lists.", min=0, max=1_000)
    ] = 50,
    machine_cores: Annotated[int, typer.Option(help="Cores of a machine.", min=1, max=1_024)] = 8,
    machine_gb: Annotated[
        float, typer.Option(help="Memory of a machine in GB.", min=1, max=100_000)
    ] = 32,
    as_json: Json = False,
) -> None:
    """Estimate the memory, processes, partitions and machines that a load needs. Connects to nothing.

    The numbers come from benchmarks of this version; docs/operations.md has the formulas. Processes are half busy at
    the busiest time, and there is one more than that takes. Measure before you buy.

    ```
    likewise plan --users 2000000 --items 100000 --likes 40000000 -r 2000
    likewise plan --users 50000 --items 20000 --likes 1000000 -r 50 --gateway
    ```
    """
    from likewise.operations.planning.plan import Load, plan_of

    if likes_per_second is None:
        likes_per_second = requests_per_second * _LIKES_PER_REQUEST
    load = Load(
        users=users,
        items=items,
        likes=likes,
        requests_per_s=requests_per_second,
        likes_per_s=likes_per_second,
        gateway=gateway,
        id_bytes=id_bytes,
        lists_per_user=lists_per_user,
        machine_cores=machine_cores,
        machine_gb=machine_gb,
    )
    _check(load)
    found = plan_of(load)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _check(load: Load) -> None:
    """Refuse what cannot be.

    Raises:
        BadParameter: two numbers contradict each other, or a rate is not one.
    """
    for option, rate in (
        ("--requests-per-second", load.requests_per_s),
        ("--likes-per-second", load.likes_per_s),
    ):
        if not 0 <= rate <= _MOST:  # also refuses NaN
            raise typer.BadParameter(f"{option} must be a number from 0 to {_MOST:,}, not {rate}")
    if load.likes < load.users:
        raise typer.BadParameter(
            f"--likes {load.likes:,} is less than --users {load.users:,}: a user has at least one like"
        )
    if load.likes > load.users * load.items:
        raise typer.BadParameter(
            f"--likes {load.likes:,} is more than {load.users:,} users × {load.items:,} items: "
            "a user likes an item once"
        )


def _print(found: Plan) -> None:
    out = stdout()
    out.print(_processes(found))
    out.print()
    out.print(_facts(found))
    for sentence in found.notes:
        out.print(f"[yellow]Note:[/] {sentence}.")


def _processes(found: Plan) -> Table:
    rows = table("service", "#processes", "#cores each", "#memory each", "why")
    for one in found.processes:
        rows.add_row(
            one.service, f"{one.count:,}", f"{one.cores:g}", _memory(one.memory_gb), one.why
        )
    return rows


def _facts(found: Plan) -> Table:
    rows = table("", "")
    rows.show_header = False
    load = found.load
    kinds = ", ".join(f"{kind} {_memory(gb)}" for kind, gb in found.redis_gb.items())
    rows.add_row("[bold]Redis contains[/]", kinds)
    rows.add_row("[bold]partitions[/]", f"{found.partitions:,} (kafka.partitions)")
    rows.add_row("[bold]full build[/]", f"{duration(found.build_s)} on two cores")
    rows.add_row(
        "[bold]machines[/]",
        f"{found.machines:,} of {load.machine_cores} cores and {load.machine_gb:g} GB, "
        f"{found.redis_machines:,} of them for Redis; Kafka's brokers are extra",
    )
    return rows


def _memory(gb: float) -> str:
    """Return the memory with two digits: "85 MB", "1.2 GB", "340 GB"."""
    mb = max(gb * 1000, 1)
    digits = max(0, 1 - math.floor(math.log10(gb))) if gb >= 1 else 0
    return f"{gb:,.{digits}f} GB" if gb >= 1 else f"{mb:,.0f} MB"
