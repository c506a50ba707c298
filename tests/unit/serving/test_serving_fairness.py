"""One requester who floods the topic does not keep the others waiting."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from likewise.log.topics import TopicSpec
from likewise.messages.ids import ItemId, UserId
from likewise.messages.reply_routes import ReplyRoute
from likewise.messages.request_decoding import decode_request
from likewise.messages.requests import Request
from likewise.records import TopicPartition
from likewise.settings import ServingSettings
from likewise.testing.memory_log import MemoryRecord
from serving import backlog as backlog_module
from serving.backlog import MAX_BATCHES_AHEAD, Backlog
from serving.cost import COSTLY, cost_of, within_budget
from serving.incoming import OpenRequest
from tests.serving_rig import REPLIES, VERSION, Rig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

BATCH = 4
CHEAP = Request(liked=())
SOMEWHAT = Request(user_id=UserId("u"), count=100, explain=True)
COSTLY_REQUEST = Request(
    liked=tuple(ItemId(str(n)) for n in range(10_000)), count=1_000, explain=True
)


def asked(
    topic: str, offset: int, *, partition: int = 0, size: int = 2, request: Request = CHEAP
) -> OpenRequest:
    record = MemoryRecord("requests", partition, offset, 0, None, b"x" * size, ())
    return OpenRequest(record, request, ReplyRoute(topic), 0)


def fill(backlog: Backlog, some: Iterable[OpenRequest]) -> None:
    assert [one for one in some if not backlog.admit(one)] == []


def offsets(taken: list[OpenRequest]) -> list[int]:
    return [one.record.offset for one in taken]


def test_requesters_take_turns_and_each_ones_requests_stay_in_order() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, (asked("flood", offset) for offset in range(10)))
    fill(backlog, [asked("a", 10), asked("b", 11), asked("a", 12)])
    assert offsets(backlog.take(BATCH)) == [0, 10, 11, 1]
    assert offsets(backlog.take(BATCH)) == [12, 2, 3, 4]
    assert len(backlog) == 5


def test_requests_of_partitions_that_were_lost_leave_the_backlog() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, [asked("a", 7), asked("a", 8), asked("b", 3, partition=1)])
    backlog.keep_only({TopicPartition("requests", 0)})
    assert len(backlog) == 2
    assert offsets(backlog.take(BATCH)) == [7, 8]
    assert len(backlog) == 0


def test_room_ends_with_the_count() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, (asked("a", offset) for offset in range(BATCH * MAX_BATCHES_AHEAD - 1)))
    assert backlog.has_room
    fill(backlog, [asked("a", 10_000)])
    assert not backlog.has_room


def test_room_ends_with_the_bytes_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "MAX_BYTES_AHEAD", 1_000)
    backlog = Backlog(BATCH)
    fill(backlog, [asked("a", 0, size=999)])
    assert backlog.has_room
    fill(backlog, [asked("a", 1, size=1)])
    assert not backlog.has_room
    backlog.take(1)
    assert backlog.has_room


@given(
    st.lists(st.sampled_from("abcde"), max_size=60),
    st.integers(min_value=1, max_value=10),
)
def test_everything_comes_out_once_and_nobody_waits_longer_than_a_round(
    requesters: list[str], limit: int
) -> None:
    backlog = Backlog(100)
    fill(backlog, (asked(topic, offset) for offset, topic in enumerate(requesters)))
    taken: list[OpenRequest] = []
    while backlog:
        some = backlog.take(limit)
        assert 0 < len(some) <= limit
        taken += some
    assert sorted(offsets(taken)) == list(range(len(requesters)))
    for topic in set(requesters):
        own = [index for index, one in enumerate(taken) if one.route.topic == topic]
        assert offsets([taken[index] for index in own]) == sorted(
            offsets([taken[index] for index in own])
        )
        others = len(set(requesters)) - 1
        assert all(later - former <= others + 1 for former, later in itertools.pairwise(own))
        assert own[0] <= others


def test_a_costly_request_is_taken_alone_and_after_the_others_have_spent_as_much() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, [asked("costly", n, request=COSTLY_REQUEST) for n in range(3)])
    fill(backlog, [asked("cheap", 10 + n) for n in range(6)])
    assert offsets(backlog.take(BATCH)) == [10, 11, 12, 13]
    assert offsets(backlog.take(BATCH, costly=False)) == [14, 15]
    assert backlog.take(BATCH, costly=False) == []
    assert backlog.stalled
    assert [offsets(backlog.take(BATCH)) for _ in range(3)] == [[0], [1], [2]]
    assert len(backlog) == 0


def test_a_costly_request_does_not_wait_for_ever_behind_cheap_ones() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, [asked("costly", 0, request=COSTLY_REQUEST)])
    fill(backlog, [asked("cheap", n) for n in range(1, BATCH)])
    served = 0
    while offsets(taken := backlog.take(BATCH)) != [0]:
        served += len(taken)
        assert served <= 2 * cost_of(COSTLY_REQUEST)
        fill(backlog, [asked("cheap", served + BATCH + n) for n in range(BATCH)])
    assert served > cost_of(COSTLY_REQUEST) / 2


def test_requests_that_cost_a_little_more_still_share_a_batch() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, [asked("a", n, request=SOMEWHAT) for n in range(100)])
    assert 1.0 < cost_of(SOMEWHAT) < 10.0
    assert len(backlog.take(BATCH)) == BATCH
    taken = backlog.take(1_000)
    assert offsets(taken) == [*range(BATCH, BATCH + len(taken))]
    assert backlog.budget / 2 < len(taken) * cost_of(SOMEWHAT) <= backlog.budget


def cost_in(**options: object) -> float:
    return cost_of(decode_request(json.dumps({"user_id": "u", **options}).encode()))


def test_the_cost_of_rules_tells_a_hundred_from_one() -> None:
    usual = {"categories": "drama", "price": {"$lt": 10}}
    many = {"$or": [{"genre": f"g{number}"} for number in range(9)]}
    assert cost_in() == 1.0
    assert cost_in(where=usual, max_per={"field": "artist", "count": 2}) < 2.0
    assert cost_in(where={"$not": {"genre": {"$in": ["g"] * 1_000}}}) > 5.0
    assert cost_in(fields=["title"], count=1_000) > 20.0
    assert cost_in(boost=[{"where": many, "factor": 2}] * 20) > COSTLY
    assert cost_in(only=["a"] * 10_000) > COSTLY
    assert cost_in(without=["a"] * 10_000) > COSTLY


def test_what_turns_out_costly_is_put_back_and_keeps_its_place_among_its_requesters() -> None:
    backlog = Backlog(BATCH)
    fill(backlog, [asked("a", 0), asked("a", 1)])
    (first,) = backlog.take(1)
    backlog.put_back(first, 500.0)
    assert len(backlog) == 2
    assert backlog.take(BATCH, costly=False) == []
    assert [offsets(backlog.take(BATCH)) for _ in range(2)] == [[0], [1]]


def test_a_lone_request_is_ranked_whatever_it_costs() -> None:
    lone = [asked("a", 0)]
    assert within_budget(lone, [1_000.0], budget=10.0) == (lone, [])
    assert within_budget([], [], budget=10.0) == ([], [])


def test_of_several_requests_the_costly_ones_and_those_over_budget_are_put_back() -> None:
    batch = [asked("a", number) for number in range(5)]
    kept, put_back = within_budget(batch, [5.0, COSTLY + 1, 4.0, 3.0, 1.0], budget=10.0)
    assert offsets(kept) == [0, 2, 4]
    assert put_back == [(batch[1], COSTLY + 1), (batch[3], 3.0)]


def test_a_requester_may_have_half_a_minute_of_cost_in_line() -> None:
    backlog = Backlog(BATCH)
    admitted = [backlog.admit(asked("costly", n, request=COSTLY_REQUEST)) for n in range(200)]
    assert admitted == sorted(admitted, reverse=True)
    assert 50 < sum(admitted) < 150
    assert backlog.admit(asked("honest", 1_000))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([CHEAP, SOMEWHAT, COSTLY_REQUEST])),
        max_size=40,
    ),
    st.integers(min_value=1, max_value=10),
)
def test_whatever_it_costs_everything_comes_out_once_in_each_ones_order(
    requests: list[tuple[str, Request]], limit: int
) -> None:
    backlog = Backlog(100)
    fill(backlog, (asked(t, offset, request=r) for offset, (t, r) in enumerate(requests)))
    taken: list[OpenRequest] = []
    while backlog:
        some = backlog.take(limit)
        assert 0 < len(some) <= limit
        assert len(some) == 1 or COSTLY_REQUEST not in [one.request for one in some]
        taken += some
    assert sorted(offsets(taken)) == list(range(len(requests)))
    for topic in "abc":
        own = [one.record.offset for one in taken if one.route.topic == topic]
        assert own == sorted(own)


def test_one_request_behind_a_flood_is_answered_in_the_first_batch(
    model_directory: Path,
) -> None:
    rig = Rig(
        model_directory, VERSION, settings=ServingSettings(max_batch=BATCH, poll_timeout_ms=1)
    )
    rig.broker.ensure_topics([TopicSpec("flood.replies", 1, {})])
    for _ in range(BATCH * 10):
        rig.ask({"liked": []}, reply_topic="flood.replies")
    rig.ask({"liked": []})
    rig.worker.run_once()
    assert len(rig.replies()) == 1
    assert len(rig.replies("flood.replies")) == BATCH - 1
    assert rig.worker.stats.backlog == BATCH * 9 + 1
    assert rig.worker.stats.lag == {"0": BATCH * 9 + 2}, "the lone one is answered, not committed"
    for _ in range(10):
        rig.worker.run_once()
    assert len(rig.replies("flood.replies")) == BATCH * 10
    assert len(rig.replies(REPLIES)) == 1
    assert (rig.worker.stats.backlog, rig.worker.stats.lag) == (0, {"0": 0})


def test_the_next_server_answers_the_whole_backlog_of_one_that_dies(
    model_directory: Path,
) -> None:
    rig = Rig(
        model_directory, VERSION, settings=ServingSettings(max_batch=BATCH, poll_timeout_ms=1)
    )
    for number in range(BATCH * 3):
        rig.ask({"liked": [], "request_id": str(number)})
    rig.worker.run_once()
    rig.replace_worker()
    for _ in range(4):
        rig.worker.run_once()
    assert {reply["request_id"] for reply in rig.replies()} == {str(n) for n in range(BATCH * 3)}
