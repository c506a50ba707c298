"""A TCP proxy in front of a real server that can delay, cut, refuse, swallow or change what passes."""

from __future__ import annotations

import random
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from likewise.embedded import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024
_LARGE_BYTES = 2_000
_ACCEPT_POLL_S = 0.1
# On close, queued bytes are discarded and the peer gets a RST instead of a FIN.
_LINGER_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards every connection to one server; a fault affects all of them.

    Thread-safe. Without a fault, bytes pass unchanged, in order, in both directions.
    """

    def __init__(self, port: int) -> None:
        """`port` is where the proxy will listen, from `run` on."""
        self.port = port
        self.resets = 0
        self._server_port = 0
        self._latency_s = 0.0
        self._garbling: tuple[random.Random, float] | None = None
        self.garbled = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._accepting = threading.Event()
        self._accepting.set()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []

    def delay(self, latency_s: float) -> None:
        """Delay every piece by so much, in each direction; 0 ends it."""
        self._latency_s = latency_s

    def garble(self, share: float, seed: int = 0) -> None:
        """Change one byte in this share of the large pieces that the server sends; 0 ends it.

        Large pieces hold records, which have a checksum; the rest of the protocol has none.
        """
        self._garbling = (random.Random(seed), share) if share else None

    def swallow(self) -> None:
        """Be a black hole: connections stay open, new ones are accepted, and nothing passes."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything pass again, beginning with what was held back."""
        self._accepting.set()
        self._flowing.set()

    def refuse(self) -> None:
        """Cut every connection, and each new one at once, as if nobody listened."""
        self._accepting.clear()
        self.reset()

    def reset(self) -> None:
        """Cut every connection with a RST; new ones are accepted."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self.resets += 1
            for one in pair:
                _cut(one)

    def lead_to(self, server_port: int) -> None:
        """Send new connections to another server, as a DNS name that changed; the others stay."""
        self._server_port = server_port

    def run(self, server_port: int) -> None:
        """Start to forward to a server's port; returns at once."""
        self._server_port = server_port
        listener = socket.create_server((HOST, self.port), backlog=64)
        listener.settimeout(_ACCEPT_POLL_S)
        self._spawn(self._accept, listener)

    def close(self) -> None:
        """Cut every connection and stop; bounded by a second for each thread."""
        self._closing.set()
        self._flowing.set()
        self.reset()
        for thread in list(self._threads):
            thread.join(1.0)

    def _spawn(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True, name="proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while not self._closing.is_set():
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if not self._accepting.is_set():
            _cut(client)
            return
        try:
            server = socket.create_connection((HOST, self._server_port), 1.0)
        except OSError:  # the server is down: so is the proxy
            _cut(client)
            return
        client.settimeout(None)
        server.settimeout(None)
        with self._lock:
            self._pairs.append((client, server))
        self._spawn(self._pump, client, server, _unchanged)
        self._spawn(self._pump, server, client, self._garbled)

    def _garbled(self, piece: bytes) -> bytes:
        garbling = self._garbling
        if len(piece) < _LARGE_BYTES or garbling is None or garbling[0].random() > garbling[1]:
            return piece
        at = garbling[0].randrange(len(piece) // 2, len(piece))
        self.garbled += 1
        return piece[:at] + bytes([piece[at] ^ 0x55]) + piece[at + 1 :]

    def _pump(
        self, source: socket.socket, target: socket.socket, change: Callable[[bytes], bytes]
    ) -> None:
        with suppress(OSError):
            while piece := change(source.recv(_CHUNK_BYTES)):
                self._flowing.wait()
                if self._latency_s:
                    self._closing.wait(self._latency_s)
                target.sendall(piece)
        self._drop(source, target)

    def _drop(self, source: socket.socket, target: socket.socket) -> None:
        """One side has ended: end the other, and forget both."""
        with self._lock:
            self._pairs = [pair for pair in self._pairs if source not in pair]
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def proxy_for(server_port: int, *, port: int | None = None) -> Iterator[Proxy]:
    """Run a proxy in front of a server for the length of a `with` block."""
    proxy = Proxy(port or free_port())
    proxy.run(server_port)
    try:
        yield proxy
    finally:
        proxy.close()


def _unchanged(piece: bytes) -> bytes:
    return piece


def _cut(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    with suppress(OSError):
        one.shutdown(socket.SHUT_RD)  # wakes the thread that reads from it
    one.close()
