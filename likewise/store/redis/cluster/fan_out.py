"""Sends many independent commands to the nodes of a cluster at once.

redis-py's pipeline spends ten times as long on each command. Redirections and broken connections are
left to redis-py: it runs those commands again, one by one.
"""

from __future__ import annotations

import binascii
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    RedisClusterException,
    RedisError,
    TimeoutError,
    TryAgainError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import RedisCluster

    from likewise.store.redis.applying import Command

_SLOTS = 16_384
_AGAIN = (AskError, TryAgainError, ClusterDownError, ConnectionError, TimeoutError, OSError)
"""Moved slots (`MovedError` is an `AskError`), and nodes that went away."""
_FAILURES = (RedisError, RedisClusterException, OSError)


def fan_out(client: RedisCluster, commands: Sequence[Command], *, decode: bool = True) -> list[Any]:
    """Return the reply to each command, or the error in its place; a set is a list, in no order.

    Commands for one node run in their order. A command may run twice if its connection breaks.
    """
    replies: list[Any] = [None] * len(commands)
    by_node: defaultdict[Any, list[int]] = defaultdict(list)
    for index, command in enumerate(commands):
        try:
            by_node[client.nodes_manager.get_node_from_slot(_slot(command))].append(index)
        except _FAILURES as error:  # no node has the slot
            replies[index] = error
    sent: list[tuple[Any, Any, list[int]]] = []
    for node, indexes in by_node.items():
        try:
            pool = client.get_redis_connection(node).connection_pool
            connection: Any = pool.get_connection()  # its methods have no types
        except _FAILURES as error:
            replies = _with(replies, indexes, error)
            continue
        sent.append((pool, connection, indexes))
        try:
            connection.send_packed_command([b"".join(_packed(commands[at]) for at in indexes)])
        except _FAILURES as error:
            replies = _with(replies, indexes, error)
    for pool, connection, indexes in sent:
        if not isinstance(replies[indexes[0]], Exception):
            _read(connection, indexes, replies, decode=decode)
        pool.release(connection)
    return _with_redirections(client, commands, replies, decode=decode)


def _read(connection: Any, indexes: Sequence[int], replies: list[Any], *, decode: bool) -> None:
    for number, at in enumerate(indexes):
        try:
            replies[at] = connection.read_response(disable_decoding=not decode)
        except (ConnectionError, TimeoutError, OSError) as error:
            _with(replies, indexes[number:], error)
            # An unread reply must not be taken for the reply to the next command.
            connection.disconnect()
            return
        except RedisError as error:
            replies[at] = error


def _with_redirections(
    client: RedisCluster, commands: Sequence[Command], replies: list[Any], *, decode: bool
) -> list[Any]:
    for index, reply in enumerate(replies):
        if isinstance(reply, _AGAIN):
            replies[index] = again = _again(client, commands[index], decode=decode)
            if isinstance(again, _AGAIN):  # each of the others would wait for the same server
                break
    return replies


def _again(client: RedisCluster, command: Command, *, decode: bool) -> Any:
    try:
        reply = client.execute_command(*command)  # type: ignore[no-untyped-call]  # of redis-py
    except _FAILURES as error:
        return error
    if isinstance(reply, set):
        reply = list(reply)
    return reply if decode else _encoded(reply)


def _with(replies: list[Any], indexes: Sequence[int], error: Exception) -> list[Any]:
    for at in indexes:
        replies[at] = error
    return replies


def _encoded(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_encoded(one) for one in reply]
    return reply.encode() if isinstance(reply, str) else reply


def _slot(command: Command) -> int:
    """Return the slot of the command's first key."""
    key = str(command[3] if command[0] in ("EVAL", "EVALSHA") else command[1]).encode()
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    tag = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    return binascii.crc_hqx(tag, 0) % _SLOTS


def _packed(command: Command) -> bytes:
    """Return the command in Redis's protocol (RESP: an array of bulk strings)."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    bulk = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded)
    return b"*%d\r\n%b" % (len(encoded), bulk)
