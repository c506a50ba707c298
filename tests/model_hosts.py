"""Hosts that share nothing but a model store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.models.objects import Objects
from likewise.models.remote import RemoteModels
from likewise.service.stats import ModelStoreStats

if TYPE_CHECKING:
    from pathlib import Path


def host(url: str, cache: Path, *, keep: int = 3) -> RemoteModels:
    """Return the models at a URL as another host sees them: with a cache of its own."""
    return RemoteModels(Objects(url), cache, keep=keep, stats=ModelStoreStats())
