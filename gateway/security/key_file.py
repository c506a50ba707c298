"""The file of API keys: one JSON document, which `likewise keys` writes and a gateway follows."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.security.keys import MAX_KEYS, ApiKey
from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_BYTES = 1 << 20
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OWNER_ONLY = 0o600


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: Annotated[tuple[ApiKey, ...], Meta(max_length=MAX_KEYS)] = ()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys in a file, in its order.

    Raises:
        SettingsError: the file can't be read, can be changed by other users, or is not a file of keys.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"gateway.keys_file: {path} can't be read: {error.strerror}") from error
    if mode & _OTHERS_WRITE:
        raise SettingsError(
            f"gateway.keys_file: other users can write {path}, and so give themselves access; "
            f"run `chmod go-w {path}`"
        )
    return _decode(path, content)


def is_readable_by_all(path: Path) -> bool:
    """Whether every user of the machine can read the file: the names and rights of all keys."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def change_keys(
    path: Path, change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]]
) -> tuple[ApiKey, ...]:
    """Replace the keys in a file, atomically, by those that `change` returns; return them.

    A missing file is created, with mode 600. Two processes that change the file take turns.

    Raises:
        SettingsError: see `read_keys`; or the file can't be written.
    """
    real = Path(os.path.realpath(path))  # a link stays a link
    try:
        with _locked(real.parent):
            keys = change(read_keys(real) if real.exists() else ())
            _replace(real, msgspec.json.format(msgspec.json.encode(_Document(keys))) + b"\n")
    except OSError as error:
        raise SettingsError(
            f"gateway.keys_file: {path} can't be written: {error.strerror}"
        ) from error
    return keys


def _decode(path: Path, content: bytes) -> tuple[ApiKey, ...]:
    if len(content) > _MAX_BYTES:
        raise SettingsError(f"gateway.keys_file: {path} is larger than a file of keys can be")
    try:
        keys = msgspec.json.decode(content, type=_Document).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"gateway.keys_file: {path} is not a file that `likewise keys` has written: {error}"
        ) from error
    for what, values in (
        ("name", [key.name for key in keys]),
        ("sha256", [key.sha256 for key in keys]),
    ):
        if len(set(values)) < len(values):
            raise SettingsError(f"gateway.keys_file: in {path}, two keys have the same `{what}`")
    return keys


def _replace(path: Path, content: bytes) -> None:
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            _keep_owner(path, file.fileno())
        Path(written).replace(path)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise


def _keep_owner(path: Path, descriptor: int) -> None:
    """Give the new file the owner and the mode of the old one: a gateway may run as another user."""
    with suppress(FileNotFoundError):
        before = path.stat()
        with suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode) | _OWNER_ONLY)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
