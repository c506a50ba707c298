"""Types that settings share."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
Ranker = Literal["auto", "blend", "ridge", "spectral", "cooccurrence", "neighbours"]
Effort = Literal["fast", "balanced", "best"]
IndexChoice = Literal["auto", "annoy", "faiss"]


class Secret(str):
    """A string that is masked in a repr, a log line or a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'" if self else "''"

    def __str__(self) -> str:
        return "********" if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def reveal(self) -> str:
        """Return the secret as a plain string, for the client library that needs it."""
        return str.__str__(self)
