"""Figures, ratios and the page that is rendered from them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from benchmarks.load import percentile
from benchmarks.measure import alternate, number
from benchmarks.render import render
from benchmarks.results import Curve, Figure, Plot, Result, against, load, ratio, save

if TYPE_CHECKING:
    from pathlib import Path

FAST = Figure("ours", "events/s", [30.0, 80.0, 50.0])
SLOW = Figure("theirs", "events/s", [10.0, 20.0, 25.0], "floor")


def test_contenders_take_turns_and_nobody_always_goes_first() -> None:
    order: list[str] = []

    def contender(name: str) -> float:
        order.append(name)
        return float(len(order))

    samples = alternate(
        {name: lambda name=name: contender(name) for name in "ab"},  # type: ignore[misc]  # a default
        repetitions=3,
    )
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"  # the first pair is the warm-up
    assert samples == {"a": [3.0, 6.0, 7.0], "b": [4.0, 5.0, 8.0]}


def test_a_ratio_is_taken_repetition_by_repetition() -> None:
    compared = ratio("ours / theirs", FAST, SLOW, at_least=3)
    assert compared.samples == [3.0, 4.0, 2.0]
    assert compared.median == 3.0
    assert compared.spread == (2.0, 4.0)
    assert compared.reached


@pytest.mark.parametrize(("limit", "reached"), [(49.0, False), (50.0, True), (51.0, True)])
def test_a_figure_can_be_held_against_a_limit(limit: float, reached: bool) -> None:
    assert against(FAST, at_most=limit).reached is reached


def test_without_a_goal_nothing_is_reached_or_missed() -> None:
    assert ratio("ours / theirs", FAST, SLOW).reached is None


def test_a_quick_result_never_replaces_a_measurement(tmp_path: Path) -> None:
    measured, quick = save(_result(), tmp_path), save(_result(quick=True), tmp_path)
    assert measured != quick
    assert load(measured) == _result()
    assert load(quick).quick


def test_the_page_shows_every_figure_goal_and_plot(tmp_path: Path) -> None:
    save(_result(), tmp_path / "results")
    page = render(tmp_path / "results", tmp_path / "docs").read_text()
    assert "| ours | 50 | 30 – 80 | events/s | candidate |" in page
    assert "| [Ingest](#ingest) | ours / theirs | 3 | 2 – 4 | times | ≥ 4 | **missed** |" in page
    drawn = sorted(path.name for path in (tmp_path / "docs" / "benchmarks").iterdir())
    assert drawn == ["ingest-0.svg", "ingest-growth.svg"]
    for name in drawn:
        assert f"(benchmarks/{name})" in page
        ElementTree.parse(tmp_path / "docs" / "benchmarks" / name)


def test_the_environment_names_versions_and_no_machine() -> None:
    assert {"cores", "Python", "numpy"} <= _result().environment.keys()
    assert not any("/" in value for value in _result().environment.values())


@pytest.mark.parametrize(
    ("value", "text"), [(1234567.8, "1,234,568"), (0.04567, "0.0457"), (0, "0"), ("6.2", "6.2")]
)
def test_numbers_are_rounded_for_people(value: float | str, text: str) -> None:
    assert number(value) == text


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (51.0, 100.0)
    assert percentile([7.0], 0.99) == 7.0


def _result(*, quick: bool = False) -> Result:
    return Result(
        name="ingest",
        title="Ingest",
        question="How fast?",
        parameters={"events": 1_000},
        figures=[FAST, SLOW],
        comparisons=[ratio("ours / theirs", FAST, SLOW, at_least=4)],
        plots=[
            Plot("growth", "Growth", "n", "MB", [Curve("ours", [(1, 2.0), (10, 3.0)])], log_x=True)
        ],
        quick=quick,
    )
