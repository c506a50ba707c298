"""`python -m consumers`: one consumer, configured by file and environment, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from consumers.measures import METRICS
from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from likewise.service.runtime import exit_code_of, open_runtime

if TYPE_CHECKING:
    from likewise.settings import Settings


def run(settings: Settings) -> None:
    """Run until the stop."""
    stats = ConsumerStats()
    with open_runtime(settings, METRICS, stats) as runtime:
        run_consumer(*runtime, stats=stats)


if __name__ == "__main__":
    sys.exit(exit_code_of(run))
