"""Leader election: of several indexers, the one with the lease in the store builds."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.store.port import LikeStore

LEASE = "indexer"
_RENEWALS_PER_LEASE = 3


class LeadershipLostError(Exception):
    """The indexer lost the lead during a build; another one may be building."""


def new_holder() -> str:
    """Return a unique name that shows where this process runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Leadership:
    """The lease of one process, by its own clock (monotonic, seconds). Thread-safe.

    The time to live counts from before the call to the store, so this process never believes that it
    leads after the lease has expired in the store.
    """

    def __init__(
        self, store: LikeStore, *, holder: str, ttl_ms: int, clock_s: Callable[[], float]
    ) -> None:
        """Start without the lead."""
        self._store = store
        self._holder = holder
        self._ttl_ms = ttl_ms
        self._clock_s = clock_s
        self._asking = threading.Lock()
        self._until_s: float | None = None
        self._term = 0

    @property
    def term(self) -> int | None:
        """The number of this process's term as leader; None if it does not lead.

        It increases whenever the lease has expired in between, however briefly, since another indexer
        may have led meanwhile.
        """
        until_s = self._until_s
        return self._term if until_s is not None and self._clock_s() < until_s else None

    def lead(self) -> int | None:
        """Acquire or renew the lease; return the current term, or None if another indexer has it.

        Raises:
            TransientError: the store can't be reached.
        """
        with self._asking:
            asked_at_s = self._clock_s()
            if self._store.acquire_lease(LEASE, self._holder, self._ttl_ms):
                if self.term is None:  # asked now, when the answer is here: no gap goes unseen
                    self._term += 1
                self._until_s = asked_at_s + self._ttl_ms / 1000
            else:
                self._until_s = None
            return self.term

    def check(self, term: int) -> None:
        """Check that the term has not ended.

        Raises:
            LeadershipLostError: it has ended.
        """
        if self.term != term:
            raise LeadershipLostError

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep renewing the lease, once acquired, during a `with` block; release it at the end.

        A thread renews it, so that the lease does not expire during a long step of a build.
        """
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=[ended], name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            if self.term is not None:
                self._until_s = None
                with suppress(LikewiseError):  # it expires
                    self._store.release_lease(LEASE, self._holder)

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(self._ttl_ms / 1000 / _RENEWALS_PER_LEASE):
            if self.term is None:
                continue
            try:
                self.lead()
            except LikewiseError as error:
                # The lease lapses unless a later renewal comes through; the worker, which asks
                # the same store, meets the same error and deals with it.
                get_logger().warning("lease not renewed", error=str(error))
