"""A Redis Cluster fails while buckets are moved: nothing is built on what was believed before."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import PositionMovedError, TransientError
from likewise.messages.ids import ItemId, UserId
from likewise.records import TopicPartition
from likewise.settings import RedisSettings
from likewise.store.port import Advance, Changes, UserChange
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Sequence

P = TopicPartition("likes", 0)
BUCKETS = 8
LIKE = UserChange(add={ItemId("i")})


def test_positions_are_read_again_after_a_failure(
    cluster_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RedisSettings(url=cluster_url, key_prefix=prefix, cluster=True, buckets=BUCKETS)
    with closing(RedisStore(settings)) as store:
        store.apply(Changes(users={UserId("ann"): LIKE}), {P: Advance(None, 5)})
        commands: Any = store._redis

        def unreachable(scripts: Sequence[Any]) -> list[Any]:
            return [TransientError("the primary has died") for _ in scripts]

        with monkeypatch.context() as failing:
            failing.setattr(commands, "evaluate", unreachable)
            with pytest.raises(TransientError):
                store.level({P: 5})
        store.level({P: 5})
        [extent] = store.extents([P])
        assert extent == (None, 5), "what a failover may have lost is not moved"
        with pytest.raises(PositionMovedError):
            store.apply(Changes(users={UserId("bob"): LIKE}), {P: Advance(5, 6)})
