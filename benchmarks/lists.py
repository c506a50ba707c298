"""How many users per second `likewise recommend --all` writes lists for."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import typer
from pyarrow import parquet
from threadpoolctl import threadpool_limits

from benchmarks.measure import AsJson, Quick, alternate, report
from benchmarks.results import Figure, Result, against, ratio
from benchmarks.rig import deployment, environment_of, fill, publish_model
from benchmarks.synthetic import synthetic_likes
from likewise.models.files import read_model
from likewise.ranking.blocks import Threads
from likewise.ranking.queries import RowQuery
from likewise.ranking.recommend import recommend_rows
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from benchmarks.synthetic import CsrMatrix
    from likewise.ranking.model import Model
    from likewise.settings import Settings

QUESTION = """\
Users per second from the start of `likewise recommend --all --count 20 -o FILE.parquet` to its end:
reading every user's likes from Redis, ranking, writing. Floor: the ranking alone, of the same users
with the same two threads, with the model and the likes in memory."""

_COUNT = 20
_THREADS = 2
_BATCH = 2_048


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    repetitions: int


QUICK = Workload(users=400, items=300, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, repetitions=3)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return the throughput of the command, and of ranking alone.

    Raises:
        ValueError: the file does not hold a list for every user.
    """
    user_items = synthetic_likes(workload.users, workload.items)
    with deployment() as settings, tempfile.TemporaryDirectory() as directory:
        with closing(RedisStore(settings.redis)) as store:
            fill(store, user_items)
        manifest = publish_model(settings, user_items)
        model = read_model(settings.model.directory, manifest.version)
        seconds = alternate(
            {
                "recommend --all": lambda: _command(settings, Path(directory), workload),
                "ranking alone": lambda: _ranking(model, user_items),
            },
            repetitions=workload.repetitions,
        )
    roles = {"ranking alone": "floor"}
    figures = [
        Figure(
            name, "users/s", [workload.users / one for one in values], roles.get(name, "candidate")
        )
        for name, values in seconds.items()
    ]
    return Result(
        name="lists",
        title="Lists of all users",
        question=QUESTION,
        parameters={"users": workload.users, "items": workload.items, "count": _COUNT},
        figures=figures,
        comparisons=[
            against(figures[0], at_least=5_000),
            ratio("recommend --all / ranking alone", figures[0], figures[1]),
        ],
        quick=quick,
    )


def _command(settings: Settings, directory: Path, workload: Workload) -> float:
    file = directory / "lists.parquet"
    command = [sys.executable, "-m", "likewise", "recommend", "--all", "--count", str(_COUNT)]
    began_s = time.perf_counter()
    subprocess.run(
        [*command, "-o", file],
        env={**os.environ, **environment_of(settings)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    seconds = time.perf_counter() - began_s
    users = parquet.read_table(file, columns=["user_id"])["user_id"]
    if len(users.unique()) != workload.users:
        raise ValueError(f"{file} has lists for {len(users.unique())} users")
    return seconds


def _ranking(model: Model, user_items: CsrMatrix) -> float:
    began_s = time.perf_counter()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(_THREADS) as executor:
        threads = Threads(executor.map, _THREADS)
        for start in range(0, user_items.shape[0], _BATCH):
            rows = range(start, min(start + _BATCH, user_items.shape[0]))
            liked = [
                user_items.indices[user_items.indptr[row] : user_items.indptr[row + 1]].astype(
                    np.intp
                )
                for row in rows
            ]
            queries = [RowQuery(one, one, _COUNT) for one in liked]
            recommend_rows(model, queries, threads=threads)
    return time.perf_counter() - began_s


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure `likewise recommend --all`."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
