"""Models whose checksums are right and whose tables are not: each is refused with the file and the fault named."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.errors import ModelFileError
from likewise.messages.ids import ItemId, UserId
from likewise.models.checksums import entry_of
from likewise.models.files import read_manifest, read_model, write_model
from likewise.models.versions import list_versions, newest_sound_version, remove_old_versions
from likewise.ranking.index import AnnoyVectors
from likewise.ranking.index_files import check_index
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName

OLDER, NEWER = "20260101T000000.000Z", "20260102T000000.000Z"


@cache
def a_model(ranker: RankerName) -> Model:
    rng = np.random.default_rng(0)
    likes = {
        UserId(f"u{user}"): {ItemId(f"i{item}") for item in rng.integers(0, 150, 9)}
        for user in range(120)
    }
    return build_model(
        interactions_of([UserLikes(list(likes), list(likes.values()))]), DEFAULTS[ranker]
    )


@pytest.fixture(params=["blend", "neighbours"])
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    for version in (OLDER, NEWER):
        write_model(tmp_path, version, a_model(request.param), snapshot_at_ms=1)
    return tmp_path


def seal(directory: Path, **changes: Any) -> None:
    """Write the manifest of the newer version for the files that are there now."""
    path = directory / NEWER
    manifest = msgspec.structs.asdict(read_manifest(directory, NEWER))
    manifest["files"] = {
        file.name: entry_of(file) for file in path.iterdir() if file.name != "manifest.json"
    }
    (path / "manifest.json").write_bytes(msgspec.json.encode(manifest | changes))


def structures(directory: Path) -> list[str]:
    """Return the tables of both sparse matrices that the version has."""
    return [*STRUCTURES, *(LIKES if (directory / NEWER / f"{LIKES[0]}.npy").exists() else [])]


def change(directory: Path, name: str, changed: Callable[[Any], Any]) -> None:
    path = directory / NEWER / f"{name}.npy"
    table = changed(np.load(path))
    path.unlink()
    np.save(path, table, allow_pickle=table.dtype == object)
    seal(directory)


def put(place: int, value: float) -> Callable[[Any], Any]:
    def changed(table: Any) -> Any:
        table.flat[place] = value
        return table

    return changed


STRUCTURES = [f"cooccurrence.{table}" for table in ("indptr", "indices")]
LIKES = [f"user_items.{table}" for table in ("indptr", "indices")]
FLOATS = ["item_factors", "spectrum", "query_weights", "score_weights", "doubled"]
ITEMS = [*FLOATS, "cooccurrence.values", "item_counts", "plain_rows"]
CHANGES: dict[str, Callable[[Any], Any]] = {
    "shorter": lambda table: table[:-1],
    "longer": lambda table: np.concatenate([table, table[:1]]),
    "of strings": lambda table: table.astype("U8"),
    "of objects": lambda table: table.astype(object),
    "of another type": lambda table: table.astype(
        np.float64 if table.dtype != np.float64 else "f4"
    ),
    "of one dimension more": lambda table: table[None],
    "by columns": lambda table: np.asfortranarray(np.stack([table, table])),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_table_of_another_shape_or_type_is_refused(written: Path, kind: str) -> None:
    for name in [*structures(written), *ITEMS]:
        kept = (written / NEWER / f"{name}.npy").read_bytes()
        if len(np.load(written / NEWER / f"{name}.npy")):
            change(written, name, CHANGES[kind])
            with pytest.raises(ModelFileError, match=rf"{NEWER}.*{name}"):
                read_model(written, NEWER)
            (written / NEWER / f"{name}.npy").write_bytes(kept)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_table_with_a_number_that_is_none_is_refused(written: Path, value: float) -> None:
    for name in [*FLOATS, "cooccurrence.values"]:
        kept = (written / NEWER / f"{name}.npy").read_bytes()
        for place in (0, -1):
            if np.load(written / NEWER / f"{name}.npy").size:
                change(written, name, put(place, value))
                with pytest.raises(ModelFileError, match=rf"{NEWER}.*{name}"):
                    read_model(written, NEWER)
                (written / NEWER / f"{name}.npy").write_bytes(kept)


@pytest.mark.parametrize(
    "value", [-1, -(2**31), 150, 2**31 - 1, 1_000_000], ids=lambda value: f"{value:+}"
)
def test_indices_out_of_range_and_pointers_that_jump_are_refused(written: Path, value: int) -> None:
    for name in structures(written):
        kept = (written / NEWER / f"{name}.npy").read_bytes()
        for place in (0, 7, -1):
            if np.load(written / NEWER / f"{name}.npy").size > 8:
                change(written, name, put(place, value))
                with pytest.raises(ModelFileError, match=rf"{NEWER}.*user_items|cooccurrence"):
                    read_model(written, NEWER)
                (written / NEWER / f"{name}.npy").write_bytes(kept)


@pytest.mark.parametrize(
    ("name", "value"),
    [("spectrum", -0.1), ("spectrum", 1.5), ("item_counts", -1), ("item_counts", 121)]
    + [(name, -1.0) for name in ("query_weights", "score_weights")],
)
def test_numbers_that_no_build_gives_are_refused(written: Path, name: str, value: float) -> None:
    change(written, name, put(0, value))
    with pytest.raises(ModelFileError, match=name):
        read_model(written, NEWER)


@pytest.mark.parametrize(
    "ids",
    [
        lambda ids: ids[:-1],
        lambda ids: [*ids, "one more"],
        lambda ids: [*ids[:-1], ids[0]],
        lambda ids: [*ids[:-1], ""],
        lambda ids: [*ids[:-1], "x" * 257],
        lambda ids: [*ids[:-1], 7],
        lambda ids: dict.fromkeys(ids),
    ],
    ids=["short", "long", "twice", "empty", "too long", "no string", "no list"],
)
def test_a_list_of_ids_that_is_no_such_list_is_refused(written: Path, ids: Any) -> None:
    path = written / NEWER / "item_ids.json"
    path.write_bytes(msgspec.json.encode(ids(msgspec.json.decode(path.read_bytes()))))
    seal(written)
    with pytest.raises(ModelFileError, match=rf"{NEWER}"):
        read_model(written, NEWER)


@pytest.mark.parametrize(
    "numbers",
    [{field: -1} for field in ("users", "items", "likes", "rank", "indexed_dimensions")]
    + [
        {"indexed_dimensions": 0},
        {"indexed_dimensions": 10**9},
        {"rank": 2**70},
        {"items": 10**15},
    ],
    ids=str,
)
def test_a_manifest_of_impossible_numbers_is_refused(
    written: Path, numbers: dict[str, int]
) -> None:
    seal(written, **numbers)
    with pytest.raises(ModelFileError, match=NEWER):
        read_model(written, NEWER)


def test_a_file_without_a_checksum_is_not_read(written: Path) -> None:
    for name in read_manifest(written, NEWER).files:
        seal(written)
        manifest = read_manifest(written, NEWER)
        files = {kept: entry for kept, entry in manifest.files.items() if kept != name}
        (written / NEWER / "manifest.json").write_bytes(
            msgspec.json.encode(msgspec.structs.replace(manifest, files=files))
        )
        with pytest.raises(ModelFileError, match=name):
            read_model(written, NEWER)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(data=st.data())
def test_any_change_to_any_file_gives_a_model_error_or_a_model_that_answers(
    written: Path, data: st.DataObject
) -> None:
    names = sorted(read_manifest(written, OLDER).files)
    path = written / NEWER / data.draw(st.sampled_from(names))
    good = path.read_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(content) // 4 - 1, 0))) * 4
        words = st.sampled_from([0, 1, 2, -1, 149, 150, 2**31 - 1, -(2**31), 0x7FC00000])
        content[at : at + 4] = data.draw(words).to_bytes(4, "little", signed=True)
    path.write_bytes(content)
    seal(written)
    try:
        model = read_model(written, NEWER)
    except ModelFileError:
        pass
    else:
        answer_everything(model)
    finally:
        path.write_bytes(good)


def answer_everything(model: Model) -> None:
    for start in range(0, len(model.item_ids), 10):
        liked = model.item_ids[start : start + 10]
        queries = [Query(liked, liked, 20, explain=2, diversity=0.3)]
        for limit in (0, 10**6):
            [answer] = recommend(model, queries, exact_items_limit=limit)
            assert len(answer.items) == 20


@pytest.mark.parametrize("metric", ["dot", "angular"])
@pytest.mark.parametrize("rows", [1, 2, 3, 70, 900])
@pytest.mark.parametrize("dimensions", [1, 3, 64])
def test_every_index_that_annoy_builds_passes(
    tmp_path: Path, metric: Any, rows: int, dimensions: int
) -> None:
    vectors = np.random.default_rng(1).standard_normal((rows, dimensions)).astype(np.float32)
    vectors[rows // 2 :] = vectors[0]  # equal ones are parted at random
    path = tmp_path / "index"
    AnnoyVectors.build(vectors, metric=metric, trees=7, seed=2).save(path)
    check_index(path, dimensions=dimensions, metric=metric, rows=rows)
    for other in (dimensions + 1, dimensions + 13):
        with pytest.raises(ModelFileError):
            check_index(path, dimensions=other, metric=metric, rows=rows)


@pytest.mark.parametrize(
    ("word", "value"),
    [(0, 0), (0, -5), (0, 10**6), (1, -1), (1, 2**31 - 1), (2, 10**6), ("self", None)],
)
def test_nodes_that_would_lead_a_search_astray_are_refused(
    tmp_path: Path, word: Any, value: Any
) -> None:
    vectors = np.random.default_rng(1).standard_normal((300, 4)).astype(np.float32)
    path = tmp_path / "index"
    AnnoyVectors.build(vectors, metric="dot", trees=3, seed=2).save(path)
    nodes = np.fromfile(path, np.int32).reshape(-1, 8)
    for place in (300, len(nodes) - 4, len(nodes) - 1):
        changed = nodes.copy()
        changed[place, 1 if word == "self" else word] = place if word == "self" else value
        (tmp_path / "changed").write_bytes(changed.tobytes())
        with pytest.raises(ModelFileError, match="changed"):
            check_index(tmp_path / "changed", dimensions=4, metric="dot", rows=300)


@pytest.mark.parametrize("kind", ["link", "endless link", "pipe", "directory", "link to nowhere"])
@pytest.mark.parametrize("name", ["manifest.json", "items.ann", "item_factors.npy"])
@pytest.mark.timeout(30)
def test_what_is_no_regular_file_is_refused_at_once(written: Path, kind: str, name: str) -> None:
    path = written / NEWER / name
    path.rename(written / "aside")
    if kind == "link":
        path.symlink_to(written / "aside")
    elif kind == "endless link":
        path.symlink_to("/dev/zero")
    elif kind == "link to nowhere":
        path.symlink_to("nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ModelFileError, match=NEWER):
        read_model(written, NEWER)
    assert OLDER in {manifest.version for manifest in list_versions(written)}
    assert newest_sound_version(written) == read_manifest(written, OLDER)


@pytest.mark.timeout(30)
def test_a_pipe_in_place_of_what_a_crash_left_does_not_block_pruning(written: Path) -> None:
    os.mkfifo(written / ".aside-x")
    assert remove_old_versions(written, keep=1, in_use=()) == [OLDER]


def test_a_manifest_without_end_is_not_read(written: Path) -> None:
    with (written / NEWER / "manifest.json").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ModelFileError, match="more than"):
        read_manifest(written, NEWER)
