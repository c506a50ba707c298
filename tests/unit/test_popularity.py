"""Popular items whose likes fade, over builds whose times and likes are known."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.build import build_model
from indexer.cycle import Cycle
from indexer.interactions import UserLikes, interactions_of
from indexer.popularity import decayed
from indexer.progress import Unwatched
from indexer.service import building
from indexer.snapshot import Snapshot
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import read_model, write_model
from likewise.ranking.queries import Query
from likewise.ranking.recipe import Recipe
from likewise.ranking.recommend import recommend
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.interactions import Interactions
    from likewise.ranking.model import Model

HALF_LIFE_S = 100.0
START_MS = 1_800_000_000_000
Counts = dict[str, int]


def interactions(counts: Counts) -> Interactions:
    """So many users like each item; user 0 likes all of them."""
    users = max(counts.values(), default=0)
    likes = {
        UserId(f"u{user:03}"): {ItemId(name) for name, count in counts.items() if user < count}
        for user in range(users)
    }
    return interactions_of([UserLikes(list(likes), list(likes.values()))])


class Builds:
    """Builds of one deployment, each by an indexer that was just started."""

    def __init__(self, directory: Path, half_life_s: float | None = HALF_LIFE_S) -> None:
        self.directory = directory
        self.half_life_s = half_life_s
        self.builds = 0

    def build(self, at_s: float, counts: Counts) -> Model:
        self.builds += 1
        at_ms = START_MS + round(1000 * at_s)
        cycle = Cycle(
            self.directory,
            building(ModelSettings(ranker="blend")),
            Unwatched(),
            threading.Event(),
            lambda: START_MS + self.builds,
            self.half_life_s,
        )
        snapshot = Snapshot(interactions(counts), at_ms, full=True, taken=[])
        manifest = cycle.run(lambda: snapshot, lambda announcement: None).manifest
        return read_model(self.directory, manifest.version)


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


def popularity(model: Model) -> dict[str, float]:
    return dict(zip(model.item_ids, model.popularity.tolist(), strict=True))


def popular(model: Model) -> list[tuple[str, float]]:
    (answer,) = recommend(model, [Query((), (), 10)])
    return [(one.item_id, one.score) for one in answer.items]


def test_likes_of_the_first_snapshot_count_in_full(builds: Builds) -> None:
    assert popularity(builds.build(0, {"a": 4, "b": 2})) == {"a": 4, "b": 2}


def test_a_like_counts_half_after_a_half_life_and_a_new_one_in_full(builds: Builds) -> None:
    builds.build(0, {"a": 8, "b": 2})
    model = builds.build(HALF_LIFE_S, {"a": 8, "b": 7})
    assert popularity(model) == {"a": 4, "b": 1 + 5}
    assert popular(model) == [("b", 6), ("a", 4)]


def test_an_indexer_that_starts_goes_on_from_the_model_before(builds: Builds) -> None:
    for step, likes in enumerate((8, 8, 8, 12)):
        model = builds.build(step * HALF_LIFE_S, {"a": likes})
    assert popularity(model) == {"a": 1 + 4}


def test_how_often_models_are_built_makes_no_difference(tmp_path: Path) -> None:
    often, seldom = Builds(tmp_path / "often"), Builds(tmp_path / "seldom")
    for one in (often, seldom):
        one.build(0, {"a": 20, "b": 3})
    for at_s in (7, 31, 90):
        often.build(at_s, {"a": 20, "b": 3})
    there, here = (one.build(250, {"a": 20, "b": 5}) for one in (often, seldom))
    assert popularity(there) == pytest.approx(popularity(here), rel=1e-5)


def test_likes_taken_back_take_their_share(builds: Builds) -> None:
    builds.build(0, {"a": 8, "b": 8})
    assert popularity(builds.build(HALF_LIFE_S, {"a": 2, "b": 8})) == {"a": 1, "b": 4}


def test_an_item_that_vanished_starts_anew(builds: Builds) -> None:
    builds.build(0, {"a": 8, "b": 4})
    builds.build(1, {"b": 4})
    assert popularity(builds.build(HALF_LIFE_S, {"a": 3, "b": 4}))["a"] == 3


def test_a_clock_that_went_backwards_lets_no_time_pass(builds: Builds) -> None:
    builds.build(1_000, {"a": 8})
    assert popularity(builds.build(0, {"a": 9})) == {"a": 9}


def test_a_broken_version_is_passed_over(builds: Builds) -> None:
    builds.build(0, {"a": 8})
    builds.build(10, {"a": 20})
    newest = max(path for path in builds.directory.iterdir())
    (newest / "decayed_counts.npy").write_bytes(b"")
    assert popularity(builds.build(HALF_LIFE_S, {"a": 8})) == {"a": 4}


def test_decay_set_later_begins_with_the_counts_of_the_model_before(builds: Builds) -> None:
    builds.half_life_s = None
    plain = builds.build(0, {"a": 8, "b": 2})
    assert plain.decayed_counts is None
    assert popular(plain) == [("a", 8), ("b", 2)]
    builds.half_life_s = HALF_LIFE_S
    assert popularity(builds.build(HALF_LIFE_S, {"a": 8, "b": 2})) == {"a": 4, "b": 1}
    builds.half_life_s = None
    assert popularity(builds.build(2 * HALF_LIFE_S, {"a": 8, "b": 2})) == {"a": 8, "b": 2}


def test_items_whose_likes_have_all_faded_are_in_order_of_their_counts(builds: Builds) -> None:
    builds.build(0, {"a": 2, "b": 8})
    model = builds.build(1e6 * HALF_LIFE_S, {"a": 2, "b": 8})
    assert popular(model) == [("b", 0), ("a", 0)]


def test_a_decayed_model_read_back_is_popular_as_the_one_written(tmp_path: Path) -> None:
    model = build_model(interactions({"a": 3, "b": 2}), Recipe())
    model = replace(model, decayed_counts=np.array([0.5, 1.5], np.float32))
    version = "20260101T000000.000Z"
    write_model(tmp_path, version, model, snapshot_at_ms=1)
    assert popular(read_model(tmp_path, version)) == popular(model) == [("b", 1.5), ("a", 0.5)]


def test_a_new_item_is_recommended_as_soon_as_it_has_likes_in_a_snapshot(builds: Builds) -> None:
    builds.build(0, {"a": 5, "b": 4})
    model = builds.build(10 * HALF_LIFE_S, {"a": 5, "b": 4, "new": 2})
    assert popular(model)[0] == ("new", 2)
    liked = {ItemId("a")}
    (answer,) = recommend(model, [Query(liked, liked, 5)])
    assert answer.source == "model"
    by_id = {one.item_id: one.score for one in answer.items}
    assert by_id[ItemId("new")] > 0


histories = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1), min_size=1, max_size=5
)


@given(histories, st.floats(0, 3))
def test_decayed_popularity_is_between_nothing_and_the_count(
    history: list[Counts], half_lives: float
) -> None:
    before = build_model(interactions(history[0]), Recipe(rank=0, ranker="spectral"))
    for counts in history[1:]:
        now = interactions(counts)
        popularity = decayed(before, now, half_lives)
        before = build_model(now, Recipe(rank=0, ranker="spectral"))
        before = replace(before, decayed_counts=popularity)
        assert (popularity >= 0).all()
        assert (popularity <= before.item_counts + 1e-4).all()
