"""Commands that a real Redis refuses: the error names the cause, and work continues afterwards."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from likewise.embedded import EmbeddedRedis
from likewise.errors import ForeignDataError, SettingsError, TransientError
from likewise.messages.ids import ItemId, UserId
from likewise.records import TopicPartition
from likewise.settings import RedisSettings, Secret
from likewise.store.port import Advance, Changes, UserChange
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

P0 = TopicPartition("likes", 0)
ANN, BOB = UserId("ann"), UserId("bob")
PASSWORD = "right/horse#battery"
WRONG = "wrong/horse#battery"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis for this test alone, which may break it."""
    with EmbeddedRedis(tmp_path, unrestricted=True) as redis:
        yield redis


@pytest.fixture
def operator(server: EmbeddedRedis) -> Iterator[Redis]:
    """A client with all rights."""
    with Redis.from_url(server.url) as client:
        yield client


def test_a_wrong_password_is_a_settings_error_that_names_the_setting(
    server: EmbeddedRedis, operator: Redis
) -> None:
    operator.config_set("requirepass", PASSWORD)
    for wrong in (Secret(WRONG), None):
        with store_on(server, password=wrong) as store, pytest.raises(SettingsError) as refused:
            store.ping()
        assert "LIKEWISE_REDIS_PASSWORD" in str(refused.value)
        assert WRONG not in str(refused.value)
    with store_on(server, password=Secret(PASSWORD)) as store:
        store.ping()


def test_a_password_in_the_url_is_never_shown(server: EmbeddedRedis, operator: Redis) -> None:
    operator.config_set("requirepass", PASSWORD)
    url = f"redis://:leaky@127.0.0.1:{server.port}/0"
    with closing(RedisStore(RedisSettings(url=url))) as store:
        with pytest.raises(SettingsError) as refused:
            store.positions([P0])
        assert "leaky" not in str(refused.value)
        server.stop()
        with pytest.raises(TransientError) as unreachable:
            store.positions([P0])
        assert "leaky" not in str(unreachable.value)


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis://:lea/ky@localhost", "redis://h:port"]
)
def test_a_url_that_is_none_is_a_settings_error_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        RedisStore(RedisSettings(url=url))
    assert "LIKEWISE_REDIS_URL" in str(refused.value)
    assert "lea" not in str(refused.value)


def test_the_password_setting_goes_before_one_in_the_url(
    server: EmbeddedRedis, operator: Redis
) -> None:
    operator.config_set("requirepass", PASSWORD)
    url = f"redis://:{WRONG[:5]}@127.0.0.1:{server.port}/0"
    settings = RedisSettings(url=url, password=Secret(PASSWORD))
    with closing(RedisStore(settings)) as store:
        store.ping()


def test_a_user_without_rights_is_a_settings_error(server: EmbeddedRedis, operator: Redis) -> None:
    operator.acl_setuser(
        "reader", enabled=True, passwords=["+secret"], keys=["*"], commands=["+get", "+ping"]
    )
    with store_on(server, username="reader", password=Secret("secret")) as store:
        store.ping()
        with pytest.raises(SettingsError, match=r"docs/security\.md"):
            store.apply(*a_like())


def test_a_database_that_is_not_there_is_a_settings_error(server: EmbeddedRedis) -> None:
    url = server.url.replace("/0", "/99")
    with (
        closing(RedisStore(RedisSettings(url=url))) as store,
        pytest.raises(SettingsError, match="LIKEWISE_REDIS_URL"),
    ):
        store.ping()


def test_cluster_mode_on_a_single_server_is_a_settings_error(server: EmbeddedRedis) -> None:
    with (
        closing(RedisStore(RedisSettings(url=server.url, cluster=True))) as store,
        pytest.raises(SettingsError, match="LIKEWISE_REDIS_CLUSTER"),
    ):
        store.ping()


def test_a_full_redis_refuses_a_batch_whole_and_takes_it_later(
    server: EmbeddedRedis, operator: Redis
) -> None:
    many = {ItemId(f"item {number}") for number in range(20_000)}
    changes = Changes(users={ANN: UserChange(add={ItemId("a")}), BOB: UserChange(add=many)})
    operator.config_set("maxmemory", "1")
    with store_on(server) as store:
        with pytest.raises(TransientError, match="maxmemory"):
            store.apply(changes, {P0: Advance(None, 1)})
        assert store.positions([P0]) == [None]
        assert store.likes([ANN, BOB]) == [set(), set()]
        operator.config_set("maxmemory", "0")
        store.apply(changes, {P0: Advance(None, 1)})
        assert store.likes([ANN, BOB]) == [{ItemId("a")}, many]


def test_a_read_only_replica_refuses_a_batch_whole_until_it_is_the_primary(
    server: EmbeddedRedis, operator: Redis, tmp_path: Path
) -> None:
    with (
        EmbeddedRedis(tmp_path / "primary", unrestricted=True) as primary,
        store_on(server) as store,
    ):
        operator.replicaof("127.0.0.1", primary.port)
        with pytest.raises(TransientError, match="read-only replica"):
            store.apply(*a_like())
        operator.replicaof("NO", "ONE")
        store.apply(*a_like())
        assert store.positions([P0]) == [1]


def test_after_a_restart_redis_is_used_again_and_has_kept_its_writes(
    server: EmbeddedRedis,
) -> None:
    with store_on(server) as store:
        store.apply(*a_like())
        server.stop()
        with pytest.raises(TransientError, match=f"127.0.0.1:{server.port}"):
            store.likes([ANN])
        with pytest.raises(TransientError):
            store.apply(*a_like())
        server.start()
        assert store.likes([ANN]) == [{ItemId("a")}]
        assert store.positions([P0]) == [1]


def test_a_redis_that_hangs_is_a_transient_error_after_the_timeout(
    server: EmbeddedRedis, operator: Redis
) -> None:
    with store_on(server, timeout_s=0.2) as store:
        store.ping()
        operator.client_pause(2_000)
        started_s = time.monotonic()
        with pytest.raises(TransientError, match="in time"):
            store.likes([ANN])
        assert time.monotonic() - started_s < 1.5


def test_a_redis_without_free_connections_is_waited_for(
    server: EmbeddedRedis, operator: Redis
) -> None:
    operator.config_set("maxclients", 1)
    with store_on(server) as store:
        with pytest.raises(TransientError):
            store.ping()
        operator.config_set("maxclients", 100)
        store.ping()


def test_a_key_that_holds_something_else_is_named(server: EmbeddedRedis, operator: Redis) -> None:
    operator.set("likes:bob", "a string of somebody's")
    changes = Changes(
        users={ANN: UserChange(add={ItemId("a")}), BOB: UserChange(add={ItemId("b")})}
    )
    with store_on(server) as store:
        with pytest.raises(ForeignDataError, match="likes:bob"):
            store.apply(changes, {P0: Advance(None, 1)})
        assert store.positions([P0]) == [None]
        with pytest.raises(ForeignDataError, match="likes:bob"):
            store.likes([ANN, BOB])
        with pytest.raises(ForeignDataError, match="likes:bob"):
            store.liked_items([BOB, ANN])
        operator.delete("likes:bob")
        store.apply(changes, {P0: Advance(None, 1)})
        assert store.likes([ANN, BOB]) == [{ItemId("a")}, {ItemId("b")}]
        assert [set(one) for one in store.liked_items([ANN, BOB])] == [{"a"}, {"b"}]


def test_a_position_that_is_no_number_is_named(server: EmbeddedRedis, operator: Redis) -> None:
    operator.set("likewise:position:likes:0", "somewhere")
    with store_on(server) as store, pytest.raises(ForeignDataError, match="position:likes:0"):
        store.positions([P0])


def test_members_that_are_no_utf8_are_shown_and_raise_nothing(
    server: EmbeddedRedis, operator: Redis
) -> None:
    operator.sadd("likes:ann", b"\xff", b"fine")
    with store_on(server) as store:
        assert store.likes([ANN]) == [{ItemId("\ufffd"), ItemId("fine")}]


def test_threads_share_a_store(server: EmbeddedRedis) -> None:
    with store_on(server) as store:
        threads = [
            threading.Thread(target=like_many, args=[store, UserId(f"u{number}")])
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count_likes([UserId(f"u{number}") for number in range(8)]) == 8 * 50


def like_many(store: RedisStore, user_id: UserId) -> None:
    for number in range(50):
        change = UserChange(add={ItemId(f"i{number}")})
        store.apply(Changes(users={user_id: change}), {})


def a_like() -> tuple[Changes, dict[TopicPartition, Advance]]:
    changes = Changes(users={ANN: UserChange(add={ItemId("a")})})
    return changes, {P0: Advance(None, 1)}


@contextmanager
def store_on(server: EmbeddedRedis, **more: object) -> Iterator[RedisStore]:
    settings = RedisSettings(url=server.url, **more)  # type: ignore[arg-type]  # by keyword
    with closing(RedisStore(settings)) as store:
        yield store


def test_eviction_is_noticed_with_the_right_to_info_alone(
    server: EmbeddedRedis, operator: Redis
) -> None:
    operator.acl_setuser("asker", enabled=True, nopass=True, commands=["+info"])
    with store_on(server, username="asker", password=Secret("x")) as store:
        assert store.eviction() == ("noeviction", 0)
        operator.config_set("maxmemory-policy", "allkeys-lru")
        operator.config_set("maxmemory", int(operator.info("memory")["used_memory"]) + 200_000)
        for number in range(500):
            operator.set(f"key {number}", "x" * 1_000)
        policy, evicted_keys = store.eviction()
        assert policy == "allkeys-lru"
        assert evicted_keys > 0
