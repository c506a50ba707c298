"""docs/benchmarks.md from the results: `python -m benchmarks.render`.

What is written by hand is in benchmarks/text/: an introduction, and for each benchmark what
made a difference and what did not.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.drawing import bars, curves
from benchmarks.measure import number
from benchmarks.results import RESULTS, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.results import Comparison, Figure, Result

ORDER = (
    "ingest",
    "snapshot",
    "model",
    "search",
    "catalogue",
    "filtering",
    "lists",
    "serving",
    "freshness",
    "gateway",
    "filtered_answers",
    "memory",
    "operations",
    "start",
)
"""The benchmarks, in the order of a like's way through the system."""

TEXT = Path(__file__).with_name("text")
DOCS = Path(__file__).parents[1] / "docs"


def render(results: Path = RESULTS, docs: Path = DOCS) -> Path:
    """Write benchmarks.md and the plots beside it, in a folder benchmarks/; return the page."""
    found = [load(path) for name in ORDER if (path := results / f"{name}.json").exists()]
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.svg"):
        stale.unlink()
    sections = [(TEXT / "introduction.md").read_text().strip(), _summary(found)]
    sections += [_section(result, _draw(result, folder)) for result in found]
    page = docs / "benchmarks.md"
    page.write_text("\n\n".join(sections) + "\n")
    return page


def _summary(results: Sequence[Result]) -> str:
    if not results:
        return "Nothing is measured yet: `make bench`."
    rows = [
        (
            f"[{result.title}](#{result.title.lower().replace(' ', '-')})",
            *_measured(comparison),
            "" if comparison.goal is None else str(comparison.goal),
            {True: "reached", False: "**missed**", None: ""}[comparison.reached],
        )
        for result in results
        for comparison in result.comparisons
    ]
    head = ("", "what", "median", "spread", "unit", "goal", "")
    return f"## Overview\n\n{_table(head, rows)}"


def _section(result: Result, drawn: Sequence[tuple[str, str]]) -> str:
    parts = [f"## {result.title}", result.question]
    given = {**result.parameters, **result.environment}
    parts.append("; ".join(f"{name} {_plain(value)}" for name, value in given.items()) + ".")
    rows = [(*_measured(figure), figure.role) for figure in result.figures]
    parts.append(_table(("what", "median", "spread", "unit", "role"), rows))
    if result.comparisons:
        goals = [
            (*_measured(one), "" if one.goal is None else str(one.goal))
            for one in result.comparisons
        ]
        parts.append(_table(("comparison", "median", "spread", "unit", "goal"), goals))
    parts += [f"![{title}](benchmarks/{name})" for name, title in drawn]
    parts += result.notes
    by_hand = TEXT / f"{result.name}.md"
    if by_hand.exists():
        parts.append(by_hand.read_text().strip())
    return "\n\n".join(parts)


def _draw(result: Result, folder: Path) -> list[tuple[str, str]]:
    """Write the result's plots; return their file names and titles."""
    drawn = []
    for name, title, svg in _drawings(result):
        (folder / name).write_text(svg)
        drawn.append((name, title))
    return drawn


def _drawings(result: Result) -> Iterator[tuple[str, str, str]]:
    by_unit: defaultdict[str, list[Figure]] = defaultdict(list)
    for figure in result.figures:
        by_unit[figure.unit].append(figure)
    for place, (unit, figures) in enumerate(by_unit.items()):
        if len(figures) > 1:
            title = f"{result.title}, {unit}"
            yield f"{result.name}-{place}.svg", title, bars(title, figures)
    for plot in result.plots:
        yield f"{result.name}-{plot.name}.svg", plot.title, curves(plot)


def _measured(one: Figure | Comparison) -> tuple[str, str, str, str]:
    low, high = one.spread
    spread = f"{number(low)} – {number(high)}" if len(one.samples) > 1 else ""
    return one.name, number(one.median), spread, one.unit


def _plain(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    render()
