"""Models of weighted signals: what weights change, and that likes alone change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy.sparse import csr_array

from indexer.build import build_model
from indexer.interactions import Interactions, UserLikes, interactions_of
from indexer.leave_out import leave_out
from indexer.popularity import decayed
from indexer.recipes import DEFAULTS
from indexer.svd import normalise
from indexer.weighing import weighed
from likewise.errors import ModelFileError
from likewise.messages.ids import ItemId, SignalKind, UserId
from likewise.models.files import read_model, write_model
from likewise.models.tables import read_tables
from likewise.ranking.degrees import item_degrees, user_degrees
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend
from likewise.ranking.sampling import bounded

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName

VERSION = "20260101T000000.000Z"
KINDS = tuple(map(SignalKind, ("view", "save", "buy")))


def weighted(rows: dict[str, dict[str, float]]) -> Interactions:
    """Return the interactions of users, each with the weights of some items."""
    likes = [{ItemId(item): weight for item, weight in items.items()} for items in rows.values()]
    weights = [weight for items in likes for weight in items.values()]
    return interactions_of(
        [UserLikes([UserId(user) for user in rows], likes, np.array(weights, np.float32))]
    )


def blocks(view: float | None) -> Interactions:
    """Two groups of users like items of their own group; with a weight, one more item is only viewed."""
    rows: dict[str, dict[str, float]] = {}
    for group in "ab":
        for user in range(12):
            rows[f"{group}{user}"] = {f"{group}-{(user + step) % 8}": 1.0 for step in range(4)}
            if view is not None:
                rows[f"{group}{user}"][f"{group}-viewed"] = view
    return weighted(rows)


sets = st.sets(st.sampled_from([ItemId(name) for name in "vwxyz"]))


@given(
    st.lists(st.tuples(sets, st.dictionaries(st.sampled_from(KINDS), sets)), max_size=4),
    st.tuples(*[st.sampled_from([0.1, 0.5, 1.0, 2.0, 3.0])] * len(KINDS)),
)
def test_the_weight_of_a_pair_is_the_largest_of_its_kinds(
    signals: list[tuple[set[ItemId], dict[SignalKind, set[ItemId]]]], values: tuple[float, ...]
) -> None:
    weights = dict(zip(KINDS, values, strict=True))
    users = [UserId(f"u{number}") for number in range(len(signals))]
    merged = weighed(users, [liked for liked, _ in signals], [by for _, by in signals], weights)
    assert merged.weights is not None
    found = iter(merged.weights.tolist())
    for (liked, by_kind), items in zip(signals, merged.likes, strict=True):
        expected = {
            item: max(
                [1.0] * (item in liked)
                + [weights[kind] for kind in by_kind if item in by_kind[kind]]
            )
            for item in liked.union(*by_kind.values())
        }
        assert {item: next(found) for item in items} == pytest.approx(expected)
    assert next(found, None) is None


def test_degrees_are_sums_of_weights_and_scale_the_matrix() -> None:
    user_items = csr_array(np.array([[1, 3, 0], [0, 2, 0.5]], np.float32))
    assert user_degrees(user_items).tolist() == [4, 2.5]
    assert item_degrees(user_items).tolist() == [1, 5, 0.5]
    scaled = normalise(user_items, 0.5, 1.0).toarray()
    # A degree below 1 counts as 1.
    expected = [[1 / 2, 3 / 2 / 5, 0], [0, 2 / 2.5**0.5 / 5, 0.5 / 2.5**0.5]]
    assert scaled == pytest.approx(np.array(expected))


def test_likes_alone_have_whole_degrees() -> None:
    user_items = csr_array(np.array([[1, 1], [0, 1]], np.float32))
    assert (user_degrees(user_items).dtype.kind, item_degrees(user_items).dtype.kind) == ("i", "i")


@pytest.mark.parametrize("ranker", list(DEFAULTS))
def test_weights_of_one_give_the_model_of_likes_bit_for_bit(ranker: RankerName) -> None:
    plain = blocks(None)
    likes = {
        user: {plain.item_ids[row] for row in plain.user_items[[number]].indices}
        for number, user in enumerate(plain.user_ids)
    }
    unweighted = interactions_of([UserLikes(list(likes), list(likes.values()))])
    one, other = (build_model(each, DEFAULTS[ranker]) for each in (plain, unweighted))
    for name in ("item_factors", "spectrum", "query_weights", "score_weights", "item_counts"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(one.cooccurrence.toarray(), other.cooccurrence.toarray())
    assert one.popularity.dtype == other.popularity.dtype == np.int32


def test_the_model_of_a_tiny_weight_is_close_to_that_of_likes() -> None:
    # The ridge of a user goes by the number of signals, whatever they weigh.
    recipe = structs.replace(DEFAULTS["blend"], ridge_exponent=0.0)
    plain, faint = (build_model(blocks(view), recipe) for view in (None, 1e-5))
    liked = {ItemId("a-0"), ItemId("a-1")}
    (one,), (other,) = (recommend(model, [Query(liked, liked, 6)]) for model in (plain, faint))
    assert {item.item_id: item.score for item in other.items if "viewed" not in item.item_id} == (
        pytest.approx({item.item_id: item.score for item in one.items}, rel=1e-3)
    )


@pytest.mark.parametrize("ranker", list(DEFAULTS))
def test_an_item_that_is_only_viewed_is_recommended_to_those_whose_taste_it_fits(
    ranker: RankerName,
) -> None:
    model = build_model(blocks(0.5), DEFAULTS[ranker])
    liked = {ItemId(f"a-{number}") for number in range(8)}
    (answer,) = recommend(model, [Query(liked, liked, 5, fill=False)])
    assert [item.item_id for item in answer.items] == ["a-viewed"]


def test_popular_items_are_those_with_the_largest_sum_of_weights() -> None:
    rows = {f"u{number}": {"viewed": 0.1, "kept": 1.0} for number in range(3)}
    rows |= {f"v{number}": {"viewed": 0.1} for number in range(5)}
    model = build_model(weighted(rows), DEFAULTS["blend"])
    assert model.item_counts.tolist() == [3, 8]
    assert model.popularity.tolist() == pytest.approx([3.0, 0.8])
    (answer,) = recommend(model, [Query((), (), 2)])
    assert [item.item_id for item in answer.items] == ["kept", "viewed"]


def test_popularity_fades_by_weights_and_new_weights_are_no_new_likes() -> None:
    def views(count: int, weight: float) -> Interactions:
        return weighted({f"u{number}": {"x": weight, "y": 1.0} for number in range(count)})

    before = build_model(views(4, 0.25), DEFAULTS["blend"])
    assert decayed(before, views(8, 0.25), 1.0).tolist() == pytest.approx([0.5 + 1, 2 + 4])
    heavier = decayed(before, views(4, 0.5), 1.0, reweighted=True)
    assert heavier.tolist() == pytest.approx([1, 2])


def test_a_model_with_weights_read_back_ranks_as_the_one_written(tmp_path: Path) -> None:
    model = build_model(blocks(0.5), DEFAULTS["neighbours"])
    weights = {SignalKind("view"): 0.5}
    manifest = write_model(tmp_path, VERSION, model, snapshot_at_ms=1, weights=weights)
    assert manifest.weights == weights
    again = read_model(tmp_path, VERSION)
    assert np.array_equal(again.user_items.data, model.user_items.data)
    assert answers(again) == answers(model)


def test_a_model_of_likes_alone_writes_no_weights(tmp_path: Path) -> None:
    model = with_user_ids(blocks(None))
    manifest = write_model(tmp_path, VERSION, model, snapshot_at_ms=1)
    assert {"user_items.values.npy", "item_weights.npy"}.isdisjoint(manifest.files)
    data = read_model(tmp_path, VERSION).user_items.data
    assert (data.strides, manifest.weights) == ((0,), {})


def with_user_ids(table: Interactions) -> Model:
    return replace(build_model(table, DEFAULTS["blend"]), user_ids=table.user_ids)


def test_popularity_by_weights_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    model = build_model(blocks(0.5), DEFAULTS["blend"])
    write_model(tmp_path, VERSION, model, snapshot_at_ms=1)
    again = read_model(tmp_path, VERSION)
    assert again.popularity.tolist() == model.popularity.tolist()
    assert again.degrees.tolist() == model.degrees.tolist()


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_weights_that_no_model_has_are_refused(tmp_path: Path, wrong: float) -> None:
    manifest = write_model(tmp_path, VERSION, with_user_ids(blocks(0.5)), snapshot_at_ms=1)
    table = tmp_path / VERSION / "user_items.values.npy"
    weights = np.load(table)
    weights[3] = wrong
    np.save(table, weights)
    with pytest.raises(ModelFileError, match=r"user_items\.values"):
        read_tables(tmp_path / VERSION, manifest)


def test_what_is_held_out_to_choose_a_recipe_weighs_at_least_as_much_as_a_like() -> None:
    draw = np.random.default_rng(3)
    values = draw.choice(np.array([0, 0.1, 1, 3], np.float32), (300, 40), p=[0.5, 0.3, 0.15, 0.05])
    held_out = leave_out(csr_array(values), seed=1)
    assert len(held_out.users) > 30
    assert (values[held_out.users, held_out.items] >= 1).all()
    assert (held_out.rest.toarray()[held_out.users, held_out.items] == 0).all()
    weak = np.minimum(values, np.float32(0.1))
    found = leave_out(csr_array(weak), seed=1)
    assert len(found.users) > 30
    assert np.allclose(weak[found.users, found.items], 0.1)


def test_users_with_too_many_signals_keep_the_heaviest() -> None:
    row = np.full(100, 0.1, np.float32)
    row[::10], row[5::50] = 1, 3
    kept = bounded(csr_array(np.stack([row, np.eye(100, dtype=np.float32)[0]])), 15)
    assert np.diff(kept.indptr).tolist() == [15, 1]
    values = kept.toarray()[0]
    assert ((values == row) | (values == 0)).all()
    assert (values >= 1).sum() == 12
    assert np.isclose(values, 0.1).sum() == 3


def answers(model: Model) -> list[list[tuple[str, float]]]:
    queries = [Query({one}, {one}, 8) for one in model.item_ids]
    return [[(item.item_id, item.score) for item in one.items] for one in recommend(model, queries)]


def test_a_decayed_model_with_weights_keeps_its_popularity(tmp_path: Path) -> None:
    model = build_model(blocks(0.5), DEFAULTS["blend"])
    faded = np.linspace(0, 1, len(model.item_ids), dtype=np.float32)
    write_model(tmp_path, VERSION, replace(model, decayed_counts=faded), snapshot_at_ms=1)
    assert np.array_equal(read_model(tmp_path, VERSION).popularity, faded)
