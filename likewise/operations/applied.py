"""Waits until the consumers have applied the published events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.records import TopicPartition
    from likewise.store.port import LikeStore

STANDSTILL_TIMEOUT_S = 60.0
_POLL_INTERVAL_S = 0.02


def wait_until_applied(
    store: LikeStore,
    next_offsets: Mapping[TopicPartition, int],
    *,
    standstill_timeout_s: float = STANDSTILL_TIMEOUT_S,
    on_progress: Callable[[int], None] = lambda _left: None,
) -> None:
    """Return when every partition is applied to the store up to its offset.

    Returns at once if there are no partitions. Calls `on_progress` with the number of events left.
    Blocks as long as there is progress.

    Raises:
        TransientError: nothing was applied for `standstill_timeout_s`.
    """
    partitions = list(next_offsets)
    least_left: int | None = None
    moved_at_s = time.monotonic()
    while True:
        positions = store.positions(partitions)
        left = sum(
            max(0, next_offsets[partition] - (at or 0))
            for partition, at in zip(partitions, positions, strict=True)
        )
        on_progress(left)
        if not left:
            return
        if least_left is None or left < least_left:
            least_left, moved_at_s = left, time.monotonic()
        elif time.monotonic() - moved_at_s > standstill_timeout_s:
            raise TransientError(
                f"{left} events are not applied yet, and there was no progress for {standstill_timeout_s:g} s: "
                "is a consumer running (`likewise consume`)?"
            )
        time.sleep(_POLL_INTERVAL_S)
