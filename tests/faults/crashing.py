"""`crashing.py SERVICE CALL before|after NTH`: runs a service that kills itself at a crash point.

It runs as with `python -m consumers`, except that one function is wrapped: at its NTH call the process
sends itself SIGKILL, so that no handler runs and no buffer is flushed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from operator import attrgetter
from typing import Any

from likewise.service.runtime import exit_code_of


def main(service: str, call: str, when: str, nth: str) -> int:
    """Run the service; return only if it was stopped before it reached the crash point."""
    entry = importlib.import_module(f"{service}.__main__")
    _arm(call, when == "before", int(nth))
    return exit_code_of(entry.run)


def _arm(call: str, before: bool, nth: int) -> None:
    module_name, _, path = call.partition(":")
    owner_path, _, name = path.rpartition(".")
    module = importlib.import_module(module_name)
    owner = attrgetter(owner_path)(module) if owner_path else module
    original = getattr(owner, name)
    calls = 0

    def crashing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if before and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if calls >= nth:  # more, if that call raised
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, crashing)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
