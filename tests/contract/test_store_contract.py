"""The contract of every store, tested on the fake, on a Redis server and on a Redis Cluster."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from likewise.errors import PositionMovedError
from likewise.messages.ids import ItemId, UserId
from likewise.records import TopicPartition
from likewise.settings import RedisSettings
from likewise.store.keys import Keys
from likewise.store.port import Advance, Changes, UserChange
from likewise.store.redis import RedisStore
from likewise.testing import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.store.port import LikeStore

P0, P1 = TopicPartition("likes", 0), TopicPartition("likes", 1)
ANN, BOB, EVE = UserId("ann"), UserId("bob"), UserId("éve:{1}\n")


def test_a_new_store_knows_nothing(store: LikeStore) -> None:
    assert store.positions([P0, P1]) == [None, None]
    assert store.likes([ANN]) == [set()]
    assert store.retired() == (0, set())
    assert store.model_announcement() is None
    assert store.changed_count() == 0
    assert list(store.scan_users(10)) == []
    assert store.count_likes([ANN, BOB]) == 0


def test_homes_can_be_read_without_being_stored(store: LikeStore) -> None:
    assert store.stored_homes() is None
    stored = store.homes("murmur2", 3)
    assert store.stored_homes() == stored == store.homes("crc32", 5)


def test_empty_questions_get_empty_answers(store: LikeStore) -> None:
    assert store.positions([]) == []
    assert store.likes([]) == []
    assert list(store.liked_items([])) == []
    assert store.count_likes([]) == 0
    store.mark_changed([])
    store.apply(Changes(), {})
    assert store.lookup([], []) == ([], [], 0, None, frozenset(), (), ())


def test_likes_are_added_and_removed(store: LikeStore) -> None:
    apply(store, {ANN: UserChange(add=items("a", "b")), EVE: UserChange(add=items("c"))})
    apply(store, {ANN: UserChange(add=items("d"), remove=items("a", "never liked"))})
    assert store.likes([ANN, BOB, EVE]) == [items("b", "d"), set(), items("c")]
    read = store.liked_items([ANN, BOB, EVE])
    assert [sorted(one) for one in read] == [["b", "d"], [], ["c"]]
    assert store.count_likes([ANN, BOB, EVE]) == 3


def test_forgetting_erases_earlier_likes_and_keeps_later_ones(
    store: LikeStore,
) -> None:
    apply(store, {ANN: UserChange(add=items("a", "b")), BOB: UserChange(add=items("a"))})
    apply(store, {ANN: UserChange(forget=True, add=items("c"), remove=items("b"))})
    apply(store, {BOB: UserChange(forget=True)})
    assert store.likes([ANN, BOB]) == [items("c"), set()]


def test_a_batch_applied_again_changes_nothing(store: LikeStore) -> None:
    change = UserChange(forget=True, add=items("a", "b"), remove=items("c"))
    for _ in range(3):
        apply(store, {ANN: change})
    assert store.likes([ANN]) == [items("a", "b")]


def test_a_position_keeps_the_id_of_its_log(store: LikeStore) -> None:
    assert store.logs([P0, P1]) == [None, None]
    store.note_logs("first", [P0, P1])
    store.note_logs("second", [P1])
    store.note_logs("third", [])
    assert store.logs([P1, P0]) == ["second", "first"]
    assert store.logs([]) == []
    assert store.positions([P0, P1]) == [None, None]


def test_a_position_keeps_the_leader_epoch_of_its_record(store: LikeStore) -> None:
    assert store.epochs([P0, P1]) == [None, None]
    store.note_epochs({P0: 0, P1: 7})
    store.note_epochs({P1: 12})
    store.note_epochs({})
    assert store.epochs([P1, P0]) == [12, 0]
    assert store.epochs([]) == []


def test_positions_move_with_the_batch(store: LikeStore) -> None:
    store.apply(Changes(), {P0: Advance(None, 7), P1: Advance(None, 0)})
    assert store.positions([P1, P0]) == [0, 7]
    store.apply(Changes(), {P0: Advance(7, 9)})
    assert store.positions([P0, P1]) == [9, 0]


@pytest.mark.parametrize("believed", [None, 0, 4, 6, 50])
def test_a_batch_that_starts_at_another_position_changes_nothing(
    store: LikeStore, believed: int | None
) -> None:
    store.apply(Changes(), {P0: Advance(None, 5)})
    changes = Changes(users={ANN: UserChange(add=items("a"))}, retire=items("r"))
    with pytest.raises(PositionMovedError) as moved:
        store.apply(changes, {P0: Advance(believed, 60), P1: Advance(None, 3)})
    assert moved.value.stored == {P0: 5, P1: None}
    assert store.positions([P0, P1]) == [5, None]
    assert store.likes([ANN]) == [set()]
    assert store.retired() == (0, set())
    assert store.changed_count() == 0


def test_only_one_of_two_consumers_at_one_position_applies_its_batch(store: LikeStore) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def consume(name: str) -> None:
        barrier.wait()
        try:
            apply(store, {ANN: UserChange(add=items(name))}, {P0: Advance(None, 1)})
            outcomes.append(name)
        except PositionMovedError:
            pass

    threads = [threading.Thread(target=consume, args=[f"c{number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.positions([P0]) == [1]
    assert set(outcomes) <= store.likes([ANN])[0]
    assert len(outcomes) == 1


def test_retired_items_can_be_restored_and_their_version_changes(store: LikeStore) -> None:
    store.apply(Changes(retire=items("a", "b")), {})
    first, retired = store.retired()
    assert retired == items("a", "b")
    store.apply(Changes(restore=items("a", "never retired")), {})
    second, retired = store.retired()
    assert retired == items("b")
    assert len({first, second, 0}) == 3
    assert store.lookup([], []).retired_version == second


def test_a_version_of_the_retired_items_identifies_them_even_after_data_loss(
    store: LikeStore,
) -> None:
    versions = set()
    for _ in range(2):  # a counter that began again with each loss would come back to the same
        store.apply(Changes(retire=items("a")), {})
        versions.add(store.retired()[0])
        lose_everything(store)
        assert store.retired() == (0, set())
    assert len(versions) == 2


def test_a_store_without_eviction_reports_it(store: LikeStore) -> None:
    assert store.eviction() == ("noeviction", 0)


def test_a_batch_without_retired_items_leaves_their_version(store: LikeStore) -> None:
    apply(store, {ANN: UserChange(add=items("a"))})
    assert store.retired() == (0, set())


def test_a_lookup_is_aligned_with_what_was_asked(store: LikeStore) -> None:
    apply(store, {ANN: UserChange(add=items("a", "b"))}, {P1: Advance(None, 4)})
    store.announce_model(b'{"version":"7"}')
    store.apply(Changes(retire=items("r")), {})
    found = store.lookup([BOB, ANN, ANN], [P0, P1])
    assert found.positions == [None, 4]
    assert [sorted(one) for one in found.likes] == [[], ["a", "b"], ["a", "b"]]
    assert found.retired_version == store.retired()[0] != 0
    assert found.model_announcement == b'{"version":"7"}'


def test_returned_sets_are_copies(store: LikeStore) -> None:
    apply(store, {ANN: UserChange(add=items("a"))})
    store.likes([ANN])[0].add(ItemId("mine"))
    assert store.likes([ANN]) == [items("a")]


def test_every_user_with_likes_is_found_and_no_other(store: LikeStore) -> None:
    users = [UserId(f"u{number}") for number in range(250)] + [EVE]
    apply(store, {user_id: UserChange(add=items("a")) for user_id in users})
    apply(store, {users[0]: UserChange(remove=items("a")), users[1]: UserChange(forget=True)})
    store.announce_model(b"{}")
    store.apply(Changes(retire=items("r")), {P0: Advance(None, 1)})
    found = [user_id for chunk in store.scan_users(50) for user_id in chunk]
    assert set(found) == set(users[2:])


def test_users_touched_by_a_batch_are_changed_until_they_are_taken(store: LikeStore) -> None:
    apply(store, {ANN: UserChange(add=items("a")), BOB: UserChange(forget=True)})
    apply(store, {ANN: UserChange(remove=items("a"))})
    assert store.changed_count() == 2
    assert set(store.take_changed(10)) == {ANN, BOB}
    assert store.changed_count() == 0
    assert store.take_changed(10) == []


def test_changed_users_are_taken_within_the_limit_and_can_be_put_back(store: LikeStore) -> None:
    store.mark_changed([UserId(f"u{number}") for number in range(12_000)])
    taken = store.take_changed(5)
    assert len(set(taken)) == 5
    assert store.changed_count() == 11_995
    store.mark_changed(iter(taken))
    assert store.changed_count() == 12_000


def test_a_user_may_like_more_than_fits_in_one_command(store: LikeStore) -> None:
    many = {ItemId(f"i{number}") for number in range(20_000)}
    apply(store, {ANN: UserChange(add=many)})
    assert store.likes([ANN]) == [many]
    apply(store, {ANN: UserChange(remove=many - items("i7"))})
    assert store.likes([ANN]) == [items("i7")]


def test_ids_may_be_any_text(store: LikeStore) -> None:
    odd = items("", " ", "a\r\nb", "*?[x]\\", "日本", "\x00", "x" * 256, "10", "-5", "1e3") - {""}
    apply(store, {EVE: UserChange(add=odd)})
    assert store.likes([EVE]) == [odd]
    assert [user_id for chunk in store.scan_users(9) for user_id in chunk] == [EVE]


def test_the_newest_announcement_counts(store: LikeStore) -> None:
    store.announce_model(b'{"version":"1"}')
    store.announce_model('{"version":"2","note":"é"}'.encode())
    assert store.model_announcement() == '{"version":"2","note":"é"}'.encode()


def test_a_lease_has_one_holder_who_can_renew_and_release_it(store: LikeStore) -> None:
    assert store.acquire_lease("indexer", "a", 60_000)
    assert not store.acquire_lease("indexer", "b", 60_000)
    assert store.acquire_lease("indexer", "a", 60_000)
    assert store.acquire_lease("another", "b", 60_000)
    store.release_lease("indexer", "b")
    assert not store.acquire_lease("indexer", "b", 60_000)
    store.release_lease("indexer", "a")
    assert store.acquire_lease("indexer", "b", 60_000)


def test_a_lease_that_is_not_renewed_runs_out(store: LikeStore) -> None:
    assert store.acquire_lease("indexer", "a", 1)
    give_up = threading.Event()
    timer = threading.Timer(5.0, give_up.set)
    timer.start()
    try:
        while not store.acquire_lease("indexer", "b", 60_000):
            assert not give_up.is_set(), "the lease of 1 ms outlived 5 s"
    finally:
        timer.cancel()
    assert not store.acquire_lease("indexer", "a", 60_000)


def test_a_store_answers_a_ping(store: LikeStore) -> None:
    store.ping()


def test_two_deployments_can_share_a_server(redis_url: str, prefix: str) -> None:
    with (
        redis_store(redis_url, prefix + "a[*]") as one,
        redis_store(redis_url, prefix + "ab") as other,
    ):
        apply(one, {ANN: UserChange(add=items("a"))}, {P0: Advance(None, 1)})
        apply(other, {BOB: UserChange(add=items("b"))})
        assert list(one.scan_users(10)) == [[ANN]]
        assert other.positions([P0]) == [None]
        assert other.likes([ANN, BOB]) == [set(), items("b")]


def test_a_closed_store_connects_again(redis_url: str, prefix: str) -> None:
    with redis_store(redis_url, prefix) as store:
        store.ping()
        store.close()
        store.ping()


def test_every_command_that_marks_scattered_users_changes_the_mark(
    redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a consumer that has not seen a user's mark cannot apply, wherever the marking one is killed."""
    execute: Any = Redis.execute_command
    homes_key = Keys(prefix).homes
    homes_after: list[str] = []

    def noting(client: Redis, *command: Any, **options: Any) -> Any:
        reply = execute(client, *command, **options)
        homes_after.append(execute(client, "GET", homes_key))
        return reply

    with redis_store(redis_url, prefix) as store:
        homes = store.homes("murmur2", 3)
        monkeypatch.setattr(Redis, "execute_command", noting)
        moved = store.scatter({UserId(f"user {number}"): 5 for number in range(1_000)}, homes)
        assert homes_after[-1].endswith(moved.mark)
        assert len({*homes_after}) == len(homes_after) > 1


def lose_everything(store: LikeStore) -> None:
    """Do to the retired items what FLUSHALL would."""
    if isinstance(store, MemoryStore):
        store.flush()
    elif isinstance(store, RedisStore):
        for key in (store._keys.retired, store._keys.retired_version):
            store._redis.run("DEL", key)


def items(*names: str) -> set[ItemId]:
    return {ItemId(name) for name in names}


def apply(
    store: LikeStore,
    users: dict[UserId, UserChange],
    advances: dict[TopicPartition, Advance] | None = None,
) -> None:
    store.apply(Changes(users=users), advances or {})


@contextmanager
def redis_store(url: str, prefix: str) -> Iterator[RedisStore]:
    store = RedisStore(RedisSettings(url=url, key_prefix=prefix))
    try:
        yield store
    finally:
        store.close()
