"""Requests: what a service asks. docs/protocol.md has the JSON form, `request_decoding` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.messages.ids import ItemId, UserId
from likewise.messages.positions import Position
from likewise.messages.request_options import RankedBy, RequestOptions, options_json
from likewise.messages.rules import Boost, MaxPer, Pin, check_pins
from likewise.messages.where import Where

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

DEFAULT_COUNT = 10


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request about one subject: a user, an anonymous visitor (`liked`), or an item.

    `similar_to` may come with a `user_id`: what that user likes is then left out. `users_for` asks
    for users who would like an item, and `users_like` for users like one user.
    """

    user_id: UserId | None = None
    liked: tuple[ItemId, ...] | None = None
    similar_to: ItemId | None = None
    users_for: ItemId | None = None
    users_like: UserId | None = None
    count: int = DEFAULT_COUNT
    exclude: tuple[ItemId, ...] = ()
    explain: bool = False
    diversity: float = 0.0
    """From 0 to 1: how strongly items unlike those before them are preferred."""
    novelty: float = 0.0
    """From 0 to 1: how strongly less popular items are preferred."""
    include_liked: bool = False
    """Whether items that the user already likes may be recommended."""
    fill: bool = True
    """Whether popular items fill up the answer if the model has evidence for fewer than `count`."""
    after: Position | None = None
    deadline_ms: int | None = None
    where: Where | None = None
    """Only items that pass this filter are shown."""
    only: tuple[ItemId, ...] | None = None
    """Only these items are shown."""
    boost: tuple[Boost, ...] = ()
    pin: tuple[Pin, ...] = ()
    max_per: MaxPer | None = None
    fields: tuple[str, ...] = ()
    """The catalogue fields to return with each item."""
    without: tuple[ItemId, ...] = ()
    """The user's likes to ignore for this request."""
    rotation: float = 0.0
    """From 0 to 1: how strongly items that the user was shown lately move down."""
    next_of: str | None = None
    """The recommendation whose next page is wanted."""
    scenario: str | None = None
    """The scenario whose defaults apply to the options that the request does not set."""
    explore: float = 0.0
    """From 0 to 1: the share of items without likes."""
    source: RankedBy | None = None
    """What to rank by. None: the model, filled up with popular items."""
    explicit: frozenset[str] = frozenset()
    """With a scenario, or during experiments: the options that the request sets to their defaults."""


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Request)}


def encode_request(
    request: Request, *, request_id: str | None = None, reply_to: str | None = None
) -> bytes:
    """Return the JSON body of a request, which `decode_request` decodes to the same request."""
    given = msgspec.structs.asdict(request)
    explicit = given.pop("explicit")
    body = options_json(
        {
            name: value
            for name, value in given.items()
            if value != _DEFAULTS[name] or name in explicit
        }
    )
    if request.after is not None:
        body["after"] = str(request.after)
    if request_id is not None:
        body["request_id"] = request_id
    if reply_to is not None:
        body["reply_to"] = reply_to
    return msgspec.json.encode(body)


def with_defaults(request: Request, defaults: RequestOptions) -> Request:
    """Return the request with the defaults of its scenario for the options that it does not set.

    Pins of the scenario beyond the request's count are dropped.

    Raises:
        InvalidInputError: the request itself has a pin beyond the resulting count.
    """
    added = {
        name: default
        for name in RequestOptions.__struct_fields__
        if (default := getattr(defaults, name)) is not None
        and name not in request.explicit
        and getattr(request, name) == _DEFAULTS[name]
    }
    count: int = added.get("count", request.count)
    if "pin" in added:
        added["pin"] = tuple(pin for pin in added["pin"] if pin.place <= count)
    check_pins(request.pin, count)
    return msgspec.structs.replace(request, **added)


def with_explicit(request: Request, given: Container[str]) -> Request:
    """Return a request that sets the `given` options itself, also those at their defaults."""
    explicit = {
        name: getattr(request, name) for name in RequestOptions.__struct_fields__ if name in given
    }
    return msgspec.structs.replace(request, explicit=at_defaults(explicit))


def at_defaults(options: Mapping[str, object]) -> frozenset[str]:
    """Return the names of the options whose values are the defaults of a request."""
    return frozenset(
        name
        for name in RequestOptions.__struct_fields__
        if name in options and options[name] == _DEFAULTS[name]
    )
