"""The files below one URL, through fsspec: `s3://bucket/prefix`, `gs://bucket/prefix`, `file:///path`.

Files are replaced whole: no reader sees part of one. Credentials come from the environment and from the
files of the service's own tools; none are read, kept or logged here.
"""

from __future__ import annotations

import hashlib
import os
from errno import EFBIG
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from likewise.errors import ModelStoreError, SettingsError
from likewise.extras import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_CHUNK_BYTES = 8 * 1024 * 1024
_FILE: Final = "file"
# An outage must show within seconds. Callers retry, with backoff.
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "s3": {
        "use_listings_cache": False,
        "max_concurrency": 3,  # parts of 50 MB each that an upload has in memory
        "config_kwargs": {"retries": {"max_attempts": 2, "mode": "standard"}},
    },
    _FILE: {"auto_mkdir": True},
}


class Objects:
    """Reads and writes the files below one URL. Thread-safe; every method blocks.

    Every method raises `ModelStoreError` if the service cannot be reached or refuses, and those that
    read raise `FileNotFoundError` if there is no such file. Paths are relative to the URL.
    """

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Raises:
            SettingsError: this is no URL of a kind that fsspec knows, or its implementation is not installed.
            MissingExtraError: fsspec is not installed.
        """
        self.url = url.rstrip("/")
        self._protocol, self._root = _parsed(self.url)
        self._files = _filesystem(self._protocol)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of each file in a folder, and 0 for each folder in it, by name; empty if it is not there."""

        def found() -> dict[str, int]:
            self._files.invalidate_cache()  # others write, too
            try:
                entries = self._files.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            names = [entry["name"].rstrip("/").rpartition("/")[2] for entry in entries]
            return {
                name: int(entry["size"] or 0) if entry["type"] == _FILE else 0
                for name, entry in zip(names, entries, strict=True)
            }

        return self._call(found)

    def read(self, path: str, *, at_most: int) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: it has more bytes than `at_most`.
        """
        folder, _, name = path.rpartition("/")
        size = self.sizes(folder).get(name)
        if size is None:
            raise FileNotFoundError(2, "there is no such file", path)
        if size > at_most:
            raise OSError(EFBIG, f"it has more than {at_most} bytes")
        content: bytes = self._call(lambda: self._files.cat_file(self._path(path)))
        return content

    def download(self, path: str, to: Path, *, at_most: int) -> str:
        """Write up to so many bytes of a file to a local one; return the SHA-256 of what was written.

        Raises:
            OSError: the disk does not take it.
        """
        digest = hashlib.sha256()
        with to.open("xb") as local, self._call(lambda: self._open(path)) as remote:
            rest = at_most
            while chunk := self._call(partial(remote.read, min(_CHUNK_BYTES, rest))):
                digest.update(chunk)
                local.write(chunk)
                rest -= len(chunk)
        return digest.hexdigest()

    def write(self, path: str, content: bytes) -> None:
        """Write a file, in place of an earlier one."""
        self._put(path, lambda to: self._files.pipe_file(to, content))

    def upload(self, local: Path, path: str) -> None:
        """Write a file with the content of a local one."""
        self._put(path, lambda to: self._files.put_file(str(local), to))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""

        def gone() -> None:
            self._files.invalidate_cache()
            try:
                self._files.rm(self._path(path), recursive=True)
            except FileNotFoundError:
                return

        self._call(gone)

    def _put(self, path: str, put: Callable[[str], object]) -> None:
        to = self._path(path)

        def put_whole() -> None:
            if self._protocol != _FILE:  # an object appears when all of it is there
                put(to)
                return
            put(f"{to}.aside")
            os.replace(f"{to}.aside", to)

        try:
            self._call(put_whole)
        except FileNotFoundError as error:
            raise self._error(error) from error  # there is no such bucket

    def _open(self, path: str) -> Any:
        return self._files.open(
            self._path(path), "rb", block_size=_CHUNK_BYTES, cache_type="readahead"
        )

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _call(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except FileNotFoundError:
            raise
        except Exception as error:  # each implementation raises different errors
            raise self._error(error) from error

    def _error(self, error: Exception) -> ModelStoreError:
        reason = str(error) or type(error).__name__
        return ModelStoreError(f"the model store {self.url} (model.store) cannot be used: {reason}")


def _parsed(url: str) -> tuple[str, str]:
    """Return the protocol, and the path as its implementation takes it."""
    parts = urlsplit(url)
    if parts.username or parts.password or "@" in parts.netloc:
        raise SettingsError(
            "model.store (LIKEWISE_MODEL_STORE) must not contain credentials: set them in the environment, "
            "or in the files of the service's own tools"
        )
    if not parts.scheme or "://" not in url or not (parts.netloc or parts.path.strip("/")):
        raise SettingsError(
            f"model.store (LIKEWISE_MODEL_STORE) is {url!r}: set it to a URL such as s3://bucket/models "
            "or file:///srv/models, or leave it empty to use model.directory"
        )
    if parts.scheme == _FILE:
        return _FILE, parts.path
    return parts.scheme, f"{parts.netloc}{parts.path}"


def _filesystem(protocol: str) -> Any:
    """Return the file system of fsspec for the protocol. It is shared by all with the same options."""
    try:
        import fsspec  # type: ignore[import-untyped]  # it has no types
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from error
    try:
        return fsspec.filesystem(protocol, **_OPTIONS.get(protocol, {}))
    except (ImportError, ValueError) as error:
        install = "pip install 'likewise[s3]'" if protocol == "s3" else str(error)
        raise SettingsError(
            f"model.store (LIKEWISE_MODEL_STORE) has the protocol {protocol!r}, and its implementation for fsspec "
            f"is not installed: {install}"
        ) from error
