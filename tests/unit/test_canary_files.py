"""What a model directory keeps of canaries, and what follows for the versions in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import structs

from likewise.errors import ModelFileError, SettingsError
from likewise.messages.announcements import encode_announcement
from likewise.messages.experiments import Experiment, Outcome, Variant, encode_experiment
from likewise.models.canaries import canary_name, is_unproved, read_canary, write_canary
from likewise.models.files import read_manifest
from likewise.models.holder import find_model
from likewise.models.versions import newest_sound_version, remove_old_versions
from likewise.operations.canaries import canary_row
from likewise.operations.models import find_version, model_rows, versions_in_use
from likewise.store.attribution_port import StoredTally
from likewise.store.port import Changes
from likewise.testing import MemoryStore
from tests.serving_rig import write_block_model

if TYPE_CHECKING:
    from pathlib import Path

OLD, CONTROL, TRIED = (f"2026010{day}T000000.000Z" for day in (1, 2, 3))
RUNNING = Experiment(
    name=canary_name(TRIED),
    kind="split",
    variants=(
        Variant(name="current", share=0.9, model=CONTROL),
        Variant(name="canary", share=0.1, model=TRIED),
    ),
    seed="s",
    started_at_ms=1_000,
    canary=True,
)
VERDICT = {"comparisons": [{"variant": "canary", "effect": -0.4, "low": -0.6, "high": -0.2}]}


def ended(decision: str) -> Experiment:
    outcome = msgspec.convert(
        {"decision": decision, "reason": "because", "verdict": VERDICT}, Outcome
    )
    return structs.replace(RUNNING, stopped_at_ms=9_000, outcome=outcome)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for version in (OLD, CONTROL, TRIED):
        write_block_model(tmp_path, version, blocks=2)
    return tmp_path


def test_the_experiment_of_a_version_is_read_back_and_replaced(models: Path) -> None:
    assert read_canary(models, TRIED) is None
    write_canary(models, TRIED, RUNNING)
    assert read_canary(models, TRIED) == RUNNING
    write_canary(models, TRIED, ended("promoted"))
    assert read_canary(models, TRIED) == ended("promoted")
    assert read_manifest(models, TRIED).version == TRIED


def test_a_damaged_file_is_no_canary_and_a_missing_version_an_error(models: Path) -> None:
    write_canary(models, TRIED, RUNNING)
    (models / TRIED / "canary.json").write_bytes(b"{")
    assert read_canary(models, TRIED) is None
    assert read_canary(models, "../elsewhere") is None
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_canary(models, "20260109T000000.000Z", RUNNING)


@pytest.mark.parametrize("decision", [None, "rolled_back", "stopped"])
def test_a_version_that_was_not_promoted_becomes_current_only_by_name(
    models: Path, decision: str | None
) -> None:
    write_canary(models, TRIED, RUNNING if decision is None else ended(decision))
    assert is_unproved(models, TRIED)
    newest = newest_sound_version(models)
    assert newest is not None
    assert newest.version == CONTROL
    served = find_model(models, None)
    assert served is not None
    assert served.version == CONTROL
    announced = find_model(models, encode_announcement(read_manifest(models, TRIED).announcement()))
    assert announced is not None
    assert announced.version == TRIED


def test_a_promoted_version_is_like_any_other(models: Path) -> None:
    write_canary(models, TRIED, ended("promoted"))
    newest = newest_sound_version(models)
    assert newest is not None
    assert newest.version == TRIED


def test_previous_is_not_a_version_that_was_rolled_back(models: Path) -> None:
    write_canary(models, CONTROL, ended("rolled_back"))
    store = MemoryStore()
    store.announce_model(encode_announcement(read_manifest(models, TRIED).announcement()))
    assert find_version("previous", models, store) == OLD


def test_both_versions_of_a_running_canary_are_kept(models: Path) -> None:
    for day in (4, 5):
        write_block_model(models, f"2026010{day}T000000.000Z", blocks=2)
    write_canary(models, TRIED, RUNNING)
    assert remove_old_versions(models, keep=1, in_use=()) == ["20260104T000000.000Z", OLD]
    write_canary(models, TRIED, ended("rolled_back"))
    assert remove_old_versions(models, keep=1, in_use=()) == [TRIED, CONTROL]


def test_versions_that_running_experiments_name_are_in_use() -> None:
    store = MemoryStore()
    documents: dict[str, bytes | None] = {
        "runs": encode_experiment(RUNNING),
        "ended": encode_experiment(
            structs.replace(
                ended("rolled_back"), variants=(Variant(name="a", model=OLD), Variant(name="b"))
            )
        ),
        "damaged": b"{",
    }
    store.apply(Changes(experiments=documents), {})
    assert versions_in_use(store) == {CONTROL, TRIED}


def test_a_deployment_without_a_right_to_experiments_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> dict[str, bytes]:
        raise SettingsError("no permission")

    store = MemoryStore()
    monkeypatch.setattr(store, "experiments", refuse)
    assert versions_in_use(store) == set()


def test_a_row_has_the_state_the_share_and_the_evidence(models: Path) -> None:
    write_canary(models, TRIED, ended("rolled_back"))
    newest, control, _ = model_rows(models, CONTROL)
    assert (control.current, control.canary) == (True, None)
    assert newest.canary is not None
    assert newest.canary.state == "rolled_back"
    assert newest.canary.share == pytest.approx(0.1)
    assert (newest.canary.effect, newest.canary.low, newest.canary.high) == (-0.4, -0.6, -0.2)
    assert (newest.canary.ended_at_ms, newest.canary.reason) == (9_000, "because")


def test_the_row_of_a_running_canary_has_the_evidence_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    assert canary_row(RUNNING).state == "running"
    assert canary_row(RUNNING, store).effect is None
    names = ("current", "canary")
    lists = {f"/{name}/{field}": 100 for name in names for field in ("lists", "n2", "y2")}
    likes = {"/current/likes": 10, "/canary/likes": 20}
    monkeypatch.setattr(store, "tally", lambda *_: StoredTally({**lists, **likes}, {}))
    assert canary_row(RUNNING, store).effect == pytest.approx(1.0)
    shared = structs.replace(RUNNING, kind="interleaved", share=0.2)
    assert canary_row(shared).share == 0.2


def test_the_effect_of_an_interleaved_canary_is_relative_to_the_current_model_too() -> None:
    # The likes of shared lists: 3 of 10 are the canary's, so 4 / 7 fewer than the others.
    row = canary_row(structs.replace(ended("rolled_back"), kind="interleaved"))
    assert row.effect == pytest.approx(-4 / 7)
    assert row.low == pytest.approx(-6 / 8)
