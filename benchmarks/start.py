"""How soon a server that was just started answers, and what importing the client costs."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import typer

from benchmarks.load import Load
from benchmarks.measure import AsJson, Quick, alternate, report, timed
from benchmarks.results import Figure, Result, against, ratio
from benchmarks.rig import deployment, fill, process, publish_model, with_topic_prefix
from benchmarks.synthetic import synthetic_likes
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from likewise.settings import Settings

QUESTION = """\
Seconds from the start of the process to the first reply: `likewise serve`, whose model is on disk.
Floor: a worker that imports the same Kafka client, joins its group and replies with a constant. Both
contain what the embedded broker holds back a join (half the session timeout, here 1 s; Apache Kafka's
`group.initial.rebalance.delay.ms` does the same). And seconds of `python -c "import likewise"`;
floor: `python -c "pass"`."""


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    repetitions: int


QUICK = Workload(users=300, items=200, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, repetitions=3)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return times to the first reply, and of imports."""
    imports = alternate(
        {
            "import likewise": timed(lambda: _python("import likewise")),
            "python alone": timed(lambda: _python("pass")),
        },
        repetitions=workload.repetitions,
    )
    starts = _starts(workload)
    figures = [
        Figure(
            name,
            "s",
            values,
            "floor" if name in {"constant worker", "python alone"} else "candidate",
        )
        for name, values in (starts | imports).items()
    ]
    return Result(
        name="start",
        title="Start",
        question=QUESTION,
        parameters=workload._asdict(),
        figures=figures,
        comparisons=[
            against(figures[0], at_most=2.0),
            ratio("likewise serve / constant worker", figures[0], figures[1]),
            against(figures[2], at_most=0.1),
        ],
        quick=quick,
    )


def _starts(workload: Workload) -> dict[str, list[float]]:
    user_items = synthetic_likes(workload.users, workload.items)
    with deployment() as settings:
        kafka = msgspec.structs.replace(
            settings.kafka, session_timeout_ms=2_000, heartbeat_interval_ms=500
        )
        settings = msgspec.structs.replace(settings, kafka=kafka)
        beside = with_topic_prefix(settings, "constant.")
        with closing(RedisStore(settings.redis)) as store:
            fill(store, user_items)
        publish_model(settings, user_items)
        return alternate(
            {
                "likewise serve": lambda: _first_answer_s(
                    settings, workload.users, "likewise", "serve"
                ),
                "constant worker": lambda: _first_answer_s(
                    beside, workload.users, "benchmarks.constant_worker"
                ),
            },
            repetitions=workload.repetitions,
            warm_up=False,
        )


def _first_answer_s(settings: Settings, users: int, *command: str) -> float:
    with Load(settings, users) as load:
        began_s = time.monotonic()
        with process(settings, *command):
            return load.wait_for_an_answer() - began_s


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure starts."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
