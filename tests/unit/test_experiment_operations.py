"""Experiments are defined, started, stopped and removed by what the store and the disk have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from likewise.errors import InvalidInputError, ModelFileError
from likewise.messages.announcements import encode_announcement
from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.request_options import RequestOptions
from likewise.models.files import read_manifest
from likewise.models.layout import alternatives_in
from likewise.operations.experiments import (
    ExperimentStateError,
    UnknownExperimentError,
    list_experiments,
    remove,
    report_of,
    start,
    stop,
)
from likewise.settings import IndexerSettings, ModelSettings, Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.port import Changes
from likewise.testing import MemoryStore
from tests.serving_rig import write_block_model

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_800_000_000_000
OLD, NEW = "20260101T000000.000Z", "20260101T000001.000Z"


class Operator:
    """What an operator has: a store, a directory of two models, and settings."""

    def __init__(self, directory: Path) -> None:
        self.store = MemoryStore()
        for version in (OLD, NEW):
            write_block_model(directory, version, blocks=2, catalogue=version)
        current = read_manifest(directory, NEW).announcement()
        self.store.announce_model(encode_announcement(current))
        self.settings = Settings(
            model=ModelSettings(directory=directory),
            indexer=IndexerSettings(alternatives=("ridge",)),
            experiments=ExperimentSettings(window_s=3_600.0),
        )

    def define(self, name: str = "taste", **body: Any) -> Experiment:
        return self.start(name, **body)[0]

    def start(self, name: str = "taste", **body: Any) -> tuple[Experiment, list[str]]:
        whole = {"variants": [{"name": "b"}], **body}
        return start(self.store, self.settings, name, whole, now_ms=NOW_MS)

    def put(self, *experiments: Experiment) -> None:
        documents = {one.name: encode_experiment(one) for one in experiments}
        self.store.apply(Changes(experiments=dict(documents)), {})


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_a_single_variant_is_compared_with_a_control_without_changes(operator: Operator) -> None:
    found = operator.define(variants=[{"name": "ridge", "ranker": "ridge"}])
    assert found.variants == (Variant(name="control"), Variant(name="ridge", ranker="ridge"))
    assert (found.kind, found.started_at_ms, found.window_s) == ("split", NOW_MS, 3_600.0)
    assert len(found.seed) == 16
    assert operator.define().seed != found.seed


def test_what_is_given_is_kept(operator: Operator) -> None:
    variants = [{"name": "a"}, {"name": "b", "share": 3, "defaults": {"novelty": 0.5}}]
    found = operator.define(
        variants=variants, seed="s", kind="interleaved", share=0.5, exclude=["bot", 7], window_s=60
    )
    assert found == Experiment(
        name="taste",
        kind="interleaved",
        variants=(
            Variant(name="a"),
            Variant(name="b", share=3.0, defaults=RequestOptions(novelty=0.5)),
        ),
        seed="s",
        started_at_ms=NOW_MS,
        share=0.5,
        exclude=found.exclude,
        window_s=60.0,
    )
    assert [*found.exclude] == ["bot", "7"]


def test_a_model_is_pinned_to_a_version_on_disk(operator: Operator) -> None:
    variants = [{"name": "a", "model": "current"}, {"name": "b", "model": "previous"}]
    assert [one.model for one in operator.define(variants=variants).variants] == [NEW, OLD]
    with pytest.raises(ModelFileError, match=rf"no model '2026'.* {NEW}, {OLD}"):
        operator.start(variants=[{"name": "b", "model": "2026"}])


def test_a_ranker_has_to_be_among_the_alternatives_or_on_disk(operator: Operator) -> None:
    with pytest.raises(
        InvalidInputError, match=r"`variants\.ranker` of 'b': .*'blend'; .* has: ridge"
    ):
        operator.start(variants=[{"name": "b", "ranker": "blend"}])
    with pytest.raises(InvalidInputError, match="nobody builds models of ranker"):
        operator.start(variants=[{"name": "b", "ranker": "../.."}])
    ridge = [{"name": "b", "ranker": "ridge"}]
    [said] = notes(operator, ridge)
    assert said.startswith("no model of ranker 'ridge' is built yet")
    directory = alternatives_in(operator.settings.model.directory) / "ridge"
    write_block_model(directory, NEW, blocks=2, catalogue=NEW)
    assert notes(operator, ridge) == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"variants": []}, "variants"),
        ({"variants": "b"}, "variants"),
        ({"variants": [{"name": "control"}]}, "two variants have the same name"),
        ({"kind": "both"}, "kind"),
        ({"share": 2}, "share"),
        ({"variants": [{"name": "b", "defaults": {"user_id": "u1"}}]}, "user_id"),
        ({"canary": True}, "canary"),
        ({"stopped_at_ms": 5}, "stopped_at_ms"),
        ({"outcome": {"decision": "promoted"}}, "outcome"),
    ],
)
def test_what_is_invalid_is_refused_by_name(
    operator: Operator, body: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInputError, match=named):
        operator.start(**body)


def test_a_name_runs_once(operator: Operator) -> None:
    running = operator.define()
    operator.put(running)
    with pytest.raises(ExperimentStateError, match="'taste' runs already"):
        operator.start()
    operator.put(stop(operator.store, "taste", now_ms=NOW_MS + 5, reason="enough"))
    assert operator.start()[1] == [
        "this replaces the experiment 'taste' that has stopped, and its verdict"
    ]
    remove(operator.store, "taste")
    operator.store.apply(Changes(experiments={"taste": None}), {})
    assert operator.start()[1] == []


def test_a_second_experiment_of_the_same_users_is_allowed_and_said(operator: Operator) -> None:
    assert operator.start("first", share=0.5)[1] == []
    operator.put(operator.define("first", share=0.5))
    [said] = operator.start("second")[1]
    assert said.startswith("experiment 'first' runs for some of the same users")
    operator.put(msgspec.structs.replace(operator.define("all"), started_at_ms=5))
    assert operator.start("second")[1][0].startswith("experiment 'all' takes every request")
    operator.store.apply(Changes(scenarios={"home": b"{}"}), {})
    for said in operator.start("cosy", scenario="home")[1]:
        assert said.endswith("their requests for scenario 'home' now count for 'cosy' only")


def test_an_experiment_of_a_scenario_that_does_not_exist_is_said(operator: Operator) -> None:
    assert operator.start(scenario="home")[1] == [
        "there is no scenario 'home' yet, so no request takes part"
    ]


def test_experiments_that_run_are_listed_first_and_the_last_stopped_next(
    operator: Operator,
) -> None:
    one = operator.define("one")
    operator.put(
        msgspec.structs.replace(one, name="old", stopped_at_ms=NOW_MS + 1),
        msgspec.structs.replace(one, name="new", stopped_at_ms=NOW_MS + 2),
        msgspec.structs.replace(one, name="z", scenario="home"),
        msgspec.structs.replace(one, name="a"),
    )
    operator.store.apply(Changes(experiments={"bad": b"{"}), {})
    assert [found.name for found in list_experiments(operator.store)] == ["z", "a", "new", "old"]


def test_a_stopped_experiment_says_when_and_why(operator: Operator) -> None:
    operator.put(operator.define())
    found = stop(operator.store, "taste", now_ms=NOW_MS + 60_000, reason="enough")
    assert found.stopped_at_ms == NOW_MS + 60_000
    assert found.outcome is not None
    assert (found.outcome.decision, found.outcome.reason) == ("stopped", "enough")
    assert found.outcome.verdict == report_of(operator.store, "taste").verdict
    assert stop(operator.store, "taste", now_ms=5).stopped_at_ms == NOW_MS  # by a clock behind
    with pytest.raises(ExperimentStateError, match="'taste' runs; stop it first"):
        remove(operator.store, "taste")
    operator.put(found)
    with pytest.raises(ExperimentStateError, match="was stopped at 2027-01-15T08:01:00Z"):
        stop(operator.store, "taste", now_ms=NOW_MS)


def test_an_unknown_name_is_answered_with_the_known_ones(operator: Operator) -> None:
    operator.put(operator.define())
    for what in (
        lambda: stop(operator.store, "no", now_ms=1),
        lambda: remove(operator.store, "no"),
    ):
        with pytest.raises(UnknownExperimentError, match="no experiment 'no'; there are: taste"):
            what()


def notes(operator: Operator, variants: list[dict[str, str]]) -> list[str]:
    return operator.start(variants=variants)[1]
