"""The settings `[signals]`: the only table whose names are chosen by the operator."""

from __future__ import annotations

import math
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from likewise.errors import SettingsError

_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST = 100.0
_REFUSED = {
    "like": "a like always counts 1",
    "hide": "a hidden item is never shown, and says nothing about taste",
}


class SignalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What users' signals count for, next to a like, which counts 1. Each kind of signal that apps send
    (`{"action": "signal", "kind": "buy"}`) is a setting: `buy = 3` in the table, or
    `LIKEWISE_SIGNALS_BUY=3`. Events of kinds without a setting are dead letters.
    """

    dislike: Annotated[float, Meta(ge=-100, le=0)] = -0.5
    """What a dislike counts in an answer for its user. 0: the item is not shown, and nothing else."""
    kinds: dict[str, float] = {}
    """What a signal of this kind counts, from -100 to 100. Only kinds above 0 are part of the model. 0: the
    signal is stored, and counts nothing. Not `like` or `hide`."""

    @property
    def accepted(self) -> frozenset[str]:
        """The kinds of signals that events may have."""
        return frozenset({"dislike", "hide", *self.kinds})

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each kind that is not 0."""
        return {
            kind: weight
            for kind, weight in {"dislike": self.dislike, **self.kinds}.items()
            if weight
        }


def checked_weight(origin: str, kind: str, value: object) -> float:
    """Return the weight that a source sets for a kind.

    Raises:
        SettingsError: the kind or its weight can't be used; the sentence begins with `origin`.
    """
    if kind in _REFUSED:
        raise SettingsError(f"{origin}: `{kind}` has no weight: {_REFUSED[kind]}")
    if not _KIND.fullmatch(kind):
        raise SettingsError(
            f"{origin}: {kind!r} is not a kind of signal: 1 to 32 of a-z, 0-9, _ and -, beginning with a "
            "letter"
        )
    try:
        weight: float = msgspec.convert(value, float, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise SettingsError(f"{origin}: {value!r} can't be used: {error}") from error
    if not math.isfinite(weight) or abs(weight) > _MOST:
        raise SettingsError(f"{origin}: {value!r} can't be used: it is not from -100 to 100")
    return weight
