"""Evaluations of several kinds of signals: what was known when, what is ranked by, and what helps."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from indexer.progress import Unwatched
from indexer.recipes import DEFAULTS
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.evaluate import Options, evaluate
from likewise.evaluation.kinds import effects_of_kinds
from likewise.evaluation.likes.held_out import hold_out
from likewise.evaluation.likes.sources import Read, likes_of_file, likes_of_store, likes_of_topic
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import LIKE, LikeCollector, LikeTable, Split, Stamp
from likewise.evaluation.likes.until import EventCollector, Until
from likewise.evaluation.report.account import as_json
from likewise.evaluation.report.html import as_html
from likewise.evaluation.tuning.settings_file import settings_toml
from likewise.evaluation.tuning.weights import tune_weights
from likewise.log.topics import TopicSpec
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    Signal,
    Unsignal,
    encode_event,
    event_key,
    make_event,
)
from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.operations.files.reading import Chunk
from likewise.operations.files.rows import Row
from likewise.settings import ModelSettings
from likewise.settings.loader import load_settings
from likewise.store.port import Changes, UserChange
from likewise.store.signals_port import SetChange
from likewise.testing import MemoryBroker, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.evaluation.likes.held_out import HeldOut

K = 10
VIEW, BUY, NOISE = map(SignalKind, ("view", "buy", "impression"))
ANN, BOB = UserId("ann"), UserId("bob")
RECIPE = structs.replace(DEFAULTS["blend"], rank=16)
FIT = (Split.TRAIN, Split.VALID)


def said(kind: str, user: str, item: str) -> Like | Signal:
    if kind == LIKE:
        return Like(UserId(user), ItemId(item))
    return Signal(UserId(user), ItemId(item), SignalKind(kind))


def table_of(*rows: tuple[str, str, str, int | None]) -> LikeTable:
    """Return the table of rows of kind, user, item and time."""
    collector = LikeCollector()
    for kind, user, item, time_ms in rows:
        collector.add(said(kind, user, item), Stamp(time_ms))
    return collector.table()


@cache
def shop(timed: bool = True) -> LikeTable:
    """Users view items of their taste and like some of those; impressions are of anything."""
    draw = np.random.default_rng(4)
    collector, users, items, tastes = LikeCollector(), 160, 150, 15
    for user in range(users):
        own = np.arange(draw.integers(tastes), items, tastes)
        seen = draw.permutation(own)
        for step in range(4):
            at = 1_000 * step
            events = [(VIEW, item) for item in seen[2 * step : 2 * step + 2]]
            events += [(NOISE, item) for item in draw.choice(items, 2, replace=False)]
            events.append((LIKE, draw.choice(own)))
            for number, (kind, item) in enumerate(events):
                event = said(kind, f"u{user}", f"i{item}")
                collector.add(event, Stamp(at + number if timed else None))
    return collector.table()


def held_out(
    likes: LikeTable, weights: dict[SignalKind, float], test: list[tuple[str, str]]
) -> HeldOut:
    users, items = likes.interactions.user_items.nonzero()
    ids = likes.interactions
    splits = np.array(
        [
            Split.TEST if (ids.user_ids[u], ids.item_ids[i]) in test else Split.TRAIN
            for u, i in zip(users, items, strict=True)
        ],
        np.int8,
    )
    return hold_out(likes, splits, fit=FIT, wanted=Split.TEST, weights=weights)


def fit_of(found: HeldOut) -> dict[tuple[str, str], float]:
    matrix = found.fit.user_items
    pairs = zip(*matrix.nonzero(), matrix.data.tolist(), strict=True)
    return {(found.fit.user_ids[u], found.fit.item_ids[i]): weight for u, i, weight in pairs}


def asked_and_banned(found: HeldOut) -> tuple[dict[str, float], set[str]]:
    """Return the weights of the only user's query, and what is never shown."""
    (query,) = found.queries()
    names = found.fit.item_ids
    weights = np.ones(len(query.liked)) if query.weights is None else query.weights
    asked = {names[row]: float(weight) for row, weight in zip(query.liked, weights, strict=True)}
    return asked, {names[row] for row in query.banned}


def test_signals_before_the_first_held_out_like_were_known_and_later_ones_were_not() -> None:
    likes = table_of(
        ("like", "ann", "a", 10), ("like", "ann", "b", 30), ("like", "ann", "c", 40),
        ("view", "ann", "b", 20), ("view", "ann", "c", 29), ("view", "ann", "d", 30),
        ("view", "ann", "e", 35), ("view", "bob", "b", 99),
    )  # fmt: skip
    found = held_out(likes, {VIEW: 0.25}, [("ann", "b"), ("ann", "c")])
    assert fit_of(found) == {
        ("ann", "a"): 1, ("ann", "b"): 0.25, ("ann", "c"): 0.25, ("bob", "b"): 0.25
    }  # fmt: skip
    # What was viewed may be liked next.
    assert asked_and_banned(found) == ({"a": 1, "b": 0.25, "c": 0.25}, {"a"})
    assert found.activity.tolist() == [1]
    assert found.wanted.toarray().tolist() == [[0, 1, 1]]


def test_without_times_held_out_pairs_have_no_signal_and_no_item_with_one_is_recommended() -> None:
    likes = table_of(
        ("like", "ann", "a", None), ("like", "ann", "b", None),
        ("view", "ann", "b", None), ("view", "ann", "c", None), ("view", "bob", "b", None),
    )  # fmt: skip
    for weight, seen in ((0.25, {"a": 1, "c": 0.25}), (0.0, {"a": 1})):
        found = held_out(likes, {VIEW: weight}, [("ann", "b")])
        asked, banned = asked_and_banned(found)
        assert asked == seen
        assert banned == ({"a", "c"} if weight else {"a"})


def test_a_dislike_counts_against_items_in_queries_and_is_never_shown() -> None:
    likes = table_of(
        ("like", "ann", "a", 10), ("like", "ann", "z", 50), ("like", "bob", "b", 5),
        ("view", "ann", "b", 20), ("dislike", "ann", "b", 21), ("hide", "ann", "a", 22),
    )  # fmt: skip
    found = held_out(likes, {VIEW: 0.25, DISLIKE: -0.5, HIDE: 0.0}, [("ann", "z")])
    assert fit_of(found) == {("ann", "a"): 1, ("ann", "b"): 0.25, ("bob", "b"): 1}
    assert asked_and_banned(found) == ({"a": 1, "b": -0.5}, {"a", "b"})


def test_kinds_without_a_weight_make_no_difference() -> None:
    with_kinds = shop()
    splits = divide(with_kinds, seed=0).splits
    found = hold_out(with_kinds, splits, fit=FIT, wanted=Split.TEST)
    assert found.others is None
    assert set(found.fit.user_items.data.tolist()) == {1.0}


def test_signals_after_the_point_where_train_ends_were_not_known() -> None:
    collector = EventCollector(Until(100))
    for kind, item, at in (
        ("like", "a", 1), ("view", "b", 50), ("view", "c", 150), ("like", "d", 200), ("like", "b", 201)
    ):  # fmt: skip
        collector.add(said(kind, "ann", item), at)
    collector.add(Unsignal(ANN, ItemId("b"), VIEW), 160)
    likes = collector.table()
    assert likes.splits is not None
    found = hold_out(likes, likes.splits, fit=FIT, wanted=Split.TEST, weights={VIEW: 0.5})
    assert fit_of(found) == {("ann", "a"): 1, ("ann", "b"): 0.5}


def test_the_target_is_like_or_the_only_kind_or_the_one_that_is_named() -> None:
    collector = LikeCollector()
    assert collector.table().kind == LIKE
    collector.add(said("view", "ann", "a"), Stamp())
    assert (collector.table().kind, collector.table().others) == (VIEW, {})
    collector.add(said("buy", "ann", "a"), Stamp())
    with pytest.raises(EvaluationError, match=r"no likes.*--target: buy, view"):
        collector.table()
    collector.add(said("like", "ann", "b"), Stamp())
    assert (collector.table().kind, sorted(collector.table().others)) == (LIKE, [BUY, VIEW])
    buys = collector.table(BUY)
    assert (buys.kind, buys.interactions.item_ids, sorted(buys.others)) == (
        BUY,
        ["a"],
        [LIKE, VIEW],
    )
    with pytest.raises(EvaluationError, match="target kind 'save'; there are: buy, like, view"):
        collector.table(SignalKind("save"))


def test_forgetting_and_merging_concern_every_kind() -> None:
    collector = LikeCollector()
    for user in ("guest", "bob"):
        for kind in ("like", "view"):
            collector.add(said(kind, user, f"{user}-{kind}"), Stamp(5))
    collector.add(said("view", "ann", "guest-view"), Stamp(1))
    collector.add(MergeUsers(UserId("guest"), ANN), Stamp(6))
    collector.add(ForgetUser(BOB), Stamp(7))
    table = collector.table()
    assert (table.interactions.user_ids, table.interactions.item_ids) == ([ANN], ["guest-like"])
    views = table.others[VIEW]
    assert views.interactions.user_ids == [ANN]
    assert views.times_ms is not None
    assert views.times_ms.tolist() == [1], "what the account has keeps its time"


def test_rows_of_a_file_have_kinds() -> None:
    rows = [
        Row(number, "ann", item, number, kind)
        for number, (kind, item) in enumerate(
            [("like", "a"), ("view", "b"), (None, "c"), ("dislike", "d"), ("Add To Cart", "e")], 1
        )
    ]
    read = likes_of_file([Chunk(rows, 1.0)], Unwatched())
    assert read.likes.interactions.item_ids == ["a", "c"]
    assert {kind: one.interactions.item_ids for kind, one in read.likes.others.items()} == {
        VIEW: ["b"],
        DISLIKE: ["d"],
    }
    assert (read.bad, "'Add To Cart'" in str(read.first_bad)) == (1, True)


def test_signals_come_from_the_store() -> None:
    store = MemoryStore()
    signals = {VIEW: SetChange({ItemId("b")}), DISLIKE: SetChange({ItemId("c")})}
    changes = {ANN: UserChange(add={ItemId("a")}), BOB: UserChange(signals=signals)}
    store.apply(Changes(users=changes, kinds={VIEW, DISLIKE}), {})
    read = likes_of_store(store, chunk=10, progress=Unwatched(), target=VIEW)
    assert (read.likes.kind, read.likes.interactions.user_ids) == (VIEW, [BOB])
    assert sorted(read.likes.others) == [DISLIKE, LIKE]
    assert likes_of_store(MemoryStore(), chunk=10, progress=Unwatched()).likes.kind == LIKE


def test_signals_come_from_the_topic_with_their_times() -> None:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec("likes", 1, {})])
    sink = broker.sink()
    for at, (action, kind, item) in enumerate(
        [
            ("like", None, "a"),
            ("signal", "view", "b"),
            ("signal", "view", "c"),
            ("unsignal", "view", "b"),
        ]
    ):
        event = make_event(action, "ann", item, kind=kind)
        sink.send("likes", encode_event(event, timestamp_ms=1_000 + at), key=event_key(event))
    likes = likes_of_topic(broker, "likes", Unwatched()).likes
    views = likes.others[VIEW]
    assert (likes.interactions.item_ids, views.interactions.item_ids) == (["a"], ["c"])
    assert views.times_ms is not None
    assert views.times_ms.tolist() == [1_002]


def test_views_before_likes_help_and_impressions_of_anything_do_not() -> None:
    likes = shop()
    splits = divide(likes, seed=0).splits
    everybody = np.arange(len(hold_out(likes, splits, fit=FIT, wanted=Split.TEST).user_rows))
    noise, views = effects_of_kinds(
        likes, splits, RECIPE, {VIEW: 0.5}, everybody, k=K, seed=0, progress=Unwatched()
    )
    assert (noise.kind, views.kind) == (NOISE, VIEW)
    assert (noise.weight, views.weight) == (0.5, 0.5)
    assert views.verdict == "helps"
    assert views.including["recall"] > 1.3 * views.without["recall"]
    assert noise.verdict != "helps"
    assert noise.without == pytest.approx(views.without)


def test_the_search_gives_what_helps_a_weight_and_what_does_not_none() -> None:
    likes = shop()
    splits = divide(likes, seed=0).splits
    found = tune_weights(
        likes, splits, {DISLIKE: -0.5}, k=K, seed=0, budget_s=1e6, progress=Unwatched()
    )
    assert found.weights[VIEW] > 0
    assert found.weights[NOISE] == 0
    assert (found.weights[LIKE], found.weights[DISLIKE]) == (1, -0.5)
    assert len(found.trials) == 1 + 2 * 7


def test_a_search_without_time_tries_likes_alone() -> None:
    likes = shop()
    found = tune_weights(
        likes, divide(likes, seed=0).splits, {}, k=K, seed=0, budget_s=0, progress=Unwatched()
    )
    assert found.weights == {LIKE: 1, VIEW: 0, NOISE: 0}
    assert len(found.trials) == 1


def test_weights_found_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "tuned.toml"
    path.write_text(settings_toml(RECIPE, ["found"], {LIKE: 1.0, VIEW: 0.2, DISLIKE: -0.5}))
    settings = load_settings(file=path, environ={})
    assert settings.signals.weights == {"view": 0.2, "dislike": -0.5}
    assert settings.model.rank == RECIPE.rank


def test_the_account_has_the_effect_of_each_kind_and_the_served_model_has_the_weights() -> None:
    likes = shop()
    options = Options(k=K, rankers=(), weights={VIEW: 0.5})
    settings = ModelSettings(ranker="blend", rank=16)
    found = evaluate(likes, divide(likes, seed=0), settings, options, Unwatched())
    account = json.loads(json.dumps(as_json(found, Read(likes), "shop.csv")))
    assert (account["target"], sorted(account["kinds"])) == ("like", ["impression", "view"])
    view = account["kinds"]["view"]
    assert (view["weight"], view["verdict"]) == (0.5, "helps")
    # What serves has the views, and not the impressions, to which the settings give no weight.
    assert account["rankers"]["configured"]["recall@10"] == pytest.approx(view["with"]["recall@10"])
    low, high = view["difference"]["ndcg@10"]
    assert low <= view["with"]["ndcg@10"] - view["without"]["ndcg@10"] <= high
    assert "impression" in as_html(account)
