"""The messages of `/v1/live`."""

from __future__ import annotations

from typing import Any

import msgspec


class PartitionLag(msgspec.Struct, frozen=True):
    """How many events of a partition of the likes topic are not applied yet."""

    partition: int
    behind: int


class Latency(msgspec.Struct, frozen=True):
    """How long this gateway's answers took in the last seconds, in ms."""

    p50: float
    p99: float


class LiveModel(msgspec.Struct, frozen=True):
    """The current model."""

    version: str
    age_s: float
    """Seconds since the snapshot of the likes that it was built from."""
    ranker: str
    items: int
    users: int


class LiveQuality(msgspec.Struct, frozen=True):
    """How often a new like was among the 20 items that the model recommended before it."""

    hit_rate: float
    samples: int


class LiveProblem(msgspec.Struct, frozen=True):
    """What is wrong, in a sentence, and where the documentation explains what to do."""

    sentence: str
    runbook: str
    """A page and anchor, such as `docs/operations.md#likewisedown`."""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """`event: tick`. What is not known at the moment is null, and `problems` has the reason."""

    at_ms: int
    events_per_s: float | None
    """Events that came into the likes topic."""
    answers_per_s: float | None
    """Requests that servers have answered over Kafka, and that this gateway has ranked."""
    http_per_s: float
    """Answers of this gateway over HTTP, of any kind."""
    lag: list[PartitionLag]
    behind: int | None
    """Events that are not applied yet, of all partitions."""
    latency_ms: Latency | None
    model: LiveModel | None
    quality: LiveQuality | None
    problems: list[LiveProblem]


class LiveEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """`event: like`. A like, unlike or signal of the likes topic; a sample of at most 10 a second."""

    action: str
    user_id: str
    item_id: str
    title: str | None = None
    kind: str | None = None
    """Of a signal."""


KEEP_ALIVE = b": keep-alive\n\n"
_encoder = msgspec.json.Encoder()


def server_sent(event: str, data: Any) -> bytes:
    """Return the message as a server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), _encoder.encode(data))
