"""The private directory of each run of `likewise up`, locked for as long as the run lasts."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "up-"


@contextmanager
def private_directory() -> Iterator[Path]:
    """Provide a directory with mode 700 for the length of a `with` block, then remove it.

    Removes the directories of runs that were killed.
    """
    state = _state()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(state)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=state) as directory,
        _locked(Path(directory)),
    ):
        yield Path(directory)


def files_of_active_runs(name: str) -> list[Path]:
    """Return the files of this name in the private directories of this user's active runs.

    A run must create such a file only while it holds its directory: looking for one takes the lock
    for a moment.
    """
    found = sorted(_state().glob(f"{_PREFIX}*/{name}"))
    return [path for path in found if _is_held(path.parent)]


def _state() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home, "likewise")


def _sweep(state: Path) -> None:
    for left in state.glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(left):  # a locked directory is in use
            shutil.rmtree(left, ignore_errors=True)


def _is_held(directory: Path) -> bool:
    """Whether another process holds the directory. A directory that has gone is not held."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory for the length of a `with` block, or until this process ends.

    Raises:
        OSError: another process holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
