from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import (
    SettingsError,
    TransientError,
)
from likewise.log.topics import TopicSpec
from likewise.records import TopicPartition
from likewise.testing import MemoryStore
from tests.serving_rig import (
    VERSION,
    Rig,
    item,
    items_of,
    like,
    likes_but_one,
    running,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from likewise.messages.ids import SignalKind, UserId
    from likewise.store.port import Lookup
    from serving.worker import ServingWorker


def test_after_a_crash_before_the_commit_the_next_server_answers_again(rig: Rig) -> None:
    rig.ask({"user_id": "u"})
    rig.broker.fail_with(SettingsError("died here"), on="commit")
    with pytest.raises(SettingsError):
        rig.worker.run_once()
    assert rig.committed() is None
    rig.replace_worker()
    rig.worker.run_once()
    assert [reply["user_id"] for reply in rig.replies()] == ["u", "u"]
    assert rig.committed() == 1


def test_no_request_is_lost_while_the_store_is_unavailable(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(4))
    rig.store.failure = TransientError("loading")
    rig.ask({"user_id": "u", "count": 1})
    with running(rig):
        wait_until(lambda: rig.worker.stats.retries >= 2)
        assert rig.replies() == []
        assert rig.committed() is None
        rig.store.failure = None
        wait_until(lambda: rig.committed() == 1)
    assert [items_of(reply) for reply in rig.replies()] == [[item(4, 0)]]


def test_no_request_is_lost_while_the_broker_is_unavailable(rig: Rig) -> None:
    rig.worker.run_once()
    rig.ask({"user_id": "u"})
    rig.broker.down = True
    with running(rig):
        wait_until(lambda: rig.worker.stats.retries >= 2)
        rig.broker.down = False
        wait_until(lambda: rig.committed() == 1)
    assert [reply["user_id"] for reply in rig.replies()] == ["u"]


@pytest.mark.parametrize("operation", ["poll", "send", "deliver", "commit"])
def test_a_call_that_fails_once_is_retried(rig: Rig, operation: Any) -> None:
    rig.worker.run_once()
    rig.broker.fail_with(TransientError("try again"), on=operation)
    rig.ask({"user_id": "a"}) if operation != "send" else _ask_past_the_fault(rig, "a")
    rig.worker.run_once()
    assert {reply["user_id"] for reply in rig.replies()} == {"a"}
    assert rig.committed() == 1
    assert rig.worker.stats.retries == 1


def _ask_past_the_fault(rig: Rig, user_id: str) -> None:
    """The fault on `send` is meant for the server: it takes the first one that is sent."""
    with pytest.raises(TransientError):
        rig.ask({"user_id": user_id})
    rig.ask({"user_id": user_id})
    rig.broker.fail_with(TransientError("try again"), on="send")


def test_only_replies_that_are_not_confirmed_are_sent_again(rig: Rig) -> None:
    rig.worker.run_once()
    for user_id in ("a", "b", "c"):
        rig.ask({"user_id": user_id})
    rig.broker.fail_with(TransientError("lost"), on="deliver")
    rig.worker.run_once()
    sent = sorted(reply["user_id"] for reply in rig.replies())
    assert len(sent) == 4  # the one in doubt came twice, the others once
    assert set(sent) == {"a", "b", "c"}
    assert sum(rig.worker.stats.replies.values()) == 3


def test_a_reply_topic_that_is_deleted_does_not_delay_the_others(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(model_directory, VERSION)
    cluster, choose = rig.broker.cluster, rig.broker.cluster.choose_partition

    def wait_for_topic(topic: str, key: bytes | None, wanted: int | None) -> TopicPartition:
        """Fail as a Kafka producer does: as if the topic might still come."""
        if not cluster.partitions_of(topic):
            raise TransientError("no metadata within 30 s")
        return choose(topic, key, wanted)

    monkeypatch.setattr(cluster, "choose_partition", wait_for_topic)
    rig.broker.ensure_topics([TopicSpec("shortlived.replies", 1, {})])
    rig.ask({"user_id": "u"}, reply_topic="shortlived.replies")
    rig.worker.run_once()
    rig.broker.delete_topic("shortlived.replies")
    rig.ask({"user_id": "u"}, reply_topic="shortlived.replies")
    rig.ask({"user_id": "other"})
    with running(rig):
        wait_until(lambda: rig.committed() == 3)
    assert [reply["user_id"] for reply in rig.replies()] == ["other"]
    [letter] = rig.dead_letters()
    assert dict(letter.headers)["likewise_reason"] == b"reply_topic_unknown"


def test_requests_of_partitions_lost_to_another_member_are_answered_by_that_one(
    model_directory: Path,
) -> None:
    rig = Rig(model_directory, VERSION, partitions=2)
    for partition in (0, 1):
        rig.ask({"user_id": f"u{partition}", "after": "0:0"}, partition=partition)
    rig.worker.run_once()
    assert rig.worker.stats.waiting == 2
    other = rig.new_worker()
    workers = (rig.worker, other)
    for _ in range(6):  # the group settles once every member has polled
        for worker in workers:
            worker.run_once()
    assert [worker.stats.waiting for worker in workers] == [1, 1]
    rig.applied(0, 1)
    for _ in range(2):
        for worker in workers:
            worker.run_once()
    assert sorted(reply["user_id"] for reply in rig.replies()) == ["u0", "u1"]
    assert [rig.committed(0), rig.committed(1)] == [1, 1]


def test_after_a_stop_while_the_store_is_unavailable_the_next_server_answers(
    rig: Rig,
) -> None:
    rig.store.failure = TransientError("loading")
    rig.ask({"user_id": "u"})
    with running(rig):
        wait_until(lambda: rig.worker.stats.retries >= 1)
    assert rig.committed() is None
    rig.store.failure = None
    rig.stop.clear()
    rig.replace_worker()
    rig.worker.run_once()
    assert [reply["user_id"] for reply in rig.replies()] == ["u"]


def test_a_request_kept_through_a_rebalance_is_answered_once(model_directory: Path) -> None:
    rig = Rig(model_directory, VERSION, partitions=2)
    rig.ask({"user_id": "u", "after": "0:0"}, partition=0)
    rig.worker.run_once()
    rig.applied(0, 1)
    rig.worker.run_once()  # sees that it is applied; the next turn answers
    rig.new_worker().run_once()
    rig.worker.run_once()  # rejoins, keeps the partition and reads the request again
    rig.worker.run_once()
    assert [reply["user_id"] for reply in rig.replies()] == ["u"]
    assert rig.committed(0) == 1


class StoreWithAHitch(MemoryStore):
    """Calls what is to happen while the worker that answers u0 waits for the store."""

    def __init__(self) -> None:
        super().__init__()
        self.hitches: list[Callable[[], None]] = []

    def lookup(
        self,
        users: Sequence[UserId],
        partitions: Sequence[TopicPartition],
        kinds: Collection[SignalKind] = (),
    ) -> Lookup:
        if self.hitches and "u0" in users:
            self.hitches.pop(0)()
        return super().lookup(users, partitions, kinds)


def test_commits_of_the_next_owner_of_a_partition_are_kept(model_directory: Path) -> None:
    def other_goes_ahead() -> None:
        for _ in range(2):
            rig.ask({"user_id": "u1"}, partition=1)
            other.run_once()

    rig, other = two_workers_with_a_hitch(model_directory, other_goes_ahead)
    rig.worker.run_once()
    assert [rig.committed(0), rig.committed(1)] == [1, 3]


def test_a_partition_that_was_lost_and_assigned_again_is_committed(model_directory: Path) -> None:
    rig, _ = two_workers_with_a_hitch(model_directory, lambda: None)
    rig.worker.run_once()
    assert [rig.committed(0), rig.committed(1)] == [1, None]
    rig.source.close()
    rig.worker.run_once()
    assert [rig.committed(0), rig.committed(1)] == [1, 1]


def two_workers_with_a_hitch(
    model_directory: Path, meanwhile: Callable[[], None]
) -> tuple[Rig, ServingWorker]:
    """Return a rig whose worker, in its first turn, loses partition 1 to the other worker.

    It has read one request from each partition by then; `meanwhile` happens after that.
    """

    def other_joins() -> None:
        other.run_once()
        raise TransientError("meanwhile the worker keeps its membership alive")

    store = StoreWithAHitch()
    rig = Rig(model_directory, VERSION, partitions=2, store=store)
    other = rig.new_worker()  # `rig.source` is that one's from here on
    for partition in (0, 1):
        rig.ask({"user_id": f"u{partition}"}, partition=partition)
    store.hitches += [other_joins, meanwhile]
    return rig, other


def test_requests_that_the_group_assigned_to_nobody_are_answered_after_a_rejoin(
    model_directory: Path,
) -> None:
    rig = Rig(model_directory, VERSION, partitions=2, patience_s=0.0)
    with running(rig):
        rig.ask({"user_id": "u"}, partition=0)
        wait_until(lambda: rig.committed(0) == 1)
        rig.broker.unassign(rig.settings.group, TopicPartition(rig.topics.requests, 0))
        rig.ask({"user_id": "v"}, partition=0)
        wait_until(lambda: rig.committed(0) == 2)
    assert [reply["user_id"] for reply in rig.replies()] == ["u", "v"]
    assert rig.worker.stats.rejoins >= 1
