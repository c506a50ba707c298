"""What the benchmarks run on: embedded servers, likes in them, models, and services."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from benchmarks.synthetic import item_ids, user_ids
from indexer.build import build_model
from indexer.interactions import Interactions
from likewise.embedded import embedded_kafka_settings, embedded_servers
from likewise.embedded.process import die_with_parent
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.announcements import encode_announcement
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import write_model
from likewise.models.versions import new_version
from likewise.ranking.recipe import Recipe
from likewise.service.logs import configure_logging
from likewise.settings import LoggingSettings, ModelSettings, RedisSettings, Settings
from likewise.store.port import Changes, UserChange
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.synthetic import CsrMatrix
    from likewise.models.manifest import Manifest

PATIENCE_S = 120.0
_USERS_PER_WRITE = 2_000


class TookTooLongError(Exception):
    """Something that a benchmark waits for did not come."""


@contextmanager
def deployment(*, partitions: int = 6) -> Iterator[Settings]:
    """Run a separate broker and Redis; yields the settings to reach them with.

    The topics are there. Everything is in a temporary directory and gone afterwards. Of what
    runs in this process only errors are logged.
    """
    configure_logging(LoggingSettings(level="error"), service="benchmark")
    with (
        tempfile.TemporaryDirectory(prefix="likewise-benchmark-") as directory,
        embedded_servers(Path(directory, "servers")) as servers,
    ):
        settings = Settings(
            kafka=embedded_kafka_settings(servers.bootstrap_servers, partitions=partitions),
            redis=RedisSettings(url=servers.redis_url),
            model=ModelSettings(directory=Path(directory, "models")),
        )
        with closing(KafkaBroker(settings.kafka)) as broker:
            broker.ensure_topics(Topics().specs(settings.kafka.partitions))
        yield settings


def with_key_prefix(settings: Settings, prefix: str) -> Settings:
    """Return settings for the same servers and other Redis keys."""
    redis = msgspec.structs.replace(settings.redis, key_prefix=prefix)
    return msgspec.structs.replace(settings, redis=redis)


def with_topic_prefix(settings: Settings, prefix: str) -> Settings:
    """Return settings for the same servers and other topics, which are there."""
    kafka = msgspec.structs.replace(settings.kafka, topic_prefix=prefix)
    with closing(KafkaBroker(kafka)) as broker:
        broker.ensure_topics(Topics(prefix).specs(kafka.partitions))
    return msgspec.structs.replace(settings, kafka=kafka)


def fill(store: RedisStore, user_items: CsrMatrix) -> None:
    """Put these likes into the store, as a consumer does: in batches, users marked as changed."""
    users, items = user_ids(user_items.shape[0]), item_ids(user_items.shape[1])
    for start in range(0, len(users), _USERS_PER_WRITE):
        end = min(start + _USERS_PER_WRITE, len(users))
        changes = {
            users[row]: UserChange(add=likes_of(user_items, row, items))
            for row in range(start, end)
        }
        store.apply(Changes(users=changes), {})


def likes_of(user_items: CsrMatrix, row: int, items: list[ItemId]) -> set[ItemId]:
    """Return the items that one user likes."""
    columns = user_items.indices[user_items.indptr[row] : user_items.indptr[row + 1]]
    return {items[column] for column in columns.tolist()}


def interactions(user_items: CsrMatrix) -> Interactions:
    """Return the likes as a snapshot of them would be: columns that nobody likes left out."""
    liked = np.flatnonzero(np.bincount(user_items.indices, minlength=user_items.shape[1]))
    named = item_ids(user_items.shape[1])
    return Interactions(
        user_items[:, liked],
        user_ids(user_items.shape[0]),
        [named[column] for column in liked.tolist()],
    )


def publish_model(settings: Settings, user_items: CsrMatrix) -> Manifest:
    """Build a model of these likes with the default blend, write it and announce it in Redis."""
    settings.model.directory.mkdir(parents=True, exist_ok=True)
    now_ms = time.time_ns() // 1_000_000
    model = build_model(interactions(user_items), Recipe())
    version = new_version(now_ms)
    manifest = write_model(settings.model.directory, version, model, snapshot_at_ms=now_ms)
    with closing(RedisStore(settings.redis)) as store:
        store.announce_model(encode_announcement(manifest.announcement()))
    return manifest


@contextmanager
def process(settings: Settings, *module_and_arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` on these settings for the length of a `with` block.

    It ends with this thread, however that ends.

    Raises:
        TookTooLongError: it did not end when it was asked to.
    """
    child = subprocess.Popen(
        die_with_parent([sys.executable, "-m", *module_and_arguments], signal.SIGTERM),
        env={**os.environ, **environment_of(settings)},
        cwd=Path(__file__).parents[1],
        stdout=sys.stderr,  # its errors are for people; the result alone goes to our output
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise TookTooLongError(f"{module_and_arguments[0]} did not end") from error


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment variables that make a service read these settings."""
    variables = {"LIKEWISE_LOGGING_LEVEL": "error"}
    for section in ("kafka", "redis", "model", "gateway"):
        given = getattr(settings, section)
        default = type(given)()
        for field in given.__struct_fields__:
            value = getattr(given, field)
            if value != getattr(default, field):
                variables[f"LIKEWISE_{section}_{field}".upper()] = str(value)
    return variables


def wait_until(condition: Callable[[], bool], what: str, *, every_s: float = 0.01) -> None:
    """Return once the condition holds.

    Raises:
        TookTooLongError: it did not within `PATIENCE_S`.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TookTooLongError(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(every_s)


def kilobytes(pid: int, field: str, *, file: str = "status") -> int:
    """Return a memory figure of a process in kB: `VmRSS` of status, `Pss` of smaps_rollup."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise KeyError(field)


def cpu_s(pid: int) -> float:
    """Return the CPU time in s that a process has taken, in all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def user_of(row: int) -> UserId:
    """Return the id of one row without making all of them."""
    return UserId(f"u{row:07d}")
