"""Questions to the cluster, over one admin client of kafka-python."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

import kafka

from likewise.log.kafka.dialect import Dialect
from likewise.log.kafka.tansu import Tansu, is_tansu

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.log.kafka.connection import Connection

T = TypeVar("T")


class Admin:
    """An admin client that connects with the first question. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: Any = None
        self._dialect: Dialect | None = None
        self._lock = threading.Lock()

    def ask(self, question: Callable[[Any], T]) -> T:
        """Return what the question returns, called with kafka-python's admin client.

        Raises:
            OSError, KafkaError: see `Connection.errors`.
        """
        # One at a time: while the client connects, kafka-python fails every other question.
        with self._lock:
            return question(self._connected())

    @property
    def dialect(self) -> Dialect:
        """What suits the broker; asked once, and raises as `ask` does."""
        if self._dialect is None:
            self._dialect = Tansu() if self.ask(is_tansu) else Dialect()
        return self._dialect

    def close(self) -> None:
        """Disconnect; the next question connects again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Any:
        if self._client is None:
            self._connection.require_reachable()
            self._client = kafka.KafkaAdminClient(**self._connection.options)
        return self._client
