"""`status`: the state of a deployment, on one screen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import typer

from likewise.cli.bars import columns
from likewise.cli.context import command_line
from likewise.cli.exit_codes import OUT_OF_REACH
from likewise.cli.options import Json
from likewise.cli.output import complain, duration, plain, print_json, stdout, table

if TYPE_CHECKING:
    from rich.table import Table

    from likewise.operations.experiment_reports import ExperimentSummary
    from likewise.operations.list_counts import ListCounts, OutsideExperiments, PlaceCounts
    from likewise.operations.status import KafkaStatus, Lag, ModelStoreStatus, RedisStatus, Status


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show lag, users, likes, dead letters, running experiments, lists and the current model.

    With `experiments.lists = "all"`, the lists outside experiments are counted, too: likes by scenario and by
    place.

    The exit code is 4 if Kafka, Redis or the model store cannot be reached.

    ```
    likewise status
    likewise status --json | jq .kafka.likes.lag
    ```
    """
    from likewise.operations.status import status_of

    cli = command_line(context)
    with cli.broker() as broker, cli.store() as store:
        found = status_of(cli.settings, broker, store)
    gateway = None if cli.running is None else cli.running.gateway
    dashboard = cli.settings.indexer.dask_dashboard or None
    if as_json:
        links = {"gateway": gateway, "dask_dashboard": dashboard}
        print_json(msgspec.structs.asdict(found) | links)
    else:
        stdout().print(_table(found, gateway, dashboard, now_s=time.time()))
    for sentence in found.unreachable:
        complain(sentence)
    if found.unreachable:
        raise typer.Exit(OUT_OF_REACH)


def _table(found: Status, gateway: str | None, dashboard: str | None, *, now_s: float) -> Table:
    rows = table("", "")
    rows.show_header = False
    if gateway is not None:
        rows.add_row("[bold]page and HTTP API[/]", gateway)
    if dashboard is not None:
        rows.add_row("[bold]Dask dashboard[/]", plain(dashboard))
    if found.kafka is not None:
        _add_kafka(rows, found.kafka)
    if found.redis is not None:
        _add_redis(rows, found.redis, now_s)
    if found.model_store is not None:
        rows.add_row("models in", _model_store(found.model_store))
    return rows


def _add_kafka(rows: Table, kafka: KafkaStatus) -> None:
    for lag in (kafka.likes, kafka.requests, kafka.items, kafka.scenarios, kafka.experiments):
        if lag.records or lag in (kafka.likes, kafka.requests):
            rows.add_row(f"[bold]{lag.topic}[/]", _lag(lag))
    if kafka.not_applied is not None:
        rows.add_row("not in Redis yet", f"{kafka.not_applied:,} events")
    if kafka.gone:
        rows.add_row(
            "gone from the log", f"{kafka.gone:,} events: Redis can't be rebuilt from the log"
        )
    rows.add_row("dead letters", f"{kafka.dead_letters:,}")


def _lag(lag: Lag) -> str:
    if not lag.partitions:
        return "the topic does not exist yet"
    held_back = f", {lag.held_back:,} more behind an open transaction" if lag.held_back else ""
    return (
        f"{lag.lag:,} behind{held_back}, {lag.records:,} records in {lag.partitions} partitions "
        f"({lag.group})"
    )


def _add_redis(rows: Table, redis: RedisStatus, now_s: float) -> None:
    rows.add_row("[bold]users[/]", f"{redis.users or 0:,} with {redis.likes or 0:,} likes")
    rows.add_row("on several partitions", f"{redis.scattered_users:,} users")
    rows.add_row("retired items", f"{redis.retired_items:,}")
    if redis.items or redis.scenarios:
        rows.add_row("catalogue", f"{redis.items:,} items, {redis.scenarios:,} scenarios")
    for one in redis.experiments:
        rows.add_row(f"[bold]{'canary' if one.canary else 'experiment'}[/]", _experiment(one))
    _add_lists(rows, redis.outside_experiments)
    rows.add_row("[bold]model[/]", redis.model.version if redis.model else "none yet")
    if redis.model is not None:
        rows.add_row("age", duration(now_s - redis.model.snapshot_at_ms / 1000))
        rows.add_row("ranker", redis.model.ranker)
        rows.add_row("items", f"{redis.model.items:,}")
    rows.add_row("changed since", f"{redis.changed_users:,} users")


def _model_store(found: ModelStoreStatus) -> str:
    lacks = ", without the current model" if found.has_current is False else ""
    return plain(f"{found.url}: {found.versions:,} versions{lacks}")


def _add_lists(rows: Table, found: OutsideExperiments | None) -> None:
    """Add the lists outside experiments, in total and by scenario, each with its places as columns."""
    if found is None:
        rows.add_row("[bold]lists[/]", 'not counted; experiments.lists = "all" counts them')
        return
    every = [found.total, *found.scenarios]
    largest = max((_rate(place) for one in every for place in one.places), default=0.0)
    for one in every:
        name = "[bold]lists[/]" if one.scenario is None else plain(f"scenario {one.scenario}")
        rows.add_row(name, _lists(one, largest))


def _lists(one: ListCounts, largest: float) -> str:
    if not one.lists:
        return "none yet outside experiments"
    places = columns([_rate(place) for place in one.places], largest=largest or 1.0)
    where = " outside experiments" if one.scenario is None else ""
    return (
        f"{one.lists:,}{where}, {one.hit_rate or 0.0:.1%} with a like; "
        f"{one.likes:,} likes of {one.shown:,} items, by place {places.rstrip()}"
    )


def _rate(place: PlaceCounts) -> float:
    return place.likes / place.shown if place.shown else 0.0


def _experiment(found: ExperimentSummary) -> str:
    counts = f"{found.lists:,} lists, {found.likes:,} likes"
    if found.kind == "prequential":
        counts = f"{found.lists:,} likes sampled"
    return plain(f"{found.name}: {counts}. {found.sentence}")
