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

Read = tuple[str, ...]
"""A command that reads one key: its name, the key, and fields of the key."""


def read_all(client: Redis, reads: Sequence[Read], *, decode: bool = True) -> list[Any]:
    """Return the reply to each command, in their order; a set is a list, in no order.

    Without `decode`, bytes take the place of text.

    One round trip on one connection. An error closes it, since an unread reply must not be taken for
    the reply to the next command.

    Raises:
        RedisError: as redis-py raises it, for the first reply that is an error.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()  # its methods have no types
    try:
        connection.send_packed_command([b"".join(_packed(read) for read in reads)])
        return [connection.read_response(disable_decoding=not decode) for _ in reads]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _packed(read: Read) -> bytes:
    """Return the command in Redis's protocol (RESP: an array of bulk strings)."""
    encoded = [part.encode() for part in read]
    bulk = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded)
    return b"*%d\r\n%b" % (len(encoded), bulk)
