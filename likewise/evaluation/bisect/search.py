"""The main path: the first bad build by binary search, then the stretch of events that made it bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from indexer.build import build_model
from indexer.progress import Unwatched
from likewise.errors import LikewiseError
from likewise.evaluation.audit.audit import audit
from likewise.evaluation.bisect.events import interactions_after
from likewise.evaluation.bisect.quality import FEWEST_USERS, Fall, fall_between, scores
from likewise.evaluation.likes.table import LikeCollector, Stamp
from likewise.messages.events import Like, Unlike

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.audit.evidence import Suspect
    from likewise.evaluation.bisect.events import LoggedEvent
    from likewise.evaluation.bisect.probes import Probes
    from likewise.evaluation.bisect.state import Measurements
    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.model import Model
    from likewise.ranking.recipe import Recipe

FEWEST_EVENTS = 50
"""A stretch of so few events is not divided further."""
_NAMED = 10


class Build(NamedTuple):
    """A model to measure: a version on disk, or one rebuilt from the first events of the log."""

    name: str
    events: int
    """The events that had arrived when it was built."""
    load: Callable[[], Model]


class Measured(NamedTuple):
    """A model that was measured: means over users."""

    name: str
    events: int
    hit_rate: float
    ndcg: float
    bad: bool | None
    """Whether it is nearer to the bad end than to the good one; None for the ends."""


@dataclass(slots=True)
class Stretch:
    """Events around the last good and the first bad build that explain the fall."""

    start: int
    end: int
    """Indexes of events; `end` is excluded."""
    explained: bool
    """Whether models rebuilt from the log, with one recipe, fall between the two ends."""
    recovered: float | None = None
    """The nDCG of the bad end without the stretch; None if no stretch was found with so few builds."""
    users: list[tuple[UserId, int]] = field(default_factory=list)
    """Those with the most events in it, and their number."""
    items: list[tuple[ItemId, int]] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    """Users whose likes in it are not human."""
    without_users: float | None = None
    """The nDCG of the bad end without the likes of the suspects, or else of the users above, in it."""


@dataclass(slots=True)
class Found:
    """The result."""

    users: int
    fall: Fall
    measured: list[Measured] = field(default_factory=list)
    last_good: Build | None = None
    first_bad: Build | None = None
    """None: no fall was found."""
    stretch: Stretch | None = None


@dataclass(slots=True)
class _Budget:
    """How many models may still be built."""

    left: int

    def take(self) -> bool:
        """Whether one more may be built; counts it."""
        self.left -= 1
        return self.left >= 0


class Search:
    """Measures builds on the same probes, and searches for the fall."""

    def __init__(
        self,
        events: Sequence[LoggedEvent],
        probes: Probes,
        recipe: Recipe,
        measurements: Measurements,
        progress: Progress,
        *,
        seed: int,
    ) -> None:
        """`recipe` is that of rebuilt models.

        Raises:
            LikewiseError: there are too few users with probes.
        """
        if len(probes) < FEWEST_USERS:
            raise LikewiseError(
                f"only {len(probes)} users made new likes after the bad end; {FEWEST_USERS} are needed to say "
                "whether quality fell: give an earlier --bad"
            )
        self._events = events
        self._probes = probes
        self._recipe = recipe
        self._measurements = measurements
        self._progress = progress
        self._seed = seed
        # Another bad end, such as a newer version, has other probes: its scores are not comparable.
        first_ms = min(one.at_ms for theirs in probes.values() for one in theirs)
        self._test = f"{len(probes)} users from {first_ms}"

    def run(self, good: Build, bad: Build, between: Sequence[Build], *, builds: int) -> Found:
        """Return the fall between two builds, the first bad one of those `between`, and the stretch.

        `between` are in order of time. About `builds` models are rebuilt for the stretch at most.
        """
        at_good, at_bad = self._scores(good), self._scores(bad)
        found = Found(len(self._probes), fall_between(at_good, at_bad, seed=self._seed))
        found.measured = [_measured(good, at_good, None), _measured(bad, at_bad, None)]
        if not found.fall.found:
            return found
        threshold = float(at_good[:, 1].mean() + at_bad[:, 1].mean()) / 2
        ordered = [good, *between, bad]
        low, high = 0, len(ordered) - 1
        while high - low > 1:
            middle = (low + high) // 2
            values = self._scores(ordered[middle])
            is_bad = float(values[:, 1].mean()) < threshold
            found.measured.append(_measured(ordered[middle], values, is_bad))
            low, high = (low, middle) if is_bad else (middle, high)
        found.measured.sort(key=lambda one: one.events)
        found.last_good, found.first_bad = ordered[low], ordered[high]
        around = ordered[low].events, ordered[high].events
        found.stretch = self._stretch((good.events, bad.events), around, builds)
        return found

    def _stretch(self, ends: tuple[int, int], around: tuple[int, int], builds: int) -> Stretch:
        """Return a short run of events without which the bad end is good.

        `ends` are the events of both ends, `around` those of the last good and the first bad build. What
        spoils a model may be spread wider than that, so the run is first doubled until leaving it out
        restores the quality, and then halved.
        """
        good, bad = (self._scores(self._rebuilt(at)) for at in ends)
        stretch = Stretch(*around, fall_between(good, bad, seed=self._seed).found)
        if not stretch.explained:
            return stretch
        budget = _Budget(builds)
        threshold = float(good[:, 1].mean() + bad[:, 1].mean()) / 2

        def restores(start: int, end: int) -> bool:
            ndcg = self._without(ends[1], (start, end))
            if ndcg >= threshold:
                stretch.start, stretch.end, stretch.recovered = start, end, ndcg
            return ndcg >= threshold

        low, high = around
        while budget.take() and not restores(low, high) and (low, high) != ends:
            wider = (high - low + 1) // 2
            low, high = max(low - wider, ends[0]), min(high + wider, ends[1])
        if stretch.recovered is None:
            stretch.start, stretch.end = low, high
            return stretch
        while stretch.end - stretch.start > FEWEST_EVENTS:
            low, high = stretch.start, stretch.end
            middle = (low + high) // 2
            halves = ((low, middle), (middle, high))
            if not any(budget.take() and restores(*half) for half in halves):
                break  # neither half alone explains the fall, or enough was built
        self._name(stretch, ends[1])
        return stretch

    def _name(self, stretch: Stretch, end: int) -> None:
        """Name who and what dominates the stretch, and check it by one more build."""
        part = self._events[stretch.start : stretch.end]
        events = [one.event for one in part if isinstance(one.event, Like | Unlike)]
        stretch.users = Counter(event.user_id for event in events).most_common(_NAMED)
        stretch.items = Counter(event.item_id for event in events).most_common(_NAMED)
        collector = LikeCollector()
        for one in part:
            if isinstance(one.event, Like):
                collector.add(one.event, Stamp(one.time_ms))
        stretch.suspects = audit(collector.table(), Unwatched()).suspects
        named = {one.user_id for one in stretch.suspects} or {user for user, _ in stretch.users}
        stretch.without_users = self._without(end, (stretch.start, stretch.end), named)

    def _without(
        self, end: int, left_out: tuple[int, int], users: Collection[UserId] | None = None
    ) -> float:
        """Return the nDCG of the model of the first `end` events without some of them."""
        start, stop = left_out
        kept = [
            *self._events[:start],
            *(
                one
                for one in self._events[start:stop]
                if users is not None and getattr(one.event, "user_id", None) not in users
            ),
            *self._events[stop:end],
        ]
        of_users = "" if users is None else f" of {len(users)} users"
        name = f"events:{end} without {start}:{stop}{of_users}"
        build = Build(name, end, lambda: _model(kept, self._recipe, self._seed))
        values = self._scores(build)
        return float(values[:, 1].mean())

    def _rebuilt(self, events: int) -> Build:
        return rebuilt(self._events, events, self._recipe, seed=self._seed)

    def _scores(self, build: Build) -> NDArray[np.float64]:
        def measure() -> NDArray[np.float64]:
            self._progress.step(f"{build.name}: building")
            model = build.load()
            self._progress.step(f"{build.name}: ranking")
            return scores(model, self._probes, self._progress)

        return self._measurements.get(f"{build.name}, {self._test}", measure)


def rebuilt(events: Sequence[LoggedEvent], first: int, recipe: Recipe, *, seed: int) -> Build:
    """Return the model of the first events of the log."""
    return Build(f"events:{first}", first, lambda: _model(events[:first], recipe, seed))


def _model(events: Sequence[LoggedEvent], recipe: Recipe, seed: int) -> Model:
    return build_model(interactions_after(events), recipe, seed=seed)


def _measured(build: Build, values: NDArray[np.float64], bad: bool | None) -> Measured:
    hit_rate, ndcg = values.mean(axis=0).tolist()
    return Measured(build.name, build.events, hit_rate, ndcg, bad)
