"""The coefficients of `likewise plan` that no benchmark has, measured on the embedded Redis."""

from __future__ import annotations

import secrets
from contextlib import closing

import pytest
import redis

from benchmarks.rig import fill
from benchmarks.synthetic import synthetic_likes
from likewise.messages.ids import ItemId
from likewise.operations.planning import coefficients
from likewise.operations.planning.plan import Load, redis_memory_gb
from likewise.settings import RedisSettings
from likewise.store.keys import Keys
from likewise.store.redis import RedisStore
from likewise.store.shown_port import ShownList, ShownRecord, Viewer

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


def test_a_list_that_was_shown_takes_what_the_plan_says(redis_url: str) -> None:
    settings = RedisSettings(url=redis_url, key_prefix=f"t{secrets.token_hex(4)}:")
    viewer = Viewer("user", "u0000001")
    shown = ShownList(
        shown_at_ms=1_790_000_000_000,
        recommendation_id=secrets.token_hex(16),
        page=1,
        items=tuple(ItemId(f"item{number:08}") for number in range(10)),
    )
    with (
        closing(RedisStore(settings)) as store,
        closing(redis.Redis.from_url(redis_url)) as client,
    ):
        store.record_shown([ShownRecord(viewer, shown, 50, 60.0)] * 50)
        found = client.memory_usage(Keys(settings.key_prefix).shown(viewer), samples=0)
    assert found is not None
    assert coefficients.LIST_BYTES.value == pytest.approx(found / 50, rel=0.5)
