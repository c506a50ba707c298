"""The coefficients of `likewise plan` that no benchmark has, measured on a real Redis."""

from __future__ import annotations

import secrets
from contextlib import closing

import pytest
import redis

from benchmarks.rig import fill
from benchmarks.synthetic import synthetic_likes
from likewise.operations.planning import coefficients
from likewise.operations.planning.plan import Load, redis_memory_gb
from likewise.settings import RedisSettings
from likewise.store.redis import RedisStore

USERS, ITEMS = 5_000, 5_000
ID_BYTES = 8


@pytest.mark.parametrize("likes_per_user", [10, 60])
def test_likes_take_the_memory_that_the_plan_says(redis_url: str, likes_per_user: int) -> None:
    settings = RedisSettings(url=redis_url, key_prefix=f"t{secrets.token_hex(4)}:")
    likes = synthetic_likes(USERS, ITEMS, likes_per_user=likes_per_user)
    load = Load(
        users=USERS,
        items=ITEMS,
        likes=int(likes.nnz),
        requests_per_s=0,
        likes_per_s=0,
        id_bytes=ID_BYTES,
    )
    with (
        closing(RedisStore(settings)) as store,
        closing(redis.Redis.from_url(redis_url)) as client,
    ):
        fill(store, likes)
        found = sum(
            client.memory_usage(key) or 0
            for key in client.scan_iter(f"{settings.key_prefix}likes:*", count=1_000)
        )
    planned = redis_memory_gb(load)["likes"] * 1e9
    assert planned == pytest.approx(found, rel=0.5)
    assert coefficients.USER_BYTES.value * USERS < found
