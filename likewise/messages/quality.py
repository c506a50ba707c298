"""How well the model predicts likes, as consumers measure it and keep it in the store for others."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOTS: Final = 64
"""Each consumer keeps what it measures in one of so many places, which bounds what is left of old ones."""
_FRESH_MS = 120_000


class MeasuredQuality(msgspec.Struct, frozen=True):
    """The share of new likes among the 20 items recommended before, and among the 20 most popular."""

    hit_rate: float
    popular_hit_rate: float
    samples: int
    measured_at_ms: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(MeasuredQuality)


def encode_quality(measured: MeasuredQuality) -> bytes:
    """Return what the store holds."""
    return _encoder.encode(measured)


def combined_quality(stored: Iterable[bytes], *, now_ms: int) -> MeasuredQuality | None:
    """Return the mean of what consumers have measured in the last two minutes; None without any."""
    found: list[MeasuredQuality] = []
    for one in stored:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            found.append(_decoder.decode(one))
    fresh = [one for one in found if now_ms - one.measured_at_ms <= _FRESH_MS and one.samples > 0]
    samples = sum(one.samples for one in fresh)
    if not samples:
        return None
    return MeasuredQuality(
        hit_rate=sum(one.hit_rate * one.samples for one in fresh) / samples,
        popular_hit_rate=sum(one.popular_hit_rate * one.samples for one in fresh) / samples,
        samples=samples,
        measured_at_ms=max(one.measured_at_ms for one in fresh),
    )
