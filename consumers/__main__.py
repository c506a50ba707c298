"""`python -m consumers`: one consumer, set up by file and environment, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys

from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from likewise.errors import LikewiseError
from likewise.service.logs import log_fatal
from likewise.service.runtime import surroundings
from likewise.settings_loader import load_settings


def main() -> int:
    """Return the exit code: 0 after a stop, 2 where settings have to be mended."""
    try:
        settings = load_settings()
        stats = ConsumerStats()
        with surroundings(settings, "consumer", stats) as given:
            run_consumer(*given, stats=stats)
    except LikewiseError as error:
        if not log_fatal(error):
            sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
