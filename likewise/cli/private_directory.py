"""The directories of runs of `likewise up`, and how another terminal finds the password in them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from likewise.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.settings import Settings

_PREFIX = "up-"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REDIS_PORT = 6379


@contextmanager
def private_directory() -> Iterator[Path]:
    """Give a directory of mode 700 for the length of a `with` block; it is removed afterwards.

    What runs that were killed have left behind is removed first.
    """
    state = _state()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(state)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=state) as directory,
        _locked(Path(directory)),
    ):
        yield Path(directory)


def leave_password(directory: Path, port: int, password: str) -> None:
    """Let commands of this user find the password of the Redis on this port, while the run lasts."""
    path = directory / _password_name(port)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(password)


def with_local_password(settings: Settings) -> Settings:
    """Return the settings, with the password of a Redis that `likewise up` runs where they name it.

    Only where they have none, and only while that run lasts.
    """
    parts = urlsplit(settings.redis.url)
    if settings.redis.password is not None or "@" in settings.redis.url:
        return settings
    try:
        here = parts.scheme == "redis" and parts.hostname in _LOOPBACK
        port = parts.port or _REDIS_PORT
    except ValueError:  # no URL: whoever connects says so
        return settings
    password = _password(port) if here else None
    if password is None:
        return settings
    return msgspec.structs.replace(
        settings, redis=msgspec.structs.replace(settings.redis, password=Secret(password))
    )


def _password(port: int) -> str | None:
    for path in _state().glob(f"{_PREFIX}*/{_password_name(port)}"):
        with suppress(OSError):
            if not _is_held(path.parent):
                continue
            return path.read_text(encoding="utf-8")
    return None


def _password_name(port: int) -> str:
    return f"redis-{port}.password"


def _state() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home, "likewise")


def _sweep(state: Path) -> None:
    for left in state.glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(left):  # one that is locked is in use
            shutil.rmtree(left, ignore_errors=True)


def _is_held(directory: Path) -> bool:
    """Whether the run whose directory this is goes on; never in the way of one that begins."""
    descriptor = os.open(directory, os.O_RDONLY)
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
