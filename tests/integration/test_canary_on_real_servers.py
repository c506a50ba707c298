"""New models are tried first: a bad one is rolled back, a good one promoted, by likes alone.

A tenth of the users sees it, or nobody. Users are simulated with plain requests and likes. Each has one taste, and likes half of what is shown of it.
"""

from __future__ import annotations

import json
import os
import random
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

from consumers.service import run_consumer
from indexer.cycle import Cycle
from indexer.progress import Unwatched
from indexer.publish import Publisher
from indexer.rollout import Rollout
from indexer.service import building
from indexer.worker import Indexer
from likewise.messages.events import Like, encode_event, event_key
from likewise.messages.exposures import decode_exposure
from likewise.messages.ids import ItemId, UserId
from likewise.messages.reply_routes import CORRELATION_HEADER, REPLY_TOPIC_HEADER
from likewise.operations.models import current_version, model_rows
from likewise.service.clock import now_ms
from likewise.settings import ConsumerSettings, IndexerSettings, ModelSettings
from likewise.settings.experiments import ExperimentSettings
from tests.consuming import caught_up
from tests.requesting import requester, serving, settings_for
from tests.services import in_a_thread
from tests.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from indexer.cycle import Built
    from indexer.interactions import Interactions
    from likewise.log.port import Broker
    from likewise.messages.exposures import Exposure
    from likewise.operations.canaries import CanaryRow
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from tests.requesting import Requester

USERS, TASTES, ITEMS_OF_A_TASTE = 500, 5, 80
SHARE = 0.1
LONGEST_S = 100.0


def taste(user: UserId) -> int:
    return int(user.removeprefix("u")) % TASTES


def item(of: int, number: int) -> ItemId:
    return ItemId(f"taste{of}-{number}")


class World:
    """The users, and the indexer whose models they try."""

    def __init__(self, app: Requester, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.users = [UserId(f"u{number}") for number in range(USERS)]
        self.shuffled = False
        self.answered: list[dict[str, Any]] = []
        self._rng = random.Random(18)
        self._sink = app.broker.sink()
        self.indexer: Indexer | None = None

    def close(self) -> None:
        self._sink.close()

    def like(self, likes: list[Like]) -> None:
        for event in likes:
            self._sink.send(self.app.topics.likes, encode_event(event), key=event_key(event))
        self._sink.flush(PATIENCE_S)

    def ask_and_like(self) -> None:
        """Every user asks for five items, and likes half of those of their taste."""
        asked: dict[bytes, UserId] = {}
        for user in self.users:
            correlation = os.urandom(16)
            asked[correlation] = user
            headers = [
                (CORRELATION_HEADER, correlation),
                (REPLY_TOPIC_HEADER, self.app.reply_topic.encode()),
            ]
            body = json.dumps({"user_id": user, "count": 5}).encode()
            self._sink.send(self.app.topics.requests, body, headers=headers)
        self._sink.flush(PATIENCE_S)
        self.app.replies_to(list(asked))
        likes = []
        for correlation, user in asked.items():
            reply = self.app.reply(correlation)
            self.answered.append(reply)
            shown = [ItemId(one["item_id"]) for one in reply["items"]]
            ours = [one for one in shown if one.startswith(f"taste{taste(user)}-")]
            likes += [Like(user, one) for one in ours if self._rng.random() < 0.5]
        self.like(likes)

    def first_likes(self) -> list[Like]:
        return [
            Like(user, item(taste(user), number))
            for user in self.users
            for number in self._rng.sample(range(ITEMS_OF_A_TASTE), 6)
        ]

    def build(self, interactions: Interactions, on_step: Callable[[str], None]) -> Built:
        """Build a model; a shuffled one takes each item for another."""
        built = building(
            ModelSettings(),
        )
        if self.shuffled:
            order = np.random.default_rng(18).permutation(len(interactions.item_ids))
            likes = interactions.user_items[:, order]
            likes.sort_indices()
            interactions = replace(interactions, user_items=likes)
        return built(interactions, on_step)

    def run_indexer(self, broker: Broker, store: LikeStore, stop: threading.Event) -> None:
        settings = self.settings
        with closing(broker.sink()) as sink:
            publisher = Publisher(settings.model.directory, store, sink, self.app.topics)
            window_s = settings.experiments.window_s
            rollout = Rollout(publisher, settings.model, window_s=window_s)
            cycle = Cycle(publisher.place, self.build, Unwatched(), stop, now_ms)
            self.indexer = Indexer(settings.indexer, publisher, cycle, rollout=rollout)
            self.indexer.run()

    def is_built(self) -> bool:
        return self.indexer is not None and self.indexer.stats.builds > 0

    def try_a_new_model(self) -> str:
        """Build a model; return its version when its canary runs."""
        indexer = self.indexer
        assert indexer is not None
        self.answered.clear()
        indexer.build_now()
        return wait_until(lambda: indexer.stats.canary.version, "the canary")

    def like_by_taste(self) -> None:
        """Every user likes an item of his or her taste, whatever is recommended."""
        self.like(
            [
                Like(user, item(taste(user), self._rng.randrange(ITEMS_OF_A_TASTE)))
                for user in self.users
            ]
        )

    def outcome(self, version: str, act: Callable[[], None]) -> CanaryRow:
        """Let the users act until the canary has ended; return how."""

        def ended() -> CanaryRow | None:
            act()
            rows = model_rows(self.settings.model.directory, None, store=self.app.store)
            found = next(row.canary for row in rows if row.version == version)
            assert found is not None
            return None if found.state == "running" else found

        return wait_until(ended, "the canary ends", timeout_s=LONGEST_S)

    def exposures(self) -> list[Exposure]:
        partitions = self.app.broker.partitions(self.app.topics.exposures)
        ends = self.app.broker.end_offsets(partitions)
        found: list[Exposure] = []
        with closing(self.app.broker.reader(dict.fromkeys(partitions, 0))) as reader:
            while len(found) < sum(ends.values()):
                found += map(decode_exposure, reader.poll(1_000))
        return found


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    base = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    return structs.replace(
        base,
        consumer=ConsumerSettings(poll_timeout_ms=50),
        indexer=IndexerSettings(interval_s=3_600.0, min_interval_s=3_600.0, lease_ms=10_000),
        model=structs.replace(base.model, canary_share=SHARE, canary_margin=0.3),
        experiments=ExperimentSettings(window_s=600.0),
    )


@contextmanager
def running(settings: Settings) -> Iterator[World]:
    """Run a consumer, an indexer and a server, until the first model has likes."""
    with ExitStack() as stack:
        app = stack.enter_context(requester(settings))
        world = stack.enter_context(closing(World(app, settings)))
        world.like(world.first_likes())
        stack.enter_context(in_a_thread(settings, "consumer", partial(run_consumer, settings)))
        wait_until(lambda: caught_up(app.broker, app.store, app.topics.likes), "the first likes")
        stack.enter_context(in_a_thread(settings, "indexer", world.run_indexer))
        wait_until(world.is_built, "the first model")
        stack.enter_context(serving(settings))
        yield world


@pytest.mark.timeout(400)
def test_a_shuffled_model_is_rolled_back_and_a_good_one_promoted_by_the_likes(
    settings: Settings,
) -> None:
    with running(settings) as world:
        current = current_version(world.app.store)
        world.shuffled = True
        bad = world.try_a_new_model()
        outcome = world.outcome(bad, world.ask_and_like)
        assert outcome.state == "rolled_back", outcome
        assert outcome.effect is not None
        assert outcome.high is not None
        assert outcome.effect < outcome.high < 0
        assert current_version(world.app.store) == current
        exposures = world.exposures()
        seen = [one for one in exposures if one.models == (bad,)]
        assert 0 < len(seen) <= SHARE * len(exposures)
        by_bad = [reply for reply in world.answered if reply["model"]["version"] == bad]
        assert len(seen) <= len(by_bad) <= SHARE * len(world.answered)

        world.shuffled = False
        good = world.try_a_new_model()
        outcome = world.outcome(good, world.ask_and_like)
        assert outcome.state == "promoted", outcome
        assert current_version(world.app.store) == good


@pytest.mark.timeout(400)
def test_models_that_answer_nobody_are_rolled_back_or_promoted_by_the_likes_that_they_predict(
    settings: Settings,
) -> None:
    settings = structs.replace(
        settings,
        consumer=ConsumerSettings(poll_timeout_ms=50, quality_samples_per_s=1_000.0),
        model=structs.replace(settings.model, canary_share=0.0, canary_kind="prequential"),
    )
    with running(settings) as world:
        current = current_version(world.app.store)
        world.shuffled = True
        bad = world.try_a_new_model()
        world.ask_and_like()
        outcome = world.outcome(bad, world.like_by_taste)
        assert outcome.state == "rolled_back", outcome
        assert outcome.high is not None
        assert outcome.high < 0
        assert {reply["model"]["version"] for reply in world.answered} == {current}

        world.shuffled = False
        good = world.try_a_new_model()
        outcome = world.outcome(good, world.like_by_taste)
        assert outcome.state == "promoted", outcome
        assert current_version(world.app.store) == good
        assert world.exposures() == [], "nobody took part"
