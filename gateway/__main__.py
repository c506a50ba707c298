"""`python -m gateway`: one gateway, configured by file and environment, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gateway.measures import METRICS
from gateway.service import run_gateway
from gateway.stats import GatewayStats
from likewise.service.runtime import exit_code_of, open_runtime

if TYPE_CHECKING:
    from likewise.settings import Settings


def run(settings: Settings) -> None:
    """Run until the stop."""
    stats = GatewayStats()
    with open_runtime(settings, METRICS, stats) as runtime:
        run_gateway(*runtime, stats=stats)


if __name__ == "__main__":
    sys.exit(exit_code_of(run))
