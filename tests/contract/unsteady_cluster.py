"""A store on a Redis Cluster whose caller crashes between two buckets, and whose buckets lose writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import RedisCluster

from likewise.settings import RedisSettings
from likewise.store.cluster_keys import ClusterKeys
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

BUCKETS = 3
CRASH_SHARE, LOSS_SHARE = 0.05, 0.02

Dump = dict[str, bytes]


class Crash(BaseException):
    """A consumer crashes."""


class UnsteadyCluster:
    """Makes stores on one cluster, and disturbs them until it is steady."""

    def __init__(self, url: str, prefix: str, rng: random.Random, *, losses: bool) -> None:
        self.steady = False
        self.losses = 0
        self._settings = RedisSettings(url=url, key_prefix=prefix, cluster=True, buckets=BUCKETS)
        self._keys = ClusterKeys(prefix, BUCKETS)
        self._client: Any = RedisCluster.from_url(url)
        self._rng = rng
        self._may_lose = losses
        self._saved: dict[int, Dump] = {}
        self._stores: list[RedisStore] = []

    def store(self) -> RedisStore:
        """Return a new store, as a consumer that starts has it."""
        store = RedisStore(self._settings)
        self._stores.append(store)
        commands: Any = store._redis
        evaluate = commands.evaluate

        def unsteady(scripts: Sequence[Any]) -> Any:
            if self.steady or self._rng.random() > CRASH_SHARE:
                return evaluate(scripts)
            evaluate(self._rng.sample([*scripts], self._rng.randint(0, len(scripts))))
            raise Crash

        commands.evaluate = unsteady
        return store

    def disturb(self) -> None:
        """Keep what a group holds now, or take it back to what it held then, as a failover does."""
        if self.steady or not self._may_lose or self._rng.random() > LOSS_SHARE:
            return
        group = self._rng.choice(self._keys.groups)
        if group not in self._saved:
            self._saved[group] = self._dump(group)
            return
        self.losses += 1
        for key in self._dump(group):
            self._client.delete(key)
        for key, value in self._saved.pop(group).items():
            self._client.restore(key, 0, value)

    def close(self) -> None:
        """Close the connections."""
        for store in self._stores:
            store.close()
        self._client.close()

    def _dump(self, group: int) -> Dump:
        state = self._keys.state(group)
        pattern = f"{self._keys.prefix}*{state[state.index('{') :]}*"
        node = self._client.get_redis_connection(self._client.get_node_from_key(state))
        found = (key.decode() for key in node.scan_iter(match=pattern, count=10_000))
        return {key: node.dump(key) for key in found}
