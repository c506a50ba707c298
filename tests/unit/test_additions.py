"""Items that came after a model: scored as the next build would score them, and ranked under every rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from indexer.build import build_model
from indexer.cooccurrence import cooccurrence
from indexer.factors import matrix_of
from indexer.interactions import Interactions, UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.messages.ids import ItemId, UserId
from likewise.ranking.additions import Additions
from likewise.ranking.best_items import weighted_likes
from likewise.ranking.new_rows import new_rows, supports
from likewise.ranking.queries import AdditionRules, Query, in_rows
from likewise.ranking.recommend import recommend
from likewise.ranking.scan import score_all

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName, Recipe

BLOCKS, USERS, ITEMS = 4, 30, 25
NEW, NEWER = ItemId("new"), ItemId("newer")
# Those of block 0 who like NEW, and those of block 1 who like NEWER, after the build.
NEW_LIKERS = [UserId(f"b0-u{number}") for number in (2, 5, 9)]
NEWER_LIKERS = [UserId(f"b1-u{number}") for number in (1, 3, 4, 8)]
LIKERS = {NEW: NEW_LIKERS, NEWER: NEWER_LIKERS}

Likes = dict[UserId, set[ItemId]]


def likes_before() -> Likes:
    """Users of one block like most of its items, and now and then one of another."""
    draw = np.random.default_rng(1)
    everything = [
        ItemId(f"b{block}-i{number}") for block in range(BLOCKS) for number in range(ITEMS)
    ]
    likes: Likes = {}
    for block in range(BLOCKS):
        for user in range(USERS):
            chances = np.full(len(everything), 0.03)
            chances[block * ITEMS : (block + 1) * ITEMS] = 0.5
            chosen = np.flatnonzero(draw.random(len(everything)) < chances)
            likes[UserId(f"b{block}-u{user}")] = {everything[place] for place in chosen}
    return likes


def likes_after() -> Likes:
    likes = {user: set(items) for user, items in likes_before().items()}
    for item, users in LIKERS.items():
        for user in users:
            likes[user].add(item)
    return likes


def interactions(likes: Likes) -> Interactions:
    return interactions_of([UserLikes(list(likes), list(likes.values()))])


def recipe_of(ranker: RankerName) -> Recipe:
    default = DEFAULTS[ranker]
    return msgspec.structs.replace(default, rank=min(default.rank, 12))


def built(likes: Likes, ranker: RankerName) -> Model:
    return build_model(interactions(likes), recipe_of(ranker), seed=3)


def additions_to(model: Model) -> Additions:
    after = likes_after()
    return Additions.of(
        model, LIKERS, {user: after[user] for some in LIKERS.values() for user in some}
    )


@pytest.fixture(scope="module")
def model() -> Model:
    return built(likes_before(), "blend")


@pytest.fixture(scope="module")
def additions(model: Model) -> Additions:
    return additions_to(model)


@pytest.mark.parametrize("keep", [7, 400])
def test_the_rows_are_those_of_the_next_build(keep: int) -> None:
    """Row by row and number by number: R'R cut to its strongest entries, factors not subtracted."""
    model = built(likes_before(), "cooccurrence")
    model = replace(model, recipe=msgspec.structs.replace(model.recipe, similar_items=keep))
    after = interactions(likes_after())
    next_rows = cooccurrence(matrix_of(after.user_items, model.recipe), keep=keep).links
    likes = likes_after()
    users = {user: likes[user] for some in LIKERS.values() for user in some}
    ours = new_rows(model, list(LIKERS.values()), users).similar
    for place, item in enumerate(LIKERS):
        row = after.item_ids.index(item)
        expected = {
            after.item_ids[column]: value
            for column, value in zip(*_row(next_rows, row), strict=True)
            if after.item_ids[column] not in LIKERS
        }
        found = {
            model.item_ids[column]: value for column, value in zip(*_row(ours, place), strict=True)
        }
        assert found == pytest.approx(expected, rel=1e-5)
        assert 0 < len(found) <= keep


def test_links_are_weighted_as_the_next_model_weights_them() -> None:
    model, after = built(likes_before(), "cooccurrence"), built(likes_after(), "cooccurrence")
    links = additions_to(model).links.toarray()
    known = [after.item_rows[item] for item in model.item_ids]
    theirs = after.cooccurrence.toarray()[:, [after.item_rows[item] for item in LIKERS]][known]
    np.testing.assert_allclose(links, theirs, rtol=1e-5)


@pytest.mark.parametrize("ranker", ["blend", "spectral", "cooccurrence"])
def test_scores_are_close_to_those_of_the_next_model(ranker: RankerName) -> None:
    """Not equal: the eigenvectors and the degrees of other rows change a little with the new likes."""
    before, after = built(likes_before(), ranker), built(likes_after(), ranker)
    likes = likes_before()
    queries = [Query(items, items, 10) for items in likes.values()]
    ours = additions_to(before).scores(before, _weighted(before, queries))
    theirs = score_all(after, _weighted(after, queries))[
        :, [after.item_rows[one] for one in LIKERS]
    ]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97
    assert np.median(ours[ours > 0.1 * ours.max()]) == pytest.approx(
        np.median(theirs[theirs > 0.1 * theirs.max()]), rel=0.15
    )


def test_a_new_item_is_recommended_to_those_whose_likes_go_with_it(
    model: Model, additions: Additions
) -> None:
    liked = likes_before()[UserId("b0-u20")]
    [plain, answer] = [
        recommend(model, [Query(liked, liked, 100, explain=3)], additions=one)[0].items
        for one in (None, additions)
    ]
    [place] = [place for place, item in enumerate(answer) if item.item_id == NEW]
    after = built(likes_after(), "blend")
    next_answer = recommend(after, [Query(liked, liked, 100)])[0].items
    [next_place] = [place for place, item in enumerate(next_answer) if item.item_id == NEW]
    assert abs(place - next_place) <= 3
    assert [item.score for item in answer] == sorted((item.score for item in answer), reverse=True)
    assert {item for item, _ in answer[place].because} <= liked
    assert answer[place].because
    known = [item for item in answer if item.item_id not in LIKERS]
    assert known == plain[: len(known)]


def test_contributions_add_up_to_the_score(model: Model, additions: Additions) -> None:
    liked = likes_before()[UserId("b0-u20")]
    weights = {ItemId("b0-i3"): 2.5, ItemId("b1-i0"): -0.5}
    for query in (Query(liked, liked, 9), Query(liked, liked, 9, weights=weights)):
        [rows] = in_rows(model, [query])
        shares = additions.contributions(model, rows.liked, rows.weights, np.arange(2))
        [scores] = additions.scores(model, weighted_likes(model, [rows]))
        np.testing.assert_allclose(shares.sum(axis=1), scores, rtol=1e-4, atol=1e-6)


def test_contributions_are_multiplied_as_the_score_is(model: Model, additions: Additions) -> None:
    liked = likes_before()[UserId("b0-u20")]
    plain, novel = (
        next(
            item
            for item in recommend(model, [query], additions=additions)[0].items
            if item.item_id == NEW
        )
        for query in (
            Query(liked, liked, 100, explain=2),
            Query(liked, liked, 100, explain=2, novelty=0.7),
        )
    )
    factor = 3**-0.7
    assert novel.score == pytest.approx(factor * plain.score)
    shares = dict(novel.because)
    assert shares == pytest.approx({item: factor * share for item, share in plain.because})


@pytest.mark.parametrize(
    "changed",
    [
        {"banned": [NEW]},
        {"only": [ItemId("b0-i1"), NEWER]},
        {"allowed": True},
        {"allowed": True, "additions": AdditionRules(np.array([False, True]))},
        {"pins": ((NEW, 2),)},
        {"source": "popular"},
    ],
)
def test_a_new_item_is_left_out_where_a_rule_wants_that(
    changed: dict[str, object], model: Model, additions: Additions
) -> None:
    liked = likes_before()[UserId("b0-u20")]
    if "allowed" in changed:
        changed["allowed"] = np.ones(len(model.item_ids), np.bool_)
    query = replace(Query(liked, liked, 20), **changed)  # type: ignore[arg-type]  # of many types
    shown = _ids(model, query, additions)
    assert shown.count(NEW) == ("pins" in changed)
    assert len(shown) == len(set(shown))
    assert "pins" not in changed or shown[1] == NEW


def test_a_retired_new_item_is_not_recommended(model: Model, additions: Additions) -> None:
    liked = likes_before()[UserId("b0-u20")]
    query = Query(liked, liked, 100)
    assert NEW in _ids(model, query, additions)
    assert NEW not in _ids(model, query, additions, retired={NEW})


def test_a_list_of_ones_own_may_hold_a_new_item(model: Model, additions: Additions) -> None:
    liked = likes_before()[UserId("b0-u20")]
    query = Query(liked, liked, 5, only=[NEW, ItemId("b3-i1")])
    assert _ids(model, query, additions)[0] == NEW


def test_boost_rotation_and_groups_apply_to_new_items(model: Model, additions: Additions) -> None:
    liked = likes_before()[UserId("b0-u20")]
    everything = np.ones(len(model.item_ids), np.float32)
    boosted = AdditionRules(boost=np.array([50, 1], np.float32))
    assert (
        _ids(model, Query(liked, liked, 9, boost=everything, additions=boosted), additions)[0]
        == NEW
    )
    demoted = Query(liked, liked, 9, demoted={NEW: 0.0})
    assert NEW not in _ids(model, demoted, additions)
    codes = np.zeros(len(model.item_ids), np.int32)
    grouped = AdditionRules(boost=boosted.boost, groups=np.array([0, -1], np.int32))
    query = Query(liked, liked, 9, boost=everything, max_per=(codes, 1), additions=grouped)
    assert [one for one in _ids(model, query, additions) if one != NEWER] == [NEW]


def test_diversity_leaves_new_items_before_the_first_lower_score(
    model: Model, additions: Additions
) -> None:
    liked = likes_before()[UserId("b0-u20")]
    query = Query(liked, liked, 20, diversity=0.5)
    items = recommend(model, [query], additions=additions)[0].items
    [place] = [place for place, item in enumerate(items) if item.item_id == NEW]
    assert items[place + 1].score < items[place].score
    assert all(item.score >= items[place].score for item in items[:place])


def test_answers_without_evidence_stay_popular(model: Model, additions: Additions) -> None:
    [stranger] = recommend(model, [Query((), (), 5)], additions=additions)
    assert stranger.source == "popular"
    assert not {item.item_id for item in stranger.items} & LIKERS.keys()


def test_rows_cannot_be_added_to_every_model() -> None:
    assert not supports(built(likes_before(), "neighbours"))
    assert not supports(built({}, "blend"))
    blend = built(likes_before(), "blend")
    unridged = msgspec.structs.replace(blend.recipe, ridge=0.0)
    assert supports(blend)
    assert not supports(replace(blend, recipe=unridged))


def _row(matrix: CsrMatrix, row: int) -> tuple[list[int], list[float]]:
    one = matrix[[row]]
    return one.indices.tolist(), one.data.tolist()


def _weighted(model: Model, queries: list[Query]) -> CsrMatrix:
    return weighted_likes(model, in_rows(model, queries))


def _ids(
    model: Model, query: Query, additions: Additions, retired: Collection[ItemId] = ()
) -> list[ItemId]:
    [answer] = recommend(model, [query], retired, additions=additions)
    return [item.item_id for item in answer.items]
