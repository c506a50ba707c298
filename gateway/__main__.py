"""`python -m gateway`: one gateway, configured by file and environment, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys

from gateway.measures import METRICS
from gateway.service import run_gateway
from gateway.stats import GatewayStats
from likewise.errors import LikewiseError
from likewise.service.logs import log_fatal
from likewise.service.runtime import open_runtime
from likewise.settings.loader import load_settings


def main() -> int:
    """Return the exit code: 0 after a stop, 2 for an error that the operator must fix."""
    try:
        settings = load_settings()
        stats = GatewayStats()
        with open_runtime(settings, METRICS, stats) as runtime:
            run_gateway(*runtime, stats=stats)
    except LikewiseError as error:
        if not log_fatal(error):
            sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
