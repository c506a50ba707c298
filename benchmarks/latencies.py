"""Latencies of a candidate next to those of the floor, under the same load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from benchmarks.load import percentile
from benchmarks.measure import alternate

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOR = ", constant"
"""Ends the names of what is measured of the floor."""


class Loader(Protocol):
    """Sends requests at a rate."""

    def at_rate(self, per_s: float, seconds: float) -> list[float]:
        """Return the latency of each request, in ms."""


def latencies(
    candidate: Loader,
    floor: Loader,
    per_s: float,
    *,
    seconds: float,
    repetitions: int,
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """Return p50 and p99 of each repetition in ms, by name; those of the floor end with `FLOOR`.

    With `warm_up`, each runs once before, uncounted.
    """
    found: dict[str, list[float]] = {
        f"{name}{whose}": [] for whose in ("", FLOOR) for name in ("p50", "p99")
    }

    def contender(load: Loader, whose: str) -> Callable[[], float]:
        def run() -> float:
            latencies_ms = load.at_rate(per_s, seconds)
            found[f"p50{whose}"].append(percentile(latencies_ms, 0.50))
            found[f"p99{whose}"].append(percentile(latencies_ms, 0.99))
            return found[f"p99{whose}"][-1]

        return run

    alternate(
        {"candidate": contender(candidate, ""), "floor": contender(floor, FLOOR)},
        repetitions=repetitions,
        warm_up=warm_up,
    )
    return {name: values[warm_up:] for name, values in found.items()}
