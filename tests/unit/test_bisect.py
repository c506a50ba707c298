"""A bisect finds the build and the bots that made quality fall, and nothing where nothing fell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.build import build_model
from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS
from likewise.errors import LikewiseError
from likewise.evaluation.bisect.events import events_until, interactions_after, read_events
from likewise.evaluation.bisect.probes import probes_after
from likewise.evaluation.bisect.quality import fall_between
from likewise.evaluation.bisect.run import Options, Outcome, bisect
from likewise.evaluation.bisect.state import NAME
from likewise.log.topics import Topics
from likewise.messages.events import ForgetUser, Like, MergeUsers, Unlike, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import write_model
from likewise.models.versions import new_version
from likewise.testing import MemoryBroker
from tests.worlds import START_MS, world_of_people

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.progress import Progress
    from likewise.evaluation.bisect.events import LoggedEvent
    from likewise.messages.events import Event

TOPIC = Topics().likes
RECIPE = DEFAULTS["cooccurrence"]
BOTS = 120
STEP_MS = 1_000


@dataclass
class Log:
    """A topic whose events arrive one a second."""

    broker: MemoryBroker
    now_ms: int = START_MS

    @classmethod
    def empty(cls) -> Log:
        broker = MemoryBroker(clock_ms=lambda: log.now_ms)
        log = cls(broker)
        broker.ensure_topics(Topics().specs(3))
        return log

    def add(self, *events: Event) -> None:
        sink = self.broker.sink()
        for event in events:
            self.now_ms += STEP_MS
            key = str(getattr(event, "user_id", "")).encode()
            sink.send(TOPIC, encode_event(event), key=key)

    def events(self) -> list[LoggedEvent]:
        end = self.broker.end_offsets(self.broker.partitions(TOPIC))
        return read_events(self.broker, end, Unwatched())


def log_of_people(*, poisoned: bool) -> tuple[Log, tuple[int, int]]:
    """Return a log of people, and the stretch of it in which bots push 15 items that nobody likes."""
    world = world_of_people(3, users=300, items=250, each=20)
    likes = [Like(user, item) for user, item, _ in sorted(world.likes, key=lambda one: one[2])]
    log, cut = Log.empty(), round(0.6 * len(likes))
    log.add(*likes[:cut])
    bots = pushing(likes) if poisoned else []
    log.add(*bots)
    log.add(*likes[cut:])
    return log, (cut, cut + len(bots))


def pushing(likes: list[Like]) -> list[Event]:
    rng = np.random.default_rng(0)
    names, counts = np.unique([like.item_id for like in likes], return_counts=True)
    popular = names[np.argsort(-counts)[:80]].tolist()
    pushed = [f"pushed {number}" for number in range(20)]
    return [
        Like(UserId(f"bot {bot}"), ItemId(item))
        for bot in range(BOTS)
        for item in (*pushed, *rng.choice(popular, 20, replace=False).tolist())
    ]


@pytest.fixture(scope="module")
def poisoned() -> tuple[Log, tuple[int, int]]:
    return log_of_people(poisoned=True)


def search(
    log: Log,
    models: Path,
    options: Options,
    *,
    directory: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    return bisect(
        log.broker,
        TOPIC,
        models,
        RECIPE,
        options,
        progress or Unwatched(),
        directory=directory,
        resume=resume,
    )


OPTIONS = Options(rebuild=True, good_ms=START_MS + 2_500 * STEP_MS, builds=12)


def test_the_stretch_and_those_who_made_quality_fall_are_found(
    poisoned: tuple[Log, tuple[int, int]], tmp_path: Path
) -> None:
    log, (first, last) = poisoned
    found = search(log, tmp_path, OPTIONS).found
    assert found.fall.found
    assert found.last_good is not None
    assert found.first_bad is not None
    assert first <= found.first_bad.events
    assert found.last_good.events <= last
    assert found.stretch is not None
    assert found.stretch.explained
    assert max(found.stretch.start, first) < min(found.stretch.end, last)
    assert all(user.startswith("bot") for user, _ in found.stretch.users)
    threshold = (found.measured[0].ndcg + found.measured[-1].ndcg) / 2
    assert found.stretch.recovered is not None
    assert found.stretch.recovered >= threshold
    assert found.stretch.without_users is not None
    verdicts = [one.bad for one in found.measured[1:-1]]
    assert verdicts == sorted(verdicts, key=lambda bad: bad is True)  # good, then bad


def test_no_fall_is_found_where_there_is_none(tmp_path: Path) -> None:
    log, _ = log_of_people(poisoned=False)
    outcome = search(log, tmp_path, OPTIONS)
    assert outcome.found.first_bad is None
    assert outcome.found.stretch is None
    assert len(outcome.found.measured) == outcome.measurements.built == 2


def test_the_first_bad_version_on_disk_is_found(
    poisoned: tuple[Log, tuple[int, int]], tmp_path: Path
) -> None:
    log, (first, last) = poisoned
    events = log.events()
    names = []
    for count in (first - 1_000, first - 500, first, last, last + 300, last + 600):
        at_ms = events[count - 1].time_ms
        model = build_model(interactions_after(events[:count]), RECIPE)
        names.append(new_version(at_ms + 1))
        write_model(tmp_path, names[-1], model, snapshot_at_ms=at_ms)
    found = search(log, tmp_path, Options(builds=4)).found
    assert found.last_good is not None
    assert found.first_bad is not None
    assert (found.last_good.name, found.first_bad.name) == (names[2], names[3])
    assert found.stretch is not None
    assert found.stretch.explained
    assert first <= found.stretch.start < found.stretch.end <= last
    only_good = replace(OPTIONS, rebuild=False, bad_ms=events[first].time_ms, good_ms=None)
    assert search(log, tmp_path, only_good).found.first_bad is None


class Interrupted(Unwatched):
    """Ctrl-C when the fourth model is built."""

    def __init__(self) -> None:
        self.left = 4

    def step(self, name: str) -> None:
        """See `Progress.step`."""
        self.left -= name.endswith("building")
        if not self.left:
            raise KeyboardInterrupt


def test_an_interrupted_search_continues_with_the_log_of_then(tmp_path: Path) -> None:
    log, _ = log_of_people(poisoned=True)
    state, options = tmp_path / "state", replace(OPTIONS, builds=4)
    whole = search(log, tmp_path, options).found
    with pytest.raises(KeyboardInterrupt):
        search(log, tmp_path, options, directory=state, progress=Interrupted())
    assert (state / NAME).exists()
    log.add(*(Like(UserId("late"), ItemId(f"pushed {number}")) for number in range(20)))
    with pytest.raises(LikewiseError, match="--resume"):
        search(log, tmp_path, options, directory=state)
    with pytest.raises(LikewiseError, match="other options"):
        search(log, tmp_path, replace(options, seed=1), directory=state, resume=True)
    continued = search(log, tmp_path, options, directory=state, resume=True)
    assert continued.measurements.reused == 3
    assert continued.found.measured == whole.measured
    assert continued.found.stretch == whole.stretch


def test_too_little_to_say_anything_is_refused(tmp_path: Path) -> None:
    log = Log.empty()
    with pytest.raises(LikewiseError, match="has no likes"):
        search(log, tmp_path, OPTIONS)
    log.add(*(Like(UserId("ann"), ItemId(str(number))) for number in range(200)))
    with pytest.raises(LikewiseError, match="0 versions between the two times"):
        search(log, tmp_path, Options())
    with pytest.raises(LikewiseError, match="only 1 users made new likes"):
        search(log, tmp_path, Options(rebuild=True))
    with pytest.raises(LikewiseError, match="which is from 2026"):
        search(log, tmp_path, replace(OPTIONS, good_ms=0))


def test_events_count_as_consumers_apply_them() -> None:
    log, [ann, bob] = Log.empty(), [UserId("ann"), UserId("bob")]
    a, b, c = (ItemId(one) for one in "abc")
    log.add(Like(ann, a), Like(bob, b), Unlike(ann, a), Like(ann, c), MergeUsers(ann, bob))
    log.add(Like(ann, a), ForgetUser(ann))
    events = log.events()
    after = interactions_after(events)
    assert (after.user_ids, after.item_ids) == ([bob], [b, c])
    assert events_until(events, START_MS + 2 * STEP_MS) == 2


def test_probes_are_new_likes_and_know_only_what_came_before() -> None:
    log, ann = Log.empty(), UserId("ann")
    a, b, c = (ItemId(one) for one in "abc")
    log.add(Like(ann, a), Like(ann, b), Like(ann, b), Like(ann, c), Like(UserId("bot"), a))
    found = probes_after(log.events(), 1, limit=10, seed=0, excluded={UserId("bot")})
    assert [(one.item_id, one.liked) for one in found[ann]] == [
        (b, frozenset({a})),
        (c, frozenset({a, b})),
    ]
    assert list(found) == [ann]
    limited = probes_after(log.events(), 0, limit=2, seed=0)
    assert sum(map(len, limited.values())) == 2


def test_a_fall_within_noise_is_none() -> None:
    """In forty pairs of equal models, a fall is reported about as often as the interval allows."""
    rng = np.random.default_rng(0)
    falls = sum(
        fall_between(rng.random((80, 2)), rng.random((80, 2)), seed=seed).found
        for seed in range(40)
    )
    assert falls <= 4  # 1 is expected: the lower bound of a 95% interval
    good = rng.random((80, 2))
    assert fall_between(good, good - 0.1, seed=0).found
