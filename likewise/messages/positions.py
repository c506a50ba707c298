"""Where an event stands in the likes topic, in the form that travels in requests."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from likewise.errors import InvalidInputError

_FORM = re.compile(r"(\d{1,9}):(\d{1,18})")


class Position(NamedTuple):
    """One event of the likes topic: its partition and offset; written `3:1042`.

    `Likewise.like()` returns it, and a request's `after` takes it, so that an answer
    counts the like it follows.
    """

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `partition:offset`.

        Raises:
            InvalidInputError: the text has another form.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise InvalidInputError(
                "invalid_position", "`after` must look like 3:1042 (partition:offset)"
            )
        return cls(int(match[1]), int(match[2]))
