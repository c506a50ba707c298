"""Compact sets are sets, and small."""

from __future__ import annotations

import sys
import tracemalloc
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from likewise.messages.ids import ItemId, UserId
from likewise.operations.compact_sets import CompactSets

ITEMS = [ItemId(f"i{number}") for number in range(100)]
USERS = [UserId("u"), UserId("v")]
STEPS = st.tuples(
    st.sampled_from(["add", "discard", "forget"]), st.sampled_from(USERS), st.sampled_from(ITEMS)
)


@given(st.lists(STEPS, max_size=50), st.integers(0, 100))
def test_they_behave_as_a_dictionary_of_sets(
    steps: list[tuple[str, UserId, ItemId]], already: int
) -> None:
    compact = CompactSets()
    expected: defaultdict[UserId, set[ItemId]] = defaultdict(set)
    for item in ITEMS[:already]:
        compact.add(USERS[0], item)
        expected[USERS[0]].add(item)
    for step, user, item in steps:
        if step == "forget":
            compact.forget(user)
            expected.pop(user, None)
        else:
            getattr(compact, step)(user, item)
            getattr(expected[user], step)(item)
    assert compact.users() == expected.keys()
    for user in USERS:
        assert compact.of(user) == expected[user]


def test_ten_things_take_less_than_half_of_what_a_set_takes() -> None:
    tracemalloc.start()
    compact = CompactSets()
    for number in range(1_000):
        for item in ITEMS[:10]:
            compact.add(UserId(str(number)), item)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1_000 * sys.getsizeof(set(ITEMS[:10])) / 2
