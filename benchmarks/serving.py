"""How many requests a second one worker answers, and how soon at half of that."""

from __future__ import annotations

import statistics
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from benchmarks.latencies import latencies
from benchmarks.load import Load
from benchmarks.measure import AsJson, Full, Quick, alternate, report
from benchmarks.results import Curve, Figure, Plot, Result, ratio
from benchmarks.rig import deployment, fill, process, publish_model, with_topic_prefix
from benchmarks.synthetic import synthetic_likes
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.settings import Settings

QUESTION = """\
Requests and replies go through topics of one partition each, which one worker serves; requester,
broker, Redis and worker share the machine. Floor: a worker of the same client, with batches of the
same size, that sends a constant of a reply's size and looks at nothing. Throughput: replies a second
while a thousand requests are under way. Latency: from when a request is due to when its reply is
read, requests at even distances, for worker and floor at the same rate: half of the worker's
throughput. Other scales: throughput alone, with other numbers of users and items."""

_WINDOW = 1_000


class Scale(NamedTuple):
    """How many users and items there are."""

    users: int
    items: int


class Workload(NamedTuple):
    """How much is measured."""

    scale: Scale
    others: tuple[Scale, ...]
    seconds: float
    repetitions: int


QUICK = Workload(Scale(300, 200), (Scale(300, 400),), seconds=0.4, repetitions=1)
NORMAL = Workload(
    Scale(100_000, 20_000),
    (Scale(10_000, 20_000), Scale(10_000, 10_000), Scale(10_000, 100_000)),
    seconds=4.0,
    repetitions=3,
)
FULL = NORMAL._replace(
    others=(
        *NORMAL.others,
        Scale(1_000_000, 20_000),
        Scale(100_000, 100_000),
        Scale(100_000, 1_000_000),
    )
)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return throughput and latency beside the floor's, and throughput at other scales."""
    with _served(workload.scale) as (settings, worker), _floor(settings) as floor:
        window = _WINDOW if not quick else 10
        throughput = alternate(
            {
                "throughput": lambda: worker.saturate(workload.seconds, window=window),
                "throughput, constant": lambda: floor.saturate(workload.seconds, window=window),
            },
            repetitions=workload.repetitions,
        )
        half = statistics.median(throughput["throughput"]) / 2
        found = latencies(
            worker,
            floor,
            half,
            seconds=workload.seconds,
            repetitions=workload.repetitions,
            warm_up=False,
        )
    figures = [_figure(name, "replies/s", values) for name, values in throughput.items()]
    figures += [_figure(name, "ms", values) for name, values in found.items()]
    scaled = {workload.scale: figures[0].median}
    scaled |= {scale: _throughput(scale, workload, window) for scale in workload.others}
    by_name = {figure.name: figure for figure in figures}
    return Result(
        name="serving",
        title="Serving",
        question=QUESTION,
        parameters={**workload.scale._asdict(), "requests/s at half load": round(half)},
        figures=[
            *figures,
            *(
                Figure(
                    f"throughput, {scale.users:,} users × {scale.items:,} items",
                    "replies/s",
                    [rate],
                )
                for scale, rate in scaled.items()
                if scale != workload.scale
            ),
        ],
        comparisons=[
            ratio(
                "throughput / constant",
                by_name["throughput"],
                by_name["throughput, constant"],
                at_least=0.25,
            ),
            ratio("p99 / constant", by_name["p99"], by_name["p99, constant"], at_most=3),
        ],
        plots=_plots(scaled),
        quick=quick,
    )


def _figure(name: str, unit: str, values: list[float]) -> Figure:
    return Figure(name, unit, values, "floor" if "constant" in name else "candidate")


@contextmanager
def _served(scale: Scale) -> Iterator[tuple[Settings, Load]]:
    """Run a worker over so many users and items; yields its settings and a requester."""
    with ExitStack() as stack:
        settings = stack.enter_context(deployment(partitions=1))
        user_items = synthetic_likes(*scale)
        with closing(RedisStore(settings.redis)) as store:
            fill(store, user_items)
        publish_model(settings, user_items)
        stack.enter_context(process(settings, "serving"))
        load = stack.enter_context(Load(settings, scale.users))
        load.wait_for_an_answer()
        yield settings, load


@contextmanager
def _floor(settings: Settings) -> Iterator[Load]:
    beside = with_topic_prefix(settings, "constant.")
    with process(beside, "benchmarks.constant_worker"), Load(beside, 1_000) as load:
        load.wait_for_an_answer()
        yield load


def _throughput(scale: Scale, workload: Workload, window: int) -> float:
    with _served(scale) as (_, worker):
        return worker.saturate(workload.seconds, window=window)


def _plots(scaled: dict[Scale, float]) -> list[Plot]:
    """Return throughput by users at one number of items, and by items at one number of users."""
    plots = []
    for axis, other in (("users", "items"), ("items", "users")):
        fixed = sorted({getattr(scale, other) for scale in scaled})
        curves = [
            Curve(f"{number:,} {other}", points)
            for number in fixed
            if len(points := _points(scaled, axis, other, number)) > 1
        ]
        if curves:
            title = f"Throughput by {axis}"
            plots.append(Plot(axis, title, axis, "replies/s", curves, log_x=True))
    return plots


def _points(
    scaled: dict[Scale, float], axis: str, other: str, number: int
) -> list[tuple[float, float]]:
    return sorted(
        (float(getattr(scale, axis)), rate)
        for scale, rate in scaled.items()
        if getattr(scale, other) == number
    )


def main(
    quick: Quick = False,
    full: Full = False,
    as_json: AsJson = False,
    users: Annotated[int | None, typer.Option(help="Users, instead of the usual number.")] = None,
    items: Annotated[int | None, typer.Option(help="Items, instead of the usual number.")] = None,
) -> None:
    """Measure serving."""
    workload = QUICK if quick else FULL if full else NORMAL
    scale = Scale(users or workload.scale.users, items or workload.scale.items)
    others = workload.others if scale == workload.scale else ()
    report(measure(workload._replace(scale=scale, others=others), quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
