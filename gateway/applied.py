"""Waits until consumers have applied an event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from likewise.records import TopicPartition

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from likewise.log.topics import Topics
    from likewise.messages.positions import Position
    from likewise.store.port import LikeStore

_LOOK_EVERY_S = 0.005


class AppliedPositions:
    """Reads the applied positions for all who wait together. For the loop's thread."""

    def __init__(self, store: LikeStore, topics: Topics, executor: Executor) -> None:
        self._store = store
        self._topic = topics.likes
        self._executor = executor
        self._waiting: dict[asyncio.Future[None], Position] = {}
        self._looking: asyncio.Task[None] | None = None

    async def wait_for(self, position: Position, timeout_s: float) -> bool:
        """Return whether the event at this position was applied within the time.

        Raises:
            TransientError: the store cannot be reached.
        """
        applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[applied] = position
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(timeout_s):
                await applied
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(applied, None)
        return True

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            numbers = sorted({position.partition for position in self._waiting.values()})
            asked = [TopicPartition(self._topic, number) for number in numbers]
            try:
                found = await loop.run_in_executor(self._executor, self._store.positions, asked)
            except Exception as error:  # noqa: BLE001  # those who wait get it
                self._fail(error)
                break
            next_offsets = dict(zip(numbers, found, strict=True))
            for applied, (partition, offset) in [*self._waiting.items()]:
                if (next_offsets.get(partition) or 0) > offset and not applied.done():
                    applied.set_result(None)
                    del self._waiting[applied]
            await asyncio.sleep(_LOOK_EVERY_S)
        self._looking = None

    def _fail(self, error: Exception) -> None:
        for applied in self._waiting:
            if not applied.done():
                applied.set_exception(error)
        self._waiting.clear()
