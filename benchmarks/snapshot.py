"""How long a snapshot of everybody's likes takes, in full and of what changed."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import redis
import typer

from benchmarks.measure import AsJson, Quick, alternate, report, timed
from benchmarks.results import Figure, Result, ratio
from benchmarks.rig import deployment, fill
from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer.progress import Unwatched
from indexer.snapshot import Snapshots, read_all
from indexer.weighing import Reader
from likewise.store.keys import Keys
from likewise.store.port import Changes, UserChange
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.interactions import Interactions
    from likewise.messages.ids import UserId

QUESTION = """\
Seconds from the first command to the finished matrix. Floor: the same commands with the same
replies over one socket, read and thrown away; no id is parsed. The incremental snapshot follows on
a full one and reads only the users marked as changed, one in a hundred; its matrix is compared with
that of a full one, to the last bit."""

_CHANGED_SHARE = 0.01
_SENTINEL = b"$8\r\n-the-end\r\n"
_ECHO = b"*2\r\n$4\r\nECHO\r\n$8\r\n-the-end\r\n"


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    repetitions: int
    chunk: int = 1_000


QUICK = Workload(users=400, items=300, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, repetitions=5)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return the times of full and incremental snapshots, and of the floor.

    Raises:
        ValueError: the incremental snapshot's matrix is another than the full one's.
    """
    user_items = synthetic_likes(workload.users, workload.items)
    with deployment() as settings, closing(RedisStore(settings.redis)) as store:
        fill(store, user_items)
        _check_identity(store, workload)
        turns = list(_requests(settings.redis.url, workload.chunk))
        incremental = _Incremental(store, workload)
        samples = alternate(
            {
                "full": timed(lambda: _snapshots(store, workload).take(Unwatched())),
                "replies alone": timed(lambda: _read_replies(settings.redis.url, turns)),
                "1% changed": incremental.run,
            },
            repetitions=workload.repetitions,
        )
    roles = {"replies alone": "floor"}
    figures = [
        Figure(name, "s", values, roles.get(name, "candidate")) for name, values in samples.items()
    ]
    return Result(
        name="snapshot",
        title="Snapshot",
        question=QUESTION,
        parameters={
            "users": workload.users,
            "items": workload.items,
            "likes": int(user_items.nnz),
        },
        figures=figures,
        comparisons=[
            ratio("full / replies alone", figures[0], figures[1], at_most=2.5),
            ratio("1% changed / full", figures[2], figures[0], at_most=0.1),
        ],
        notes=["The incremental snapshot gave the same matrix as a full one, to the last bit."],
        quick=quick,
    )


class _Incremental:
    """Takes one incremental snapshot after the other of a store that lies still."""

    def __init__(self, store: RedisStore, workload: Workload) -> None:
        self._store = store
        self._changed = _some_users(workload)
        self._snapshots = _snapshots(store, workload)
        self._snapshots.take(Unwatched())

    def run(self) -> float:
        """Return the seconds of a snapshot after one in a hundred users has changed."""
        self._store.mark_changed(self._changed)
        return timed(lambda: self._snapshots.take(Unwatched()))()


def _snapshots(store: RedisStore, workload: Workload) -> Snapshots:
    return Snapshots(store, chunk=workload.chunk, full_every=1_000_000, clock_ms=_now_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _some_users(workload: Workload) -> list[UserId]:
    every = round(1 / _CHANGED_SHARE)
    return user_ids(workload.users)[::every]


def _check_identity(store: RedisStore, workload: Workload) -> None:
    snapshots = _snapshots(store, workload)
    snapshots.take(Unwatched())
    new = set(item_ids(workload.items)[:: max(1, workload.items // 3)])
    changes = {user: UserChange(add=new) for user in _some_users(workload)}
    store.apply(Changes(users=changes), {})
    incremental = snapshots.take(Unwatched())
    full = read_all(Reader(store), chunk=workload.chunk, progress=Unwatched())
    if incremental.full or not identical(incremental.interactions, full):
        raise ValueError("the incremental snapshot differs from the full one")


def identical(one: Interactions, other: Interactions) -> bool:
    """Whether both have the same tables and the same matrix, element for element."""
    return (
        one.user_ids == other.user_ids
        and one.item_ids == other.item_ids
        and all(
            np.array_equal(getattr(one.user_items, part), getattr(other.user_items, part))
            for part in ("indptr", "indices", "data")
        )
    )


def _requests(url: str, chunk: int) -> Iterator[bytes]:
    """Yield what a full snapshot sends, turn by turn: a SCAN, then SMEMBERS for what it found."""
    pattern = Keys().likes_pattern
    with closing(redis.Redis.from_url(url)) as client:
        cursor = -1
        while cursor != 0:
            asked = max(cursor, 0)
            cursor, found = client.scan(cursor=asked, match=pattern, count=chunk, _type="set")
            yield _packed("SCAN", asked, "MATCH", pattern, "COUNT", chunk, "TYPE", "set")
            yield b"".join(_packed("SMEMBERS", key) for key in found)


def _packed(*words: object) -> bytes:
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    parts = [b"*%d\r\n" % len(encoded)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded]
    return b"".join(parts)


def _read_replies(url: str, turns: list[bytes]) -> None:
    """Send each turn and read until the reply to an ECHO that follows it; parse nothing."""
    server = urlsplit(url)
    with socket.create_connection((server.hostname or "", server.port or 0)) as connection:
        buffer = bytearray(1 << 20)
        if server.password:
            connection.sendall(_packed("AUTH", unquote(server.password)))
            connection.recv_into(buffer)
        for turn in turns:
            connection.sendall(turn + _ECHO)
            tail = b""
            while not tail.endswith(_SENTINEL):
                length = connection.recv_into(buffer)
                if not length:
                    raise ConnectionError("Redis closed the connection")
                tail = (tail + bytes(buffer[max(0, length - len(_SENTINEL)) : length]))[-64:]


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure snapshots."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
