"""An experiment from its start by command to its stop: servers follow it, likes count for it."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest

from consumers.service import run_consumer
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from tests.integration.test_catalogue_on_real_servers import run
from tests.plain_kafka import plain_app
from tests.requesting import PARTITIONS, serving, settings_for
from tests.services import in_a_thread
from tests.serving_rig import items_of, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from likewise.settings import Settings

VERSION = "20260101T000000.000Z"
VARIANTS = ("--variant", "few,count=2", "--variant", "many,count=5")


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    return settings_for(bootstrap_servers, redis_url, prefix, tmp_path)


@pytest.mark.timeout(240)
def test_servers_follow_an_experiment_from_its_start_to_its_stop(settings: Settings) -> None:
    write_block_model(settings.model.directory, VERSION, blocks=50)
    prefix = settings.kafka.topic_prefix
    with closing(KafkaBroker(settings.kafka, client_id="test")) as broker:
        broker.ensure_topics(Topics(prefix).specs(PARTITIONS))
    with (
        in_a_thread(settings, "consumer", partial(run_consumer, settings)),
        serving(settings),
        plain_app(settings.kafka.bootstrap_servers, prefix) as app,
    ):
        users = [f"u{number}" for number in range(12)]
        assert all("experiment" not in app.ask(user_id=user) for user in users)

        run(settings, "experiments", "start", "length", *VARIANTS, "--seed", "s", "--wait")
        wait_until(lambda: app.ask(user_id="u0").get("experiment") == "length", "it is followed")
        replies = {user: app.ask(user_id=user) for user in users}
        assert {reply["experiment"] for reply in replies.values()} == {"length"}
        by_variant = {reply["variant"]: len(items_of(reply)) for reply in replies.values()}
        assert by_variant == {"few": 2, "many": 5}
        assert run_json(settings, "status")["redis"]["experiments"][0]["name"] == "length"

        liked = items_of(replies["u3"])[0]
        app.event("like", "u3", liked)
        variant = replies["u3"]["variant"]
        wait_until(lambda: counted(settings, variant)["likes"] == 1, "the like counts")
        tally = counted(settings, variant)
        assert (tally["hits"], tally["likes_at"][0]) == (1, 1)

        run(settings, "experiments", "stop", "length", "--reason", "enough", "--wait")
        wait_until(lambda: "experiment" not in app.ask(user_id="u0"), "its stop is followed")
        shown = run_json(settings, "experiments", "show", "length")
        assert shown["experiment"]["outcome"]["reason"] == "enough"
        assert shown["experiment"]["outcome"]["verdict"]["sentence"]
        assert run_json(settings, "status")["redis"]["experiments"] == []
        assert run_json(settings, "verify")["experiments"]["equal"]


def run_json(settings: Settings, *arguments: str) -> dict[str, Any]:
    """Call a command with `--json`; return its output, next to which services in threads may log."""
    output = run(settings, *arguments, "--json")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(output, output.index("{\n"))[0]
    return found


def counted(settings: Settings, variant: str) -> dict[str, Any]:
    """Return the counts of a variant."""
    tally: dict[str, Any] = run_json(settings, "experiments", "show", "length")["tally"][
        "variants"
    ][variant]
    return tally
