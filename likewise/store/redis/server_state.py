"""The state of a Redis server by INFO, which users without the right to CONFIG may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from likewise.store.port import Eviction

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEEPS_ALL = "noeviction"


class ServerState(NamedTuple):
    """What likewise needs of INFO. A server that reports no policy counts as evicting nothing."""

    policy: str
    evicted_keys: int
    is_replica: bool


def state_of(client: Any) -> ServerState:
    """Return the state of one server, in three short round trips.

    Raises:
        RedisError: as redis-py raises it.
    """
    memory, stats, replication = (client.info(name) for name in ("memory", "stats", "replication"))
    return ServerState(
        policy=str(memory.get("maxmemory_policy", _KEEPS_ALL)),
        evicted_keys=int(stats.get("evicted_keys", 0)),
        is_replica=replication.get("role") == "slave",
    )


def worst(states: Sequence[ServerState]) -> Eviction:
    """Return the policy of a server that evicts, if any does, and the keys that all evicted."""
    policies = sorted({state.policy for state in states}, key=lambda policy: policy == _KEEPS_ALL)
    return Eviction(policies[0], sum(state.evicted_keys for state in states))
