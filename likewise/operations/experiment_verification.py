"""Verification of an experiment: its counts, computed again from the topics alone, have to be in the store.

The definition is read from `experiments`, the lists from `exposures`, and what was liked from `likes`, up to
the positions that attribution has reached. Exact, and so without the bounds in time that attribution
has: it keeps some kilobyte of memory for each list.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from likewise.errors import InvalidInputError, LikewiseError, TransientError
from likewise.experiments.assignment import assigned
from likewise.experiments.attribution import Memory, fold
from likewise.experiments.kept import Liked
from likewise.experiments.runs import Run, run_of
from likewise.experiments.tally import ExperimentTally, Fields, add_fields, from_fields, to_fields
from likewise.experiments.window import LATENESS_MS
from likewise.log.ranges import read_between
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import ForgetUser, Like, MergeUsers
from likewise.messages.experiments import Experiment, decode_experiment, encode_experiment
from likewise.messages.exposures import Exposure, decode_exposure
from likewise.messages.likes import decode_like
from likewise.operations.tallies import tally_of
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from likewise.experiments.attribution import UserRecords
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.messages.ids import ItemId, UserId
    from likewise.records import Record
    from likewise.store.port import LikeStore

    OnProgress = Callable[[int, int], None]

_ATTEMPTS: Final = 200
_EXAMPLES: Final = 10


@dataclass(slots=True)
class ExperimentVerification:
    """What the topics say about an experiment, and how the store differs."""

    experiment: Experiment
    expected: ExperimentTally
    counted: ExperimentTally
    differences: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Counts that differ, by field: that of the log, and the stored one."""
    definition_differs: bool = False
    """Whether the store has another definition than the topic."""
    lists: int = 0
    likes: int = 0
    """Exposures of this experiment and likes of its users in the log, duplicates included."""
    invalid: int = 0
    """Exposures that cannot be decoded."""
    not_counted_yet: int = 0
    """Offsets of both topics that attribution has not reached."""
    misassigned: int = 0
    """Lists of another variant than the hash gives their user, or of users who do not take part."""
    misassigned_examples: list[tuple[UserId, str, str]] = field(default_factory=list)
    """User, variant in the log, variant by the hash; empty for none."""
    late: int = 0
    """Records more than an hour older than one before them in their partition."""
    forgotten: int = 0
    """Events that forgot or merged users who take part; what was kept of them is not counted on."""
    removed_from: list[TopicPartition] = field(default_factory=list)
    """Partitions from which retention may have removed records since the experiment started."""

    @property
    def equal(self) -> bool:
        """Whether the store agrees with the log, and every list with the hash."""
        return not (self.differences or self.definition_differs or self.misassigned)

    @property
    def proven(self) -> bool:
        """Whether the store agrees with a log that is complete since the start of the experiment."""
        return self.equal and not self.removed_from


class ExperimentVerifier:
    """Computes the counts of one experiment again."""

    def __init__(self, broker: Broker, store: LikeStore, topics: Topics, name: str) -> None:
        """Read the experiment's definition from the topic.

        Raises:
            LikewiseError: the topic has no such experiment, or it cannot be computed from the topics.
            TransientError: a server cannot be reached.
        """
        self._broker = broker
        self._store = store
        self._topics = topics
        experiment = _definition(broker, topics.experiments, name)
        self._run: Run = run_of(experiment)
        self._memory = Memory()
        self._fields = Fields()
        self._items: dict[str, set[ItemId]] = {}
        self._newest_ms: Counter[TopicPartition] = Counter()
        nothing = from_fields({}, self._run.variants)
        self.result = ExperimentVerification(experiment, nothing, nothing)

    def run(self, on_progress: OnProgress = lambda _read, _total: None) -> ExperimentVerification:
        """Return how the store differs from the log.

        Calls `on_progress` with the offsets read and their total.

        Raises:
            TransientError: a server cannot be reached, the log cannot be read to the end, or the counts
                change too fast to be read at one moment.
        """
        found = self.result
        stored = self._store.experiments().get(found.experiment.name)
        found.definition_differs = stored != encode_experiment(found.experiment)
        found.counted, positions = self._snapshot()
        start, end = self._range(positions)
        self._replay(start, end, on_progress)
        items = {variant: len(some) for variant, some in self._items.items()}
        found.expected = from_fields(self._fields, self._run.variants, items)
        found.differences = _differences(found.expected, found.counted)
        return found

    def _snapshot(self) -> tuple[ExperimentTally, dict[TopicPartition, int]]:
        """Return the counts, and the positions at the same moment."""
        before = self._positions()
        for _ in range(_ATTEMPTS):
            tally = tally_of(self._store, self.result.experiment)
            after = self._positions()
            if before == after:
                return tally, after
            before = after
        raise TransientError("the counts change too fast to be compared; run it again").of("redis")

    def _positions(self) -> dict[TopicPartition, int]:
        stored = self._store.attribution_positions()
        return {partition: at.offset for partition, at in stored.items()}

    def _range(
        self, positions: Mapping[TopicPartition, int]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Return the offsets from which and up to which the topics are read."""
        topics = self._topics.exposures, self._topics.likes
        partitions = [one for topic in topics for one in self._broker.partitions(topic)]
        started_at_ms = self.result.experiment.started_at_ms
        beginnings = self._broker.beginning_offsets(partitions)
        ends = self._broker.end_offsets(partitions)
        start = self._broker.offsets_since(partitions, started_at_ms - LATENESS_MS)
        end = {one: min(positions.get(one, 0), ends[one]) for one in partitions}
        self.result.not_counted_yet = sum(ends.values()) - sum(end.values())
        self.result.removed_from = [
            one for one, at in beginnings.items() if at and start[one] <= at
        ]
        return {one: max(at, beginnings[one]) for one, at in start.items()}, end

    def _replay(
        self,
        start: Mapping[TopicPartition, int],
        end: Mapping[TopicPartition, int],
        on_progress: OnProgress,
    ) -> None:
        total, read = sum(max(end[one] - at, 0) for one, at in start.items()), 0
        for batch in read_between(self._broker, start, end):
            records: UserRecords = {}
            for record in batch:
                if record.topic == self._topics.exposures:
                    self._note_exposure(record, records)
                else:
                    self._note_event(record, records)
            [change] = fold([self._run], records, self._memory).values()
            add_fields(self._fields, to_fields(change.tally))
            for variant, items in change.items.items():
                self._items.setdefault(variant, set()).update(items)
            read += len(batch)
            on_progress(read, total)
        on_progress(total, total)

    def _note_exposure(self, record: Record, records: UserRecords) -> None:
        try:
            exposure = decode_exposure(record)
        except InvalidInputError:
            self.result.invalid += 1  # the consumers have dead-lettered it
            return
        if exposure.experiment != self.result.experiment.name:
            return
        if exposure.shown_at_ms >= self.result.experiment.started_at_ms:
            self.result.lists += 1
            self._check_assignment(exposure)
            self._note_time(record)
            records.setdefault(exposure.user_id, []).append(exposure)

    def _check_assignment(self, exposure: Exposure) -> None:
        experiment = self.result.experiment
        part = assigned(experiment, exposure.user_id)
        by_hash = "" if part is None or part.variant is None else part.variant.name
        fits = experiment.scenario in (None, exposure.scenario)
        if part is not None and by_hash == (exposure.variant or "") and fits:
            return
        self.result.misassigned += 1
        examples = self.result.misassigned_examples
        if len(examples) < _EXAMPLES:
            examples.append((exposure.user_id, exposure.variant or "", by_hash))

    def _note_event(self, record: Record, records: UserRecords) -> None:
        try:
            event = decode_event(record)
        except InvalidInputError:
            return
        if isinstance(event, ForgetUser | MergeUsers):
            self.result.forgotten += self._run.takes(event.user_id)
        elif isinstance(event, Like) and self._run.takes(event.user_id):
            self.result.likes += 1
            self._note_time(record)
            like = decode_like(record)
            named = "" if like is None else like.recommendation_id
            liked = Liked(record.timestamp, event.item_id, named)
            records.setdefault(event.user_id, []).append(liked)

    def _note_time(self, record: Record) -> None:
        partition = TopicPartition(record.topic, record.partition)
        newest_ms = max(self._newest_ms[partition], record.timestamp)
        self._newest_ms[partition] = newest_ms
        self.result.late += record.timestamp < newest_ms - LATENESS_MS


def _definition(broker: Broker, topic: str, name: str) -> Experiment:
    """Return the newest definition of the experiment in the topic.

    Raises:
        LikewiseError: there is none, or it is a prequential canary.
    """
    partitions = broker.partitions(topic)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    newest: Experiment | None = None
    for records in read_between(broker, start, end):
        for record in records:
            try:
                found = decode_experiment(record)
            except InvalidInputError:
                continue
            if found.name == name:
                newest = found if isinstance(found, Experiment) else None
    if newest is None:
        raise LikewiseError(f"the topic {topic} has no experiment {name[:64]!r}")
    if newest.kind == "prequential":
        raise LikewiseError(
            f"{name!r} is a prequential canary: consumers have drawn the likes that it counts at random, so the "
            "topics cannot show which"
        )
    return newest


def _differences(expected: ExperimentTally, counted: ExperimentTally) -> dict[str, tuple[int, int]]:
    ours, stored = _all_fields(expected), _all_fields(counted)
    return {
        name: (ours.get(name, 0), stored.get(name, 0))
        for name in sorted(ours.keys() | stored.keys())
        if ours.get(name, 0) != stored.get(name, 0)
    }


def _all_fields(tally: ExperimentTally) -> Fields:
    items = {f"/{variant}/items": count for variant, count in tally.items.items()}
    return to_fields(tally) | items
