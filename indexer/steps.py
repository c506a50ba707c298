"""The steps of a build: named, announced and timed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(slots=True)
class BuildReport:
    """How a build went: seconds of each step, and what `auto` chose and why."""

    seconds: dict[str, float] = field(default_factory=dict)
    choice: dict[str, Any] | None = None


class Steps:
    """Names, announces and times the steps of a build."""

    def __init__(
        self,
        report: BuildReport | None = None,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.report = report or BuildReport()
        self._on_step = on_step

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Announce the step, and add the seconds it takes to the report."""
        self._on_step(name)
        started_s = time.perf_counter()
        yield
        taken_s = time.perf_counter() - started_s
        self.report.seconds[name] = round(self.report.seconds.get(name, 0.0) + taken_s, 3)
