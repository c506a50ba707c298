"""Models in a model store that fails: what is damaged is fetched again, and what is in use stays in use."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from consumers.changed_items import liked_items
from consumers.fold import fold
from consumers.model_items import ModelItems
from consumers.new_items import NewItems
from consumers.stats import ConsumerStats
from likewise.errors import MissingExtraError, ModelFileError, ModelStoreError, SettingsError
from likewise.log.topics import Topics
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import read_manifest, read_model
from likewise.models.holder import ModelHolder, find_model, load_model, wait_for_first_model
from likewise.models.objects import Objects
from likewise.models.place import models_place, publish, stats_of
from likewise.models.versions import list_versions, remove_old_versions
from likewise.operations.status import ModelStoreStatus, status_of
from likewise.settings import IndexerSettings, ModelSettings, Settings
from likewise.testing import MemoryBroker, MemoryStore
from tests.model_hosts import host
from tests.serving_rig import item, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from likewise.models.remote import RemoteModels

A, B, C, D = (f"2026010{day}T000000.000Z" for day in range(1, 5))


class Hosts:
    """Two hosts, and the directory that their model store keeps its files in."""

    def __init__(self, path: Path) -> None:
        self.files = path / "shared"
        self.url = self.files.as_uri()
        self.writer = host(self.url, path / "one")
        self.reader = host(self.url, path / "other", keep=2)

    def write(self, *versions: str) -> bytes:
        """Write and publish versions; return the last announcement."""
        announcement = b""
        for version in versions:
            announcement = self.build(version)
            publish(self.writer, read_manifest(self.writer.cache, version))
        return announcement

    def build(self, version: str) -> bytes:
        return write_block_model(self.writer.cache, version, blocks=2)

    def cached(self, place: RemoteModels | None = None) -> list[str]:
        return sorted(path.name for path in (place or self.reader).cache.iterdir())


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


class Outage:
    """Makes every call on a model store fail, as long as it lasts."""

    def __init__(self, place: RemoteModels, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lasts = True
        self.calls = 0
        files = place._objects._files
        for name in ("ls", "cat_file", "open", "put_file", "pipe_file", "rm"):
            monkeypatch.setattr(files, name, self._failing(getattr(files, name)))

    def _failing(self, method: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.lasts:
                raise ConnectionError("nobody answers")
            return method(*arguments, **options)

        return call


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["changed", "shorter", "longer", "gone"])
def test_a_file_that_is_damaged_in_the_store_is_never_used(hosts: Hosts, kind: str) -> None:
    hosts.write(A)
    path = hosts.files / A / "item_factors.npy"
    whole = path.read_bytes()
    if kind == "changed":
        damage(path)
    elif kind == "shorter":
        path.write_bytes(whole[:-1])
    elif kind == "longer":
        path.write_bytes(whole + b"\0" * 10_000_000)
    else:
        path.unlink()
    with pytest.raises(ModelFileError, match=f"{A}.*item_factors"):
        read_model(hosts.reader, A)
    assert hosts.cached() == []
    path.write_bytes(whole)
    assert read_model(hosts.reader, A).item_ids


@pytest.mark.parametrize("name", ["item_factors.npy", "items.ann", "item_ids.json"])
def test_a_copy_that_is_damaged_is_fetched_again(hosts: Hosts, name: str) -> None:
    hosts.write(A)
    read_model(hosts.reader, A)
    damage(hosts.reader.cache / A / name)
    read_model(hosts.reader, A)
    (hosts.reader.cache / A / name).unlink()
    read_model(hosts.reader, A)
    assert hosts.cached() == [A]


def test_a_manifest_that_is_damaged_on_this_host_is_fetched_again(hosts: Hosts) -> None:
    hosts.write(A)
    whole = read_manifest(hosts.reader, A)
    for content in (b"", b"{", (hosts.files / A / "item_ids.json").read_bytes()):
        read_model(hosts.reader, A)
        (hosts.reader.cache / A / "manifest.json").write_bytes(content)
        assert read_manifest(hosts.reader, A) == whole
        assert hosts.cached() == []
    with pytest.raises(ModelFileError, match=B):
        read_manifest(hosts.reader, B)


def test_a_download_that_ends_early_leaves_nothing(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.write(A)
    calls = iter(range(1_000))
    download = Objects.download

    def breaking(self: Objects, path: str, to: Path, *, at_most: int) -> str:
        if next(calls) == 3:
            to.write_bytes(b"half of it")
            raise ModelStoreError("the connection broke")
        return download(self, path, to, at_most=at_most)

    monkeypatch.setattr(Objects, "download", breaking)
    with pytest.raises(ModelStoreError):
        read_model(hosts.reader, A)
    assert hosts.cached() == []
    assert read_model(hosts.reader, A).item_ids


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "/etc/passwd", "manifest.json"])
def test_a_manifest_leads_to_no_file_elsewhere(hosts: Hosts, name: str, tmp_path: Path) -> None:
    hosts.write(A)
    path = hosts.files / A / "manifest.json"
    content = msgspec.json.decode(path.read_bytes())
    content["files"][name] = {"bytes": 3, "sha256": hashlib.sha256(b"one").hexdigest()}
    path.write_bytes(msgspec.json.encode(content))
    with pytest.raises(ModelFileError, match="names"):
        read_model(hosts.reader, A)
    assert not (tmp_path / "outside").exists()


def test_an_upload_that_was_killed_is_not_there_and_its_rest_is_removed_later(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.build(A)
    manifest = read_manifest(hosts.writer.cache, A)
    uploads = iter(range(1_000))
    upload = Objects.upload

    def killed(self: Objects, local: Path, path: str) -> None:
        if next(uploads) == 4:
            raise KeyboardInterrupt
        upload(self, local, path)

    monkeypatch.setattr(Objects, "upload", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(hosts.writer, manifest)
    monkeypatch.setattr(Objects, "upload", upload)
    assert (hosts.files / A).exists()
    assert list_versions(hosts.reader) == []
    assert find_model(hosts.reader, None) is None
    hosts.write(B)
    assert remove_old_versions(hosts.writer, keep=2, in_use=()) == []
    assert (hosts.files / A).exists(), "somebody may still upload it"
    hosts.write(C)
    remove_old_versions(hosts.writer, keep=2, in_use=())
    assert sorted(path.name for path in hosts.files.iterdir()) == [B, C]


def test_an_upload_continues_after_an_outage(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.build(A)
    outage = Outage(hosts.writer, monkeypatch)
    manifest = read_manifest(hosts.writer.cache, A)
    with pytest.raises(ModelStoreError, match="nobody answers"):
        publish(hosts.writer, manifest)
    outage.lasts = False
    publish(hosts.writer, manifest)
    publish(hosts.writer, manifest)
    assert read_model(hosts.reader, A).item_ids


def test_an_outage_leaves_the_model_in_use_and_is_logged_once(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.write(A)
    now_s = 0.0
    holder = ModelHolder(hosts.reader, load_model(hosts.reader, A), clock_s=lambda: now_s)
    announcement = hosts.write(B)
    with closing(holder), capture_logs() as logs:
        outage = Outage(hosts.reader, monkeypatch)

        def failed_since(calls: int) -> bool:
            assert holder.current().version == A
            return outage.calls > calls and holder._loading is None

        for _ in range(3):
            calls = outage.calls
            holder.follow(announcement)
            wait_until(partial(failed_since, calls), "an attempt fails")
            now_s += 60
        assert hosts.reader.stats.failing_since_s is not None
        outage.lasts = False
        holder.follow(announcement)
        wait_until(lambda: holder.current().version == B, "the new model is in use")
    assert hosts.reader.stats.failing_since_s is None
    events = [entry["event"] for entry in logs]
    assert events[0].startswith("the model store cannot be used")
    assert events[1:] == ["the model store can be used again", "model fetched", "model loaded"]


def test_a_server_that_starts_during_an_outage_uses_what_its_host_has(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcement = hosts.write(A)
    load_model(hosts.reader, A)
    Outage(hosts.reader, monkeypatch)
    store = MemoryStore()
    store.announce_model(announcement)
    assert wait_for_first_model(hosts.reader, store, threading.Event()).version == A


def test_a_server_without_a_model_waits_for_the_end_of_an_outage(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.write(A)
    outage = Outage(hosts.reader, monkeypatch)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(
            wait_for_first_model(hosts.reader, MemoryStore(), threading.Event())
        )
    )
    thread.start()
    wait_until(lambda: outage.calls > 1, "it has tried twice")
    outage.lasts = False
    thread.join(30)
    assert [served.version for served in found] == [A]


def test_the_cache_keeps_what_was_used_last_and_never_removes_what_is_in_use(hosts: Hosts) -> None:
    hosts.write(A, B, C, D)
    in_use = read_model(hosts.reader, A)
    for version in (B, C, D):
        read_model(hosts.reader, version)
    assert hosts.cached() == [A, C, D]
    table: Any = in_use.item_factors
    while isinstance(table, np.ndarray):
        table = table.base
    assert isinstance(table, mmap)
    del in_use, table
    read_model(hosts.reader, B)
    assert hosts.cached() == [B, D]


def test_two_processes_of_a_host_share_one_copy(hosts: Hosts) -> None:
    hosts.write(A, B)
    code = (
        "from likewise.models.files import read_model\n"
        "from likewise.models.place import models_place\n"
        "from likewise.settings.loader import load_settings\n"
        "place = models_place(load_settings())\n"
        f"for version in ({A!r}, {B!r}) * 3: read_model(place, version)\n"
    )
    cache = hosts.reader.cache.parent / "cache"
    environment = os.environ | {
        "LIKEWISE_MODEL_STORE": hosts.url,
        "LIKEWISE_MODEL_CACHE_DIRECTORY": str(cache),
        "LIKEWISE_INDEXER_KEEP_VERSIONS": "1",
    }
    several = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait(120) for process in several] == [0, 0, 0]
    [of_this_store] = cache.iterdir()
    names = [path.name for path in of_this_store.iterdir()]
    assert names in ([A], [B], [A, B], [B, A])


def test_what_a_crash_left_in_the_cache_is_removed(hosts: Hosts) -> None:
    hosts.write(A)
    (hosts.reader.cache / f".aside-{B}-1").mkdir(parents=True)
    read_model(hosts.reader, A)
    assert hosts.cached() == [A]


def test_a_cache_that_cannot_be_written_to_is_named(hosts: Hosts) -> None:
    hosts.write(A)
    hosts.reader.cache.write_text("a file where the directory should be")
    with pytest.raises(ModelFileError, match=r"model\.cache_directory"):
        read_model(hosts.reader, A)


def test_consumers_read_the_items_of_a_model_without_waiting_for_the_store(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.write(A)
    monkeypatch.setattr("consumers.model_items.delays_s", lambda *_, **__: iter([0.0] * 100))
    outage = Outage(hosts.reader, monkeypatch)
    items = ModelItems(hosts.reader)
    assert items.read(A) is None
    wait_until(lambda: items.read(A) is None and outage.calls > 2, "it has tried again")
    outage.lasts = False
    wait_until(lambda: items.read(A) is not None, "they were read")
    with pytest.raises(ModelFileError, match=B):
        wait_until(lambda: items.read(B) is not None, "there is no such version")


def test_likes_of_new_items_are_noted_while_the_next_model_cannot_be_read(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    store.announce_model(hosts.write(A))
    finder = NewItems(hosts.reader, store, ConsumerStats())

    def noted(name: str) -> bool:
        finder.follow()
        changes = fold([Like(UserId("ann"), ItemId(name))])
        finder.note(changes, liked_items(changes))
        return changes.new_items is not None

    wait_until(lambda: noted("new"), "the items of the model are known")
    Outage(hosts.reader, monkeypatch)
    store.announce_model(hosts.build(B))
    assert noted("newer")
    assert not noted(item(1, 1))


def settings_with(tmp_path: Path, store: str) -> Settings:
    return Settings(
        model=ModelSettings(store=store, cache_directory=tmp_path / "cache"),
        indexer=IndexerSettings(keep_versions=2),
    )


def test_the_settings_name_one_place_for_a_process(hosts: Hosts, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, hosts.url)
    place = models_place(settings)
    assert models_place(settings) is place
    assert str(place) == hosts.url
    assert stats_of(place) is not None
    directory = Settings(model=ModelSettings(directory=tmp_path))
    assert models_place(directory) == tmp_path
    assert stats_of(models_place(directory)) is None


def test_the_cache_is_where_the_system_has_caches(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.write(A)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    read_model(models_place(Settings(model=ModelSettings(store=hosts.url))), A)
    [of_this_store] = (tmp_path / "xdg" / "likewise" / "models").iterdir()
    assert [path.name for path in of_this_store.iterdir()] == [A]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("models", "set it to a URL"),
        ("s3://", "set it to a URL"),
        ("s3://key:secret@bucket/models", "must not contain credentials"),
        ("gs://bucket/models", "gcsfs"),
        ("abfs://container/models", "adlfs"),
        ("nonsense://bucket", "nonsense"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_at_once(
    tmp_path: Path, url: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        models_place(settings_with(tmp_path, url))
    assert "key:secret" not in str(refused.value)


def test_the_status_names_the_store_and_whether_it_has_the_current_model(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, broker, store = settings_with(tmp_path, hosts.url), MemoryBroker(), MemoryStore()
    broker.ensure_topics(Topics().specs(1))
    store.announce_model(hosts.write(A))
    found = status_of(settings, broker, store)
    assert found.model_store == ModelStoreStatus(hosts.url, 1, True)
    store.announce_model(hosts.build(B))
    found = status_of(settings, broker, store)
    assert found.model_store == ModelStoreStatus(hosts.url, 1, False)
    place = models_place(settings)
    assert not isinstance(place, Path)
    Outage(place, monkeypatch)
    found = status_of(settings, broker, store)
    assert found.model_store is None
    assert "nobody answers" in found.unreachable[0]
    assert status_of(Settings(), broker, store).model_store is None


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"likewise\[s3\]"):
        models_place(settings_with(tmp_path, "s3://bucket/elsewhere"))


def test_known_items_of_a_model_store_are_those_of_the_model(hosts: Hosts) -> None:
    from likewise.models.known_items import KnownItems

    hosts.write(A)
    known = KnownItems.read(hosts.reader, A)
    assert all(item in known for item in read_model(hosts.reader, A).item_ids)
    assert ItemId("unknown") not in known


def test_files_of_a_cache_belong_to_their_owner_alone(hosts: Hosts) -> None:
    hosts.write(A)
    read_model(hosts.reader, A)
    assert os.stat(hosts.reader.cache).st_mode & 0o077 == 0
