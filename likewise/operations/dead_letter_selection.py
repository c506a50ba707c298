"""Which dead letters to list or to replay: by code, by position, or the newest; and what is done with them."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import LikewiseError
from likewise.operations.dead_letter_replay import ReplayPosition, read_dead_letters, replay
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.messages.positions import Position
    from likewise.operations.dead_letter_replay import Found, Replayed

    Offsets = Mapping[TopicPartition, int]

NOT_A_DEAD_LETTER = "not_a_dead_letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Some of the dead letters: those that meet all of the conditions, by default all."""

    codes: Collection[str] | None = None
    position: Position | None = None
    newest: int | None = None
    """Only among so many offsets at the end of each partition."""
    not_replayed: bool = False
    """Only those that come after the last replay whose position was stored."""


class Groups(NamedTuple):
    """Dead letters by code."""

    counts: Counter[str]
    newest: dict[str, list[Found]]
    """The newest few of each code, oldest first."""
    left_out: int
    """Older offsets that were not read."""


def code_of(found: Found) -> str:
    """Return why the record was refused; `not_a_dead_letter` for a record that likewise did not write."""
    return NOT_A_DEAD_LETTER if found.letter is None else found.letter.code


def printable(raw: bytes | None) -> str | None:
    """Return the bytes for people: invalid UTF-8 and control characters are escaped."""
    if raw is None:
        return None
    text = raw.decode(errors="backslashreplace")
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def selected(broker: Broker, topics: Topics, selection: Selection) -> Iterator[Found]:
    """Yield the selected dead letters, in the order of their partitions.

    Raises:
        LikewiseError: there is none at the given position.
        TransientError: the broker cannot be reached.
    """
    return _chosen(broker, *_range(broker, topics, selection), selection)


def groups(broker: Broker, topics: Topics, selection: Selection, *, examples: int) -> Groups:
    """Return the selected dead letters by code, with the newest few of each; see `selected`."""
    start, end = _range(broker, topics, selection)
    beginning = broker.beginning_offsets(list(start))
    counts: Counter[str] = Counter()
    newest: dict[str, deque[Found]] = defaultdict(lambda: deque(maxlen=examples))
    for found in _chosen(broker, start, end, selection):
        counts[code_of(found)] += 1
        newest[code_of(found)].append(found)
    left_out = sum(max(at - beginning[partition], 0) for partition, at in start.items())
    return Groups(counts, {code: list(found) for code, found in newest.items()}, left_out)


def replay_selected(
    broker: Broker, topics: Topics, selection: Selection, *, dry_run: bool = False
) -> Replayed:
    """Send the selected dead letters to their topics again, byte for byte, once they are confirmed.

    Selected by nothing but whether they were replayed, their end is stored, unless one failed: the next
    such replay starts there. A replayed event counts as new, and what is refused again becomes a new
    dead letter.

    Raises:
        LikewiseError: see `selected`.
        TransientError: the broker cannot be reached, or another replay is running.
    """
    start, end = _range(broker, topics, selection)
    chosen = _chosen(broker, start, end, selection)
    with closing(broker.sink()) as sink:
        counts = replay(
            chosen,
            None if dry_run else sink,
            {topics.likes, topics.requests, *topics.documents},
        )
    all_of_them = selection.codes is None and selection.position is None and not selection.newest
    if all_of_them and start != end and not (dry_run or counts.failed):
        ReplayPosition(broker, topics.dead_letters).move(end)
    return counts


def _chosen(broker: Broker, start: Offsets, end: Offsets, selection: Selection) -> Iterator[Found]:
    for found in read_dead_letters(broker, start, end):
        if selection.codes is None or code_of(found) in selection.codes:
            yield found


def _range(broker: Broker, topics: Topics, selection: Selection) -> tuple[Offsets, Offsets]:
    partitions = broker.partitions(topics.dead_letters)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    if selection.position is not None:
        return _only(selection.position, topics.dead_letters, start, end)
    if selection.not_replayed:
        start = ReplayPosition(broker, topics.dead_letters).read()
    if selection.newest is not None:
        start = {one: max(at, end[one] - selection.newest) for one, at in start.items()}
    return start, end


def _only(at: Position, topic: str, start: Offsets, end: Offsets) -> tuple[Offsets, Offsets]:
    partition = TopicPartition(topic, at.partition)
    if partition not in start or not start[partition] <= at.offset < end[partition]:
        raise LikewiseError(f"there is no dead letter at offset {at}")
    return {partition: at.offset}, {partition: at.offset + 1}
