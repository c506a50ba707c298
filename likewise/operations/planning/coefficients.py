"""What was measured, for `likewise plan`: each number has the command that measures it again.

Figures of one core are those of two busy cores of a small cloud machine: other machines differ, mostly upwards.
"""

from __future__ import annotations

from typing import NamedTuple


class Coefficient(NamedTuple):
    """A number that was measured, and how."""

    value: float
    unit: str
    command: str
    """The command that measures it."""
    result: str = ""
    """The benchmark whose committed result has it as `figure`; empty: a test measures it."""
    figure: str = ""


# --- Redis -----------------------------------------------------------------------------------

USER_BYTES = Coefficient(80, "bytes", "pytest tests/embedded/test_plan_coefficients.py")
"""A user's key."""
PACKED_LIKE_BYTES = Coefficient(2, "bytes", "pytest tests/embedded/test_plan_coefficients.py")
"""A like in a set of at most 128, in addition to the item id."""
HASHED_LIKE_BYTES = Coefficient(34, "bytes", "pytest tests/embedded/test_plan_coefficients.py")
"""A like in a larger set, in addition to the item id."""
LIST_BYTES = Coefficient(150, "bytes", "pytest tests/embedded/test_plan_coefficients.py")
"""A list of 10 items that a user was shown."""
CATALOGUE_ITEM_BYTES = Coefficient(267, "bytes", "likewise items import million.csv --wait")
"""An item of 205 bytes of JSON; docs/operations.md."""

# --- processes -------------------------------------------------------------------------------

CONSUMER_MB = Coefficient(70, "MB", "python -m benchmarks.ingest")
CONSUMER_EVENTS_PER_S = Coefficient(
    66_000, "events/s", "python -m benchmarks.ingest", "ingest", "consumer"
)
SERVER_MB = Coefficient(56, "MB", "python -m benchmarks.memory", "memory", "one process of imports")
SERVER_ITEM_BYTES = Coefficient(
    3_570, "bytes", "python -m benchmarks.memory", "memory", "server, per item"
)
SERVER_REPLIES_PER_S = Coefficient(
    2_000,
    "replies/s",
    "python -m benchmarks.serving",
    "serving",
    "throughput, 10,000 users × 20,000 items",
)
"""Of a server with two ranking threads and 20,000 items."""
REPLIES_EXPONENT = Coefficient(-0.39, "", "python -m benchmarks.serving --full")
"""Replies a second change with the number of items to this power, from 20,000 items on."""
GATEWAY_ANSWERS_PER_S = Coefficient(
    1_870, "answers/s", "python -m benchmarks.gateway", "gateway", "throughput"
)
"""Of a gateway with two ranking threads and 20,000 items."""
INDEXER_MB = Coefficient(115, "MB", "python -m benchmarks.operations --quick")
INDEXER_LIKE_BYTES = Coefficient(80, "bytes", "python -m benchmarks.operations")
INDEXER_USER_BYTES = Coefficient(660, "bytes", "python -m benchmarks.operations")
BUILD_S_PER_MILLION_LIKES = Coefficient(1.65, "s", "python -m benchmarks.model", "model", "auto")
"""A build with `auto`, which has measured four million likes."""
SNAPSHOT_S_PER_MILLION_LIKES = Coefficient(
    0.65, "s", "python -m benchmarks.snapshot", "snapshot", "full"
)

MEASURED_LIKES_MILLIONS = 3.99
"""The likes of the results `model` and `snapshot`, in millions."""
