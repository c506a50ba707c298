"""`/v1/live` on fakes: ticks move, an outage is a sentence, clients come and go and are dropped."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.endpoints.live import EventStream
from gateway.live.broadcast import MOST_CLIENTS, Client, Live
from gateway.live.kafka_view import KafkaSeen
from gateway.live.problems import Facts, Problems
from gateway.live.rates import Rate, RecentDurations
from gateway.live.redis_view import RedisSeen
from gateway.problem import Problem
from likewise.errors import TransientError
from likewise.messages.announcements import Announcement
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.quality import MeasuredQuality, combined_quality, encode_quality
from likewise.records import TopicPartition
from likewise.store.port import Changes, Eviction
from likewise.testing import MemoryStore
from tests.gateway_rig import GatewayRig, on_rig
from tests.serving_rig import VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

Event = tuple[str, dict[str, Any]]
TICK_S = 0.01


class Browser:
    """A client of the stream, as the HTTP server sees one."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.leaves = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.complete = False

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            return
        self.complete = not message["more_body"]
        for part in message["body"].decode().split("\n\n"):
            if part.startswith("event: "):
                kind, data = part.removeprefix("event: ").split("\ndata: ")
                self.events.put_nowait((kind, json.loads(data)))

    async def next(self, kind: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next event of this kind for which it holds."""
        while True:
            found, data = await self.events.get()
            if found == kind and holds(data):
                return data


@asynccontextmanager
async def watching(live: Live) -> AsyncIterator[tuple[Browser, asyncio.Task[None]]]:
    browser = Browser()
    stream = asyncio.create_task(EventStream(live)({}, browser.receive, browser.send))
    try:
        yield browser, stream
    finally:
        browser.leaves.set()
        await stream


def on_live(
    directory: Path, story: Callable[[GatewayRig, Live], Awaitable[None]], **how: Any
) -> None:
    on_rig(directory, lambda rig: story(rig, Live(rig.gateway, tick_s=TICK_S)), **how)


def test_ticks_follow_events_until_they_are_applied(tmp_path: Path) -> None:
    store = MemoryStore()
    store.apply(
        Changes(items={ItemId("i"): encode_item(CatalogueItem(ItemId("i"), title="Dune"))}), {}
    )

    async def story(rig: GatewayRig, live: Live) -> None:
        async with watching(live) as (browser, _):
            first = await browser.next("tick", lambda _: True)
            assert (first["events_per_s"], first["behind"], first["problems"]) == (None, 0, [])
            assert first["model"]["version"] == VERSION
            assert [one["partition"] for one in first["lag"]] == [0, 1, 2]
            await rig.client.put("/v1/users/ann/likes/i")
            moving = await browser.next("tick", lambda tick: bool(tick["events_per_s"]))
            assert moving["behind"] == 1
            like = await browser.next("like", lambda _: True)
            assert like == {"action": "like", "user_id": "ann", "item_id": "i", "title": "Dune"}
            rig.apply()
            await browser.next("tick", lambda tick: tick["behind"] == 0)
            answered = await browser.next("tick", lambda tick: tick["latency_ms"] is not None)
            assert 0 < answered["latency_ms"]["p50"] <= answered["latency_ms"]["p99"]

    on_live(tmp_path, story, store=store)


def test_an_outage_of_redis_is_a_sentence_and_the_stream_goes_on(tmp_path: Path) -> None:
    store = MemoryStore()

    async def story(rig: GatewayRig, live: Live) -> None:
        async with watching(live) as (browser, stream):
            await browser.next("tick", lambda tick: tick["behind"] == 0)
            store.failure = TransientError("connection refused").of("redis")
            broken = await browser.next("tick", lambda tick: bool(tick["problems"]))
            assert broken["behind"] is None
            assert broken["lag"] == []
            assert broken["events_per_s"] is not None
            assert broken["model"]["version"] == VERSION
            assert broken["problems"] == [
                {
                    "sentence": "Redis cannot be reached: connection refused.",
                    "runbook": "docs/operations.md#likewiseserversfail",
                }
            ]
            store.failure = None
            well = await browser.next("tick", lambda tick: not tick["problems"])
            assert well["behind"] == 0
            assert not stream.done()

    on_live(tmp_path, story, store=store)


def test_one_task_serves_all_clients_and_ends_with_the_last(tmp_path: Path) -> None:
    async def story(rig: GatewayRig, live: Live) -> None:
        observers = len(rig.gateway.stats.on_batch)
        async with watching(live) as (one, _), watching(live) as (other, _):
            ticks = [await each.next("tick", lambda _: True) for each in (one, other)]
            assert ticks[0] == ticks[1]
            assert len(rig.gateway.stats.on_batch) == observers + 1
        while live.sampling:
            await asyncio.sleep(TICK_S)
        assert len(rig.gateway.stats.on_batch) == observers
        async with watching(live) as (late, _):
            await late.next("tick", lambda _: True)

    on_live(tmp_path, story)


def test_a_stop_ends_the_streams_at_once(tmp_path: Path) -> None:
    async def story(rig: GatewayRig, live: Live) -> None:
        async with watching(live) as (browser, stream):
            await browser.next("tick", lambda _: True)
            rig.gateway.stop.set()
            await stream
            assert browser.complete

    on_live(tmp_path, story)


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    async def story(rig: GatewayRig, live: Live) -> None:
        async with watching(live) as (slow, stream), watching(live) as (quick, other):
            await slow.next("tick", lambda _: True)
            slow.reads.clear()
            await stream
            assert not slow.complete
            await quick.next("tick", lambda _: True)
            assert not other.done()

    on_live(tmp_path, story)


def test_there_is_room_for_so_many_clients(tmp_path: Path) -> None:
    async def story(rig: GatewayRig, live: Live) -> None:
        rig.gateway.live = live
        clients = [live.client() for _ in range(MOST_CLIENTS)]
        for client in clients:
            client.__enter__()
        refused = await rig.client.get("/v1/live")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
        with pytest.raises(Problem):
            live.check_room()
        for client in clients:
            client.__exit__(None, None, None)
        live.check_room()

    on_live(tmp_path, story)


def test_a_comment_keeps_a_silent_stream_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.live.broadcast.KEEP_ALIVE_S", 0.01)

    async def first() -> bytes:
        return await anext(Client().messages())

    assert asyncio.run(first()) == b": keep-alive\n\n"


# --- what is wrong, and how fast -------------------------------------------------------------

P0 = TopicPartition("likes", 0)
NEW_MS = 1_800_000_000_000


def facts(
    now_s: float,
    *,
    behind: int = 0,
    applied: int = 100,
    dead_letters: int = 0,
    waiting: int = 0,
    announced: str = VERSION,
    age_s: float = 10.0,
    policy: str = "noeviction",
    quality: MeasuredQuality | None = None,
    catalogue_age_s: float = 0.1,
) -> Facts:
    model = Announcement(
        version=announced,
        snapshot_at_ms=NEW_MS - int(age_s * 1000),
        users=1,
        items=1,
        likes=1,
        ranker="blend",
    )
    return Facts(
        now_s=now_s,
        now_ms=NEW_MS,
        kafka=KafkaSeen(now_s, {P0: (0, applied + behind)}, 10 + waiting, 10, dead_letters),
        kafka_error=None,
        redis=RedisSeen(now_s, {P0: applied}, model, 5, Eviction(policy, 0), quality),
        redis_error=None,
        behind=behind,
        applied=applied,
        served_version=VERSION,
        catalogue_age_s=catalogue_age_s,
        quality=quality,
    )


@pytest.mark.parametrize(
    ("wrong", "for_s", "anchor", "sentence"),
    [
        ({"behind": 5}, 15, "likewisedown", "No consumer applies events: 5 wait"),
        ({"waiting": 2}, 15, "likewiserequestswait", "No server answers requests over Kafka: 2"),
        ({"announced": "x"}, 60, "likewiseserversdisagree", "still uses model"),
        ({"age_s": 7200.0}, 0, "likewisemodelold", "The model is 2.0 hours old"),
        ({"policy": "allkeys-lru"}, 0, "likewiseredisevicts", "allkeys-lru"),
        ({"catalogue_age_s": 40.0}, 0, "likewisecataloguelate", "40 s old"),
        (
            {"quality": MeasuredQuality(0.1, 0.2, 1_000, NEW_MS)},
            0,
            "likewisemodelworsethanpopular",
            "20.0% against 10.0%",
        ),
    ],
)
def test_each_problem_is_found_once_it_lasts(
    wrong: dict[str, Any], for_s: float, anchor: str, sentence: str
) -> None:
    problems = Problems()
    assert problems.found(facts(0)) == []
    if for_s:
        assert problems.found(facts(1, **wrong)) == []
        assert problems.found(facts(for_s, **wrong)) == []
    [found] = problems.found(facts(1 + for_s, **wrong))
    assert found.runbook == f"docs/operations.md#{anchor}"
    assert sentence in found.sentence
    assert problems.found(facts(2 + for_s)) == []


def test_progress_is_no_standstill_but_many_events_behind_are_reported_after_a_minute() -> None:
    problems = Problems()
    for second in range(60):
        assert problems.found(facts(second, behind=20_000, applied=second)) == []
    [found] = problems.found(facts(60, behind=20_000, applied=60))
    assert found.sentence == "Consumers are 20,000 events behind."


def test_dead_letters_of_the_last_ten_minutes_are_counted() -> None:
    problems = Problems()
    assert problems.found(facts(0, dead_letters=7)) == []
    assert "1 event or request was refused" in problems.found(facts(1, dead_letters=8))[0].sentence
    assert "3 events or" in problems.found(facts(2, dead_letters=10))[0].sentence
    assert problems.found(facts(700, dead_letters=10)) == []


def test_every_runbook_is_in_the_operators_guide() -> None:
    from pathlib import Path

    guide = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    anchors = {line.removeprefix("#### ").strip().lower() for line in guide.splitlines()}
    source = (Path(__file__).parents[3] / "gateway" / "live" / "problems.py").read_text()
    named = {word.strip('",)') for word in source.split() if word.startswith('"likewise')}
    assert len(named) >= 10
    assert named <= anchors


def test_a_rate_is_the_growth_between_two_looks() -> None:
    rate = Rate()
    assert [rate.per_s(5, 0.0), rate.per_s(15, 2.0), rate.per_s(None, 3.0)] == [None, 5.0, None]
    assert [rate.per_s(20, 4.0), rate.per_s(10, 5.0), rate.per_s(10, 5.0)] == [None, 0.0, None]


def test_percentiles_are_those_of_the_last_ten_ticks() -> None:
    durations = RecentDurations()
    assert durations.percentile_ms(0.5) is None
    for milliseconds in range(1, 101):
        durations.add(milliseconds / 1000)
    durations.tick()
    assert durations.percentile_ms(0.5) == pytest.approx(50, rel=0.1)
    assert durations.percentile_ms(0.99) == pytest.approx(99, rel=0.1)
    for _ in range(10):
        durations.tick()
    assert durations.percentile_ms(0.5) is None


def test_the_quality_of_all_consumers_is_weighted_and_old_ones_do_not_count() -> None:
    now_ms = 1_000_000
    stored = [
        encode_quality(MeasuredQuality(0.1, 0.0, 100, now_ms)),
        encode_quality(MeasuredQuality(0.4, 0.2, 300, now_ms - 1)),
        encode_quality(MeasuredQuality(1.0, 1.0, 900, now_ms - 120_001)),
        b"[]",
    ]
    found = combined_quality(stored, now_ms=now_ms)
    assert found is not None
    assert (round(found.hit_rate, 4), round(found.popular_hit_rate, 4)) == (0.325, 0.15)
    assert found.samples == 400
    assert combined_quality([], now_ms=now_ms) is None
