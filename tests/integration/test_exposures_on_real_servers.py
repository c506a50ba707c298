"""Two experiments on real servers: what users get, what the log says they got, and what the hash says."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from consumers.service import run_consumer
from likewise.experiments.assignment import find_assignment, in_order
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.experiments import Experiment, Variant, experiment_json
from likewise.messages.exposures import Exposure, decode_exposure
from likewise.messages.ids import UserId
from likewise.messages.request_options import RequestOptions
from tests.live_gateway import LiveGateway, live_gateway
from tests.plain_kafka import plain_app
from tests.requesting import serving
from tests.services import in_a_thread
from tests.serving_rig import BLOCKS, VERSION, items_of, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.settings import Settings

Document = dict[str, Any]
OTHER = "20250101T000000.000Z"  # older: nothing but its experiment makes it answer
SPLIT = Experiment(
    name="options",
    kind="split",
    variants=(
        Variant(name="control"),
        Variant(name="short", defaults=RequestOptions(count=4)),
        Variant(name="explained", share=0.5, defaults=RequestOptions(explain=True)),
    ),
    seed="one",
    started_at_ms=1,
    share=0.5,
    exclude=(UserId("u7"),),
)
SHARED = Experiment(
    name="models",
    kind="interleaved",
    variants=(Variant(name="new"), Variant(name="old", model=OTHER)),
    seed="two",
    started_at_ms=2,
)
USERS = [UserId(f"u{number}") for number in range(200)]


@pytest.mark.timeout(240)
def test_each_exposure_agrees_with_its_reply_and_with_the_hash(
    bootstrap_servers: str, redis_url: str, tmp_path: Path
) -> None:
    write_block_model(tmp_path / "models", OTHER, blocks=4)
    with live_gateway(tmp_path, bootstrap_servers, redis_url) as gateway:
        replies = _asked(gateway)
    # The gateway has stopped, so all of its exposures are in the log.
    exposures = {one.recommendation_id: one for one in _exposures(gateway.settings)}
    assert exposures.keys() == {reply["recommendation_id"] for reply in replies}
    seen = set()
    for reply in replies:
        exposure = exposures[reply["recommendation_id"]]
        part = find_assignment(in_order([SHARED, SPLIT]), reply["user_id"], None)
        assert part is not None
        variant = None if part.variant is None else part.variant.name
        seen.add((part.experiment.name, variant))
        assert (exposure.experiment, exposure.variant) == (part.experiment.name, variant)
        assert (reply["experiment"], reply.get("variant")) == (part.experiment.name, variant)
        assert exposure.user_id == reply["user_id"]
        assert [*exposure.items] == items_of(reply)
        assert exposure.models == ((VERSION, OTHER) if variant is None else (VERSION,))
        assert len(exposure.placed_by) == (10 if variant is None else 0)
        assert len(exposure.items) == (4 if variant == "short" else 10)
    assert seen == {*(("options", one.name) for one in SPLIT.variants), ("models", None)}
    assert {*chain.from_iterable(one.placed_by for one in exposures.values())} >= {0, 1}


def _asked(gateway: LiveGateway) -> list[Document]:
    """Run both experiments; return the replies of a server, and of the gateway, that count for them."""
    settings = gateway.settings
    counting: list[Document] = []
    with (
        in_a_thread(settings, "consumer", partial(run_consumer, settings)),
        serving(settings),
        plain_app(settings.kafka.bootstrap_servers, settings.kafka.topic_prefix) as app,
        gateway.client() as client,
    ):

        def over_http(user: UserId) -> Document:
            answer: Document = client.get(f"/v1/users/{user}/recommendations").json()
            return answer

        def counts(reply: Document) -> bool:
            counting.extend([reply] if "experiment" in reply else [])
            return "experiment" in reply

        for number, user in enumerate(USERS):
            app.event("like", user, f"c{number % BLOCKS}.{number % 5}")

        def start(experiment: Experiment) -> None:
            user = next(user for user in USERS if _experiment_of(user) == experiment.name)
            app.publish("experiments", experiment.name, experiment_json(experiment))
            wait_until(lambda: counts(app.ask(user_id=user)), "the server follows")
            wait_until(lambda: counts(over_http(user)), "the gateway follows")

        start(SPLIT)
        start(SHARED)
        asked = [app.send(user_id=user) for user in USERS]
        assert all(counts(app.reply(correlation)) for correlation in asked)
        assert all(counts(over_http(user)) for user in USERS[:60])
    return counting


def _experiment_of(user: UserId) -> str | None:
    part = find_assignment(in_order([SHARED, SPLIT]), user, None)
    return None if part is None else part.experiment.name


def _exposures(settings: Settings) -> list[Exposure]:
    """Return all exposures in the log."""
    topic = Topics(settings.kafka.topic_prefix).exposures
    found: list[Exposure] = []
    with closing(KafkaBroker(settings.kafka, client_id="test")) as broker:
        partitions = broker.partitions(topic)
        ends = sum(broker.end_offsets(partitions).values())
        with closing(broker.reader(dict.fromkeys(partitions, 0))) as reader:

            def all_read() -> bool:
                found.extend(map(decode_exposure, reader.poll(100)))
                return len(found) >= ends

            wait_until(all_read, "all exposures")
    return found
