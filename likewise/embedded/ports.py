"""Loopback ports that are free when asked for."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"

# Below the ephemeral ports of Linux (32768-60999) and macOS (49152-65535). A client that connects to
# an ephemeral port while the server is down can get that same port as its own: it is then connected
# to itself, and the server cannot bind the port again.
_FIRST, _LAST = 20_000, 32_767
_GUESSES = 100


def free_port() -> int:
    """Return a free loopback port; another process may take it before the caller does."""
    for port in random.sample(range(_FIRST, _LAST + 1), _GUESSES):
        if is_free(port):
            return port
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def port_or_free(preferred: int) -> int:
    """Return `preferred` if nothing listens there on loopback, else another free port."""
    return preferred if is_free(preferred) else free_port()


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now; never blocks."""
    with socket.socket() as listener:
        # As servers do: connections in TIME_WAIT do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True
