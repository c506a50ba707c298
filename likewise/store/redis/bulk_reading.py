"""Reads many keys at once, without redis-py's work for each command.

A snapshot reads every user's set, a server the sets of a batch of requests. In redis-py's pipeline
packing commands, looking up callbacks and making sets takes longer than parsing the replies. None of
that is needed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

Read = tuple[str, str]
"""A command and the one key that it reads."""


def read_all(client: Redis, reads: Sequence[Read]) -> list[Any]:
    """Return the reply to each command, in their order; a set is a list, in no order.

    One round trip on one connection. An error closes it, since an unread reply must not be taken for
    the reply to the next command.

    Raises:
        RedisError: as redis-py raises it, for the first reply that is an error.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()  # its methods have no types
    try:
        connection.send_packed_command([b"".join(_packed(*read) for read in reads)])
        return [connection.read_response() for _ in reads]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _packed(name: str, key: str) -> bytes:
    """Return the command in Redis's protocol (RESP: an array of two bulk strings)."""
    encoded = key.encode()
    return b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        len(name),
        name.encode(),
        len(encoded),
        encoded,
    )
