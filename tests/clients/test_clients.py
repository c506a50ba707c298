"""Six client libraries: their events count, and the replies to them are right.

Each program likes, unlikes, forgets, publishes in transactions, and asks, with every codec; it prints
a line of JSON for each thing done.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.clients.programs import run
from tests.clients.taste import CATS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.programs import Program
    from tests.running_up import RunningUp

pytestmark = pytest.mark.timeout(600)

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@pytest.fixture(scope="session")
def store(deployment: RunningUp) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(deployment.redis_url, decode_responses=True)) as client:
        yield client


@pytest.fixture(scope="session")
def output(program: Program, deployment: RunningUp) -> list[dict[str, Any]]:
    """What the program says it did, in order."""
    lines = run(program, deployment.bootstrap_servers, program.name).splitlines()
    return [json.loads(line) for line in lines]


def done(output: list[dict[str, Any]], what: str) -> list[str]:
    return [line.get("codec", "") for line in output if line["did"] == what]


def test_a_like_counts_whatever_its_codec_and_an_unlike_takes_it_back(
    program: Program, output: list[dict[str, Any]], store: redis.Redis
) -> None:
    assert done(output, "like") == CODECS
    assert done(output, "unlike") == [""]
    wait_until(
        lambda: store.smembers(f"likes:{program.name}") == set(CATS[: len(CODECS)]),
        lambda: f"five cats and no dog; there is {store.smembers(f'likes:{program.name}')}",
        timeout_s=20,
    )


def test_who_is_forgotten_is_gone_and_what_was_aborted_never_counts(
    program: Program, output: list[dict[str, Any]], store: redis.Redis
) -> None:
    assert [line["did"] for line in output if line["did"] in ("forget", "kept", "aborted")] == [
        "forget",
        "kept",
        "aborted",
    ]
    wait_until(
        lambda: store.smembers(f"likes:{program.name}-kept") == {"cat 0"},
        "the like of the transaction that was committed",
        timeout_s=20,
    )
    assert not store.exists(f"likes:{program.name}-forgotten")
    assert not store.exists(f"likes:{program.name}-aborted")


def test_every_question_is_answered_with_the_likes_before_it(
    program: Program, output: list[dict[str, Any]]
) -> None:
    assert done(output, "ask") == CODECS
    for line in output:
        if line["did"] != "ask":
            continue
        reply = line["reply"]
        assert reply["source"] == "model", reply
        recommended = [item["item_id"] for item in reply["items"]]
        assert len(recommended) == 40
        assert set(recommended) <= set(CATS[len(CODECS) :]), "cats that the user does not like yet"
