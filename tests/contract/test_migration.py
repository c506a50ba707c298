"""A migration to a Redis Cluster and back: every answer of the store stays the same."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import LikewiseError, SettingsError
from likewise.messages.events import Like
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.messages.order import Moment, UserState
from likewise.records import TopicPartition
from likewise.settings import RedisSettings
from likewise.store.port import Advance, Changes, UserChange
from likewise.store.redis import RedisStore
from likewise.store.redis.migration import Migration
from likewise.store.shown_port import ShownList, ShownRecord, Viewer
from likewise.store.signals_port import SetChange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.store.port import LikeStore

P0, P1 = TopicPartition("likes", 0), TopicPartition("likes", 1)
USERS = [UserId(f"u:{{{number}}}") for number in range(40)]
BUY = SignalKind("buy")
ERASED = UserId("erased")


@pytest.fixture
def places(redis_url: str, cluster_url: str, prefix: str) -> dict[str, RedisSettings]:
    return {
        "server": RedisSettings(url=redis_url, key_prefix=prefix),
        "cluster": RedisSettings(url=cluster_url, key_prefix=prefix, cluster=True, buckets=8),
        "back": RedisSettings(url=redis_url, key_prefix=f"{prefix}back."),
    }


@pytest.fixture
def stores(places: dict[str, RedisSettings]) -> Iterator[dict[str, RedisStore]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(closing(RedisStore(settings)))
            for name, settings in places.items()
        }


def test_nothing_changes_by_a_migration_to_a_cluster_and_back(
    places: dict[str, RedisSettings], stores: dict[str, RedisStore]
) -> None:
    fill(stores["server"])
    expected = seen(stores["server"])
    planned = migrate(places["server"], places["cluster"], dry_run=True)
    copied = migrate(places["server"], places["cluster"])
    assert planned == copied
    assert copied.users_with_likes == len(USERS)
    assert copied.scattered_users == 2
    assert seen(stores["cluster"]) == expected
    assert migrate(places["cluster"], places["back"]).positions == copied.positions
    assert seen(stores["back"]) == expected
    forget_late(stores["cluster"])
    assert stores["cluster"].likes([ERASED]) == [set()]


def test_consumers_continue_on_the_cluster(
    places: dict[str, RedisSettings], stores: dict[str, RedisStore]
) -> None:
    fill(stores["server"])
    migrate(places["server"], places["cluster"])
    store = stores["cluster"]
    assert store.ahead([P0, P1]) is None
    store.apply(Changes(users={USERS[0]: UserChange(add=items("new"))}), {P0: Advance(7, 8)})
    assert store.positions([P0, P1]) == [8, 3]
    with pytest.raises(LikewiseError, match="stopped cleanly"):
        migrate(places["cluster"], places["back"])
    store.level({P0: 8})
    migrate(places["cluster"], places["back"])
    assert items("new") <= stores["back"].likes([USERS[0]])[0]


def test_an_interrupted_migration_is_run_again_and_until_then_nobody_can_use_the_cluster(
    places: dict[str, RedisSettings], stores: dict[str, RedisStore]
) -> None:
    fill(stores["server"])
    with pytest.raises(KeyboardInterrupt):
        migrate(places["server"], places["cluster"], interrupted=True)
    with pytest.raises(SettingsError, match="not complete"):
        stores["cluster"].ping()
    migrate(places["server"], places["cluster"])
    assert seen(stores["cluster"]) == seen(stores["server"])


def test_a_target_in_use_is_refused(
    places: dict[str, RedisSettings], stores: dict[str, RedisStore]
) -> None:
    fill(stores["server"])
    fill(stores["cluster"])
    with pytest.raises(LikewiseError, match="already has the positions"):
        migrate(places["server"], places["cluster"])
    with pytest.raises(SettingsError, match="same layout"):
        migrate(places["server"], places["back"])


def migrate(
    source: RedisSettings,
    target: RedisSettings,
    *,
    dry_run: bool = False,
    interrupted: bool = False,
) -> Any:
    def on_progress(_copied: int, _total: int) -> None:
        if interrupted:
            raise KeyboardInterrupt

    with closing(Migration(source, target)) as migration:
        return migration.run(lambda: [*USERS, ERASED], on_progress, dry_run=dry_run)


def fill(store: LikeStore) -> None:
    """Give the store something of every kind."""
    store.resume_at({P0: Advance(None, 0), P1: Advance(None, 0)}, rewind=False)
    homes = store.scatter({USERS[1]: 1, ERASED: 1}, store.homes("murmur2", 2))
    users = {
        user: UserChange(add=items("a", f"of {user}"), signals={DISLIKE: SetChange(items("d"))})
        for user in USERS
    }
    scattered = UserState()
    scattered.add_at(Moment(5, 1, 1), _like(USERS[1]))
    erased = UserState(forget=Moment(9, 1, 2))
    changes = Changes(
        users=users,
        scattered={USERS[1]: scattered, ERASED: erased},
        retire=items("r"),
        items={ItemId("a"): b'{"x":1}', ItemId("b"): b"{}"},
        scenarios={"s": b"{}"},
        kinds={DISLIKE},
        homes=homes,
    )
    store.apply(changes, {P0: Advance(0, 7), P1: Advance(0, 3)})
    store.level({P0: 7, P1: 3})
    store.note_logs("log", [P0, P1])
    store.note_epochs({P0: 4})
    store.announce_model(b"{}")
    shown = ShownList(1_000_000, "r1", 1, (ItemId("a"),))
    store.record_shown([ShownRecord(Viewer("user", USERS[0]), shown, 10, 1e6)])
    store.count_trending({ItemId("a"): 3}, at_ms=1_000, now_ms=1_000, half_life_ms=10_000)


def forget_late(store: LikeStore) -> None:
    """Apply a like from before the user was erased."""
    late = UserState()
    late.add_at(Moment(8, 0, 1), _like(ERASED))
    store.apply(Changes(scattered={ERASED: late}), {})


def seen(store: LikeStore) -> list[Any]:
    """Return what the store answers."""
    found = {user for some in store.scan_users(100) for user in some}
    changes = store.catalogue_changes("0-0", 100)
    return [
        sorted(found),
        store.likes(USERS),
        store.signals(USERS, [DISLIKE, BUY]),
        store.held([USERS[1]], [DISLIKE]),
        store.positions([P0, P1]),
        store.extents([P0, P1]),
        store.logs([P0, P1]),
        store.epochs([P0, P1]),
        store.scattered([*USERS, ERASED], [0, 1]),
        store.scattered_count(),
        store.homes("murmur2", 2)[:2],
        store.retired(),
        store.catalogue_get([ItemId("a"), ItemId("b")]),
        store.scenarios(),
        sorted(changes.items),
        store.model_announcement(),
        store.shown([Viewer("user", USERS[0])]),
        store.trending(5, now_ms=1_000),
        store.changed_count(),
        store.kinds(),
    ]


def items(*names: str) -> set[ItemId]:
    return {ItemId(name) for name in names}


def _like(user: UserId) -> Like:
    return Like(user, ItemId("late"))
