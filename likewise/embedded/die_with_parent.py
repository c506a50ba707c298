"""Runs a command in its own place; the command ends when its parent ends, however that happens.

`python -I -S die_with_parent.py PARENT_PID SIGNAL COMMAND...`, Linux only. The process asks the kernel to
send it SIGNAL when its parent dies (PR_SET_PDEATHSIG, prctl(2)), which survives exec, and execs the
command: pid, session and open files stay. Imports the standard library only, to start in 30 ms.

"Parent" means the *thread* that started this process: when that thread ends, the signal is sent
even if its process goes on. The kernel clears the request if the command is set-user-id or has
capabilities.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_CANNOT_RUN = 126


def main(arguments: list[str]) -> None:
    """Exec the command; if that fails, print why to stderr and exit with 126. Never returns."""
    parent_pid, death_signal, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal) != 0:
        sys.exit(f"die_with_parent: prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:
        sys.exit("die_with_parent: the parent died before the command was started")
    # Shells start background jobs with SIGINT ignored, which exec would preserve.
    signal.signal(death_signal, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - the caller starts it, without a shell
    except OSError as error:
        sys.stderr.write(f"die_with_parent: cannot run {command[0]}: {error.strerror}\n")
        sys.exit(_CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
