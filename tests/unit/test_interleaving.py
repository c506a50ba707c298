"""Team draft: what each ranking places in a shared list."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from likewise.experiments.interleaving import FIRST, NOBODY, SECOND, Placed, team_draft
from likewise.messages.ids import ItemId

ITEMS = [ItemId(f"i{number}") for number in range(12)]
rankings = st.lists(st.sampled_from(ITEMS), unique=True)
counts = st.integers(1, 15)
seeds = st.text(max_size=22)
pins = st.dictionaries(st.sampled_from(ITEMS), st.integers(0, 14), max_size=3)


@given(rankings, rankings, counts, seeds)
def test_each_item_is_the_best_one_that_its_ranking_had_left(
    first: list[ItemId], second: list[ItemId], count: int, seed: str
) -> None:
    placed = team_draft(first, second, count, seed=seed)

    taken: set[ItemId] = set()
    for item_id, by in placed:
        if by != NOBODY:
            assert item_id == next(one for one in (first, second)[by] if one not in taken)
        taken.add(item_id)


@given(rankings, rankings, counts, seeds)
def test_no_item_is_doubled_and_no_place_is_left_empty(
    first: list[ItemId], second: list[ItemId], count: int, seed: str
) -> None:
    placed = [item_id for item_id, _ in team_draft(first, second, count, seed=seed)]

    assert len(placed) == len(set(placed)) == min(count, len({*first, *second}))


@given(rankings, rankings, counts, seeds)
def test_after_each_round_both_have_placed_equally_many(
    first: list[ItemId], second: list[ItemId], count: int, seed: str
) -> None:
    placed = [by for _, by in team_draft(first, second, count, seed=seed) if by != NOBODY]

    for start in range(0, len(placed) - 1, 2):
        assert sorted(placed[start : start + 2]) == [FIRST, SECOND]


@given(rankings, rankings, counts, seeds, pins)
def test_pinned_items_keep_their_places_and_count_for_nobody(
    first: list[ItemId], second: list[ItemId], count: int, seed: str, pinned: dict[ItemId, int]
) -> None:
    # A pin that is shown has a place in the answer, and no other pin has the same.
    shown = {item: place for place, item in {place: item for item, place in pinned.items()}.items()}
    shown = {item: place for item, place in shown.items() if place < count}
    placed = team_draft(first, second, count, seed=seed, pinned=shown)

    others = len({*first, *second} - {*shown})
    for item_id, place in shown.items():
        assert Placed(item_id, NOBODY) in placed
        if place < others:  # otherwise there are too few items to fill the places before it
            assert placed[place] == Placed(item_id, NOBODY)
    assert len(placed) == min(count, others + len(shown))


@given(st.permutations(ITEMS), st.permutations(ITEMS), seeds)
def test_what_does_not_fit_is_in_no_list(
    first: list[ItemId], second: list[ItemId], seed: str
) -> None:
    asked: Counter[ItemId] = Counter()

    def fits(item_id: ItemId) -> bool:
        asked[item_id] += 1
        return item_id not in ITEMS[:4]

    placed = {item_id for item_id, _ in team_draft(first, second, 12, seed=seed, fits=fits)}

    assert placed == {*ITEMS[4:]}
    assert max(asked.values()) == 1


def test_the_coin_is_fair_and_follows_the_seed() -> None:
    ahead = Counter(team_draft(ITEMS, ITEMS[::-1], 1, seed=f"r{n}")[0].by for n in range(4_000))

    assert abs(ahead[FIRST] - 2_000) < 200  # six standard deviations
    assert team_draft(ITEMS, ITEMS[::-1], 9, seed="r") == team_draft(
        ITEMS, ITEMS[::-1], 9, seed="r"
    )


def test_equal_rankings_place_equally_many_items_in_each_place() -> None:
    by_place = [Counter[int]() for _ in range(10)]
    for number in range(4_000):
        for place, one in enumerate(team_draft(ITEMS, ITEMS, 10, seed=f"r{number}")):
            by_place[place][one.by] += 1

    assert all(abs(counted[FIRST] - 2_000) < 200 for counted in by_place)


@given(rankings, rankings, seeds)
def test_what_a_longer_ranking_has_left_counts_for_nobody(
    first: list[ItemId], second: list[ItemId], seed: str
) -> None:
    counted = Counter(by for _, by in team_draft(first, second, 12, seed=seed))

    assert abs(counted[FIRST] - counted[SECOND]) <= 1
    if not {*first} & {*second}:
        assert counted[FIRST] == counted[SECOND] == min(len(first), len(second))
