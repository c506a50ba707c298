"""The index of faiss: what a search finds with it, how its tables are written, read and checked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from benchmarks.synthetic import synthetic_likes
from indexer.build import build_model
from indexer.recipes import DEFAULTS
from indexer.service import building
from likewise.errors import MissingExtraError, ModelFileError
from likewise.models.checksums import entry_of
from likewise.models.files import read_manifest, read_model, write_model
from likewise.ranking.item_index import build_item_index, kind_for
from likewise.ranking.quantised import QuantisedItems
from likewise.ranking.queries import RowQuery, Rules
from likewise.ranking.recommend import recommend_rows
from likewise.settings import ModelSettings
from tests.unit.test_candidates import EVERYTHING, K, everybody, large, recall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName
    from likewise.settings.types import IndexChoice

VERSION = "20260101T000000.000Z"


@cache
def indexed(ranker: RankerName) -> Model:
    """Return a model that has an index of faiss in place of Annoy's."""
    model = large(ranker)
    index = build_item_index(
        model.item_factors,
        model.score_weights,
        "faiss",
        linked=bool(model.cooccurrence.nnz),
        trees=20,
        seed=0,
    )
    return replace(model, item_index=index)


@pytest.mark.parametrize("ranker", ["blend", "ridge", "spectral"])
def test_a_search_finds_nineteen_of_the_twenty_best(ranker: RankerName) -> None:
    model = indexed(ranker)
    queries = everybody(model, 100)
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert recall(exact, searched) >= 0.95
    for one, other in zip(exact, searched, strict=True):
        scores = dict(zip(one.rows.tolist(), one.scores.tolist(), strict=True))
        for row, score in zip(other.rows.tolist(), other.scores.tolist(), strict=True):
            assert row not in scores or score == pytest.approx(scores[row], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.01, 0.001])
def test_a_filter_leaves_what_the_search_returns(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = indexed("spectral")
    monkeypatch.setattr("likewise.ranking.best_items._NARROW", 2)
    monkeypatch.setattr("likewise.ranking.best_items._SEARCH", 0)
    mask = np.random.default_rng(3).random(len(model.item_ids)) < share
    queries = [one._replace(rules=Rules(allowed=mask)) for one in everybody(model, 60)]
    exact = recommend_rows(model, queries, exact_items_limit=EVERYTHING)
    searched = recommend_rows(model, queries, exact_items_limit=0)
    assert recall(exact, searched) >= 0.95
    assert all(mask[answer.rows].all() for answer in searched)


def test_what_is_liked_does_not_crowd_out_what_is_near() -> None:
    model = indexed("spectral")
    everything_near = np.concatenate([query.liked for query in everybody(model, 60)])
    liked = np.unique(everything_near)
    queries = [RowQuery(liked, liked, K, fill=False)]
    (answer,) = recommend_rows(model, queries, exact_items_limit=0)
    assert len(answer.rows) == K
    assert not np.isin(answer.rows, liked).any()


def test_the_same_vectors_give_the_same_tables() -> None:
    model = large("blend")
    one, other = (
        QuantisedItems.build(model.item_factors, model.score_weights, seed=5) for _ in range(2)
    )
    vectors = np.random.default_rng(0).normal(size=(20, one.dimensions)).astype(np.float32)
    found = zip(one.near(vectors, 50), other.near(vectors, 50), strict=True)
    assert all(first.tolist() == second.tolist() for first, second in found)


@pytest.mark.parametrize("rank", [3, 64, 130])
def test_vectors_of_any_length_are_indexed(rank: int) -> None:
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(2_000, rank)).astype(np.float32)
    index = QuantisedItems.build(vectors, np.ones(len(vectors), np.float32), seed=0)
    queries = vectors[:40]
    best = (queries @ vectors.T).argmax(axis=1)
    found = index.near(queries, 128, alone=True)
    assert np.mean([row in rows for row, rows in zip(best, found, strict=True)]) >= 0.95


@pytest.mark.parametrize(
    ("choice", "n_items", "kind"),
    [
        ("auto", 200_000, "annoy"),
        ("auto", 200_001, "faiss"),
        ("annoy", 10_000_000, "annoy"),
        ("faiss", 5_000, "faiss"),
        ("faiss", 100, "annoy"),
    ],
)
def test_the_size_of_the_catalogue_decides_on_the_index(
    choice: IndexChoice, n_items: int, kind: str
) -> None:
    assert kind_for(choice, n_items) == kind


def test_without_the_extra_annoy_is_built_and_faiss_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("likewise.ranking.item_index.faiss_is_installed", lambda: False)
    monkeypatch.setattr("indexer.service.faiss_is_installed", lambda: False)
    assert kind_for("auto", 1_000_000) == "annoy"
    with pytest.raises(MissingExtraError, match=r"likewise\[search\]"):
        building(ModelSettings(index="faiss"))


@cache
def small() -> Model:
    likes = synthetic_likes(300, 1_500, likes_per_user=30)
    from benchmarks.rig import interactions

    recipe = msgspec.structs.replace(DEFAULTS["blend"], rank=16)
    return build_model(interactions(likes), recipe, index="faiss")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_model(tmp_path, VERSION, small(), snapshot_at_ms=1)
    return tmp_path


def test_a_model_that_was_read_searches_as_the_one_that_was_built(written: Path) -> None:
    assert not (written / VERSION / "items.ann").exists()
    queries = [RowQuery(rows := np.arange(user, user + 9), rows, K) for user in range(30)]
    answers = recommend_rows(small(), queries, exact_items_limit=0)
    again = recommend_rows(read_model(written, VERSION), queries, exact_items_limit=0)
    assert [one.rows.tolist() for one in again] == [one.rows.tolist() for one in answers]


def test_a_server_without_the_extra_scans_every_item(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.models.item_index.faiss_is_installed", lambda: False)
    model = read_model(written, VERSION)
    assert model.item_index is None
    queries = [RowQuery(rows := np.arange(user, user + 9), rows, K) for user in range(30)]
    exact = recommend_rows(small(), queries, exact_items_limit=EVERYTHING)
    scanned = recommend_rows(model, queries, exact_items_limit=0)
    assert [one.rows.tolist() for one in scanned] == [one.rows.tolist() for one in exact]


def _with(place: int, value: float) -> Callable[[Any], Any]:
    def changed(table: Any) -> Any:
        table.flat[place] = value
        return table

    return changed


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("lists", _with(7, -1)),
        ("lists", _with(7, 10_000)),
        ("lists", lambda table: table[:-1]),
        ("codes", lambda table: table[:, :-1]),
        ("codes", lambda table: table.astype(np.int32)),
        ("centroids", _with(3, np.nan)),
        ("centroids", lambda table: table[:, :-1]),
        ("centroids", lambda table: table[:0]),
        ("codebooks", _with(3, np.inf)),
        ("codebooks", lambda table: table[:-1]),
        ("codebooks", lambda table: table[:2]),
        ("codebooks", lambda table: table[:, :8]),
    ],
)
def test_tables_that_no_build_gives_are_refused(
    written: Path, name: str, changed: Callable[[Any], Any]
) -> None:
    path = written / VERSION / f"quantised.{name}.npy"
    table = changed(np.load(path))
    path.unlink()
    np.save(path, table)
    manifest = msgspec.structs.asdict(read_manifest(written, VERSION))
    manifest["files"][path.name] = entry_of(path)
    (written / VERSION / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ModelFileError, match="quantised"):
        read_model(written, VERSION)


def test_a_manifest_that_names_only_some_of_the_tables_is_refused(written: Path) -> None:
    manifest = msgspec.structs.asdict(read_manifest(written, VERSION))
    del manifest["files"]["quantised.codes.npy"]
    (written / VERSION / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ModelFileError, match=r"does not name quantised\.codes\.npy"):
        read_model(written, VERSION)
