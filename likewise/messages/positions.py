"""The position of an event in the likes topic, as written in requests."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from likewise.errors import InvalidInputError

_FORM = re.compile(r"(\d{1,9}):(\d{1,18})")


class Position(NamedTuple):
    """The partition and offset of an event in the likes topic, written `3:1042`.

    `Likewise.like()` returns it. A request that has it as `after` gets an answer that includes the
    event.
    """

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `partition:offset`.

        Raises:
            InvalidInputError: the text has a different form.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise InvalidInputError(
                "invalid_position", "`after` must look like 3:1042 (partition:offset)"
            )
        return cls(int(match[1]), int(match[2]))
