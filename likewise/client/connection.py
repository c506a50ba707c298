"""A client's connection to the broker: made at the first use, shared by all threads."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from likewise.client.inbox import ReplyInbox
from likewise.errors import LikewiseError, TransientError, UndeliverableError
from likewise.log.kafka import KafkaBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from likewise.log.port import Broker, Delivery, Sink
    from likewise.settings import KafkaSettings

# With less, kafka-python gives up on brokers that are only busy.
_SHORTEST_REQUEST_TIMEOUT_MS = 1_000


class ClientConnection:
    """A sink and a reply inbox, each connected when first needed. Thread-safe."""

    def __init__(
        self, settings: KafkaSettings, reply_topic: str, timeout_s: float, broker: Broker | None
    ) -> None:
        """A given `broker` is used in place of one made from the settings, and is not closed."""
        self._owns_broker = broker is None
        self._broker = broker or KafkaBroker(
            _impatient(settings, timeout_s), client_id="likewise-client"
        )
        self._reply_topic = reply_topic
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._sink: Sink | None = None
        self._inbox: ReplyInbox | None = None
        self._closed = False

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Delivery:
        """Queue a record; see `Sink.send`."""
        with _with_remedy():
            return self._connected_sink().send(topic, value, key=key, headers=headers)

    def replies(self) -> ReplyInbox:
        """Return the inbox that receives the replies."""
        if self._inbox is None or self._closed:
            with self._connecting(), _with_remedy():
                self._inbox = self._inbox or ReplyInbox(self._broker, self._reply_topic)
        return self._inbox

    def close(self) -> None:
        """Disconnect. Bounded by a few seconds."""
        with self._lock:
            self._closed = True
            if self._inbox is not None:
                self._inbox.close()
            if self._sink is not None:
                self._sink.close()
            if self._owns_broker:
                self._broker.close()

    def _connected_sink(self) -> Sink:
        if self._sink is None or self._closed:
            with self._connecting():
                self._sink = self._sink or self._broker.sink()
        return self._sink

    @contextmanager
    def _connecting(self) -> Iterator[None]:
        """Let one thread connect; the others wait for it at most as long as it waits for the broker."""
        if not self._lock.acquire(timeout=self._timeout_s):
            raise TransientError(f"another thread did not connect within {self._timeout_s:g} s")
        try:
            if self._closed:
                raise LikewiseError("the client was closed")
            yield
        finally:
            self._lock.release()


@contextmanager
def _with_remedy() -> Iterator[None]:
    """Add to an error about a missing topic what creates the topics."""
    try:
        yield
    except UndeliverableError as error:
        raise UndeliverableError(
            f"{error}. The services create the topics when they start: `likewise up`"
        ) from error


def _impatient(settings: KafkaSettings, timeout_s: float) -> KafkaSettings:
    """Return settings with which a call gives up on an unreachable broker within the timeout."""
    timeout_ms = max(_SHORTEST_REQUEST_TIMEOUT_MS, int(timeout_s * 1000))
    return msgspec.structs.replace(
        settings, request_timeout_ms=min(settings.request_timeout_ms, timeout_ms)
    )
