"""Model files: whole or not there, and never trusted without a look."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from mmap import mmap
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
from likewise.models.files import read_manifest, read_model, write_model
from likewise.models.versions import (
    list_versions,
    new_version,
    newest_sound_version,
    remove_old_versions,
)
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.interactions import Interactions
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import RankerName

VERSION = new_version(1_795_377_503_417)
LATER = new_version(1_795_377_503_418)


def small_likes(users: int) -> Interactions:
    likes = {
        UserId(f"u{user}"): {ItemId(f"i{(user + step) % 12}") for step in range(4)}
        for user in range(users)
    }
    return interactions_of([UserLikes(list(likes), list(likes.values()))])


def small_model(ranker: RankerName = "blend", users: int = 30) -> Model:
    return build_model(small_likes(users), DEFAULTS[ranker])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_model(tmp_path, VERSION, small_model(), snapshot_at_ms=17)
    return tmp_path


def test_a_version_is_named_after_its_time() -> None:
    assert VERSION == "20261122T195823.417Z"
    assert new_version(1_795_377_503_418) > VERSION


@pytest.mark.parametrize("ranker", ["blend", "spectral", "cooccurrence", "neighbours"])
def test_a_model_read_back_answers_as_the_one_written(tmp_path: Path, ranker: RankerName) -> None:
    model = small_model(ranker)
    manifest = write_model(tmp_path, VERSION, model, snapshot_at_ms=17)
    assert (manifest.users, manifest.items, manifest.likes) == (30, 12, 120)
    queries = [Query({ItemId("i3"), ItemId("i4")}, {ItemId("i3")}, 5, explain=2)]
    assert recommend(read_model(tmp_path, VERSION), queries) == recommend(model, queries)


def test_user_ids_are_written_only_where_a_model_has_them(tmp_path: Path) -> None:
    model = small_model()
    assert "user_ids.json" not in write_model(tmp_path, VERSION, model, snapshot_at_ms=1).files
    assert read_model(tmp_path, VERSION).user_ids is None
    users = [UserId(f"u{row}") for row in range(30)]
    write_model(tmp_path, LATER, replace(model, user_ids=users), snapshot_at_ms=2)
    assert read_model(tmp_path, LATER).user_ids == users


def test_a_new_directory_is_its_owners_alone_and_one_that_is_there_stays_as_it_is(
    tmp_path: Path,
) -> None:
    ours, shared = tmp_path / "ours", tmp_path / "shared"
    shared.mkdir(mode=0o755)
    for directory in (ours, shared):
        write_model(directory, VERSION, small_model(), snapshot_at_ms=17)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (ours, shared)] == [0o700, 0o755]


def test_a_model_of_items_holds_no_likes_and_ranks_users_with_few_and_many_likes_the_same(
    tmp_path: Path,
) -> None:
    few, many = (small_model(users=users) for users in (30, 300))
    sizes = []
    for version, model in ((VERSION, few), (LATER, many)):
        manifest = write_model(tmp_path, version, model, snapshot_at_ms=17)
        assert not [name for name in manifest.files if "user" in name]
        sizes.append(sum(entry.bytes for entry in manifest.files.values()))
        read = read_model(tmp_path, version)
        assert read.user_items.shape == (0, 12)
        assert (read.n_users, read.n_likes) == (model.n_users, model.n_likes)
        assert read.typical_likes == model.typical_likes
    assert sizes[1] < 1.2 * sizes[0]


def in_format_3(directory: Path, model: Model) -> None:
    """Write a version as earlier releases did: with the likes of all users, and nothing computed of them."""
    with_likes = replace(model, user_ids=[UserId(f"u{row}") for row in range(model.n_users)])
    manifest = write_model(directory, VERSION, with_likes, snapshot_at_ms=17)
    later = ("user_ids.json", "item_weights.npy")
    content = msgspec.to_builtins(manifest) | {"format": 3}
    content["files"] = {name: it for name, it in content["files"].items() if name not in later}
    del content["typical_likes"]
    for name in later:
        (directory / VERSION / name).unlink(missing_ok=True)
    (directory / VERSION / "manifest.json").write_bytes(msgspec.json.encode(content))


@pytest.mark.parametrize("ranker", ["blend", "spectral", "cooccurrence", "neighbours"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_version_of_an_earlier_release_answers_as_before(
    tmp_path: Path, ranker: RankerName, weighted: bool
) -> None:
    likes = small_likes(users=30)
    if weighted:
        likes.user_items.data[::3] = 0.5
    model = build_model(likes, DEFAULTS[ranker])
    in_format_3(tmp_path, model)
    read = read_model(tmp_path, VERSION)
    assert read.typical_likes == pytest.approx(model.typical_likes)
    assert read.popularity.tolist() == model.popularity.tolist()
    assert read.user_items.shape[0] == (30 if ranker == "neighbours" else 0)
    queries = [Query({ItemId("i3"), ItemId("i4")}, {ItemId("i3")}, 5, explain=2)]
    assert recommend(read, queries) == recommend(model, queries)


def test_servers_share_the_tables_of_a_model_for_they_stay_in_its_files(tmp_path: Path) -> None:
    users = [UserId(f"u{row}") for row in range(30)]
    write_model(tmp_path, VERSION, replace(small_model(), user_ids=users), snapshot_at_ms=17)
    model = read_model(tmp_path, VERSION)
    links, likes = model.cooccurrence, model.user_items
    tables = [model.item_factors, links.data, links.indices, links.indptr]
    tables += [likes.indices, likes.indptr]
    assert [is_mapped(table) for table in tables] == [True] * len(tables)
    assert len(likes.data) == 120
    assert likes.data.strides == (0,)  # all ones are one


def is_mapped(table: Any) -> bool:
    while isinstance(table, np.ndarray):
        table = table.base
    return isinstance(table, mmap)


def test_an_empty_model_can_be_written_and_read(tmp_path: Path) -> None:
    write_model(tmp_path, VERSION, small_model(users=0), snapshot_at_ms=17)
    (answer,) = recommend(read_model(tmp_path, VERSION), [Query((), (), 5)])
    assert answer.items == []


def test_nothing_is_left_aside_after_a_write(written: Path) -> None:
    assert [path.name for path in written.iterdir()] == [VERSION]


def test_a_version_is_never_overwritten(written: Path) -> None:
    before = read_manifest(written, VERSION)
    with pytest.raises(ModelFileError, match=VERSION):
        write_model(written, VERSION, small_model(users=5), snapshot_at_ms=18)
    assert read_manifest(written, VERSION) == before


def every_file() -> list[str]:
    return sorted(
        [
            "item_ids.json",
            "items.ann",
            *(f"{name}.npy" for name in ("item_counts", "item_factors", "spectrum")),
            *(
                f"{name}.npy"
                for name in ("query_weights", "score_weights", "plain_rows", "doubled")
            ),
            *(f"cooccurrence.{name}.npy" for name in ("indptr", "indices", "values")),
        ]
    )


def test_the_manifest_names_every_file(written: Path) -> None:
    assert sorted(read_manifest(written, VERSION).files) == every_file()


@pytest.mark.parametrize("name", every_file())
@pytest.mark.parametrize("damage", ["missing", "truncated", "one bit flipped", "longer"])
def test_a_damaged_file_is_found_out(written: Path, name: str, damage: str) -> None:
    path = written / VERSION / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "one bit flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "longer":
        path.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError, match=name):
        read_model(written, VERSION)
    assert newest_sound_version(written) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_manifest_of_any_bytes_gives_a_model_error_or_the_model(
    written: Path, data: st.DataObject
) -> None:
    path = written / VERSION / "manifest.json"
    good = path.read_bytes()
    start = data.draw(st.integers(0, len(good) - 1))
    end = data.draw(st.integers(start, len(good)))
    path.write_bytes(good[:start] + data.draw(st.binary(max_size=20)) + good[end:])
    try:
        model = read_model(written, VERSION)
    except ModelFileError:
        pass
    else:
        assert len(model.item_ids) == 12
    finally:
        path.write_bytes(good)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_any_flipped_bit_gives_a_model_error_or_a_model_that_answers(
    written: Path, data: st.DataObject
) -> None:
    path = written / VERSION / data.draw(st.sampled_from([*every_file(), "manifest.json"]))
    good = path.read_bytes()
    content = bytearray(good)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        model = read_model(written, VERSION)
    except ModelFileError:
        pass
    else:
        assert path.name == "manifest.json", "the checksum must tell"
        query = Query((ItemId("i1"), ItemId("i2")), (), 3)
        [best] = recommend(model, [query], exact_items_limit=0)  # by the index
        assert len(best.items) <= 3
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("field", ["users", "items", "likes", "rank", "indexed_dimensions"])
@pytest.mark.parametrize("difference", [-4, -1, 1, 2, 1_000])
def test_a_number_in_the_manifest_that_the_files_belie_is_found_out(
    tmp_path: Path, field: str, difference: int
) -> None:
    users = [UserId(f"u{row}") for row in range(30)]  # without, their number is not in the files
    write_model(tmp_path, VERSION, replace(small_model(), user_ids=users), snapshot_at_ms=17)
    path = tmp_path / VERSION / "manifest.json"
    content = msgspec.json.decode(path.read_bytes())
    content[field] = max(0, content[field] + difference)
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(ModelFileError):
        read_model(tmp_path, VERSION)


def test_a_model_of_a_newer_format_is_refused_with_the_mend(written: Path) -> None:
    path = written / VERSION / "manifest.json"
    content = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**content, "format": 99, "surprise": True}))
    with pytest.raises(ModelFileError, match=r"format 99.*upgrade"):
        read_model(written, VERSION)


@pytest.mark.parametrize("version", ["", "..", "../etc", "/tmp", f"{VERSION}/..", "x" * 500, "a\0"])
def test_a_version_is_never_a_path_to_elsewhere(written: Path, version: str) -> None:
    with pytest.raises(ModelFileError, match="not a model version"):
        read_model(written, version)


def test_a_manifest_can_not_point_outside_its_directory(written: Path) -> None:
    path = written / VERSION / "manifest.json"
    content = msgspec.json.decode(path.read_bytes())
    content["files"]["../../outside"] = content["files"]["items.ann"]
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(ModelFileError, match="outside"):
        read_model(written, VERSION)


def test_versions_are_listed_newest_first_without_the_broken(tmp_path: Path) -> None:
    model = small_model()
    versions = [new_version(1_000_000 * n) for n in range(1, 5)]
    for version in versions:
        write_model(tmp_path, version, model, snapshot_at_ms=1)
    (tmp_path / versions[2] / "manifest.json").write_bytes(b"{")
    (tmp_path / "something else").mkdir()
    found = [manifest.version for manifest in list_versions(tmp_path)]
    assert found == [versions[3], versions[1], versions[0]]
    assert list_versions(tmp_path / "nowhere") == []


def test_pruning_keeps_the_newest_and_the_current(tmp_path: Path) -> None:
    model = small_model()
    versions = [new_version(1_000_000 * n) for n in range(1, 6)]
    for version in versions:
        write_model(tmp_path, version, model, snapshot_at_ms=1)
    (tmp_path / ".aside-left-by-a-crash").mkdir()
    (tmp_path / ".aside-being-written").mkdir()
    writing = os.open(tmp_path / ".aside-being-written", os.O_RDONLY)
    fcntl.flock(writing, fcntl.LOCK_EX)
    assert sorted(remove_old_versions(tmp_path, keep=2, in_use={versions[0]})) == versions[1:3]
    os.close(writing)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".aside-being-written", versions[0], versions[3], versions[4]]


def test_a_disk_that_fills_up_leaves_no_version_and_no_litter(tmp_path: Path) -> None:
    # A limit on the size of files stands for the full disk: writes fail in the same place.
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from indexer.build import build_model
        from indexer.interactions import UserLikes, interactions_of
        from likewise.errors import ModelFileError
        from likewise.models.files import write_model
        from likewise.models.versions import new_version
        from likewise.ranking.recipe import Recipe
        users = [f"u{user}" for user in range(30)]
        likes = [{f"i{(user + step) % 12}" for step in range(4)} for user in range(30)]
        model = build_model(interactions_of([UserLikes(users, likes)]), Recipe())
        for limit in (100, 300, 1000, 2000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                write_model(Path(sys.argv[1]), new_version(1), model, snapshot_at_ms=1)
            except ModelFileError as error:
                assert "model.directory" in str(error), error
            else:
                raise SystemExit(f"written in spite of a limit of {limit} bytes")
        assert list(Path(sys.argv[1]).iterdir()) == []
        print("no litter")
    """)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "no litter", done.stdout + done.stderr


def test_a_directory_that_refuses_writes_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "models"
    taken.write_text("a file where the directory should be")
    with pytest.raises(ModelFileError, match=r"models \(model.directory\)"):
        write_model(taken, VERSION, small_model(), snapshot_at_ms=1)


def test_a_reader_keeps_its_model_when_the_version_is_removed(written: Path) -> None:
    model = read_model(written, VERSION)
    queries = [Query({ItemId("i3")}, (), 5)]
    before = recommend(model, queries)
    assert remove_old_versions(written, keep=0, in_use=()) == [VERSION]
    assert recommend(model, queries) == before
    assert np.isfinite(model.item_factors).all()
