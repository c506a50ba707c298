"""Model versions in a model store (`model.store`), with a cache on this host.

A version is there when its manifest is, which is written last. Only then is it announced. Readers verify
every file by the checksum in the manifest while it is downloaded, and map it from the cache.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError, ModelStoreError
from likewise.models.cache import VersionCache
from likewise.models.checksums import verify_checksums
from likewise.models.layout import MANIFEST, MOST_MANIFEST_BYTES, VERSION
from likewise.models.regular_files import read_regular
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.models.cache import Hold
    from likewise.models.manifest import Manifest
    from likewise.models.objects import Objects
    from likewise.service.stats import ModelStoreStats


class RemoteModels:
    """The versions in a folder of a model store. Thread-safe; every method blocks.

    Methods raise `ModelStoreError` if the store cannot be reached or refuses. The first failure is logged, and the
    end of the outage.
    """

    def __init__(
        self,
        objects: Objects,
        cache: Path,
        *,
        keep: int,
        stats: ModelStoreStats,
        folder: str = "",
    ) -> None:
        """Connect to nothing yet. `cache` is the directory of the versions on this host, `keep` how many stay."""
        self.stats = stats
        self.cache = cache
        self._objects = objects
        self._folder = folder
        self._keep = keep
        self._versions = VersionCache(cache, keep)
        self._complete: set[str] = set()

    def __str__(self) -> str:
        return f"{self._objects.url}/{self._folder}".rstrip("/")

    def __truediv__(self, name: str) -> RemoteModels:
        """Return the versions in a folder of this one."""
        return RemoteModels(
            self._objects,
            self.cache / name,
            keep=self._keep,
            stats=self.stats,
            folder=f"{self._folder}{name}/",
        )

    def names(self) -> list[str]:
        """Return the names of all complete versions, newest first."""
        with self._watched():
            found = self._objects.sizes(self._folder)
            names = sorted(filter(VERSION.fullmatch, found), reverse=True)
            self._complete.intersection_update(names)
            for name in names:
                if name not in self._complete and MANIFEST in self._sizes(name):
                    self._complete.add(name)
            return [name for name in names if name in self._complete]

    def unfinished(self) -> list[str]:
        """Return the names of versions that lack a manifest: they are being uploaded, or never will be."""
        complete = self.names()
        with self._watched():
            found = self._objects.sizes(self._folder)
        return [name for name in found if VERSION.fullmatch(name) and name not in complete]

    def folders(self) -> list[str]:
        """Return the names of the folders in this one that are no versions."""
        with self._watched():
            return [
                name for name in self._objects.sizes(self._folder) if not VERSION.fullmatch(name)
            ]

    def read(self, version: str, name: str, *, at_most: int) -> bytes:
        """Return the content of a small file, from the store.

        Raises:
            OSError: there is none, or it has more bytes.
        """
        with self._watched():
            return self._objects.read(self._path(version, name), at_most=at_most)

    def manifest(self, version: str, *, at_most: int) -> bytes:
        """Return the manifest of a version, from the cache if it is there: it never changes.

        Raises:
            OSError: there is none, or it has more bytes.
        """
        try:
            return read_regular(self.cache / version / MANIFEST, at_most=at_most)
        except OSError:
            return self.read(version, MANIFEST, at_most=at_most)

    def write(self, version: str, name: str, content: bytes) -> None:
        """Write a small file next to the manifest of a version, in place of an earlier one."""
        with self._watched():
            self._objects.write(self._path(version, name), content)

    def fetch(self, manifest: Manifest) -> Hold:
        """Return a hold on a version in the cache, complete and verified. Downloads it if it is not, or damaged.

        Raises:
            ModelFileError: it is damaged in the store, too, or the cache cannot be written to.
        """
        hold = self._held(manifest)
        try:
            verify_checksums(self.cache, manifest)
        except ModelFileError:
            hold.release()
            self._versions.discard(manifest.version)
            hold = self._held(manifest)
        except BaseException:
            hold.release()
            raise
        return hold

    def discard(self, version: str) -> bool:
        """Remove a damaged version from the cache; return whether it was there."""
        return self._versions.discard(version)

    def upload(self, manifest: Manifest) -> None:
        """Copy a version from the cache to the store, the manifest last.

        Calling it again after a failure copies what is missing.

        Raises:
            ModelFileError: the version is not in the cache any more.
        """
        version = manifest.version
        hold = self._versions.hold(version)
        if hold is None:
            raise ModelFileError(f"model {version} is not in {self.cache} any more")
        try:
            with self._watched():
                there = self._sizes(version)
                for name, entry in manifest.files.items():
                    if there.get(name) != entry.bytes:
                        self._objects.upload(self.cache / version / name, self._path(version, name))
                self._objects.upload(self.cache / version / MANIFEST, self._path(version, MANIFEST))
        finally:
            hold.release()
        self._versions.trim()

    def remove(self, name: str) -> None:
        """Remove a version, or a folder; a version is gone as soon as its manifest is."""
        with self._watched():
            self._objects.remove(self._path(name, MANIFEST))
            self._objects.remove(self._path(name, ""))

    def _held(self, manifest: Manifest) -> Hold:
        hold = self._versions.hold(manifest.version)
        if hold is not None:
            return hold
        hold = self._versions.fill(manifest.version, partial(self._download, manifest))
        get_logger().info("model fetched", version=manifest.version, store=str(self))
        return hold

    def _download(self, manifest: Manifest, to: Path) -> None:
        """Write the files of a version, each verified, into an empty directory."""
        version = manifest.version
        for name, entry in manifest.files.items():
            if Path(name).name != name or name in (MANIFEST, ".", ".."):
                raise ModelFileError(f"the manifest of model {version} names {name[:64]!r}")
            with self._watched():
                try:
                    # One byte more than there should be shows a file that is too long.
                    found = self._objects.download(
                        self._path(version, name), to / name, at_most=entry.bytes + 1
                    )
                except FileNotFoundError as error:
                    raise ModelFileError(f"model {version}: {name} is not in {self}") from error
            if found != entry.sha256:
                raise ModelFileError(
                    f"model {version}: {name} in {self} is not what its manifest says "
                    f"({entry.bytes} bytes expected, or another checksum)"
                )
        try:
            raw = self.read(version, MANIFEST, at_most=MOST_MANIFEST_BYTES)
        except FileNotFoundError as error:
            raise ModelFileError(f"model {version} was removed from {self}") from error
        (to / MANIFEST).write_bytes(raw)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Count failures of the store during a `with` block, and log the start and the end of an outage."""
        stats, log = self.stats, get_logger()
        try:
            yield
        except ModelStoreError as error:
            stats.errors += 1
            if stats.failing_since_s is None:
                stats.failing_since_s = time.monotonic()
                log.error(
                    "the model store cannot be used; models in use stay in use, and it is tried again",
                    store=self._objects.url,
                    reason=str(error),
                )
            raise
        except OSError:
            self._note_answer()
            raise
        self._note_answer()

    def _note_answer(self) -> None:
        since_s, self.stats.failing_since_s = self.stats.failing_since_s, None
        if since_s is not None:
            get_logger().info(
                "the model store can be used again",
                store=self._objects.url,
                after_s=round(time.monotonic() - since_s, 1),
            )

    def _sizes(self, version: str) -> dict[str, int]:
        return self._objects.sizes(self._path(version, ""))

    def _path(self, version: str, name: str) -> str:
        return f"{self._folder}{version}/{name}".rstrip("/")
