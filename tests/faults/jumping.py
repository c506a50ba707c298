"""`jumping.py SERVICE FILE`: runs a service whose wall clock is off by the seconds in the file.

Only `time.time` and `time.time_ns` are patched; they follow whenever the file changes. The monotonic clock
stays as it is, as it does when an operator sets the clock.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

from likewise.service.runtime import exit_code_of

_LOOK_INTERVAL_S = 0.05


def main(service: str, offset_file: str) -> int:
    """Run the service until it is stopped."""
    _make_jump(Path(offset_file))
    return exit_code_of(importlib.import_module(f"{service}.__main__").run)


def _make_jump(offset_file: Path) -> None:
    true_time_ns = time.time_ns
    looked_at_s, offset_ns = -1.0, 0

    def jumping_ns() -> int:
        nonlocal looked_at_s, offset_ns
        if time.monotonic() - looked_at_s > _LOOK_INTERVAL_S:
            looked_at_s = time.monotonic()
            offset_ns = int(float(offset_file.read_text()) * 1e9)
        return true_time_ns() + offset_ns

    time.time_ns = jumping_ns
    time.time = lambda: jumping_ns() / 1e9


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
