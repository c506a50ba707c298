"""Checks from time to time whether the store evicts data."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError, TransientError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.store.port import LikeStore

LOOK_EVERY_S = 10.0
KEEPS_ALL = "noeviction"
_RESTORE = "restore missing likes from the log with `likewise verify --repair`"


@dataclass(slots=True)
class StoreKeeping:
    """The result of the last check. Only the watch writes it; any thread may read it."""

    sound: bool = True
    """Whether the store evicts nothing, as far as is known."""
    evicted_keys: int = 0
    """Keys evicted since Redis started or its statistics were reset."""


@dataclass
class StoreWatch:
    """Checks at most every ten seconds; logs a problem once, until it changes."""

    store: LikeStore
    keeping: StoreKeeping
    clock_s: Callable[[], float] = time.monotonic
    _next_look_s: float = field(default=0.0, init=False)
    _logged: tuple[str, dict[str, object]] | None = field(default=None, init=False)

    def look(self) -> bool:
        """Return whether the store evicts nothing, as far as is known; asks it if a check is due.

        A store that cannot be reached changes nothing: other calls report it.
        """
        if self.clock_s() >= self._next_look_s:
            self._next_look_s = self.clock_s() + LOOK_EVERY_S
            try:
                self._note()
            except TransientError:
                self._next_look_s = 0.0
        return self.keeping.sound

    def _note(self) -> None:
        try:
            eviction = self.store.eviction()
        except TransientError:
            raise
        except LikewiseError as error:  # not permitted, or a provider has disabled the command
            self._log(
                "cannot check whether Redis evicts likes",
                reason=str(error),
                fix="allow INFO to this user",
            )
            return
        self.keeping.evicted_keys = eviction.evicted_keys
        self.keeping.sound = eviction.policy == KEEPS_ALL and not eviction.evicted_keys
        if eviction.policy != KEEPS_ALL:
            self._log(
                "Redis may evict likes to make room",
                maxmemory_policy=eviction.policy,
                fix=f"set maxmemory-policy to {KEEPS_ALL}; {_RESTORE}",
            )
        elif eviction.evicted_keys:
            self._log(
                "Redis has evicted keys, which may include likes",
                evicted_keys=eviction.evicted_keys,
                fix=f"{_RESTORE}; then reset the count with CONFIG RESETSTAT",
            )
        else:
            self._logged = None

    def _log(self, event: str, **facts: object) -> None:
        if (event, facts) != self._logged:
            get_logger().error(event, **facts)
        self._logged = (event, facts)
