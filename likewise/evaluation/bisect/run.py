"""From options to a search: which log, which two ends, which builds between them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from likewise.errors import LikewiseError
from likewise.evaluation.bisect.events import events_until, read_events
from likewise.evaluation.bisect.probes import probes_after
from likewise.evaluation.bisect.search import FEWEST_EVENTS, Build, Search, rebuilt
from likewise.evaluation.bisect.state import NAME, Measurements, Plan
from likewise.messages.times import iso_time
from likewise.models.files import read_model
from likewise.models.versions import proved_versions
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from indexer.progress import Progress
    from likewise.evaluation.bisect.events import LoggedEvent
    from likewise.evaluation.bisect.search import Found
    from likewise.log.port import Broker
    from likewise.messages.ids import UserId
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.ranking.recipe import Recipe

_STEPS = 64
"""A range of the log is divided into so many builds, of which the search measures some six."""
_TEST_SHARE = 0.1
_GOOD_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to search."""

    good_ms: int | None = None
    bad_ms: int | None = None
    rebuild: bool = False
    probes: int = 2_000
    builds: int = 16
    seed: int = 0
    excluded: AbstractSet[UserId] = frozenset()


class Outcome(NamedTuple):
    """What was found, in which events, and how many models were measured."""

    found: Found
    events: Sequence[LoggedEvent]
    measurements: Measurements


def bisect(
    broker: Broker,
    topic: str,
    models: Place,
    recipe: Recipe,
    options: Options,
    progress: Progress,
    *,
    directory: Path | None = None,
    resume: bool = False,
) -> Outcome:
    """Return where quality fell, if it did: among the versions on disk, or among models rebuilt from the log.

    All models predict the same likes: those that arrived after the bad end. `directory` keeps what was
    measured; `resume` continues the run that it has, with the log as it was then.

    Raises:
        LikewiseError: there are too few builds, likes or users, or the state is of another run.
        TransientError: the broker cannot be reached.
    """
    plan = _plan(broker, topic, recipe, options)
    measurements = _measurements(plan, directory, resume)
    ends = {
        TopicPartition(topic, int(number)): end for number, end in measurements.plan.ends.items()
    }
    progress.step("reading the log")
    events = read_events(broker, ends, progress)
    if not events:
        raise LikewiseError(f"topic {topic} has no likes")
    if options.rebuild:
        places = _places(events, options)
        builds = [rebuilt(events, at, recipe, seed=options.seed) for at in places]
    else:
        builds, recipe = _on_disk(events, models, options)
    probes = probes_after(
        events,
        builds[-1].events,
        limit=options.probes,
        seed=options.seed,
        excluded=options.excluded,
    )
    search = Search(events, probes, recipe, measurements, progress, seed=options.seed)
    result = search.run(builds[0], builds[-1], builds[1:-1], builds=options.builds)
    return Outcome(result, events, measurements)


def _plan(broker: Broker, topic: str, recipe: Recipe, options: Options) -> Plan:
    partitions = broker.partitions(topic)
    if not partitions:
        raise LikewiseError(f"there is no topic {topic}")
    return Plan(
        topic=topic,
        ends={str(one.partition): at for one, at in broker.end_offsets(partitions).items()},
        good_ms=options.good_ms,
        bad_ms=options.bad_ms,
        rebuild=options.rebuild,
        probes=options.probes,
        seed=options.seed,
        excluded=zlib.crc32("\n".join(sorted(options.excluded)).encode()),
        recipe=msgspec.to_builtins(recipe),
    )


def _measurements(plan: Plan, directory: Path | None, resume: bool) -> Measurements:
    if resume and directory is not None:
        before = Measurements.resumed(directory)
        if msgspec.structs.replace(plan, ends=before.plan.ends) != before.plan:
            raise LikewiseError(
                f"{directory / NAME} is the state of a bisect with other options: give the same ones, or "
                "another directory"
            )
        return before
    if directory is not None and (directory / NAME).exists():
        raise LikewiseError(
            f"{directory / NAME} is the state of another run: continue it with --resume, or give another "
            "directory"
        )
    return Measurements(plan, directory)


def _on_disk(
    events: Sequence[LoggedEvent], models: Place, options: Options
) -> tuple[list[Build], Recipe]:
    """Return the versions between the two times as builds, in order, and the recipe of the last.

    Left out are versions that answered nobody, or only a share of the users: canaries that were not promoted.
    """
    versions = proved_versions(models)[::-1]
    good_ms = options.good_ms if options.good_ms is not None else -1
    bad_ms = options.bad_ms
    older = [one for one in versions if bad_ms is None or one.snapshot_at_ms <= bad_ms]
    at_good = [one for one in older if one.snapshot_at_ms <= good_ms]
    chosen = [*at_good[-1:], *(one for one in older if one.snapshot_at_ms > good_ms)]
    if len(chosen) < 2:
        raise LikewiseError(
            f"{models} has {len(chosen)} versions between the two times, and two are needed: "
            "--rebuild builds models from the log instead"
        )
    return [_version(models, one, events) for one in chosen], chosen[-1].recipe


def _version(models: Place, manifest: Manifest, events: Sequence[LoggedEvent]) -> Build:
    version = manifest.version
    known = events_until(events, manifest.snapshot_at_ms)
    return Build(version, known, lambda: read_model(models, version))


def _places(events: Sequence[LoggedEvent], options: Options) -> list[int]:
    """Return places in the log, at equal numbers of events: the good end first, the bad end last."""
    n_bad = round(len(events) * (1 - _TEST_SHARE))
    if options.bad_ms is not None:
        n_bad = events_until(events, options.bad_ms)
    n_good = round(n_bad * _GOOD_SHARE)
    if options.good_ms is not None:
        n_good = events_until(events, options.good_ms)
    if not 0 < n_good < n_bad:
        first, last = (iso_time(one.time_ms) for one in (events[0], events[-1]))
        raise LikewiseError(
            f"the good end has {n_good:,} events before it and the bad end {n_bad:,}: give times within the "
            f"log, which is from {first} to {last}"
        )
    step = max((n_bad - n_good) // _STEPS, FEWEST_EVENTS)
    return [n_good, *range(n_good + step, n_bad - step // 2, step), n_bad]
