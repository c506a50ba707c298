"""A new item is liked three times and recommended within seconds, without a build, on real servers."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from consumers.service import run_consumer
from likewise import Likewise
from likewise.messages.ids import ItemId
from likewise.settings import ModelSettings
from serving.service import run_server
from tests.consuming import opened, settings_for
from tests.services import in_a_thread
from tests.serving_rig import VERSION, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise import Recommendations

NEW = ItemId("new")


def test_a_new_item_is_recommended_within_five_seconds_of_its_third_like(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix), model=ModelSettings(directory=tmp_path)
    )
    announcement = write_block_model(tmp_path, VERSION, blocks=4)
    with opened(settings) as (_, store):
        store.announce_model(announcement)
    with (
        in_a_thread(settings, "consumer", partial(run_consumer, settings)),
        in_a_thread(settings, "server", partial(run_server, settings)),
        Likewise(settings=settings.kafka, timeout_s=30.0) as client,
    ):

        def ask() -> Recommendations:
            return client.recommend("ann", count=3, explain=True)

        client.like_many(("ann", liked) for liked in likes_but_one(0))
        for fan in ("fan 1", "fan 2", "fan 3"):
            client.like_many((fan, liked) for liked in likes_but_one(0))
        client.like("fan 1", NEW)
        client.like("fan 2", NEW)
        before = client.recommend("ann", count=3, after=client.like("ann", likes_but_one(0)[0]))
        assert NEW not in {one.item_id for one in before.items}
        client.like("fan 3", NEW)
        liked_at_s = time.monotonic()
        wait_until(lambda: NEW in {one.item_id for one in ask().items}, "the new item")
        assert time.monotonic() - liked_at_s < 5.0
        reply = ask()
        [new] = [one for one in reply.items if one.item_id == NEW]
        assert new.because
        assert {one.item_id for one in new.because} <= set(likes_but_one(0))
        assert reply.model.version == VERSION

        def trending() -> Recommendations:
            return client.recommend("stranger", count=20, source="trending")

        wait_until(lambda: NEW in {one.item_id for one in trending().items}, "it is trending")
        assert trending().source == "trending"
        client.unlike("fan 3", NEW)
        wait_until(lambda: NEW not in {one.item_id for one in ask().items}, "it is gone")
        client.like("fan 3", NEW)
        wait_until(lambda: NEW in {one.item_id for one in ask().items}, "it is back")
        client.forget("fan 1")
        wait_until(lambda: NEW not in {one.item_id for one in ask().items}, "it is gone again")
