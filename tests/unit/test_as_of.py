"""`recommend --as-of` on fakes: the likes of then, by the plain rule of order, and the model of then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as sampling
from hypothesis import strategies as st

from consumers.batches import by_partition, decode
from consumers.ordering import Ordering
from consumers.recent import Recent
from consumers.scattering import Scattering
from consumers.stats import ConsumerStats
from indexer.progress import Unwatched
from likewise.errors import (
    InvalidInputError,
    LikewiseError,
    ModelFileError,
    ReplyError,
    SettingsError,
)
from likewise.evaluation.past.answers import AnswerThen, answer_then
from likewise.evaluation.past.moments import Moment, moment_of, parse_moment
from likewise.evaluation.past.users import UserReplay
from likewise.evaluation.past.versions import built_at_ms, model_then
from likewise.log.ranges import read_between
from likewise.log.topics import Topics
from likewise.messages.announcements import TOPIC_KEY
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
    encode_event,
)
from likewise.messages.experiments import Experiment, Outcome, Variant
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.messages.positions import Position
from likewise.messages.request_decoding import parse_request
from likewise.models.canaries import canary_name, write_canary
from likewise.records import TopicPartition
from likewise.settings import KafkaSettings, ModelSettings, Settings, TrendingSettings
from likewise.settings.signals import SignalSettings
from likewise.store.port import Advance
from likewise.testing import MemoryBroker, MemoryStore
from tests.ordering import outcome_of_log
from tests.serving_rig import BLOCKS, item, likes_but_one, write_block_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from likewise.messages.events import Event

NOW_MS = int(datetime(2026, 1, 9, 12, 30, tzinfo=UTC).timestamp()) * 1000  # a Friday
FULL, SMALL = "20260101T000000.000Z", "20260102T000000.000Z"
TOPICS = Topics()
PARTITIONS = 3


class World:
    """A log, and a store that a consumer has brought up to date."""

    def __init__(self, directory: Path | None = None) -> None:
        self.now_ms = 0
        self.broker = MemoryBroker(clock_ms=lambda: self.now_ms)
        self.broker.ensure_topics(TOPICS.specs(PARTITIONS))
        self.store = MemoryStore()
        self.settings = Settings(
            kafka=KafkaSettings(partitioner="crc32"),
            signals=SignalSettings(kinds={"buy": 1.0}),
            model=ModelSettings() if directory is None else ModelSettings(directory=directory),
            trending=TrendingSettings(half_life_s=0),
        )
        self._sink = self.broker.sink()

    def at(self, time_ms: int, event: Event, partition: int | None = None) -> Position:
        """Let the event arrive at this time, by default in its user's home; return its position."""
        self.now_ms = time_ms
        about_user = hasattr(event, "user_id")
        key = str(event.user_id if about_user else event.item_id).encode()  # type: ignore[union-attr] # one of the two
        sent = self._sink.send(TOPICS.likes, encode_event(event), key=key, partition=partition)
        return Position(*sent.result(1.0))

    def put(self, topic: str, time_ms: int, key: bytes, value: bytes | None) -> None:
        self.now_ms = time_ms
        self._sink.send(topic, value, key=key).result(1.0)

    def consume(self) -> None:
        """Apply everything in the likes topic."""
        stats, kinds = ConsumerStats(), frozenset(self.settings.signals.accepted)
        scattering = Scattering(self.broker, self.store, TOPICS.likes, "crc32", stats, kinds)
        serving = msgspec.structs.replace(self.settings.serving, new_item_likes=0)
        quiet = msgspec.structs.replace(self.settings, serving=serving)
        ordering = Ordering(self.store, scattering, Recent(quiet, self.store, stats))
        partitions = self.broker.partitions(TOPICS.likes)
        end = self.broker.end_offsets(partitions)
        for records in read_between(self.broker, dict.fromkeys(partitions, 0), end):
            for part in decode(by_partition(records), kinds).parts:
                partition = TopicPartition(TOPICS.likes, part.partition)
                [expected] = self.store.positions([partition])
                step = Advance(expected, part.records[-1].offset + 1 if part.records else 0)
                ordering.apply([part], {partition: step})

    def then(self, moment: Moment, **request: Any) -> AnswerThen:
        asked = parse_request(request)
        return answer_then(
            self.broker, self.store, TOPICS, self.settings, asked, moment, Unwatched()
        )


users = st.sampled_from([UserId(f"u{number}") for number in range(3)])
guests = st.sampled_from([UserId(f"guest {number}") for number in range(2)])
items = st.sampled_from([ItemId(f"i{number}") for number in range(3)])
kinds = st.sampled_from([DISLIKE, SignalKind("buy")])
anybody = users | guests
events = st.one_of(
    st.builds(Like, anybody, items),
    st.builds(Like, anybody, items),
    st.builds(Unlike, anybody, items),
    st.builds(Signal, anybody, items, kinds),
    st.builds(Unsignal, anybody, items, kinds),
    st.builds(ForgetUser, users),
    st.builds(RetireItem, items),
    st.builds(RestoreItem, items),
    st.builds(MergeUsers, guests, users),
)
AWAY = st.sampled_from([None, None, None, *range(PARTITIONS)])


def one_merge_each(log: Sequence[tuple[int, Event, int | None]]) -> list[Any]:
    """Return the log with the first merge of each guest only, and guests at home before and after it."""
    seen: set[UserId] = set()
    kept: list[Any] = []
    for step, event, away in log:
        user = getattr(event, "user_id", UserId(""))
        if isinstance(event, MergeUsers):
            if user in seen:
                continue
            seen.add(user)
        elif (
            user in seen
        ):  # what a guest does after a merge depends on which partition is read first
            continue
        kept.append((step, event, None if user.startswith("guest") else away))
    return kept


@sampling(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), events, AWAY), max_size=24).map(one_merge_each), st.data()
)
def test_what_a_user_had_then_is_what_the_log_up_to_then_means(
    steps: list[Any], data: st.DataObject
) -> None:
    world = World()
    logged: list[tuple[int, int, Event]] = []
    time_ms = 1_000
    for step, event, away in steps:
        time_ms += step
        logged.append((time_ms, world.at(time_ms, event, away).partition, event))
    world.consume()
    moment = Moment(data.draw(st.integers(1_000, time_ms + 1)))
    log = {
        number: [
            (at, event) for at, where, event in logged if where == number and at <= moment.time_ms
        ]
        for number in range(PARTITIONS)
    }
    expected = outcome_of_log(log)
    for user in [UserId("u0"), UserId("u1"), UserId("guest 0")]:
        replay = UserReplay(world.broker, world.store, TOPICS.likes, world.settings, user)
        past = replay.until(moment, Unwatched())
        assert past.store.likes([user]) == [expected.likes.get(user, set())]
        [signals] = past.store.signals([user], past.store.kinds())
        assert {kind: set(theirs) for kind, theirs in signals.items() if theirs} == {
            kind: theirs[user] for kind, theirs in expected.signals.items() if user in theirs
        }
        if len(replay.partitions) == PARTITIONS:
            assert past.store.retired()[1] == expected.retired
        assert past.missing == []


def test_only_the_home_partition_is_read_unless_the_user_is_elsewhere_too() -> None:
    world = World()
    home = world.at(1, Like(UserId("u"), ItemId("a"))).partition
    world.at(2, Like(UserId("v"), ItemId("b")), (home + 1) % PARTITIONS)
    world.consume()

    def partitions() -> list[int]:
        replay = UserReplay(world.broker, world.store, TOPICS.likes, world.settings, UserId("u"))
        return replay.partitions

    assert partitions() == [home]
    world.at(3, Like(UserId("u"), ItemId("c")), (home + 1) % PARTITIONS)
    world.consume()
    assert partitions() == [0, 1, 2]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models: one of all blocks, and, a day later, one that knows only the first two."""
    made = tmp_path_factory.mktemp("models")
    write_block_model(made, FULL, blocks=BLOCKS)
    write_block_model(made, SMALL, blocks=2)
    return made


def announce(world: World, time_ms: int, version: str) -> None:
    announcement = {"version": version, "snapshot_at_ms": 1, "users": 1, "items": 1, "likes": 1}
    body = msgspec.json.encode({**announcement, "ranker": "blend"})
    world.put(TOPICS.models, time_ms, TOPIC_KEY, body)


def test_the_answer_is_that_of_the_likes_and_the_model_of_then(directory: Path) -> None:
    """A user first likes block 5, unlikes it, and likes block 1: each moment has its own answer."""
    world, user = World(directory), UserId("ann")
    started = built_at_ms(FULL) + 1_000
    announce(world, started, FULL)
    for number, liked in enumerate(likes_but_one(5)):
        last = world.at(started + 10 + number, Like(user, liked))
    for number, liked in enumerate(likes_but_one(5)):
        world.at(started + 500 + number, Unlike(user, liked))
    for number, liked in enumerate(likes_but_one(1)):
        world.at(built_at_ms(SMALL) + 10 + number, Like(user, liked))
    announce(world, built_at_ms(SMALL) + 100, SMALL)
    world.consume()

    early = world.then(Moment(started + 400), user_id=user, count=1, explain=True)
    assert [one.item_id for one in early.answer.items] == [item(5, 0)]
    assert (early.model.version, early.model.certain) == (FULL, True)
    assert early.likes == likes_but_one(5)
    assert early.missing == []
    [first] = early.answer.items
    assert first.because is not None
    assert {one.item_id for one in first.because} <= set(likes_but_one(5))
    assert early.answer.recommendation_id == ""

    by_position = moment_of(world.broker, TOPICS.likes, last)
    assert str(by_position).startswith(str(last))
    same = world.then(by_position, user_id=user, count=1)
    assert [one.item_id for one in same.answer.items] == [item(5, 0)]

    late = world.then(Moment(built_at_ms(SMALL) + 200), user_id=user, count=1)
    assert [one.item_id for one in late.answer.items] == [item(1, 0)]
    assert (late.model.version, late.model.certain) == (SMALL, True)


def test_the_answer_of_then_writes_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(directory)
    started = built_at_ms(FULL) + 1_000
    announce(world, started, FULL)
    world.at(started + 10, Like(UserId("ann"), likes_but_one(5)[0]))

    def refuse(*_: object) -> None:
        raise SettingsError("this user may only read")

    for name in ("homes", "apply", "scatter", "announce_model"):
        monkeypatch.setattr(world.store, name, refuse)
    assert world.then(Moment(started + 400), user_id="ann", count=1).answer.items


def test_a_position_ends_its_own_partition_after_its_event(directory: Path) -> None:
    world, user = World(directory), UserId("ann")
    start = built_at_ms(FULL) + 1
    places = [world.at(start, Like(user, one)) for one in likes_but_one(3)]  # all at one time
    world.consume()
    moment = moment_of(world.broker, TOPICS.likes, places[1])
    assert world.then(moment, user_id=user).likes == likes_but_one(3)[:2]
    for wrong in (Position(places[0].partition, 99), Position(77, 0)):
        with pytest.raises(LikewiseError, match="has"):
            moment_of(world.broker, TOPICS.likes, wrong)


def test_a_model_whose_announcement_is_compacted_away_is_most_likely(directory: Path) -> None:
    world = World(directory)
    announce(world, built_at_ms(SMALL) + 100, SMALL)
    found = world.then(Moment(built_at_ms(FULL) + 1), user_id="ann").model
    assert (found.version, found.certain, found.pruned) == (FULL, False, None)


def test_a_canary_was_current_from_its_promotion_on(tmp_path: Path) -> None:
    for version in (FULL, SMALL):
        write_block_model(tmp_path, version, blocks=2)
    built = built_at_ms(SMALL)
    canary = Experiment(
        name=canary_name(SMALL),
        kind="split",
        variants=(Variant(name="current", model=FULL), Variant(name="canary", model=SMALL)),
        seed="s",
        started_at_ms=built,
        stopped_at_ms=built + 1_000,
        outcome=Outcome(decision="promoted"),
    )

    def version_at(time_ms: int) -> str:
        return model_then(tmp_path, (), Moment(time_ms)).version

    write_canary(tmp_path, SMALL, canary)
    assert [version_at(built + 999), version_at(built + 1_000)] == [FULL, SMALL]
    rolled_back = msgspec.structs.replace(canary, outcome=Outcome(decision="rolled_back"))
    write_canary(tmp_path, SMALL, rolled_back)
    assert version_at(built + 1_000) == FULL


def test_a_model_that_was_pruned_makes_the_answer_incomplete(directory: Path) -> None:
    world = World(directory)
    announce(world, built_at_ms(FULL) + 1, "20260101T100000.000Z")
    found = world.then(Moment(built_at_ms(FULL) + 2), user_id="ann")
    assert (found.model.version, found.model.pruned) == (FULL, "20260101T100000.000Z")
    assert found.missing == [found.model.reason]


def test_without_a_model_that_old_there_is_no_answer(directory: Path) -> None:
    with pytest.raises(ModelFileError, match=r"was built by 2025-12-31.*keep_versions"):
        World(directory).then(Moment(built_at_ms(FULL) - 1), user_id="ann")


def test_retired_items_are_those_of_then(directory: Path) -> None:
    world, user = World(directory), UserId("ann")
    start = built_at_ms(FULL) + 1
    for liked in likes_but_one(3):
        world.at(start, Like(user, liked))
    world.at(start + 10, RetireItem(item(3, 0)))
    world.at(start + 20, RestoreItem(item(3, 0)))
    world.consume()
    given = [
        [one.item_id for one in world.then(Moment(at), user_id=user, fill=False).answer.items]
        for at in (start + 5, start + 15, start + 25)
    ]
    assert given == [[item(3, 0)], [], [item(3, 0)]]


def test_a_log_without_its_start_says_so_and_uses_the_likes_that_are_left(directory: Path) -> None:
    world, user = World(directory), UserId("ann")
    start = built_at_ms(FULL) + 1
    first, second, third, fourth = likes_but_one(3)
    position = world.at(start, Like(user, first))
    world.at(start + 1, Like(user, second))
    world.at(start + 2, Like(user, third))
    world.at(start + 10, Like(user, fourth))
    world.consume()
    partition = TopicPartition(TOPICS.likes, position.partition)
    world.broker.delete_records(partition, position.offset + 2)
    found = world.then(Moment(start + 5), user_id=user)
    assert found.likes == [first, second, third]
    assert f"the log begins at {position.partition}:2" in found.missing[0]
    world.at(start + 20, ForgetUser(user))
    world.consume()
    assert world.then(Moment(start + 5), user_id=user).likes == [third]


def test_filters_use_the_catalogue_of_then(directory: Path) -> None:
    world, user = World(directory), UserId("ann")
    start = built_at_ms(FULL) + 1
    liked = likes_but_one(3, 1)[1:]
    for one in liked:
        world.at(start, Like(user, one))

    def describe(time_ms: int, number: int, lang: str) -> None:
        fields = {"item_id": item(3, number), "labels": {"lang": lang}}
        world.put(TOPICS.items, time_ms, item(3, number).encode(), msgspec.json.encode(fields))

    describe(start, 0, "en")
    describe(start + 10, 0, "de")
    describe(start + 10, 1, "en")
    world.consume()
    asked = {"user_id": user, "where": {"lang": "en"}, "fill": False, "fields": ["lang"]}
    early = world.then(Moment(start + 5), **asked)
    assert [(one.item_id, one.fields) for one in early.answer.items] == [
        (item(3, 0), {"lang": "en"})
    ]
    assert "1 documents of topic items have changed since" in early.missing[0]
    late = world.then(Moment(start + 15), **asked)
    assert [one.item_id for one in late.answer.items] == [item(3, 1)]
    assert late.missing == []


def test_a_scenario_is_that_of_then(directory: Path) -> None:
    world, user = World(directory), UserId("ann")
    start = built_at_ms(FULL) + 1
    for time_ms, count in ((start, 1), (start + 10, 2)):
        defaults = {"name": "home", "defaults": {"count": count, "rotation": 0.5}}
        world.put(TOPICS.scenarios, time_ms, b"home", msgspec.json.encode(defaults))
    found = world.then(Moment(start + 5), user_id=user, scenario="home")
    assert len(found.answer.items) == 1
    assert "rotation" in found.missing[0]
    with pytest.raises(ReplyError, match="unknown_scenario"):
        world.then(Moment(start + 5), user_id=user, scenario="nothing")


def test_visitors_need_no_part_of_the_log(directory: Path) -> None:
    world = World(directory)
    found = world.then(Moment(built_at_ms(FULL)), liked=likes_but_one(4), count=1)
    assert [one.item_id for one in found.answer.items] == [item(4, 0)]
    assert (list(found.partitions), found.likes) == ([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-08T14:00", datetime(2026, 1, 8, 14)),
        ("2h ago", datetime(2026, 1, 9, 10, 30)),
        ("90 minutes ago", datetime(2026, 1, 9, 11)),
        ("-1d", datetime(2026, 1, 8, 12, 30)),
        ("now", datetime(2026, 1, 9, 12, 30)),
        ("today 9:30", datetime(2026, 1, 9, 9, 30)),
        ("yesterday 14:00", datetime(2026, 1, 8, 14)),
        ("yesterday at 14:00", datetime(2026, 1, 8, 14)),
        ("Tuesday", datetime(2026, 1, 6)),
        ("fri 08:00", datetime(2026, 1, 2, 8)),
        (str(NOW_MS), datetime(2026, 1, 9, 12, 30)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, expected: datetime) -> None:
    time_ms = int(expected.replace(tzinfo=UTC).timestamp()) * 1000
    assert parse_moment(text, now_ms=NOW_MS) == time_ms


def test_a_position_is_no_time() -> None:
    assert parse_moment(" 3:1042 ", now_ms=NOW_MS) == Position(3, 1042)
    for text in ("", "someday", "yesterday 25:00", "no", "0:1,1:2", "99 moons ago"):
        with pytest.raises(InvalidInputError):
            parse_moment(text, now_ms=NOW_MS)
