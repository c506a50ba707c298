"""`python -m serving`: one server, configured by file and environment, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from likewise.service.runtime import exit_code_of, open_runtime
from serving.measures import METRICS
from serving.service import run_server
from serving.stats import ServingStats

if TYPE_CHECKING:
    from likewise.settings import Settings


def run(settings: Settings) -> None:
    """Run until the stop."""
    stats = ServingStats()
    with open_runtime(settings, METRICS, stats) as runtime:
        run_server(*runtime, stats=stats)


if __name__ == "__main__":
    sys.exit(exit_code_of(run))
