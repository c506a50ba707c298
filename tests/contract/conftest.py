"""Every store: the fake, a Redis server and a Redis Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.settings import RedisSettings
from likewise.store.redis import RedisStore
from likewise.testing import MemoryStore
from tests.redis_cluster import redis_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.store.port import LikeStore


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(params=["memory", "redis", "cluster"])
def store(request: pytest.FixtureRequest, prefix: str) -> Iterator[LikeStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    on_cluster = request.param == "cluster"
    url = request.getfixturevalue("cluster_url" if on_cluster else "redis_url")
    redis = RedisStore(RedisSettings(url=url, key_prefix=prefix, cluster=on_cluster))
    yield redis
    redis.close()
