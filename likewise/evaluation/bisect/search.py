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
    """Events between the last good and the first bad build, and what of them explains the fall."""

    start: int
    end: int
    """Indexes of events; `end` is excluded."""
    explained: bool
    """Whether models rebuilt from the log fall between the two: otherwise a recipe or a setting changed."""
    recovered: float | None = None
    """The nDCG of the bad model without the stretch."""
    users: list[tuple[UserId, int]] = field(default_factory=list)
    """Those with the most events in it, and their number."""
    items: list[tuple[ItemId, int]] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    """Users whose likes in it are not human."""
    without_users: float | None = None
    """The nDCG of the bad model without the likes of the suspects, or else of the users above, in it."""


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
        found.stretch = self._stretch(ordered[low].events, ordered[high].events, builds)
        return found

    def _stretch(self, start: int, end: int, builds: int) -> Stretch:
        """Return the shortest run of events, found by halving, without which the bad model is good."""
        good, bad = (self._scores(self._rebuilt(at)) for at in (start, end))
        stretch = Stretch(start, end, fall_between(good, bad, seed=self._seed).found)
        if not stretch.explained:
            return stretch
        threshold = float(good[:, 1].mean() + bad[:, 1].mean()) / 2
        stretch.recovered = float(good[:, 1].mean())
        low, high, left = start, end, builds
        while high - low > FEWEST_EVENTS and left > 0:
            middle = (low + high) // 2
            for half in ((low, middle), (middle, high)):
                left -= 1
                ndcg = self._without(end, half)
                if ndcg >= threshold:
                    (low, high), stretch.recovered = half, ndcg
                    break
            else:
                break  # neither half alone explains the fall
        stretch.start, stretch.end = low, high
        self._name(stretch, end)
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

        return self._measurements.get(build.name, measure)


def rebuilt(events: Sequence[LoggedEvent], first: int, recipe: Recipe, *, seed: int) -> Build:
    """Return the model of the first events of the log."""
    return Build(f"events:{first}", first, lambda: _model(events[:first], recipe, seed))


def _model(events: Sequence[LoggedEvent], recipe: Recipe, seed: int) -> Model:
    return build_model(interactions_after(events), recipe, seed=seed)


def _measured(build: Build, values: NDArray[np.float64], bad: bool | None) -> Measured:
    hit_rate, ndcg = values.mean(axis=0).tolist()
    return Measured(build.name, build.events, hit_rate, ndcg, bad)
