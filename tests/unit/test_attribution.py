"""Attribution: the fold gives the counts of the definition, whatever the order, duplicates and batches."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.experiments import window as bounds
from likewise.experiments.attribution import (
    Memory,
    decode_totals,
    decode_windows,
    encode_totals,
    encode_windows,
    fold,
)
from likewise.experiments.kept import Liked, shown_of
from likewise.experiments.runs import OUTSIDE, Run, outside_experiments, run_of
from likewise.experiments.tally import Fields, add_fields, latency_place, to_fields
from likewise.experiments.window import LATENESS_MS
from likewise.messages.experiments import Experiment, Variant
from likewise.messages.exposures import Exposure
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WINDOW_MS = 10_000
START_MS = 1_000
Record = tuple[UserId, Exposure | Liked]


def experiment(kind: Literal["split", "interleaved"]) -> Experiment:
    return Experiment(
        name=kind,
        kind=kind,
        variants=(Variant(name="control"), Variant(name="wide")),
        seed="s",
        started_at_ms=START_MS,
        window_s=WINDOW_MS / 1000,
    )


RUNS = [run_of(experiment("split")), run_of(experiment("interleaved")), outside_experiments(5.0)]
times = st.integers(min_value=500, max_value=30_000)
users = st.sampled_from([UserId("ann"), UserId("bob")])
items = st.sampled_from([ItemId(name) for name in "abcd"])


@st.composite
def exposures(draw: st.DrawFn) -> Record:
    user, ids = draw(users), draw(st.lists(items, unique=True, max_size=4))
    counted_for = draw(st.sampled_from(["split", "interleaved", "unknown", None]))
    variant = draw(st.sampled_from(["control", "wide", "gone"])) if counted_for == "split" else None
    placed = (
        [draw(st.sampled_from([-1, 0, 1])) for _ in ids] if counted_for == "interleaved" else []
    )
    return user, Exposure(
        recommendation_id=draw(st.sampled_from(["r1", "r2", "r3", "r4"])),
        user_id=user,
        shown_at_ms=draw(times),
        items=tuple(ids),
        models=("m",),
        experiment=counted_for,
        variant=variant,
        scenario=draw(st.sampled_from(["home", None])),
        placed_by=tuple(placed),
        latency_ms=draw(st.sampled_from([0.5, 7.0, 5_000.0])),
        popular=draw(st.integers(min_value=0, max_value=3)),
    )


@st.composite
def likes(draw: st.DrawFn) -> Record:
    named = draw(st.sampled_from(["", "", "r1", "r2"]))
    return draw(users), Liked(draw(times), draw(items), named)


histories = st.lists(exposures() | likes(), max_size=25)


def folded(
    runs: Sequence[Run], batches: Iterable[Sequence[Record]], *, read_to_ms: int = 0
) -> dict[str, Fields]:
    """Return the fields of each run; the state goes through its stored form after every batch."""
    memory, totals = Memory(), {run.key: Fields() for run in runs}
    for batch in batches:
        by_user: dict[UserId, list[Exposure | Liked]] = defaultdict(list)
        for user, record in batch:
            by_user[user].append(record)
        for key, change in fold(runs, by_user, memory, read_to_ms=read_to_ms).items():
            add_fields(totals[key], to_fields(change.tally))
        memory = Memory(
            {user: decode_windows(encode_windows(one)) for user, one in memory.windows.items()},
            {key: decode_totals(encode_totals(one)) for key, one in memory.totals.items()},
        )
    return totals


def defined(run: Run, history: Iterable[Record]) -> Fields:
    """Count as the definition says, pair by pair."""
    shown: dict[tuple[UserId, str], Exposure] = {}
    for user, record in history:
        if isinstance(record, Exposure) and run.counts(record):
            known = shown.setdefault((user, record.recommendation_id), record)
            key = (user, record.recommendation_id)
            shown[key] = min(known, record, key=shown_of)
    fields: Fields = {}
    for scenario in {"", *(one.scenario or "" for one in shown.values())}:
        sums: dict[tuple[UserId, str], list[int]] = defaultdict(lambda: [0, 0])
        for (user, name), one in shown.items():
            if scenario not in ("", one.scenario):
                continue
            credited = [
                place
                for place, item in enumerate(one.items)
                if any(
                    isinstance(like, Liked)
                    and (who, like.item_id) == (user, item)
                    and one.shown_at_ms <= like.at_ms <= one.shown_at_ms + run.window_ms
                    and like.recommendation_id in ("", name)
                    for who, like in history
                )
            ]
            for number, variant in enumerate(run.variants):
                if not run.interleaved and (one.variant or "") != variant:
                    continue
                mine = [
                    place
                    for place in range(len(one.items))
                    if not run.interleaved or one.placed_by[place] == number
                ]
                hits = [place for place in credited if place in mine]
                sums[user, variant][0] += 1
                sums[user, variant][1] += len(hits)
                counts = {
                    "lists": 1,
                    "shown": len(mine),
                    "likes": len(hits),
                    "hits": bool(hits),
                    "popular": 0 if run.interleaved else one.popular,
                    f"latency/{latency_place(one.latency_ms)}": 1,
                    **{f"shown_at/{place}": 1 for place in mine},
                    **{f"likes_at/{place}": 1 for place in hits},
                }
                add_fields(
                    fields, {f"{scenario}/{variant}/{name}": n for name, n in counts.items()}
                )
        if run.key != OUTSIDE:
            for (_, variant), (n, y) in sums.items():
                squares = {"users": 1, "n2": n * n, "ny": n * y, "y2": y * y}
                add_fields(
                    fields, {f"{scenario}/{variant}/{name}": v for name, v in squares.items()}
                )
            if run.interleaved and not scenario:
                for user in {user for user, _ in sums}:
                    first, second = (sums[user, variant][1] for variant in run.variants)
                    add_fields(fields, {"cross": first * second})
    return fields


@settings(max_examples=300)
@given(histories, st.data())
def test_any_order_duplicates_and_batches_give_the_defined_counts(
    history: list[Record], data: st.DataObject
) -> None:
    repeated = (
        history + data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    )
    shuffled = data.draw(st.permutations(repeated))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    edges = [0, *cuts, len(shuffled)]
    batches = [shuffled[start:end] for start, end in pairwise(edges)]
    assert folded(RUNS, batches) == {run.key: defined(run, history) for run in RUNS}


def shown(name: str, at_ms: int, *ids: str, user: str = "ann") -> Record:
    return UserId(user), Exposure(
        recommendation_id=name,
        user_id=UserId(user),
        shown_at_ms=at_ms,
        items=tuple(map(ItemId, ids)),
        models=("m",),
        experiment="split",
        variant="control",
    )


def liked(at_ms: int, item: str, named: str = "", user: str = "ann") -> Record:
    return UserId(user), Liked(at_ms, ItemId(item), named)


def counts(fields: Fields) -> tuple[int, int, int, int]:
    """Return the lists, likes, users and n² of the control."""
    return tuple(fields.get(f"/control/{name}", 0) for name in ("lists", "likes", "users", "n2"))  # type: ignore[return-value]  # four of them


SPLIT = RUNS[0]


def test_a_like_counts_from_the_moment_of_the_list_to_the_end_of_its_window() -> None:
    for at_ms, credited in [(1_999, 0), (2_000, 1), (12_000, 1), (12_001, 0)]:
        fields = folded([SPLIT], [[shown("r", 2_000, "a")], [liked(at_ms, "a")]])
        assert counts(fields[SPLIT.key]) == (1, credited, 1, 1)


def test_a_like_that_names_a_list_counts_for_no_other() -> None:
    lists = [shown("r1", 2_000, "a"), shown("r2", 3_000, "a")]
    assert counts(folded([SPLIT], [[*lists, liked(4_000, "a", "r2")]])[SPLIT.key])[1] == 1
    assert counts(folded([SPLIT], [[*lists, liked(4_000, "a")]])[SPLIT.key])[1] == 2
    assert counts(folded([SPLIT], [[*lists, liked(4_000, "a", "other")]])[SPLIT.key])[1] == 0


def test_totals_outlive_the_window() -> None:
    later = START_MS + 10 * LATENESS_MS
    memory = Memory()
    totals = Fields()
    for batch, read_to_ms in [
        ([shown("r1", 2_000, "a"), liked(2_500, "a")], 0),
        ([shown("r2", later, "a")], later),
    ]:
        change = fold(
            [SPLIT], {UserId("ann"): [r for _, r in batch]}, memory, read_to_ms=read_to_ms
        )
        add_fields(totals, to_fields(change[SPLIT.key].tally))
    assert counts(totals) == (2, 1, 1, 4)
    kept = memory.windows[UserId("ann")][SPLIT.key]
    assert [one.recommendation_id for one in kept.lists] == ["r2"]
    assert kept.likes == []


def test_what_was_read_completely_is_closed_and_later_records_of_its_time_do_not_count() -> None:
    read_to_ms = 5 * LATENESS_MS
    batch = [shown("r1", 2_000, "a"), liked(2_500, "a"), shown("r2", read_to_ms, "a")]
    memory = Memory()
    change = fold([SPLIT], {UserId("ann"): [r for _, r in batch]}, memory, read_to_ms=read_to_ms)
    assert change[SPLIT.key].late == 2
    assert counts(to_fields(change[SPLIT.key].tally)) == (1, 0, 1, 1)


def test_a_record_that_is_less_than_an_hour_late_counts() -> None:
    read_to_ms = START_MS + WINDOW_MS + LATENESS_MS
    batches = [[liked(START_MS + 5, "a")], [shown("r1", START_MS, "a")]]
    fields = folded([SPLIT], batches, read_to_ms=read_to_ms)
    assert counts(fields[SPLIT.key]) == (1, 1, 1, 1)


def test_what_is_kept_of_a_user_with_endless_lists_is_bounded_whatever_the_order() -> None:
    lists = [shown(f"r{n:05}", 2_000 + n, "a") for n in range(1_200)]
    some_likes = [liked(2_000 + n, f"i{n}") for n in range(2_500)]
    forward, backward = (
        folded([SPLIT], [order[at : at + 100] for at in range(0, len(order), 100)])
        for order in ([*lists, *some_likes], [*some_likes, *lists][::-1])
    )
    assert forward == backward
    assert counts(forward[SPLIT.key])[0] == bounds.MAX_LISTS
    memory = Memory()
    change = fold([SPLIT], {UserId("ann"): [r for _, r in lists + some_likes]}, memory)
    assert change[SPLIT.key].dropped == 700 + 1_500
    kept = memory.windows[UserId("ann")][SPLIT.key]
    assert (len(kept.lists), len(kept.likes)) == (bounds.MAX_LISTS, bounds.MAX_LIKES)


def test_users_outside_the_share_leave_nothing() -> None:
    small = run_of(
        Experiment(
            name="split",
            kind="split",
            variants=(Variant(name="control"), Variant(name="wide")),
            seed="s",
            started_at_ms=0,
            share=1e-9,
        )
    )
    memory = Memory()
    change = fold(
        [small], {UserId("ann"): [liked(2_000, "a")[1], shown("r", 1_500, "a")[1]]}, memory
    )
    assert to_fields(change[small.key].tally) == {}
    assert encode_windows(memory.windows[UserId("ann")]) is None


def test_a_state_of_another_form_counts_as_none() -> None:
    for stored in (b"\xff", b"[1]", b'{"x":{"y":1}}', None):
        assert decode_windows(stored) == {}
        assert decode_totals(stored) == {}


def test_items_shown_are_counted_by_the_variant_that_placed_them() -> None:
    mixed = Exposure(
        recommendation_id="r",
        user_id=UserId("ann"),
        shown_at_ms=2_000,
        items=(ItemId("a"), ItemId("b"), ItemId("c")),
        models=("m",),
        experiment="interleaved",
        placed_by=(1, -1, 0),
    )
    change = fold([RUNS[1]], {UserId("ann"): [mixed]}, Memory())[RUNS[1].key]
    assert change.items == {"control": {"c"}, "wide": {"a"}}
