"""Positions, users and counts of attribution: the contract of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import AttributionMovedError, PositionMovedError
from likewise.messages.ids import ItemId, UserId
from likewise.messages.order import Moment, UserState
from likewise.records import TopicPartition
from likewise.store.attribution_port import (
    AttributionState,
    AttributionUpdate,
    Cell,
    Reached,
    Step,
    StoredTally,
)
from likewise.store.port import Changes, UserChange
from tests.waiting import wait_until

if TYPE_CHECKING:
    from likewise.store.port import LikeStore

ANN, BOB = UserId("ann"), UserId("bób:*{1}\n")
LIKES, EXPOSURES = TopicPartition("shop/likes", 0), TopicPartition("exposures", 11)
RUN, OTHER = "wide@17", ""
VARIANTS = ["control", "wide"]


def everything(number: int, before: AttributionUpdate | None = None) -> AttributionUpdate:
    """Return an update of every part, which expects the one `before`."""
    text = f'["é\\n {number}"]'.encode()
    steps = {LIKES: Reached(number, 5, "log"), EXPOSURES: Reached(number + 1, 6)}
    return AttributionUpdate(
        steps={
            at: Step(None if before is None else before.steps[at].next, reached)
            for at, reached in steps.items()
        },
        windows={
            user: Cell(None if before is None else before.windows[user].next, text)
            for user in (ANN, BOB)
        },
        windows_ttl_s=60.0,
        totals={
            (RUN, user): Cell(None if before is None else before.totals[RUN, user].next, text)
            for user in (ANN, BOB)
        },
        counts={RUN: {"/control/lists": 2, "/wide/likes": -1}, OTHER: {"//lists": 1}},
        items={(RUN, "wide"): {ItemId(f"i{n}") for n in range(6_000)}, (OTHER, ""): [ItemId("é")]},
        closed=["old@1"],
    )


def state(store: LikeStore) -> AttributionState:
    return store.attribution_state([BOB, ANN], [(RUN, ANN), ("other", ANN), (RUN, BOB)])


def test_without_experiments_nothing_is_stored(store: LikeStore) -> None:
    assert store.attribution_positions() == {}
    assert state(store) == AttributionState({}, [None, None], [None, None, None])
    assert store.tally(RUN, VARIANTS) == StoredTally({}, {"control": 0, "wide": 0})
    assert store.closed_runs() == frozenset()
    store.erase_run(RUN, VARIANTS)
    store.apply_attribution(AttributionUpdate())
    assert store.attribution_positions() == {}


def test_an_update_changes_everything_at_once(store: LikeStore) -> None:
    first = everything(1)
    store.apply_attribution(first)
    second = everything(2, first)
    store.apply_attribution(second)
    text = second.windows[ANN].next
    positions = {LIKES: Reached(2, 5, "log"), EXPOSURES: Reached(3, 6)}
    assert store.attribution_positions() == positions
    assert state(store) == AttributionState(positions, [text, text], [text, None, text])
    counts = {"/control/lists": 4, "/wide/likes": -2}
    assert store.tally(RUN, VARIANTS) == StoredTally(counts, {"control": 0, "wide": 6_000})
    assert store.tally(OTHER, [""]) == StoredTally({"//lists": 2}, {"": 1})
    assert store.closed_runs() == {"old@1"}


def test_a_moved_position_refuses_the_whole_update(store: LikeStore) -> None:
    first = everything(1)
    store.apply_attribution(first)
    for expected in (None, Reached(1, 4, "log"), Reached(1, 5)):
        update = everything(2, first)
        update.steps = {**update.steps, LIKES: Step(expected, Reached(9, 9))}
        with pytest.raises(PositionMovedError) as moved:
            store.apply_attribution(update)
        assert moved.value.stored == {LIKES: 1, EXPOSURES: 2}
    assert store.tally(OTHER, [""]).fields == {"//lists": 1}
    assert store.attribution_positions()[EXPOSURES] == Reached(2, 6)


@pytest.mark.parametrize("part", ["windows", "totals"])
@pytest.mark.parametrize("expected", [None, b"another"])
def test_a_user_who_was_changed_meanwhile_refuses_the_whole_update(
    store: LikeStore, part: str, expected: bytes | None
) -> None:
    first = everything(1)
    store.apply_attribution(first)
    update = everything(2, first)
    cells: dict[Any, Cell] = getattr(update, part)
    cells[[*cells][-1]] = Cell(expected, b"mine")
    with pytest.raises(AttributionMovedError):
        store.apply_attribution(update)
    assert store.attribution_positions() == {
        LIKES: Reached(1, 5, "log"),
        EXPOSURES: Reached(2, 6),
    }
    assert store.tally(OTHER, [""]).fields == {"//lists": 1}


def test_what_is_kept_of_a_user_is_erased_after_its_time_and_when_nothing_is_left(
    store: LikeStore,
) -> None:
    short = AttributionUpdate(windows={ANN: Cell(None, b"[]")}, windows_ttl_s=0.05)
    store.apply_attribution(short)
    wait_until(lambda: store.attribution_state([ANN], []).windows == [None], "it is erased")
    kept = AttributionUpdate(windows={ANN: Cell(None, b"[]")}, windows_ttl_s=60.0)
    store.apply_attribution(kept)
    store.apply_attribution(AttributionUpdate(windows={ANN: Cell(b"[]", None)}))
    assert store.attribution_state([ANN], []).windows == [None]


@pytest.mark.parametrize("scattered", [False, True])
def test_what_is_kept_of_a_forgotten_user_is_erased_but_not_the_counts(
    store: LikeStore, scattered: bool
) -> None:
    first = everything(1)
    store.apply_attribution(first)
    forget: dict[str, Any] = (
        {"scattered": {ANN: UserState(forget=Moment(17, 0, 0))}}
        if scattered
        else {"users": {ANN: UserChange(forget=True)}}
    )
    store.apply(Changes(**forget), {})
    text = first.windows[BOB].next
    assert state(store)[1:] == ([text, None], [text, None, text])
    assert store.tally(OTHER, [""]).fields == {"//lists": 1}


def test_a_run_is_erased_alone(store: LikeStore) -> None:
    store.apply_attribution(everything(1))
    store.apply_attribution(AttributionUpdate(closed=[RUN]))
    store.erase_run(RUN, VARIANTS)
    assert store.tally(RUN, VARIANTS) == StoredTally({}, {"control": 0, "wide": 0})
    assert state(store).totals == [None, None, None]
    assert store.tally(OTHER, [""]).fields == {"//lists": 1}
    assert store.closed_runs() == {"old@1"}
