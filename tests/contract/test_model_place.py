"""What holds wherever models are: in a directory, in a directory as a model store, and in a store of the S3 protocol.

`writer` and `reader` are two hosts. With a directory they share it; with a model store they share nothing else.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest
from msgspec import structs

from indexer.alternatives import Alternatives
from indexer.cycle import Finished
from indexer.interactions import UserLikes, interactions_of
from indexer.publish import Publisher
from indexer.service import building
from indexer.snapshot import Snapshot
from likewise.errors import ModelFileError
from likewise.log.topics import Topics
from likewise.messages.experiments import Experiment, Outcome, Variant
from likewise.messages.ids import ItemId, UserId
from likewise.models.canaries import canary_name, is_unproved, read_canary, write_canary
from likewise.models.files import read_manifest, read_model
from likewise.models.holder import ModelHolder, find_model, load_model, wait_for_first_model
from likewise.models.known_items import KnownItems
from likewise.models.layout import alternatives_in
from likewise.models.place import is_here, local, publish
from likewise.models.versions import (
    list_versions,
    newest_sound_version,
    proved_versions,
    removable_versions,
    remove_old_versions,
)
from likewise.operations.models import find_version, model_rows, use_version
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend
from likewise.settings import ModelSettings
from likewise.testing import MemoryBroker, MemoryStore
from serving.alternatives import Alternatives as NamedRankers
from tests.model_hosts import host
from tests.object_store import object_store
from tests.serving_rig import likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.models.place import Place

A, B, C, D = (f"2026010{day}T000000.000Z" for day in range(1, 5))
BLOCKS = 3


class Hosts(NamedTuple):
    writer: Place
    reader: Place


@pytest.fixture(params=["directory", "file", "s3"])
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hosts]:
    if request.param == "directory":
        yield Hosts(tmp_path / "models", tmp_path / "models")
    elif request.param == "file":
        url = (tmp_path / "shared").as_uri()
        yield Hosts(host(url, tmp_path / "one"), host(url, tmp_path / "other"))
    else:
        with object_store():
            url = "s3://models/of/likewise"
            yield Hosts(host(url, tmp_path / "one"), host(url, tmp_path / "other"))


def write(place: Place, *versions: str, blocks: int = BLOCKS) -> bytes:
    """Write versions on the host of the place, and publish them; return the last announcement."""
    announcement = b""
    for version in versions:
        announcement = write_block_model(local(place), version, blocks=blocks)
        publish(place, read_manifest(local(place), version))
    return announcement


def names(place: Place) -> list[str]:
    return [manifest.version for manifest in list_versions(place)]


def test_a_version_is_read_on_another_host_as_it_was_written(hosts: Hosts) -> None:
    write(hosts.writer, A)
    liked = likes_but_one(1)
    (written,), (read,) = (
        recommend(read_model(place, A), [Query(liked, liked, 5)]) for place in hosts
    )
    assert read == written
    assert is_here(hosts.reader)
    assert load_model(hosts.reader, A).version == A
    assert all(item in KnownItems.read(hosts.reader, A) for item in liked)
    assert ItemId("unknown") not in KnownItems.read(hosts.reader, A)


def test_no_version_is_there_before_the_first(hosts: Hosts) -> None:
    assert list_versions(hosts.reader) == []
    assert newest_sound_version(hosts.reader) is None
    assert find_model(hosts.reader, None) is None
    with pytest.raises(ModelFileError, match=A):
        read_model(hosts.reader, A)
    with pytest.raises(ModelFileError, match="is not a model version"):
        read_manifest(hosts.reader, "../../etc")
    assert remove_old_versions(hosts.reader, keep=1, in_use=()) == []


def test_versions_are_listed_newest_first_and_old_ones_removed_for_every_host(hosts: Hosts) -> None:
    write(hosts.writer, A, B, C, D)
    assert names(hosts.reader) == [D, C, B, A]
    assert removable_versions(hosts.reader, keep=1, in_use={B}) == [C, A]
    assert remove_old_versions(hosts.writer, keep=1, in_use={B}) == [C, A]
    assert names(hosts.reader) == [D, B]
    assert read_model(hosts.reader, D).item_ids


def test_a_version_in_use_is_loaded_although_it_was_never_the_newest(hosts: Hosts) -> None:
    write(hosts.writer, A, B, C)
    store, broker, topics = MemoryStore(), MemoryBroker(), Topics()
    broker.ensure_topics(topics.specs(1))
    use_version(hosts.writer, store, broker.sink(), topics, A)
    assert find_version("current", hosts.reader, store) == A
    assert wait_for_first_model(hosts.reader, store, threading.Event()).version == A
    rows = model_rows(hosts.reader, A, verify=True)
    assert [(row.version, row.current, row.sound) for row in rows] == [
        (C, False, True), (B, False, True), (A, True, True),
    ]  # fmt: skip
    remove_old_versions(hosts.writer, keep=1, in_use={C})
    with pytest.raises(ModelFileError, match=f"{A} is not in"):
        use_version(hosts.reader, store, broker.sink(), topics, A)


def test_a_holder_follows_what_is_announced(hosts: Hosts) -> None:
    write(hosts.writer, A)
    holder = ModelHolder(hosts.reader, load_model(hosts.reader, A))
    try:
        holder.follow(write(hosts.writer, B))
        wait_until(lambda: holder.current().version == B, "the new model is in use")
    finally:
        holder.close()


def test_a_canary_is_known_to_every_host_and_its_versions_stay(hosts: Hosts) -> None:
    write(hosts.writer, A, B, C)
    running = Experiment(
        name=canary_name(B),
        kind="split",
        started_at_ms=1,
        seed="s",
        window_s=1.0,
        variants=(Variant(name="current", model=A), Variant(name="canary", model=B)),
    )
    write_canary(hosts.writer, B, running)
    assert read_canary(hosts.reader, B) == running
    assert is_unproved(hosts.reader, B)
    assert [manifest.version for manifest in proved_versions(hosts.reader)] == [C, A]
    assert removable_versions(hosts.reader, keep=1, in_use=()) == []
    ended = structs.replace(running, stopped_at_ms=2, outcome=Outcome(decision="promoted"))
    write_canary(hosts.writer, B, ended)
    assert not is_unproved(hosts.reader, B)
    with pytest.raises(ModelFileError, match=D):
        write_canary(hosts.writer, D, running)


def test_what_nobody_announced_is_restored_by_the_next_leader(hosts: Hosts) -> None:
    write(hosts.writer, A, B)
    store, broker, topics = MemoryStore(), MemoryBroker(), Topics()
    broker.ensure_topics(topics.specs(1))
    next_leader = Publisher(hosts.reader, store, broker.sink(), topics)
    restored = next_leader.restore()
    assert restored is not None
    assert restored.version == B
    assert next_leader.restore() is None
    write(hosts.writer, C, D)
    assert next_leader.prune(keep=1) == [C, A]
    assert names(hosts.writer) == [D, B]


def test_alternatives_are_found_by_every_host_and_removed_when_no_longer_named(
    hosts: Hosts,
) -> None:
    likes = [{ItemId("x"), ItemId("y")}, {ItemId("y"), ItemId("z")}]
    interactions = interactions_of([UserLikes([UserId("ann"), UserId("bob")], likes)])
    snapshot = Snapshot(interactions, 1, full=True, taken=[])
    write(hosts.writer, A)
    finished = Finished(read_manifest(hosts.writer, A), snapshot, None)
    build = building(ModelSettings(ranker="spectral", rank=2))
    clock_ms = count(1_800_000_000_000).__next__
    for _ in range(2):
        Alternatives(hosts.writer, {"spectral": build}, clock_ms).build(finished, lambda: True)
    rankers = NamedRankers(hosts.reader)
    assert rankers.names() == ["spectral"]
    served = rankers.get("spectral")
    assert served is not None
    assert served.model.recipe.ranker == "spectral"
    assert len(list_versions(alternatives_in(hosts.writer) / "spectral")) == 1
    Alternatives(hosts.writer, {}, clock_ms).build(finished, lambda: True)
    assert rankers.names() == []
    assert names(hosts.reader) == [A]
