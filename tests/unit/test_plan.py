"""The plan: coefficients are those that were measured, more load needs more, nonsense is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.results import load as load_result
from likewise.cli.app import app
from likewise.operations.planning import coefficients
from likewise.operations.planning.coefficients import Coefficient
from likewise.operations.planning.plan import (
    Load,
    plan_of,
    redis_memory_gb,
    replies_per_s,
    share_in_large_sets,
)

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
ALL = {name: value for name, value in vars(coefficients).items() if isinstance(value, Coefficient)}
IN_RESULTS = {name: one for name, one in ALL.items() if one.result}
SHOP = Load(users=200_000, items=20_000, likes=8_000_000, requests_per_s=500, likes_per_s=50)


@pytest.mark.parametrize("name", IN_RESULTS)
def test_a_coefficient_is_what_its_benchmark_measured(name: str) -> None:
    one = IN_RESULTS[name]
    result = load_result(RESULTS / f"{one.result}.json")
    [figure] = [figure for figure in result.figures if figure.name == one.figure]
    found = figure.median
    if "PER_MILLION_LIKES" in name:
        found /= coefficients.MEASURED_LIKES_MILLIONS
    assert one.value == pytest.approx(found, rel=0.5)


def test_every_coefficient_names_the_command_that_measures_it() -> None:
    assert len(IN_RESULTS) >= 7
    for one in ALL.values():
        assert one.command.split()[0] in {"python", "pytest", "likewise"}


def test_the_exponent_fits_the_measured_sizes() -> None:
    result = load_result(RESULTS / "serving.json")
    [plot] = [plot for plot in result.plots if plot.name == "items"]
    for items, replies in plot.curves[0].points:
        load = msgspec.structs.replace(SHOP, items=int(items))
        assert replies_per_s(load) == pytest.approx(replies, rel=0.3)


def test_likes_per_user_decide_how_many_are_in_large_sets() -> None:
    assert share_in_large_sets(5) < 0.001
    assert 0.05 < share_in_large_sets(40) < 0.3
    assert share_in_large_sets(2_000) > 0.99


SIZES = st.builds(
    Load,
    users=st.integers(1, 10**8),
    items=st.integers(1, 10**7),
    likes=st.integers(10**8, 10**10),
    requests_per_s=st.floats(0, 1e5),
    likes_per_s=st.floats(0, 1e6),
    gateway=st.booleans(),
)


@given(SIZES, st.sampled_from(["items", "likes", "requests_per_s", "likes_per_s"]))
def test_more_of_anything_but_users_never_needs_less(load: Load, what: str) -> None:
    doubled: dict[str, Any] = {what: 2 * getattr(load, what)}
    before, after = plan_of(load), plan_of(msgspec.structs.replace(load, **doubled))
    assert after.machines >= before.machines
    assert after.partitions >= before.partitions
    assert after.build_s >= before.build_s
    for one, other in zip(before.processes, after.processes, strict=True):
        assert other.count * other.memory_gb >= one.count * one.memory_gb * 0.999


def test_lists_that_are_shown_are_bounded_by_users_and_by_traffic() -> None:
    quiet = msgspec.structs.replace(SHOP, requests_per_s=0.001)
    busy = msgspec.structs.replace(SHOP, requests_per_s=1e6)
    assert redis_memory_gb(quiet)["lists shown"] < 0.001
    assert redis_memory_gb(busy)["lists shown"] == pytest.approx(200_000 * 50 * 150 / 1e9)


def test_what_does_not_fit_on_one_machine_is_said() -> None:
    huge = Load(
        users=50_000_000, items=1_000_000, likes=10**10, requests_per_s=1e4, likes_per_s=1e3
    )
    found = plan_of(huge)
    assert any("indexer.engine = dask" in note for note in found.notes)
    assert any("redis.cluster = true" in note for note in found.notes)
    no_lists = msgspec.structs.replace(SHOP, lists_per_user=0)
    assert plan_of(no_lists).notes == []
    assert "impressions.lists" in plan_of(SHOP).notes[0]


# --- the command -----------------------------------------------------------------------------

OPTIONS = {"users": "200000", "items": "20000", "likes": "8000000", "requests-per-second": "500"}


def run(*more: str, code: int = 0, columns: int = 100, **changed: str) -> str:
    given = OPTIONS | {name.replace("_", "-"): value for name, value in changed.items()}
    arguments = [part for name, value in given.items() for part in (f"--{name}", value)]
    environment = {"COLUMNS": str(columns), "LIKEWISE_CONFIG": ""}
    result = CliRunner().invoke(app, ["plan", *arguments, *more], env=environment)
    assert result.exit_code == code, result.output
    return result.output


def test_the_plan_names_every_service_the_partitions_and_the_machines() -> None:
    printed = run()
    for word in ("consumer", "indexer", "server", "redis", "partitions", "machines", "full build"):
        assert word in printed
    assert "gateway" in run("--gateway")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    lines = run(columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("server") for line in lines)


def test_json_is_the_whole_plan() -> None:
    found = json.loads(run("--json"))
    assert found["load"]["likes_per_s"] == 50
    assert {one["service"] for one in found["processes"]} == {
        *("consumer", "indexer", "server", "redis")
    }
    assert found["partitions"] % 6 == 0


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"users": "0"}, "--users"),
        ({"likes": "100"}, "a user has at least one like"),
        ({"likes": "999999999999"}, "a user likes an item once"),
        ({"requests_per_second": "-1"}, "must be a number from 0"),
        ({"requests_per_second": "nan"}, "must be a number from 0"),
        ({"likes_per_second": "inf"}, "must be a number from 0"),
        ({"machine_gb": "0"}, "--machine-gb"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(changed: dict[str, str], sentence: str) -> None:
    printed = run(code=2, columns=200, **changed)
    assert sentence in printed
