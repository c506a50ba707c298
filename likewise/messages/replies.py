"""Replies of the server: encoding and decoding."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from likewise.errors import ReplyError
from likewise.messages.ids import ItemId, UserId

Source = Literal["model", "popular", "trending", "new"]


class Because(msgspec.Struct, frozen=True):
    """The contribution of one of the user's likes to an item's score."""

    item_id: ItemId
    contribution: float


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recommended item; `because` is set if the request asked for explanations.

    The contributions of all the user's likes add up to `score`. Only the strongest few are listed,
    strongest first.
    """

    item_id: ItemId
    score: float
    because: tuple[Because, ...] | None = None
    fields: dict[str, Any] | None = None
    """The catalogue fields that the request asked for, as far as the item has them."""
    pinned: bool = False
    explored: bool = False


class RankedUser(msgspec.Struct, frozen=True):
    """One user in the answer to `users_for` or `users_like`."""

    user_id: UserId
    score: float


class ModelStamp(msgspec.Struct, frozen=True):
    """The model that answered, and how many seconds ago its snapshot was taken."""

    version: str
    age_s: float


class Recommendations(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer, best item first. `source` says whether it is ranked by the user's likes.

    `trending` and `new` are sources that the request asked for. Otherwise, `popular` means that it could not be: the user has no likes, none that the model knows, or none
    that is related to another item. If the request has `fill` false, `items` is then empty.
    """

    items: tuple[RecommendedItem, ...]
    source: Source
    model: ModelStamp
    user_id: UserId | None = None
    request_id: str | None = None
    recommendation_id: str = ""
    """Identifies this answer, for `next_of` and for events that it led to. Servers before 0.2 sent none."""
    scenario: str | None = None
    """The scenario that the request named."""
    experiment: str | None = None
    """The experiment that this list counts for."""
    variant: str | None = None
    """The user's variant in it; None if the variants share the list."""
    users: tuple[RankedUser, ...] | None = None
    """The answer to `users_for` and `users_like`; `items` is then empty."""


class ErrorBody(msgspec.Struct, frozen=True):
    """Why a request was refused; `code` is stable, `message` is for people."""

    code: str
    message: str


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reply to a request that can't be answered."""

    error: ErrorBody
    user_id: UserId | None = None
    request_id: str | None = None


class _AnyReply(msgspec.Struct):
    error: ErrorBody | None = None


_encoder = msgspec.json.Encoder()
_any_decoder = msgspec.json.Decoder(_AnyReply)
_decoder = msgspec.json.Decoder(Recommendations)


def encode_reply(reply: Recommendations | ErrorReply) -> bytes:
    """Return the JSON body of a reply."""
    return _encoder.encode(reply)


def decode_reply(value: bytes) -> Recommendations:
    """Return the recommendations in a reply.

    Raises:
        ReplyError: the reply is an error, or not a reply at all (code `invalid_reply`).
    """
    try:
        error = _any_decoder.decode(value).error
        if error is not None:
            raise ReplyError(error.code, error.message)
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise ReplyError("invalid_reply", str(failure)) from failure
