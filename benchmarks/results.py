"""What a benchmark found: figures side by side, their ratios, and what they were taken on."""

from __future__ import annotations

import os
import platform
import statistics
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

RESULTS = Path(__file__).with_name("results")
"""One JSON file a benchmark, from its last run in full; committed."""

_LIBRARIES = (
    "numpy", "scipy", "scikit-learn", "annoy", "kafka-python", "redis", "hiredis", "msgspec",
)  # fmt: skip


class Figure(msgspec.Struct, frozen=True):
    """One quantity, measured several times in one run."""

    name: str
    unit: str
    samples: list[float]
    role: str = "candidate"
    """"candidate" is ours; "floor" the least that the parts cost; "peer" another way to do it."""

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest sample."""
        return min(self.samples), max(self.samples)


class Goal(msgspec.Struct, frozen=True):
    """What a ratio or a figure was to reach."""

    value: float
    at_least: bool = True
    """Or at most."""

    def reached_by(self, value: float) -> bool:
        """Whether this value is good enough."""
        return value >= self.value if self.at_least else value <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"


class Comparison(msgspec.Struct, frozen=True):
    """A ratio of two figures, or a figure by itself (`to` is empty), against its goal."""

    name: str
    samples: list[float]
    """One for each repetition: what ran side by side is compared with what ran beside it."""
    goal: Goal | None = None
    unit: str = "times"

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest sample."""
        return min(self.samples), max(self.samples)

    @property
    def reached(self) -> bool | None:
        """Whether the median is good enough; None without a goal."""
        return None if self.goal is None else self.goal.reached_by(self.median)


class Curve(msgspec.Struct, frozen=True):
    """Points (x, y) that belong together, in order."""

    name: str
    points: list[tuple[float, float]]


class Plot(msgspec.Struct, frozen=True):
    """Curves over a common axis."""

    name: str
    """A word for the file name."""
    title: str
    x_label: str
    y_label: str
    curves: list[Curve]
    log_x: bool = False
    log_y: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All that one run of a benchmark has to say."""

    name: str
    title: str
    question: str
    """What is measured, against what; one paragraph of Markdown."""
    parameters: dict[str, int | float | str]
    figures: list[Figure]
    comparisons: list[Comparison] = []
    plots: list[Plot] = []
    notes: list[str] = []
    environment: dict[str, str] = msgspec.field(default_factory=lambda: environment())
    quick: bool = False
    """A smoke test: says that the benchmark runs, and nothing about speed."""


def ratio(
    name: str,
    of: Figure,
    to: Figure,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Comparison:
    """Return the ratio `of` / `to`, repetition by repetition."""
    samples = [one / other for one, other in zip(of.samples, to.samples, strict=True)]
    return Comparison(name, samples, _goal(at_least, at_most))


def against(
    figure: Figure, *, at_least: float | None = None, at_most: float | None = None
) -> Comparison:
    """Return a figure compared with a goal in the same unit."""
    return Comparison(figure.name, figure.samples, _goal(at_least, at_most), figure.unit)


def environment() -> dict[str, str]:
    """Return what the figures depend on, and nothing that names the machine."""
    facts = {
        "cores": str(len(os.sched_getaffinity(0))),
        "architecture": platform.machine(),
        "system": platform.system(),
        "Python": platform.python_version(),
    }
    for library in _LIBRARIES:
        try:
            facts[library] = version(library)
        except PackageNotFoundError:
            continue
    return facts


def save(result: Result, folder: Path = RESULTS) -> Path:
    """Write the result as JSON, replacing an earlier one; return where.

    A quick run's goes to a separate folder, so that it never replaces a measurement.
    """
    target = (folder / "quick" if result.quick else folder) / f"{result.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    return target


def load(path: Path) -> Result:
    """Read a result back."""
    return msgspec.json.decode(path.read_bytes(), type=Result)


def _goal(at_least: float | None, at_most: float | None) -> Goal | None:
    if at_least is not None:
        return Goal(at_least)
    return None if at_most is None else Goal(at_most, at_least=False)
