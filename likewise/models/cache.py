"""Versions of a model store that are on this host: complete ones only, which its processes share.

A process that uses a version holds its lock, which ends with the process. So a version that is in use
is never removed, whatever else the processes of this host do.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.models.layout import ASIDE, VERSION, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Hold:
    """Keeps a version in the cache until it is released."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let the version be removed. Calling it again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class VersionCache:
    """A directory of versions: the `keep` that were used last, and those in use. Thread-safe."""

    def __init__(self, directory: Path, keep: int) -> None:
        """Create nothing yet."""
        self.directory = directory
        self._keep = keep

    def hold(self, version: str) -> Hold | None:
        """Return a hold on a version; None if it is not here. Waits while somebody removes it."""
        path = self.directory / version
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        hold = Hold(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                raise FileNotFoundError
            os.utime(path)  # used just now
        except OSError:
            hold.release()
            return None
        return hold

    def fill(self, version: str, fetch: Callable[[Path], None]) -> Hold:
        """Return a hold on a version, which `fetch` writes into an empty directory unless it is here by now.

        One process of this host fetches at a time; the others wait. Removes what is beyond the bound.

        Raises:
            ModelFileError: the directory cannot be written to.
        """
        try:
            # Only its owner looks in, unless an operator has made it for more.
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._changing():
                if (hold := self.hold(version)) is None:
                    self._fetch(version, fetch)
                    hold = self.hold(version)
                if hold is None:
                    raise FileNotFoundError(2, "it was removed while it was being fetched")
                self._trim()
                return hold
        except OSError as error:
            raise ModelFileError(
                f"model {version} cannot be written to {self.directory} (model.cache_directory): "
                f"{error.strerror}"
            ) from error

    def discard(self, version: str) -> bool:
        """Remove a version that is damaged; return whether it was here.

        Who has mapped it keeps the files until they are unmapped.
        """
        with suppress(OSError), self._changing():
            self._remove(version)
            return True
        return False

    def trim(self) -> None:
        """Remove what is beyond the bound, and what crashed processes have left."""
        with suppress(OSError), self._changing():
            self._trim()

    def _fetch(self, version: str, fetch: Callable[[Path], None]) -> None:
        aside = self.directory / f"{ASIDE}{version}-{os.getpid()}"
        shutil.rmtree(
            aside, ignore_errors=True
        )  # left by a crash, in another process of this number
        aside.mkdir()
        try:
            with locked(aside):
                fetch(aside)
                aside.rename(self.directory / version)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _trim(self) -> None:
        for left in self.directory.glob(f"{ASIDE}*"):
            # A process that still writes to it holds its lock.
            with suppress(OSError), locked(left):
                shutil.rmtree(left, ignore_errors=True)
        here = [path for path in self.directory.iterdir() if VERSION.fullmatch(path.name)]
        for path in sorted(here, key=_used_at, reverse=True)[self._keep :]:
            with suppress(OSError), locked(path):
                self._remove(path.name)

    def _remove(self, version: str) -> None:
        """Take a version out of the cache at once, and then remove its files."""
        aside = self.directory / f"{ASIDE}{version}-removed-{os.getpid()}"
        (self.directory / version).rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Be the only one on this host that adds and removes versions. Waits for others."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _used_at(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
