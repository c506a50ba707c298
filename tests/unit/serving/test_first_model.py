"""A server joins its group while its first model is loaded, and not without one in sight."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from likewise.errors import TransientError
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.retry import StoppedError
from likewise.store.port import Changes
from likewise.testing import MemoryStore
from serving.catalogue_follower import CatalogueFollower
from serving.first_model import join_with_model
from serving.stats import CatalogueStats
from tests.serving_rig import VERSION, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.port import Source


class Member:
    """A source that notes what happens to it: all that `join_with_model` does with one."""

    def __init__(self, joined: list[Member]) -> None:
        self.alive = 0
        self.left = False
        joined.append(self)

    def keep_alive(self) -> None:
        self.alive += 1

    def close(self) -> None:
        self.left = True


class SlowStore(MemoryStore):
    """A store that answers about the model when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.answer = threading.Event()

    def model_announcement(self) -> bytes | None:
        self.asked.set()
        self.answer.wait(20)
        return super().model_announcement()


def joining(joined: list[Member]) -> Source:
    return Member(joined)  # type: ignore[return-value]  # as much of a source as is used


def follower(
    store: MemoryStore, stop: threading.Event | None = None
) -> tuple[CatalogueFollower, threading.Event]:
    """Return the last arguments of `join_with_model`."""
    stop = stop or threading.Event()
    return CatalogueFollower(store, stop, CatalogueStats()), stop


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_the_group_is_joined_and_kept_while_an_existing_model_is_loaded(
    model_directory: Path, pool: ThreadPoolExecutor
) -> None:
    joined: list[Member] = []
    store = SlowStore()
    done = pool.submit(
        join_with_model, lambda: joining(joined), model_directory, store, *follower(store)
    )
    wait_until(lambda: bool(joined) and joined[0].alive > 1)
    store.answer.set()
    source, models = done.result(20)
    with closing(models):
        assert models.current().version == VERSION
    assert [member.left for member in joined] == [False]
    source.close()
    assert joined[0].left


def test_the_group_is_left_while_the_only_model_is_broken(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    write_block_model(tmp_path, VERSION, blocks=2)
    table = tmp_path / VERSION / "item_ids.json"
    whole = table.read_bytes()
    table.write_bytes(whole[:-1])
    joined: list[Member] = []
    store = MemoryStore()
    done = pool.submit(join_with_model, lambda: joining(joined), tmp_path, store, *follower(store))
    wait_until(lambda: bool(joined) and joined[0].left)
    assert len(joined) == 1
    table.write_bytes(whole)
    source, models = done.result(20)
    with closing(models):
        assert models.current().version == VERSION
    assert [member.left for member in joined] == [True, False]
    source.close()
    assert joined[1].left


def test_without_a_model_the_group_is_not_joined(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    joined: list[Member] = []
    store = MemoryStore()
    store.failure = TransientError("not up yet")
    with pytest.raises(StoppedError):
        join_with_model(lambda: joining(joined), tmp_path, store, *follower(store, stop))
    assert joined == []


def test_a_stop_while_the_model_is_loaded_leaves_the_group(
    model_directory: Path, pool: ThreadPoolExecutor
) -> None:
    stop = threading.Event()
    joined: list[Member] = []
    store = SlowStore()
    done = pool.submit(
        join_with_model, lambda: joining(joined), model_directory, store, *follower(store, stop)
    )
    wait_until(store.asked.is_set)
    stop.set()
    store.answer.set()
    with pytest.raises(StoppedError):
        done.result(20)
    assert [member.left for member in joined] == [True]


def test_the_group_is_left_while_a_large_catalogue_is_loaded(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[Member] = []
    loaded_when_joining: list[bool] = []
    store = MemoryStore()
    item_id = ItemId("i")
    store.apply(Changes(items={item_id: encode_item(CatalogueItem(item_id))}), {})
    monkeypatch.setattr("serving.catalogue_follower.FEW_ITEMS", 0)
    catalogue, stop = follower(store)

    def join() -> Source:
        loaded_when_joining.append(catalogue.loaded)
        return joining(joined)

    _, models = join_with_model(join, model_directory, store, catalogue, stop)
    with closing(models):
        assert models.current().version == VERSION
    assert [member.left for member in joined] == [True, False]
    assert loaded_when_joining == [False, True]


def test_a_small_catalogue_is_loaded_while_the_group_is_joined(model_directory: Path) -> None:
    joined: list[Member] = []
    store = MemoryStore()
    catalogue, stop = follower(store)
    _, models = join_with_model(lambda: joining(joined), model_directory, store, catalogue, stop)
    models.close()
    assert catalogue.loaded
    assert [member.left for member in joined] == [False]
