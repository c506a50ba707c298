"""How many requests a second one gateway answers over HTTP, how soon at half of that, and how fresh."""

from __future__ import annotations

import random
import statistics
import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec
import typer

from benchmarks.freshness import EVENTS_PER_S, publish_steadily
from benchmarks.http_load import Contender, HttpLoad
from benchmarks.latencies import latencies
from benchmarks.load import percentile
from benchmarks.measure import AsJson, Quick, alternate, report
from benchmarks.results import Figure, Result, against, ratio
from benchmarks.rig import (
    PATIENCE_S,
    deployment,
    fill,
    process,
    publish_model,
    user_of,
    wait_until,
)
from benchmarks.synthetic import item_ids, synthetic_likes
from likewise.embedded import free_port
from likewise.settings.gateway import GatewaySettings
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from likewise.settings import Settings

QUESTION = """\
`GET /v1/users/{id}/recommendations` of random users, answered by one gateway, over 256 connections. Floor:
a Starlette route that returns a constant of the same size under the same uvicorn. Throughput: as many
requests as connections at any time; meanwhile the CPU time of the process is counted, which depends less on
what else the machine does. Latency: from when a request is due to when its answer is read, requests at
even distances, for gateway and floor at the same rate: half of the gateway's throughput. Freshness: from sending
`PUT …/likes/…` to an answer that counts the like, next to 500 likes a second; a consumer applies them. Requester,
broker, Redis, consumer and gateway share the machine."""


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    seconds: float
    probes: int
    repetitions: int


QUICK = Workload(users=300, items=200, seconds=1.0, probes=5, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, seconds=5.0, probes=200, repetitions=5)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return throughput and latency next to the floor's, and the time to a fresh answer."""
    user_items = synthetic_likes(workload.users, workload.items)
    with deployment() as plain, ExitStack() as stack:
        settings = msgspec.structs.replace(plain, gateway=GatewaySettings(port=free_port()))
        with closing(RedisStore(settings.redis)) as store:
            fill(store, user_items)
        publish_model(settings, user_items)
        served = stack.enter_context(process(settings, "gateway"))
        gateway = Contender(HttpLoad(settings.gateway.port, workload.users), served.pid)
        size, port = gateway.load.wait_for_an_answer(), free_port()
        with process(settings, "benchmarks.constant_http", str(port), str(size)) as constant:
            floor = Contender(HttpLoad(port, workload.users), constant.pid)
            floor.load.wait_for_an_answer()
            throughput, found, half = _compared(gateway, floor, workload)
        with process(settings, "consumers"):
            fresh_ms = _freshness(settings, workload)
    figures = {name: _figure(name, "answers/s", values) for name, values in throughput.items()}
    for name, contender in (("CPU an answer", gateway), ("CPU an answer, constant", floor)):
        figures[name] = _figure(name, "µs", contender.cpu_us)
    figures |= {name: _figure(name, "ms", values) for name, values in found.items()}
    for percent in (50, 99):
        values = [percentile(run, percent / 100) for run in fresh_ms]
        figures[f"fresh p{percent}"] = Figure(f"like to changed answer, p{percent}", "ms", values)
    return Result(
        name="gateway",
        title="Gateway",
        question=QUESTION,
        parameters={
            **workload._asdict(),
            "requests/s at half load": round(half),
            "bytes an answer": size,
            "likes/s in the background": EVENTS_PER_S,
        },
        figures=[*figures.values()],
        comparisons=[
            ratio(
                "throughput / constant",
                figures["throughput"],
                figures["throughput, constant"],
                at_least=0.35,
            ),
            ratio(
                "CPU an answer / constant",
                figures["CPU an answer"],
                figures["CPU an answer, constant"],
            ),
            ratio("p99 / constant", figures["p99"], figures["p99, constant"], at_most=2.5),
            against(figures["fresh p99"], at_most=20),
        ],
        quick=quick,
    )


def _figure(name: str, unit: str, values: list[float]) -> Figure:
    return Figure(name, unit, values, "floor" if "constant" in name else "candidate")


def _compared(
    gateway: Contender, floor: Contender, workload: Workload
) -> tuple[dict[str, list[float]], dict[str, list[float]], float]:
    """Return throughputs, percentiles of the latencies at half load, and that load."""
    throughput = alternate(
        {
            "throughput": lambda: gateway.saturate(workload.seconds),
            "throughput, constant": lambda: floor.saturate(workload.seconds),
        },
        repetitions=workload.repetitions,
    )
    for contender in (gateway, floor):
        del contender.cpu_us[0]  # the warm-up
    half = statistics.median(throughput["throughput"]) / 2
    found = latencies(
        gateway.load, floor.load, half, seconds=workload.seconds, repetitions=workload.repetitions
    )
    return throughput, found, half


def _freshness(settings: Settings, workload: Workload) -> list[list[float]]:
    """Return, for each repetition, ms from a like to an answer that counts it."""
    stop = threading.Event()
    others = threading.Thread(
        target=publish_steadily, args=(settings, workload.users, workload.items, stop)
    )
    others.start()
    try:
        url = f"http://127.0.0.1:{settings.gateway.port}"
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            path = f"/v1/users/{user_of(0)}/likes/{item_ids(1)[0]}?wait=applied"
            wait_until(lambda: client.put(path).status_code == 200, "a like is applied")
            _probe(client, workload, seed=0)
            return [_probe(client, workload, seed=run + 1) for run in range(workload.repetitions)]
    finally:
        stop.set()
        others.join()


def _probe(client: httpx.Client, workload: Workload, *, seed: int) -> list[float]:
    rng = random.Random(seed)
    items = item_ids(workload.items)
    taken_ms = []
    for _ in range(workload.probes):
        user_id, item_id = user_of(rng.randrange(workload.users)), rng.choice(items)
        began_s = time.perf_counter()
        put = client.put(f"/v1/users/{user_id}/likes/{item_id}").raise_for_status()
        answer = client.get(
            f"/v1/users/{user_id}/recommendations",
            headers={"Likewise-Position": put.headers["Likewise-Position"]},
        ).raise_for_status()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
        if item_id in {item["item_id"] for item in answer.json()["items"]}:
            raise ValueError(f"{item_id} was recommended after it was liked")
    return taken_ms


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure the gateway."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
