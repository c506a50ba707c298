"""Loopback ports that nobody listens on at the moment of asking."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"

# Below the ports that Linux (32768-60999) and macOS (49152-65535) give to outgoing connections. A
# client that dials such a port while its server is down can be given that very port as its own, is
# then connected to itself, and keeps the server from coming back.
_FIRST, _LAST = 20_000, 32_767
_GUESSES = 100


def free_port() -> int:
    """Return a loopback port that was free a moment ago; another process may still take it."""
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
        # As servers do: connections that linger in TIME_WAIT don't count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True
