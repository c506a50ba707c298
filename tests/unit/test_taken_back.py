"""An old file does not bring back what events took back, and holds back nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.messages.events import Event, ForgetUser, Like, Unlike
from likewise.messages.ids import ItemId, UserId
from likewise.operations.files.taken_back import TakenBack

U, V, A, B = UserId("u"), UserId("v"), ItemId("a"), ItemId("b")


def after(*log: tuple[Event, int | None]) -> TakenBack:
    taken_back = TakenBack()
    for event, time_ms in log:
        taken_back.add(event, time_ms)
    return taken_back


@pytest.mark.parametrize(
    ("log", "row_ms", "held"),
    [
        ([], None, False),
        ([(Like(U, A), 5)], None, False),
        ([(Unlike(U, A), 5)], None, True),
        ([(Unlike(U, A), 5)], 5, True),
        ([(Unlike(U, A), 5)], 6, False),
        ([(Unlike(U, A), None)], 6, True),
        ([(Unlike(U, B), 5), (ForgetUser(V), 5)], None, False),
        ([(Unlike(U, A), 5), (Like(U, A), 6)], None, False),
        ([(Unlike(U, A), 5), (Like(U, A), 6), (Unlike(U, A), 7)], 6, True),
        ([(ForgetUser(U), 5)], None, True),
        ([(ForgetUser(U), 5)], 6, False),
        ([(ForgetUser(U), 5), (Like(U, B), 6)], None, True),
        ([(ForgetUser(U), 5), (Like(U, A), 6)], None, False),
        ([(ForgetUser(U), 5), (Like(U, A), 6), (ForgetUser(U), 7)], None, True),
    ],
)
def test_a_row_is_held_back_unless_it_is_newer(
    log: list[tuple[Event, int | None]], row_ms: int | None, held: bool
) -> None:
    assert after(*log).holds(Like(U, A), row_ms) is held


@pytest.mark.parametrize("row", [Unlike(U, A), ForgetUser(U)])
def test_what_the_file_takes_back_itself_it_may_bring_back(row: Event) -> None:
    taken_back = after((row, 5))
    assert not taken_back.holds(row, None)
    assert not taken_back.holds(Like(U, A), None)


events = st.one_of(
    st.builds(Like, st.sampled_from([U, V]), st.sampled_from([A, B])),
    st.builds(Unlike, st.sampled_from([U, V]), st.sampled_from([A, B])),
    st.builds(ForgetUser, st.sampled_from([U, V])),
)


@given(st.lists(events, max_size=12))
def test_rows_without_a_time_change_nothing_that_the_log_took_back(log: list[Event]) -> None:
    liked: set[Like] = set()
    touched: set[Like] = set()
    for event in log:
        pairs = {Like(user, item) for user in (U, V) for item in (A, B)}
        match event:
            case Like():
                liked.add(event)
            case Unlike(user, item):
                liked.discard(Like(user, item))
                touched.add(Like(user, item))
            case ForgetUser(user):
                liked -= {pair for pair in pairs if pair.user_id == user}
                touched |= {pair for pair in pairs if pair.user_id == user}
    taken_back = after(*((event, place) for place, event in enumerate(log)))
    for row in (Like(user, item) for user in (U, V) for item in (A, B)):
        assert taken_back.holds(row, None) == (row in touched and row not in liked)
