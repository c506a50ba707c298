from __future__ import annotations

import json
import shutil
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from likewise.errors import ModelFileError, TransientError
from likewise.models.holder import ModelHolder, load_model, wait_for_first_model
from likewise.retry import StoppedError
from likewise.testing import MemoryStore
from tests.serving_rig import item, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

OLD = "20260101T000000.000Z"
NEW = "20260101T000001.000Z"
NEWER = "20260101T000002.000Z"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with two models; the older one is the first in the holders below."""
    for version in (OLD, NEW):
        write_block_model(tmp_path, version, blocks=2, catalogue=version)
    return tmp_path


def announcement_of(version: str) -> bytes:
    facts = {"snapshot_at_ms": 1, "users": 1, "items": 1, "likes": 1, "ranker": "blend"}
    return json.dumps({"version": version, **facts}).encode()


def break_model(directory: Path, version: str) -> bytes:
    """Cut a file short; return what was in it."""
    path = directory / version / "item_ids.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    return whole


def settled(holder: ModelHolder) -> str:
    """Return the current version once no load is under way."""
    wait_until(lambda: holder._loading is None or holder._loading.done())
    return holder.current().version


def test_an_announced_model_is_used_once_it_is_loaded(directory: Path) -> None:
    with closing(ModelHolder(directory, load_model(directory, OLD))) as holder:
        holder.follow(announcement_of(NEW))
        assert settled(holder) == NEW
        assert item(0, 0, NEW) in holder.current().model.item_rows


def test_an_older_model_is_used_when_an_operator_rolls_back(directory: Path) -> None:
    with closing(ModelHolder(directory, load_model(directory, NEW))) as holder:
        holder.follow(announcement_of(OLD))
        assert settled(holder) == OLD


def test_the_model_stays_until_the_holder_is_asked_for_the_next_batch(directory: Path) -> None:
    with closing(ModelHolder(directory, load_model(directory, OLD))) as holder:
        batch = holder.current()
        holder.follow(announcement_of(NEW))
        assert settled(holder) == NEW
        assert batch.version == OLD
        assert batch.model.item_rows


@pytest.mark.parametrize("announcement", [None, b"", b"\xff", b"[]", b'{"version": 3}'])
def test_an_announcement_that_cannot_be_read_changes_nothing(
    directory: Path, announcement: bytes | None
) -> None:
    with closing(ModelHolder(directory, load_model(directory, OLD))) as holder:
        holder.follow(announcement)
        holder.follow(announcement)
        assert settled(holder) == OLD


def test_a_version_that_is_a_path_is_never_followed(directory: Path) -> None:
    with closing(ModelHolder(directory / OLD, load_model(directory, OLD))) as holder:
        with capture_logs() as logs:
            holder.follow(announcement_of(f"../{NEW}"))
            assert settled(holder) == OLD
        assert "is not a model version" in logs[0]["reason"]


def test_a_model_that_cannot_be_loaded_is_retried_after_a_while(directory: Path) -> None:
    now_s = 0.0
    whole = break_model(directory, NEW)
    first = load_model(directory, OLD)
    with closing(ModelHolder(directory, first, clock_s=lambda: now_s)) as holder:
        with capture_logs() as logs:
            holder.follow(announcement_of(NEW))
            assert settled(holder) == OLD
            (directory / NEW / "item_ids.json").write_bytes(whole)
            holder.follow(announcement_of(NEW))
            assert settled(holder) == OLD  # not at once
            now_s += 60.0
            holder.follow(announcement_of(NEW))
            assert settled(holder) == NEW
        assert [line["log_level"] for line in logs] == ["error", "info"]


def test_after_a_broken_model_the_next_announced_one_is_loaded_at_once(directory: Path) -> None:
    write_block_model(directory, NEWER, blocks=2)
    break_model(directory, NEW)
    with closing(ModelHolder(directory, load_model(directory, OLD), clock_s=float)) as holder:
        holder.follow(announcement_of(NEW))
        assert settled(holder) == OLD
        holder.follow(announcement_of(NEWER))
        assert settled(holder) == NEWER


def test_a_model_that_another_supersedes_while_it_is_loaded_is_not_used(directory: Path) -> None:
    write_block_model(directory, NEWER, blocks=2)
    with closing(ModelHolder(directory, load_model(directory, OLD))) as holder:
        holder.follow(announcement_of(NEW))
        holder.follow(announcement_of(NEWER))
        assert settled(holder) in (OLD, NEWER)
        holder.follow(announcement_of(NEWER))
        assert settled(holder) == NEWER


def test_a_model_pruned_from_disk_goes_on_answering(directory: Path) -> None:
    with closing(ModelHolder(directory, load_model(directory, OLD))) as holder:
        shutil.rmtree(directory / OLD)
        assert float(holder.current().model.item_factors.sum()) != 0.0


def test_loading_a_missing_model_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=str(tmp_path)):
        load_model(tmp_path, OLD)


def test_the_first_model_is_the_announced_one(directory: Path) -> None:
    store = MemoryStore()
    store.announce_model(announcement_of(OLD))
    assert wait_for_first_model(directory, store, threading.Event()).version == OLD


def test_without_an_announcement_the_first_model_is_the_newest_on_disk(directory: Path) -> None:
    assert wait_for_first_model(directory, MemoryStore(), threading.Event()).version == NEW


def test_where_the_announced_model_is_broken_the_newest_sound_one_is_the_first(
    directory: Path,
) -> None:
    write_block_model(directory, NEWER, blocks=2)
    for version in (NEW, NEWER):
        break_model(directory, version)
    store = MemoryStore()
    store.announce_model(announcement_of(NEWER))
    with capture_logs() as logs:
        assert wait_for_first_model(directory, store, threading.Event()).version == OLD
    assert sum(line["log_level"] == "error" for line in logs) == 2


def test_the_first_model_is_waited_for_however_late_it_and_the_store_come(tmp_path: Path) -> None:
    store = MemoryStore()
    store.failure = TransientError("not up yet")
    found: list[str] = []
    waiting = threading.Thread(
        target=lambda: found.append(
            wait_for_first_model(tmp_path / "models", store, threading.Event()).version
        )
    )
    waiting.start()
    store.failure = None
    write_block_model(tmp_path / "models", OLD, blocks=2)
    waiting.join(20)
    assert found == [OLD]


def test_waiting_for_the_first_model_ends_when_told_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        wait_for_first_model(tmp_path, MemoryStore(), stop)
