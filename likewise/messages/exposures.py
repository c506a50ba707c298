"""Exposures: the lists that were shown, as records of the exposures topic. See docs/protocol.md.

Servers and gateways write one for each list that counts for an experiment, with the user id as key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId, UserId, parse_recommendation_id, parse_user_id
from likewise.messages.json_input import decode_json
from likewise.messages.record_keys import check_key

if TYPE_CHECKING:
    from likewise.records import Record

MAX_EXPOSURE_BYTES: Final = 1024 * 1024


class Exposure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One list that a user was shown, and what it counts for."""

    recommendation_id: str
    user_id: UserId
    shown_at_ms: int
    items: tuple[ItemId, ...]
    models: tuple[str, ...]
    """The version that ranked the list; of an interleaved list, that of each variant."""
    experiment: str | None = None
    variant: str | None = None
    """The variant of the user; None outside experiments, and for an interleaved list."""
    scenario: str | None = None
    placed_by: tuple[int, ...] = ()
    """Of an interleaved list: the number of the variant that placed each item, 0 for the control."""
    latency_ms: float = 0.0
    """From the arrival of the request to its answer."""
    popular: int = 0
    """How many of the items are among the most popular hundredth of the model's items."""


_decoder = msgspec.json.Decoder(Exposure)
_encoder = msgspec.json.Encoder()


def encode_exposure(exposure: Exposure) -> bytes:
    """Return the JSON body."""
    return _encoder.encode(exposure)


def decode_exposure(record: Record) -> Exposure:
    """Return the exposure that a record of the exposures topic carries.

    Raises:
        InvalidInputError: the record breaks the wire contract. Nothing else is ever raised.
    """
    found = decode_json(_decoder, record.value, what="exposure", max_bytes=MAX_EXPOSURE_BYTES)
    parse_user_id(found.user_id)
    parse_recommendation_id(found.recommendation_id)
    check_key(record.key, found.user_id)
    if found.placed_by and len(found.placed_by) != len(found.items):
        raise InvalidInputError("invalid_exposure", "`placed_by` does not have one number an item")
    return found
