"""How much memory a like takes in Redis, and a model in one server and in two."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import redis
import typer

from benchmarks.load import Load
from benchmarks.measure import AsJson, Quick, report
from benchmarks.results import Comparison, Figure, Result
from benchmarks.rig import deployment, fill, kilobytes, process, publish_model, wait_until
from benchmarks.synthetic import synthetic_likes
from likewise.settings import Settings
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from subprocess import Popen

QUESTION = """\
Redis: what `used_memory` grows by, per like, as the likes go in (ids of eight characters). Server:
the proportional set (PSS: private pages, and a fair share of the pages that processes share) of one
server after thousands of answers, then of two on the same model together. Floor: processes that import
what a server imports and have no model; what the second of them adds, no sharing of models can spare.
Taken at several scales, because what grows with users or items is the difference between them, not the
whole."""


class Scale(NamedTuple):
    """How many users and items there are."""

    users: int
    items: int


class Workload(NamedTuple):
    """How much is measured: a scale, one of more users, one of more items."""

    scale: Scale
    more_users: Scale
    more_items: Scale
    seconds: float


QUICK = Workload(Scale(200, 100), Scale(400, 100), Scale(200, 200), seconds=0.3)
NORMAL = Workload(Scale(20_000, 10_000), Scale(100_000, 10_000), Scale(20_000, 40_000), seconds=5.0)


class Found(NamedTuple):
    """What one scale takes."""

    redis: str
    bytes_per_like: float
    model_mb: float
    one_mb: float
    two_mb: float


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return bytes of a like, a user and an item, and what a second server adds."""
    base, users, items = (
        _found(scale, workload.seconds)
        for scale in (workload.scale, workload.more_users, workload.more_items)
    )
    per_user = (
        (users.one_mb - base.one_mb) * 1e6 / (workload.more_users.users - workload.scale.users)
    )
    per_item = (
        (items.one_mb - base.one_mb) * 1e6 / (workload.more_items.items - workload.scale.items)
    )
    second = users.two_mb - users.one_mb
    one_idle_mb, two_idle_mb = (_idle_mb(number) for number in (1, 2))
    second_idle = two_idle_mb - one_idle_mb
    return Result(
        name="memory",
        title="Memory",
        question=QUESTION,
        parameters={**workload.more_users._asdict(), "Redis": base.redis},
        figures=[
            Figure(
                "Redis, per like",
                "bytes",
                [base.bytes_per_like, users.bytes_per_like, items.bytes_per_like],
            ),
            Figure("server, per user", "bytes", [per_user]),
            Figure("server, per item", "bytes", [per_item]),
            Figure("model files", "MB", [users.model_mb]),
            Figure("one server", "MB", [users.one_mb]),
            Figure("two servers", "MB", [users.two_mb]),
            Figure("what the second adds", "MB", [second]),
            Figure("one process of imports", "MB", [one_idle_mb], "floor"),
            Figure("what a second of these adds", "MB", [second_idle], "floor"),
        ],
        comparisons=[
            Comparison("two servers / one", [users.two_mb / users.one_mb]),
            Comparison(
                "memory of a second server without imports / model files",
                [(second - second_idle) / users.model_mb],
            ),
        ],
        quick=quick,
    )


def _found(scale: Scale, seconds: float) -> Found:
    user_items = synthetic_likes(*scale)
    with deployment() as settings:
        with closing(redis.Redis.from_url(settings.redis.url)) as client:
            before = client.info("memory")["used_memory"]
            with closing(RedisStore(settings.redis)) as store:
                fill(store, user_items)
                # Whom the indexer has still to look at is no part of a like.
                store.take_changed(scale.users)
            grown = client.info("memory")["used_memory"] - before
            version = str(client.info("server")["redis_version"])
        manifest = publish_model(settings, user_items)
        one_mb = _pss_mb(settings, scale.users, servers=1, seconds=seconds)
        two_mb = _pss_mb(settings, scale.users, servers=2, seconds=seconds)
    model_mb = sum(file.bytes for file in manifest.files.values()) / 1e6
    return Found(version, grown / user_items.nnz, model_mb, one_mb, two_mb)


def _pss_mb(settings: Settings, users: int, *, servers: int, seconds: float) -> float:
    """Return what so many servers together take up, after they have answered for a while."""
    with ExitStack() as stack:
        running: list[Popen[bytes]] = [
            stack.enter_context(process(settings, "serving")) for _ in range(servers)
        ]
        load = stack.enter_context(Load(settings, users))
        load.wait_for_an_answer()
        load.saturate(seconds, window=100)
        return sum(kilobytes(one.pid, "Pss", file="smaps_rollup") for one in running) / 1000


def _idle_mb(number: int) -> float:
    """Return what so many processes together take up that import what a server does."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        ready = [Path(directory, str(place)) for place in range(number)]
        running = [
            stack.enter_context(process(Settings(), "benchmarks.idle_imports", str(path)))
            for path in ready
        ]
        wait_until(lambda: all(path.exists() for path in ready), "imports")
        return sum(kilobytes(one.pid, "Pss", file="smaps_rollup") for one in running) / 1000


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure memory."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
