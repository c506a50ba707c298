"""The models of running experiments: loaded while they run, shared with the current one, released."""

from __future__ import annotations

import gc
import shutil
import weakref
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from likewise.messages.experiments import Experiment, Variant
from likewise.models.holder import ModelHolder, load_model
from likewise.models.layout import alternatives_in
from serving.variant_models import RETRY_EVERY_S, VariantModels
from tests.serving_rig import write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.models.holder import ServedModel

CURRENT = "20260101T000000.000Z"
OTHER = "20260202T000000.000Z"
LATER = "20260303T000000.000Z"


def experiment(*variants: Variant) -> Experiment:
    return Experiment(name="e", kind="split", variants=variants, seed="s", started_at_ms=1)


class World:
    """A model directory, the experiments that run, and a clock that is moved by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.experiments: tuple[Experiment, ...] = ()
        self.now_s = 1_000.0
        write_block_model(directory, CURRENT, blocks=2)
        self.models = ModelHolder(directory, load_model(directory, CURRENT))
        self.variants = VariantModels(directory, self, self.models, clock_s=lambda: self.now_s)

    def run(self, *variants: Variant) -> None:
        self.experiments = (experiment(*variants),) if variants else ()
        self.variants.look()

    def of(self, **named: Any) -> ServedModel | None:
        return self.variants.of(Variant(name="v", **named), self.models.current())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.models.close()


def test_a_variant_without_a_model_has_the_current_one(world: World) -> None:
    assert world.of() is world.models.current()


def test_a_version_is_loaded_while_an_experiment_names_it(world: World) -> None:
    write_block_model(world.directory, OTHER, blocks=3)
    assert world.of(model=OTHER) is None
    world.run(Variant(name="a"), Variant(name="b", model=OTHER))
    found = world.of(model=OTHER)
    assert found is not None
    assert found.version == OTHER
    world.variants.look()
    assert world.of(model=OTHER) is found, "it is loaded once"
    left = weakref.ref(found.model.item_factors)
    del found
    world.run()
    gc.collect()
    assert left() is None
    assert world.of(model=OTHER) is None


def test_the_current_version_is_not_loaded_a_second_time(world: World) -> None:
    world.run(Variant(name="a", model=CURRENT), Variant(name="b"))
    assert world.of(model=CURRENT) is world.models.current()


def test_a_ranker_is_its_newest_version(world: World) -> None:
    directory = alternatives_in(world.directory) / "neighbours"
    write_block_model(directory, OTHER, blocks=3)
    world.run(Variant(name="a"), Variant(name="b", ranker="neighbours"))
    found = world.of(ranker="neighbours")
    assert found is not None
    assert found.version == OTHER
    write_block_model(directory, LATER, blocks=3)
    world.now_s += 1.0
    world.variants.look()
    found = world.of(ranker="neighbours")
    assert found is not None
    assert found.version == LATER


@pytest.mark.parametrize(
    "variant",
    [
        Variant(name="b", model=OTHER),
        Variant(name="b", model="../x"),
        Variant(name="b", ranker="neighbours"),
        Variant(name="b", ranker="../x"),
    ],
)
def test_what_is_missing_is_one_line_in_the_log(
    world: World, variant: Variant, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        world.run(Variant(name="a"), variant)
        world.now_s += RETRY_EVERY_S
    assert world.of(model=variant.model, ranker=variant.ranker) is None
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "cannot be loaded" in line]) == 1


def test_a_broken_version_is_tried_again_until_it_is_whole(world: World) -> None:
    write_block_model(world.directory, OTHER, blocks=3)
    whole = world.directory.with_name("whole")
    shutil.copytree(world.directory / OTHER, whole)
    (world.directory / OTHER / "item_ids.json").write_bytes(b"[]")
    world.run(Variant(name="a"), Variant(name="b", model=OTHER))
    assert world.of(model=OTHER) is None
    shutil.copy(whole / "item_ids.json", world.directory / OTHER)
    world.variants.look()
    assert world.of(model=OTHER) is None, "files are not verified twice a second"
    world.now_s += RETRY_EVERY_S
    world.variants.look()
    assert world.of(model=OTHER) is not None


def test_a_version_that_is_removed_from_disk_continues_to_answer(world: World) -> None:
    write_block_model(world.directory, OTHER, blocks=3)
    world.run(Variant(name="a"), Variant(name="b", model=OTHER))
    shutil.rmtree(world.directory / OTHER)
    world.now_s += RETRY_EVERY_S
    world.variants.look()
    assert world.of(model=OTHER) is not None


def test_a_thread_follows_what_runs(world: World) -> None:
    write_block_model(world.directory, OTHER, blocks=3)
    with world.variants.following():
        world.experiments = (experiment(Variant(name="a"), Variant(name="b", model=OTHER)),)
        wait_until(lambda: world.of(model=OTHER) is not None)
        world.experiments = tuple(
            msgspec.structs.replace(one, variants=(Variant(name="a"), Variant(name="b")))
            for one in world.experiments
        )
        wait_until(lambda: world.of(model=OTHER) is None)
