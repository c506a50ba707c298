"""Where model versions are: in a directory (`model.directory`), or in a model store (`model.store`)."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from likewise.models.layout import MANIFEST, MOST_MANIFEST_BYTES, VERSION
from likewise.models.regular_files import read_regular

if TYPE_CHECKING:
    from likewise.models.manifest import Manifest
    from likewise.models.remote import RemoteModels
    from likewise.service.stats import ModelStoreStats
    from likewise.settings import Settings

Place: TypeAlias = "Path | RemoteModels"
"""Where versions are. Calls on a model store may raise `ModelStoreError`, wherever they are made."""


def models_place(settings: Settings) -> Place:
    """Return where the settings have the models: for one model store, always the same object.

    Raises:
        SettingsError: `model.store` cannot be used.
        MissingExtraError: a package that it requires is not installed.
    """
    model = settings.model
    if not model.store:
        return model.directory
    within = model.cache_directory or _default_cache()
    return _remote(model.store, within, settings.indexer.keep_versions)


def stats_of(place: Place) -> ModelStoreStats | None:
    """Return how the calls to the model store go; None without one."""
    return None if isinstance(place, Path) else place.stats


def is_remote(place: Place) -> bool:
    """Whether the versions are in a model store."""
    return not isinstance(place, Path)


def local(place: Place) -> Path:
    """Return the directory of the versions on this host: that of the models, or the cache."""
    return place if isinstance(place, Path) else place.cache


def is_here(place: Place) -> bool:
    """Whether this host has any version already. Reads the disk only."""
    return next(local(place).glob(f"*/{MANIFEST}"), None) is not None


def version_names(place: Place) -> list[str]:
    """Return the names of all versions, newest first."""
    if not isinstance(place, Path):
        return place.names()
    if not place.is_dir():
        return []
    names = (path.name for path in place.iterdir() if path.is_dir())
    return sorted((name for name in names if VERSION.fullmatch(name)), reverse=True)


def raw_manifest(place: Place, version: str) -> bytes:
    """Return the manifest of a version as it is written.

    Raises:
        OSError: there is none, or it is too large.
    """
    if isinstance(place, Path):
        return read_regular(place / version / MANIFEST, at_most=MOST_MANIFEST_BYTES)
    return place.manifest(version, at_most=MOST_MANIFEST_BYTES)


def publish(place: Place, manifest: Manifest) -> None:
    """Let others see a version that was written on this host. Calling it again is safe.

    Raises:
        ModelStoreError: the model store cannot be used.
        ModelFileError: the version is not on this host any more.
    """
    if not isinstance(place, Path):
        place.upload(manifest)


@cache
def _remote(url: str, within: Path, keep: int) -> RemoteModels:
    from likewise.models.objects import Objects
    from likewise.models.remote import RemoteModels
    from likewise.service.stats import ModelStoreStats

    objects = Objects(url)
    directory = within.expanduser().absolute() / quote(objects.url, safe="")
    return RemoteModels(objects, directory, keep=keep, stats=ModelStoreStats())


def _default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home or "~/.cache") / "likewise" / "models"
