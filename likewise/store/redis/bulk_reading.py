"""Reading many keys at once, without what redis-py does for each single command.

A snapshot reads every user's set, a server those of a batch of requests. Of redis-py's pipeline, packing,
looking up callbacks and making a set of each reply take more time than the reply's parser; none of it
is needed here.
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

    One round trip on one connection, which is closed if anything goes wrong: what was not read
    of it must not be taken for the reply to somebody's next command.

    Raises:
        RedisError: as redis-py raises it; the first reply that is a refusal counts.
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
    """Return the command as the protocol has it (RESP: an array of two bulk strings)."""
    encoded = key.encode()
    return b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        len(name),
        name.encode(),
        len(encoded),
        encoded,
    )
