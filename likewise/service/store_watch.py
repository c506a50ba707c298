"""Looks now and then whether the store keeps what it is given."""

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
_LOST = "`likewise verify --repair` finds and restores what is missing, from the log"


@dataclass(slots=True)
class StoreKeeping:
    """What was found last; only the watch writes, anybody may read."""

    sound: bool = True
    """Whether the store evicts nothing, as far as it says."""
    evicted_keys: int = 0
    """Keys that were removed to make room, since Redis started or its counters were reset."""


@dataclass
class StoreWatch:
    """Looks at most every ten seconds, and logs what is wrong once, until it changes."""

    store: LikeStore
    keeping: StoreKeeping
    clock_s: Callable[[], float] = time.monotonic
    _next_look_s: float = field(default=0.0, init=False)
    _said: str | None = field(default=None, init=False)

    def look(self) -> bool:
        """Return whether the store evicts nothing, as far as is known; asks it when it is time to.

        A store that can't be reached changes nothing: whoever works with it notices.
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
        except LikewiseError as error:  # not allowed, or a provider has taken the command away
            self._say(f"can't look whether Redis evicts likes; allow INFO to this user: {error}")
            return
        self.keeping.evicted_keys = eviction.evicted_keys
        self.keeping.sound = eviction.policy == KEEPS_ALL and not eviction.evicted_keys
        if eviction.policy != KEEPS_ALL:
            self._say(
                f"Redis may remove likes to make room: its maxmemory-policy is {eviction.policy}; "
                f"set it to {KEEPS_ALL}. {_LOST}"
            )
        elif eviction.evicted_keys:
            self._say(
                f"Redis has removed {eviction.evicted_keys} keys to make room, likes perhaps among "
                f"them. {_LOST}; CONFIG RESETSTAT then resets the count"
            )
        else:
            self._said = None

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            get_logger().error(sentence)
        self._said = sentence
