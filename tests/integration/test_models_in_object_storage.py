"""An indexer and a server on hosts that share a Kafka, a Redis and a model store of the S3 protocol, and no files."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from indexer.service import index_once, run_indexer
from indexer.worker import IndexerStats
from likewise.errors import ModelFileError
from likewise.messages.announcements import encode_announcement
from likewise.models.place import models_place
from likewise.operations.models import current_version, model_rows, use_version
from likewise.settings import IndexerSettings
from tests.object_store import BUCKET, SECRET, object_store
from tests.requesting import requester, serving, settings_for
from tests.services import in_a_thread
from tests.serving_rig import item, items_of, like, likes_but_one
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.models.manifest import Manifest
    from likewise.settings import Settings
    from tests.object_store import ObjectStore
    from tests.requesting import Requester

SELDOM_S = 3_600.0
BLOCKS = 4


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix, tmp_path / "unused"),
        indexer=IndexerSettings(
            interval_s=SELDOM_S, min_interval_s=SELDOM_S, lease_ms=2_000, keep_versions=2
        ),
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Requester]:
    with requester(settings) as asking:
        for block in range(BLOCKS):
            for missing in range(5):
                like(asking.store, f"{block}/{missing}", likes_but_one(block, missing))
        yield asking


@pytest.fixture
def objects() -> Iterator[ObjectStore]:
    with object_store() as server:
        yield server


def on_a_host(settings: Settings, cache: Path) -> Settings:
    model = msgspec.structs.replace(
        settings.model, store=f"s3://{BUCKET}/of/likewise", cache_directory=cache, rank=BLOCKS
    )
    return msgspec.structs.replace(settings, model=model)


def build(settings: Settings, app: Requester, *, announce: bool = True) -> Manifest:
    once = index_once(settings, app.broker, app.store, threading.Event(), announce=announce)
    return once[0]


def answered_by(app: Requester) -> str:
    """Ask, check the answer, and return the version that it is from."""
    reply = app.reply(app.ask({"user_id": "1/2", "count": 1}))
    assert items_of(reply) == [item(1, 2)]
    return str(reply["model"]["version"])


def test_a_server_on_another_host_answers_with_what_the_indexer_uploaded(
    settings: Settings,
    app: Requester,
    objects: ObjectStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    indexing, answering = (on_a_host(settings, tmp_path / name) for name in ("one", "other"))
    first = build(indexing, app)
    with serving(answering) as stats:
        assert answered_by(app) == first.version
        second = build(indexing, app, announce=False)
        objects.stop()
        app.store.announce_model(encode_announcement(second.announcement()))
        wait_until(
            lambda: stats.model_store is not None and stats.model_store.failing_since_s is not None,
            "the server has found out",
        )
        assert answered_by(app) == first.version
        objects.start()
        wait_until(lambda: answered_by(app) == second.version, "the server has the new model")
        assert stats.model_store is not None
        assert (stats.model_store.failing_since_s, stats.model_store.errors > 0) == (None, True)

        third = build(indexing, app, announce=False)
        key = f"of/likewise/{third.version}/item_factors.npy"
        whole = objects.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        objects.client.put_object(Bucket=BUCKET, Key=key, Body=whole[:-1] + b"?")
        place = models_place(answering)
        with pytest.raises(ModelFileError, match="item_factors"):
            use_version(place, app.store, app.broker.sink(), app.topics, third.version)
        assert answered_by(app) == second.version
        objects.client.put_object(Bucket=BUCKET, Key=key, Body=whole)
        use_version(place, app.store, app.broker.sink(), app.topics, third.version)
        wait_until(lambda: answered_by(app) == third.version, "the server has the model")
    rows = model_rows(place, current_version(app.store), verify=True)
    assert [(row.version, row.current, row.sound) for row in rows] == [
        (third.version, True, True),
        (second.version, False, True),
    ]  # the indexer keeps two
    assert not any(name.startswith(f"of/likewise/{first.version}") for name in objects.names())
    assert not settings.model.directory.exists()
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err


def test_an_indexer_announces_a_model_when_the_store_has_all_of_it(
    settings: Settings, app: Requester, objects: ObjectStore, tmp_path: Path
) -> None:
    indexing, answering = (on_a_host(settings, tmp_path / name) for name in ("one", "other"))
    objects.stop()
    stats = IndexerStats()
    with in_a_thread(indexing, "indexer", partial(run_indexer, indexing, stats=stats)):
        wait_until(lambda: stats.retries > 1, "the indexer has tried again")
        assert current_version(app.store) is None
        objects.start()
        wait_until(lambda: current_version(app.store) is not None, "a model is announced")
        with serving(answering):
            assert answered_by(app) == current_version(app.store)
