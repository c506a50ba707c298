"""The part of RedisStore that reads experiments: a hash by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likewise.store.keys import Keys
    from likewise.store.redis.commands import RedisCommands


class RedisExperiments(ABC):
    """See `likewise.store.experiments_port.ExperimentStore`."""

    _keys: Keys

    @property
    @abstractmethod
    def _redis(self) -> RedisCommands: ...

    def experiments(self) -> dict[str, bytes]:
        """See `ExperimentStore.experiments`."""
        found: dict[str, str] = self._redis.run("HGETALL", self._keys.experiments)
        return {name: experiment.encode() for name, experiment in found.items()}
