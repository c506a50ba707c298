from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError
from likewise.messages.positions import Position


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
def test_a_position_is_read_back_as_it_was_written(partition: int, offset: int) -> None:
    position = Position(partition, offset)
    assert Position.parse(str(position)) == position


def test_a_position_is_written_as_partition_and_offset() -> None:
    assert str(Position(3, 1042)) == "3:1042"


@pytest.mark.parametrize(
    "text",
    ["", ":", "3", "3:", ":1", "-1:2", "1:-2", "1:2:3", " 1:2", "1:2\n", "a:b", "1" * 10 + ":1"],
)
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInputError, match="3:1042") as caught:
        Position.parse(text)
    assert caught.value.code == "invalid_position"


@given(st.text())
def test_any_text_is_a_position_or_an_invalid_input(text: str) -> None:
    try:
        position = Position.parse(text)
    except InvalidInputError:
        return
    assert position.partition >= 0
    assert position.offset >= 0
