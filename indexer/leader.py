"""Which of several indexers builds: the one that holds a lease in the store."""

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
    """The lead was lost during a build: somebody else may be building."""


def new_holder() -> str:
    """Return a name that no other process has, and that tells people where this one runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Leadership:
    """The lease of one process, by its own clock (monotonic, seconds). Thread-safe.

    The time to live counts from before the store was asked, so this process never believes to
    lead when the store has already let the lease lapse.
    """

    def __init__(
        self, store: LikeStore, *, holder: str, ttl_ms: int, clock_s: Callable[[], float]
    ) -> None:
        """Lead nothing yet."""
        self._store = store
        self._holder = holder
        self._ttl_ms = ttl_ms
        self._clock_s = clock_s
        self._asking = threading.Lock()
        self._until_s: float | None = None
        self._term = 0

    @property
    def term(self) -> int | None:
        """The number of this process's term in the lead, None when it does not lead.

        It grows whenever the lease was gone in between, if only for a moment: somebody else may
        have led meanwhile.
        """
        until_s = self._until_s
        return self._term if until_s is not None and self._clock_s() < until_s else None

    def lead(self) -> int | None:
        """Return the current term, taking or renewing the lease; None while another holds it.

        Raises:
            TransientError: the store cannot be reached.
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
        """Return if that term still goes on.

        Raises:
            LeadershipLostError: it is over.
        """
        if self.term != term:
            raise LeadershipLostError

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease, once held, for the length of a `with` block; then give it back.

        A thread renews, so that the lease outlasts any long step of a build.
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
                with suppress(LikewiseError):  # it lapses by itself
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
