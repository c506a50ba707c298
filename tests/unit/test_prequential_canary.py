"""Prequential canaries: two models predict the same likes, and nobody sees the new one."""

from __future__ import annotations

import random
import threading
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from consumers.attribution.runs import Runs
from consumers.prequential.contender import Contender
from consumers.prequential.evaluator import evaluating
from consumers.prequential.probes import Probe
from consumers.prequential.scoring import score
from consumers.prequential.stats import QualityStats
from indexer.build import build_model
from indexer.canary import Decided, Evidence, canary_of, decide
from indexer.interactions import UserLikes, interactions_of
from indexer.rollout import read_evidence
from indexer.service import run_indexer
from likewise.cli.experiment_tables import print_report
from likewise.cli.models import _canary
from likewise.errors import InvalidInputError, LikewiseError, SettingsError, TransientError
from likewise.experiments.assignment import assigned
from likewise.experiments.probing import GROUPS, Pair, fields_of, group_of, tally_of_pairs
from likewise.experiments.runs import run_of
from likewise.experiments.tally import add_fields
from likewise.experiments.verdict import verdict_of
from likewise.log.topics import Topics
from likewise.messages.announcements import encode_announcement
from likewise.messages.experiments import (
    Experiment,
    decode_stored_experiment,
    encode_experiment,
    experiment_json,
)
from likewise.messages.ids import UserId
from likewise.models.files import read_manifest, write_model
from likewise.models.holder import load_model
from likewise.operations.canaries import canary_row
from likewise.operations.experiment_verification import ExperimentVerifier
from likewise.operations.experiments import report_of, start
from likewise.ranking.recipe import Recipe
from likewise.settings import ModelSettings, Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.attribution_port import AttributionUpdate
from likewise.store.port import Changes
from likewise.testing import MemoryBroker, MemoryStore
from tests.serving_rig import SNAPSHOT_AT_MS, block_items, item, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OLD, NEW = "20260101T000000.000Z", "20260102T000000.000Z"
NAMES = ("current", "canary")
BLOCKS = 8
SETTINGS = structs.replace(
    ModelSettings(), canary_kind="prequential", canary_margin=0.1, canary_max_s=3_600.0
)


def canary(*, started_at_ms: int = 1_000) -> Experiment:
    return canary_of(NEW, OLD, SETTINGS, window_s=60.0, users=[], now_ms=started_at_ms)


def store_with(experiment: Experiment) -> MemoryStore:
    store = MemoryStore()
    stored: dict[str, bytes | None] = {experiment.name: encode_experiment(experiment)}
    store.apply(Changes(experiments=stored), {})
    return store


# --- counts and verdicts ---------------------------------------------------------------------


def test_counts_are_the_sums_over_groups_however_the_likes_come() -> None:
    pairs = [Pair(1, True, False), Pair(1, True, True), Pair(2, False, True), Pair(3, False, False)]
    parts: dict[str, int] = {}
    for pair in pairs:
        add_fields(parts, fields_of([pair], NAMES))
    assert parts == fields_of(pairs, NAMES)
    tally = tally_of_pairs(parts | {"of another version": 7}, NAMES)
    current, new = tally.variants["current"], tally.variants["canary"]
    assert (current.lists, current.likes, current.y2) == (4, 2, 4)
    assert (new.lists, new.likes, new.y2) == (4, 2, 2)
    assert tally.cross == 2


def test_users_are_spread_over_all_groups() -> None:
    groups = [group_of(UserId(f"u{number}")) for number in range(20 * GROUPS)]
    assert set(groups) == set(range(GROUPS))


class Likes:
    """Likes that two models predict with these probabilities; some users like much more than others."""

    def __init__(self, old: float, new: float, seed: int, *, together: float = 0.5) -> None:
        self._rng = random.Random(seed)
        self._chances = (old, new)
        self._together = together
        self._fields: dict[str, int] = {}

    def found(self, *, more: int) -> str:
        """Count so many more likes; return how the new model compares now."""
        add_fields(self._fields, fields_of([self._pair() for _ in range(more)], NAMES))
        [compared] = self._evidence().verdict.comparisons
        return compared.decision

    def more(self, count: int) -> Decided | None:
        """Count so many more likes; return how the canary ends now."""
        add_fields(self._fields, fields_of([self._pair() for _ in range(count)], NAMES))
        return self.decided(after_s=1.0)

    def decided(self, *, after_s: float) -> Decided | None:
        now_ms = 1_000 + int(1_000 * after_s)
        return decide(canary(), self._evidence(), now_ms=now_ms, longest_s=3_600.0)

    def _evidence(self) -> Evidence:
        tally = tally_of_pairs(self._fields, NAMES)
        return Evidence(verdict_of(canary(), tally), tally)

    def _pair(self) -> Pair:
        # A tenth of the users has half of the likes.
        users = 20 if self._rng.random() < 0.5 else 200
        group = group_of(UserId(f"{users} {self._rng.randrange(users)}"))
        first = self._rng.random()
        second = first if self._rng.random() < self._together else self._rng.random()
        return Pair(group, first < self._chances[0], second < self._chances[1])


def test_equal_models_are_rarely_called_different_however_often_one_looks() -> None:
    alarms = 0
    for seed in range(60):
        likes = Likes(0.2, 0.2, seed)
        looks = [likes.found(more=150) for _ in range(8)]
        alarms += not {"better", "worse"}.isdisjoint(looks)
    assert alarms <= 3


def test_a_better_model_is_promoted_and_a_broken_one_rolled_back_soon() -> None:
    better, broken = Likes(0.15, 0.25, 1), Likes(0.2, 0.01, 2)
    ends = []
    for likes in (better, broken):
        decided = None
        for looks in range(40):
            decided = likes.more(50)
            if decided is not None:
                ends.append((decided.decision, looks))
                break
    assert [decision for decision, _ in ends] == ["promoted", "rolled_back"]
    assert ends[1][1] < 15, "within 750 likes"


def test_a_model_that_is_not_worse_by_more_than_the_margin_is_promoted() -> None:
    likes = Likes(0.3, 0.3, 3, together=0.98)  # it predicts nearly the same likes
    decided = next(found for _ in range(200) if (found := likes.more(100)))
    assert decided.decision == "promoted"
    assert "at most" in decided.reason


@pytest.mark.parametrize(("new", "expected"), [(0.3, "promoted"), (0.2, "rolled_back")])
def test_without_a_verdict_the_estimate_decides_at_the_end(new: float, expected: str) -> None:
    likes = Likes(0.3, new, 4, together=1.0)
    assert likes.more(20) is None
    decided = likes.decided(after_s=3_600.0)
    assert decided is not None
    assert decided.decision == expected


def test_a_canary_that_nothing_measured_is_rolled_back_at_the_end_with_what_to_check() -> None:
    decided = Likes(0.3, 0.3, 5).decided(after_s=3_600.0)
    assert decided is not None
    assert decided.decision == "rolled_back"
    assert "consumer.quality_samples_per_s" in decided.reason


# --- who takes part --------------------------------------------------------------------------


def test_it_is_an_experiment_in_which_nobody_takes_part() -> None:
    found = canary()
    assert decode_stored_experiment(encode_experiment(found)) == found
    assert found.kind == "prequential"
    assert not any(assigned(found, UserId(f"u{number}")) for number in range(100))
    assert canary_row(found).share == 0.0


def test_only_a_canary_of_two_versions_can_be_prequential() -> None:
    body = experiment_json(canary())
    for wrong in (
        body | {"canary": False},
        body | {"variants": [*body["variants"], {"name": "third", "model": OLD}]},
        body | {"variants": [{"name": "current"}, {"name": "canary", "model": NEW}]},
    ):
        with pytest.raises(InvalidInputError, match="prequential"):
            decode_stored_experiment(msgspec.json.encode(wrong))
    mine = {"kind": "prequential", "variants": [{"name": "a"}, {"name": "b"}]}
    with pytest.raises(InvalidInputError, match="prequential"):
        start(MemoryStore(), Settings(), "mine", mine, now_ms=1)


def test_attribution_reads_nothing_for_it_and_knows_that_it_runs() -> None:
    experiment = canary()
    store = store_with(experiment)
    runs = Runs(store, ExperimentSettings())
    assert runs.to_count() == []
    assert runs.canary == experiment
    ended = structs.replace(experiment, stopped_at_ms=2_000)
    store.apply(Changes(experiments={ended.name: encode_experiment(ended)}), {})
    assert runs.to_count() == []
    assert runs.canary is None


def test_it_cannot_be_computed_from_the_topics_and_verify_says_why() -> None:
    experiment = canary()
    broker, topics = MemoryBroker(), Topics()
    broker.ensure_topics(topics.specs(1))
    sink = broker.sink()
    sink.send(topics.experiments, encode_experiment(experiment), key=experiment.name.encode())
    with pytest.raises(LikewiseError, match="drawn the likes that it counts at random"):
        ExperimentVerifier(broker, store_with(experiment), topics, experiment.name)


def test_the_indexer_refuses_to_start_if_nothing_samples_likes() -> None:
    settings = Settings(model=SETTINGS)
    with pytest.raises(SettingsError, match=r"consumer\.quality_samples_per_s .* is 0"):
        run_indexer(settings, MemoryBroker(), MemoryStore(), threading.Event())


# --- in the consumer -------------------------------------------------------------------------


def write_shuffled_model(directory: Path, version: str, *, snapshot_at_ms: int) -> None:
    """Write a model of the same items, liked at random: what it predicts is chance."""
    items = sorted({one for block in range(BLOCKS) for one in block_items(block)})
    rng = random.Random(5)
    users = [UserId(f"r{number}") for number in range(40)]
    likes = UserLikes(users, [set(rng.sample(items, 5)) for _ in users])
    model = build_model(interactions_of([likes]), Recipe(rank=BLOCKS))
    write_model(directory, version, model, snapshot_at_ms=snapshot_at_ms)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions; the new one was built from nothing but noise."""
    path = tmp_path_factory.mktemp("models")
    write_block_model(path, OLD, blocks=BLOCKS)
    write_shuffled_model(path, NEW, snapshot_at_ms=SNAPSHOT_AT_MS + 1_000)
    return path


def probe(user: int, at_ms: int = 0) -> Probe:
    """A like that the block model predicts."""
    block = user % BLOCKS
    return Probe(
        item(block, 0), frozenset(likes_but_one(block)), at_ms, group_of(UserId(f"u{user}"))
    )


def sampled(store: MemoryStore, experiment: Experiment) -> tuple[int, int, int]:
    """Return the number of sampled likes, and how many of them each model predicted."""
    tally = read_evidence(store, experiment).tally
    current, new = (tally.variants[name] for name in NAMES)
    return current.lists, current.likes, new.likes


def test_a_shuffled_model_is_rolled_back_by_the_likes_of_the_evaluator(directory: Path) -> None:
    experiment = canary()
    store = store_with(experiment)
    users = count()
    store.announce_model(encode_announcement(read_manifest(directory, OLD).announcement()))
    with evaluating(
        directory, store, 1_000.0, QualityStats(), canary=lambda: experiment
    ) as sampler:

        def decided() -> Decided | None:
            sampler.submit([probe(next(users) % 100) for _ in range(5)])
            evidence = read_evidence(store, experiment)
            return decide(experiment, evidence, now_ms=2_000, longest_s=3_600.0)

        found = wait_until(decided, "a decision")
    assert found.decision == "rolled_back"
    assert "`canary` predicts" in found.reason
    row = canary_row(experiment, store)
    assert row.effect is not None
    assert row.effect < -0.5


def counted(
    directory: Path, store: MemoryStore, experiment: Experiment, probes: Iterable[Probe]
) -> None:
    """Count the probes once the new model is loaded."""
    current, given = load_model(directory, OLD), list(probes)
    with closing(Contender(directory, store, lambda: experiment)) as contender:

        def is_loaded() -> bool:
            contender.follow(current)
            assert contender._models is not None
            return contender._models.current().version == NEW

        wait_until(is_loaded, "the new model")
        contender.compare(current, given, score(current.model, given, ()), ())


def test_likes_that_the_new_model_may_know_do_not_count(directory: Path) -> None:
    experiment = canary()
    store = store_with(experiment)
    times_ms = (SNAPSHOT_AT_MS + 999, SNAPSHOT_AT_MS + 1_000, 0)
    counted(directory, store, experiment, [probe(1, at_ms) for at_ms in times_ms])
    assert sampled(store, experiment)[:2] == (2, 2)


def test_a_new_model_that_cannot_rank_predicts_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[bool]:
        raise ValueError("shapes")

    monkeypatch.setattr("consumers.prequential.contender.predicted", broken)
    experiment = canary()
    store = store_with(experiment)
    with capture_logs() as logs:
        counted(directory, store, experiment, map(probe, range(50)))
    assert sampled(store, experiment) == (50, 50, 0)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == [
        "the model of a canary cannot rank"
    ]


class RefusingStore(MemoryStore):
    """Applies no attribution."""

    def __init__(self, failure: LikewiseError | None = None) -> None:
        super().__init__()
        self._failure = failure or AssertionError("nothing is to be counted")

    def apply_attribution(self, update: AttributionUpdate) -> None:
        raise self._failure


@pytest.mark.parametrize("failure", [TransientError("away"), SettingsError("no permission")])
def test_counts_that_cannot_be_written_are_dropped(directory: Path, failure: LikewiseError) -> None:
    store = RefusingStore(failure)
    counted(directory, store, canary(), [probe(1)])
    assert sampled(store, canary()) == (0, 0, 0)


def test_without_a_canary_no_second_model_is_loaded(directory: Path) -> None:
    with closing(Contender(directory, RefusingStore(), lambda: None)) as contender:
        current = load_model(directory, OLD)
        contender.follow(current)
        contender.compare(current, [probe(1)], score(current.model, [probe(1)], ()), ())
        assert contender._models is None


def test_another_current_model_is_not_compared(directory: Path) -> None:
    experiment = structs.replace(
        canary(), variants=canary().variants[::-1]
    )  # the control is not the current model
    store = store_with(experiment)
    with closing(Contender(directory, store, lambda: experiment)) as contender:
        current = load_model(directory, OLD)
        contender.follow(current)
        contender.compare(current, [probe(1)], score(current.model, [probe(1)], ()), ())
    assert sampled(store, experiment) == (0, 0, 0)


# --- on a terminal ---------------------------------------------------------------------------


def test_it_is_shown_as_likes_that_were_sampled_and_predicted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    experiment = canary()
    store = store_with(experiment)
    pairs = [Pair(number, number % 2 == 0, number % 4 == 0) for number in range(400)]
    counts = {run_of(experiment).key: fields_of(pairs, NAMES)}
    store.apply_attribution(AttributionUpdate(counts=counts))
    print_report(experiment, report_of(store, experiment.name))
    shown = capsys.readouterr().out
    assert "nobody gets lists of the new one" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["current", "400", "200", "0.5000"] in rows
    assert ["canary", "400", "100", "0.2500"] in rows
    assert "`canary` predicts 50.0% fewer likes than `current`" in shown
    assert _canary(canary_row(experiment, store)).startswith("tested with likes, -50.0%")
