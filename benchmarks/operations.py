"""What the commands of an operator take with many users: seconds and memory."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import redis
import typer

from benchmarks.measure import AsJson, Full, Quick, report
from benchmarks.results import Figure, Result, against
from benchmarks.rig import deployment, environment_of, fill, kilobytes, process, user_of
from benchmarks.synthetic import item_ids, synthetic_likes
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.synthetic import CsrMatrix
    from likewise.settings import Settings

QUESTION = """\
Each command in a separate process, on one deployment, one after the other: seconds from start to end,
CPU seconds, and the largest resident memory (`VmHWM`). `import` publishes a CSV file and waits until
one consumer has applied it."""

COMMANDS = {
    "import": ("likewise", "import", "likes.csv", "--wait"),
    "status": ("likewise", "status"),
    "export": ("likewise", "export", "exported.csv"),
    "verify": ("likewise", "verify"),
    "snapshot": ("benchmarks.one_snapshot",),
    "index": ("likewise", "index", "--once"),
    "evaluate": ("likewise", "evaluate", "--from-redis"),
}
_LOOK_EVERY_S = 0.02
_TIMEOUT_S = 7_200


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    likes_per_user: int = 10


QUICK = Workload(users=400, items=300)
NORMAL = Workload(users=200_000, items=20_000)
FULL = Workload(users=2_000_000, items=100_000)


class Taken(NamedTuple):
    """What a command took."""

    seconds: float
    cpu_s: float
    peak_mb: float


def measure(
    workload: Workload, *, commands: list[str] | None = None, quick: bool = False
) -> Result:
    """Return what each command takes, and the memory of Redis.

    Without `import` among the commands, the likes are written to Redis directly, and the log is empty.

    Raises:
        ChildProcessError: a command failed.
    """
    chosen = commands or list(COMMANDS)
    likes = synthetic_likes(workload.users, workload.items, likes_per_user=workload.likes_per_user)
    with deployment() as settings, tempfile.TemporaryDirectory() as directory:
        if "import" in chosen:
            _write_csv(Path(directory, "likes.csv"), likes)
        else:
            with closing(RedisStore(settings.redis)) as store:
                fill(store, likes)
        with process(settings, "consumers") as consumer:
            taken = {name: _run(settings, COMMANDS[name], directory) for name in chosen}
            consumer_mb = kilobytes(consumer.pid, "VmHWM") / 1e3
        with closing(redis.Redis.from_url(settings.redis.url)) as client:
            redis_mb = client.info("memory")["used_memory"] / 1e6
            version = str(client.info("server")["redis_version"])
    figures = list(_figures(taken, consumer_mb, redis_mb))
    return Result(
        name="operations",
        title="Operations",
        question=QUESTION,
        parameters={
            "users": workload.users,
            "items": workload.items,
            "likes": int(likes.nnz),
            "Redis": version,
        },
        figures=figures,
        comparisons=[against(figure) for figure in figures if figure.unit == "MB"],
        quick=quick,
    )


def _write_csv(file: Path, likes: CsrMatrix) -> None:
    items = item_ids(likes.shape[1])
    with file.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(("user_id", "item_id"))
        for row in range(likes.shape[0]):
            user = user_of(row)
            columns = likes.indices[likes.indptr[row] : likes.indptr[row + 1]]
            writer.writerows((user, items[column]) for column in columns.tolist())


def _run(settings: Settings, command: tuple[str, ...], directory: str) -> Taken:
    """Run a command to its end, and watch its memory.

    Raises:
        ChildProcessError: its exit code is not 0, or it takes too long.
    """
    began_s = time.monotonic()
    path = f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"
    child = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, **environment_of(settings), "PYTHONPATH": path},
        cwd=directory,
        stdout=sys.stderr,  # the result alone goes to our output
    )
    peak_kb = 0
    while True:
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        if ended:
            break
        peak_kb = max(peak_kb, _peak_kb(child.pid))
        if time.monotonic() - began_s > _TIMEOUT_S:
            child.kill()
        time.sleep(_LOOK_EVERY_S)
    if code := os.waitstatus_to_exitcode(status):
        raise ChildProcessError(f"{' '.join(command)}: exit code {code}")
    taken = Taken(time.monotonic() - began_s, usage.ru_utime + usage.ru_stime, peak_kb / 1e3)
    typer.echo(f"{command[1:] or command}: {taken}", err=True)
    return taken


def _peak_kb(pid: int) -> int:
    try:
        return kilobytes(pid, "VmHWM")
    except (KeyError, OSError):  # it has just ended
        return 0


def _figures(taken: dict[str, Taken], consumer_mb: float, redis_mb: float) -> Iterator[Figure]:
    for name, one in taken.items():
        yield Figure(name, "s", [one.seconds])
    for name, one in taken.items():
        yield Figure(f"{name}, CPU", "CPU s", [one.cpu_s])
    for name, one in taken.items():
        yield Figure(f"{name}, memory", "MB", [one.peak_mb])
    yield Figure("consumer, memory", "MB", [consumer_mb])
    yield Figure("Redis, memory", "MB", [redis_mb])


def main(
    quick: Quick = False,
    full: Full = False,
    as_json: AsJson = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Run only this command; repeatable. {', '.join(COMMANDS)}."),
    ] = None,
) -> None:
    """Measure the commands of operators. A run of some commands only prints its figures."""
    workload = QUICK if quick else FULL if full else NORMAL
    result = measure(workload, commands=only, quick=quick)
    if only:
        for figure in result.figures:
            typer.echo(f"{figure.name}: {figure.median:.4g} {figure.unit}")
        return
    report(result, as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
