"""What a deployment of a given size needs: arithmetic on coefficients. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from likewise.operations.planning import coefficients as measured

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONTH_S = 30 * 86_400
_BUSY = 0.5
"""How much of a process is used: bursts, and what others leave behind when one fails, take the rest."""
_REDIS_HEADROOM = 1.5
"""Redis copies the pages that change while it rewrites its log; memory is fragmented, too."""
_PROCESS_HEADROOM = 1.3
_PACKED_LIKES = 128
"""The largest set that Redis stores in one piece (`set-max-listpack-entries`)."""
_ACTIVITY_SIGMA = 0.8
"""Of the lognormal number of likes of a user, as in public data sets."""
_MEASURED_ITEMS = 20_000
_PARTITIONS_STEP = 6


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment has to hold and to do."""

    users: int
    items: int
    likes: int
    requests_per_s: float
    likes_per_s: float
    gateway: bool = False
    """Whether requests come over HTTP, instead of Kafka."""
    id_bytes: int = 12
    """The length of an item id."""
    lists_per_user: int = 50
    """`impressions.lists`."""
    machine_cores: int = 8
    machine_gb: float = 32.0


class Process(msgspec.Struct, frozen=True):
    """The processes of one service."""

    service: str
    count: int
    cores: float
    """Of each."""
    memory_gb: float
    """Of each."""
    why: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed. Memory is in GB of 10⁹ bytes, with headroom."""

    load: Load
    processes: list[Process]
    redis_gb: dict[str, float]
    """The content of Redis without headroom, by kind."""
    partitions: int
    build_s: float
    """A full build: reading all likes, and `ranker=auto`."""
    machines: int
    """Of the given size: for the services, and for Redis. Kafka's brokers are extra."""
    redis_machines: int
    """How many of these are for Redis: its primaries, and a replica of each."""
    notes: list[str]


def plan_of(load: Load) -> Plan:
    """Return what the load needs; docs/operations.md explains each step."""
    redis_gb = redis_memory_gb(load)
    redis = math.fsum(redis_gb.values()) * _REDIS_HEADROOM
    indexer_gb = indexer_memory_gb(load)
    consumers = _with_spare(load.likes_per_s, measured.CONSUMER_EVENTS_PER_S.value)
    answering = _with_spare(load.requests_per_s, replies_per_s(load))
    primaries = max(1, math.ceil(redis / (load.machine_gb * 0.8)))
    processes = [
        Process(
            "consumer", consumers, 1, _gb(measured.CONSUMER_MB.value * 1e6), _rate(load, "likes")
        ),
        Process("indexer", 2, 2, indexer_gb, "one builds, one stands by"),
        Process(
            "gateway" if load.gateway else "server",
            answering,
            2,
            server_memory_gb(load),
            f"{replies_per_s(load):,.0f} answers/s each",
        ),
        Process("redis", 2 * primaries, 2, redis / primaries, "a primary and a replica"),
    ]
    workers = [one for one in processes if one.service != "redis"]
    return Plan(
        load=load,
        processes=processes,
        redis_gb=redis_gb,
        partitions=partitions(consumers, 1 if load.gateway else answering),
        build_s=build_s(load),
        machines=_machines(workers, load) + 2 * primaries,
        redis_machines=2 * primaries,
        notes=list(_notes(load, redis_gb, indexer_gb, primaries)),
    )


def redis_memory_gb(load: Load) -> dict[str, float]:
    """Return what the content of Redis takes, by kind."""
    hashed = share_in_large_sets(load.likes / load.users)
    packed = measured.PACKED_LIKE_BYTES.value + load.id_bytes
    in_large = measured.HASHED_LIKE_BYTES.value + load.id_bytes
    lists = min(load.lists_per_user * load.users, load.requests_per_s * _MONTH_S)
    return {
        "likes": (
            load.users * measured.USER_BYTES.value
            + load.likes * ((1 - hashed) * packed + hashed * in_large)
        )
        / 1e9,
        "lists shown": lists * measured.LIST_BYTES.value / 1e9,
        "catalogue": load.items * measured.CATALOGUE_ITEM_BYTES.value / 1e9,
    }


def share_in_large_sets(likes_per_user: float) -> float:
    """Return the share of the likes of users who have more than 128, if activity is lognormal."""
    mu = math.log(max(likes_per_user, 1.0)) - _ACTIVITY_SIGMA**2 / 2
    above = (mu + _ACTIVITY_SIGMA**2 - math.log(_PACKED_LIKES)) / _ACTIVITY_SIGMA
    return (1 + math.erf(above / math.sqrt(2))) / 2


def server_memory_gb(load: Load) -> float:
    """Return what a server or gateway takes: libraries, and two models while it changes them."""
    model = load.items * measured.SERVER_ITEM_BYTES.value
    return _gb(measured.SERVER_MB.value * 1e6 + 2 * model)


def indexer_memory_gb(load: Load) -> float:
    """Return what a build takes at its peak."""
    grows = (
        load.likes * measured.INDEXER_LIKE_BYTES.value
        + load.users * measured.INDEXER_USER_BYTES.value
        + load.items * measured.SERVER_ITEM_BYTES.value
    )
    return _gb(measured.INDEXER_MB.value * 1e6 + grows)


def replies_per_s(load: Load) -> float:
    """Return what a server or gateway with two ranking threads answers at full load."""
    at_20_000 = measured.GATEWAY_ANSWERS_PER_S if load.gateway else measured.SERVER_REPLIES_PER_S
    more = max(load.items, _MEASURED_ITEMS) / _MEASURED_ITEMS
    return float(at_20_000.value * more**measured.REPLIES_EXPONENT.value)


def partitions(consumers: int, servers: int) -> int:
    """Return how many partitions leave room for twice the workers: a multiple of six."""
    return math.ceil(2 * max(consumers, servers) / _PARTITIONS_STEP) * _PARTITIONS_STEP


def build_s(load: Load) -> float:
    """Return the seconds of a full build on two cores."""
    each = measured.BUILD_S_PER_MILLION_LIKES.value + measured.SNAPSHOT_S_PER_MILLION_LIKES.value
    return load.likes / 1e6 * each


def _with_spare(rate: float, each: float) -> int:
    """Return how many processes have this rate at half load, and one more for when one fails."""
    return math.ceil(rate / (each * _BUSY)) + 1 if rate else 1


def _gb(n_bytes: float) -> float:
    return n_bytes * _PROCESS_HEADROOM / 1e9


def _rate(load: Load, what: str) -> str:
    return f"{load.likes_per_s:,.0f} {what}/s; {measured.CONSUMER_EVENTS_PER_S.value:,.0f} each"


def _machines(workers: list[Process], load: Load) -> int:
    """Return how many machines hold the services, one more than needed; at least two."""
    cores = sum(one.count * one.cores for one in workers) / load.machine_cores
    memory = sum(one.count * one.memory_gb for one in workers) / load.machine_gb
    return math.ceil(max(cores, memory)) + 1


def _notes(
    load: Load, redis_gb: dict[str, float], indexer_gb: float, primaries: int
) -> Iterator[str]:
    if redis_gb["lists shown"] > redis_gb["likes"]:
        yield (
            "the lists that users were shown take more than their likes, if all users come: "
            "a lower impressions.lists bounds them"
        )
    if indexer_gb > load.machine_gb:
        yield (
            f"a build takes {indexer_gb:,.0f} GB, more than a machine has: "
            "share it with indexer.engine = dask, or choose larger machines"
        )
    if primaries > 1:
        yield (f"Redis needs {primaries} primaries: a Redis Cluster (redis.cluster = true)")
