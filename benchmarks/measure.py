"""How everything here is measured: contenders take turns in one run, several times over.

A shared machine is now fast and now slow. Contenders that alternate are slowed alike, so their
ratio is worth more than either figure.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.results import save

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.results import Comparison, Figure, Result

Quick = Annotated[
    bool, typer.Option("--quick", help="Smallest sizes: says that it runs, not how fast.")
]
Full = Annotated[bool, typer.Option("--full", help="The large sizes too; takes far longer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def alternate(
    contenders: Mapping[str, Callable[[], float]], *, repetitions: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Run the contenders in turn, `repetitions` times, and return what each returned.

    The order is reversed every other time, so that none always follows the same one. With
    `warm_up` each runs once before, uncounted.
    """
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    if warm_up:
        for run in contenders.values():
            run()
    order = list(contenders)
    for _ in range(repetitions):
        for name in order:
            gc.collect()  # one contender's garbage is not another's work
            samples[name].append(contenders[name]())
        order.reverse()
    return samples


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """Return a contender that says how many seconds `run` takes."""

    def contender() -> float:
        began_s = time.perf_counter()
        run()
        return time.perf_counter() - began_s

    return contender


def report(result: Result, *, as_json: bool) -> None:
    """Save the result and print it: what every benchmark ends with."""
    saved = save(result)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(result)))
        return
    console = Console(highlight=False)
    console.print(_table(result))
    console.print(f"saved as {saved.name}" + (" (quick: no measurement)" if result.quick else ""))


def _table(result: Result) -> Table:
    given = ", ".join(f"{name} {number(value)}" for name, value in result.parameters.items())
    table = Table(title=f"{result.title} ({given})", box=None, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("median", "spread", "unit", "goal"):
        table.add_column(column, justify="right")
    for figure in result.figures:
        role = "" if figure.role == "candidate" else f" ({figure.role})"
        table.add_row(f"{figure.name}{role}", *_cells(figure), "")
    for comparison in result.comparisons:
        goal = "" if comparison.goal is None else f"{comparison.goal} {_mark(comparison)}"
        table.add_row(comparison.name, *_cells(comparison), goal, style="bold")
    return table


def _cells(measured: Figure | Comparison) -> tuple[str, str, str]:
    low, high = measured.spread
    return number(measured.median), f"{number(low)}–{number(high)}", measured.unit


def _mark(comparison: Comparison) -> str:
    return "reached" if comparison.reached else "missed"


def number(value: float | str) -> str:
    """Return a number with three significant digits for people: "1,230,000", "0.0457"."""
    if isinstance(value, str):
        return value
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
