"""Becomes the command it is given, which then ends when its parent ends, however that ends.

`python -I -S die_with_parent.py PARENT_PID SIGNAL COMMAND...`, Linux only. The process asks the kernel to be
sent SIGNAL when its parent dies (PR_SET_PDEATHSIG, prctl(2)), which an exec keeps, and execs the
command: pid, session and open files stay. It imports the standard library only, to start in 30 ms.

"Parent" is the *thread* that started this process: when that thread ends, the signal is sent
although its process lives on. The kernel forgets the wish when the command is set-user-id or has
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
    """Exec the command; on failure exit with 126 and a line on stderr. Never returns."""
    parent_pid, death_signal, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal) != 0:
        sys.exit(f"die_with_parent: prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:
        sys.exit("die_with_parent: the parent died before the command was started")
    # Shells start background jobs with SIGINT ignored, and an exec would hand that on.
    signal.signal(death_signal, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - the caller starts it, without a shell
    except OSError as error:
        sys.stderr.write(f"die_with_parent: can't run {command[0]}: {error.strerror}\n")
        sys.exit(_CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
