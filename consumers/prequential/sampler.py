"""The loop's side: which likes to ask about, what their users liked before, and off they go.

Imports nothing numerical and never waits for the model.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from queue import Full
from typing import TYPE_CHECKING

from consumers.prequential.questions import choose, questions_of
from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from queue import Queue

    from consumers.prequential.questions import Question
    from consumers.prequential.stats import QualityStats
    from likewise.messages.events import Event
    from likewise.store.port import LikeStore


_TIME_SHARE = 0.02
_MOST_SECONDS = 1.0


class Allowance:
    """Lets so many a second through on average, and at once no more than one second's worth."""

    def __init__(self, per_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._most = max(per_s, 1.0)
        self._left = self._most
        self._clock_s = clock_s
        self._counted_at_s = clock_s()

    def take(self, wanted: int) -> int:
        """Return how many of those wanted may go now."""
        now_s = self._clock_s()
        earned = (now_s - self._counted_at_s) * self._per_s
        self._left = min(self._left + earned, self._most)
        self._counted_at_s = now_s
        taken = min(wanted, int(self._left))
        self._left -= taken
        return taken


class TimeBudget:
    """Says whether reading may go on: it gets a fiftieth of all time, and a second to begin with.

    So whatever makes reads slow, be it Redis or a user with a million likes, costs questions
    instead of throughput.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._left_s = _MOST_SECONDS
        self._clock_s = clock_s
        self._counted_at_s = clock_s()

    @property
    def open(self) -> bool:
        """Whether there is time left."""
        now_s = self._clock_s()
        earned_s = (now_s - self._counted_at_s) * _TIME_SHARE
        self._left_s = min(self._left_s + earned_s, _MOST_SECONDS)
        self._counted_at_s = now_s
        return self._left_s > 0

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Charge the time that the block takes; no more than there ever is for an outage."""
        started_s = self._clock_s()
        try:
            yield
        finally:
            self._left_s -= min(self._clock_s() - started_s, _MOST_SECONDS)


class Sampler:
    """Asks about some of the likes of each batch; costs nothing while there is no model."""

    def __init__(
        self,
        store: LikeStore,
        allowance: Allowance,
        questions: Queue[Question],
        stats: QualityStats,
        budget: TimeBudget | None = None,
    ) -> None:
        self._store = store
        self._allowance = allowance
        self._questions = questions
        self._stats = stats
        self._budget = budget or TimeBudget()

    def look(
        self, events: Sequence[Event], timestamps_ms: Sequence[int], *, seed: int
    ) -> list[Question]:
        """Return questions on a batch that is not applied yet, in one round trip at most.

        `timestamps_ms` says when each event was published. A store that can't be read costs the
        questions and nothing else: whoever applies the batch next finds out why.
        """
        if self._stats.model_version is None:
            return []
        allowed = self._allowance.take(len(events))
        if not allowed or not (chosen := choose(events, allowed, seed=seed)):
            return []
        if not self._budget.open:
            self._stats.dropped["slow_store"] += len(chosen)
            return []
        users = sorted({like.user_id for like in chosen.values()})
        try:
            with self._budget.spending():
                likes = self._store.likes(users)
        except LikewiseError:
            self._stats.dropped["store_error"] += len(chosen)
            return []
        return questions_of(events, timestamps_ms, chosen, dict(zip(users, likes, strict=True)))

    def ask(self, questions: Sequence[Question]) -> None:
        """Hand over the questions on a batch that is applied now; what finds no room is dropped."""
        for question in questions:
            try:
                self._questions.put_nowait(question)
            except Full:
                self._stats.dropped["overload"] += 1
