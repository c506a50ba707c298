"""Requests: what a service asks, and how its JSON is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import (
    ItemId,
    UserId,
    parse_id,
    parse_recommendation_id,
    parse_scenario_name,
    parse_user_id,
)
from likewise.messages.json_input import decode_json
from likewise.messages.positions import Position
from likewise.messages.reply_routes import (
    MAX_REQUEST_BYTES,
    REPLY_PARTITION_HEADER,
    parse_reply_partition,
)
from likewise.messages.request_options import (
    OptionsBody,
    RankedBy,
    RequestOptions,
    options_json,
    parse_item_ids,
    parse_options,
)
from likewise.messages.rules import Boost, MaxPer, Pin, check_pins
from likewise.messages.where import Where

if TYPE_CHECKING:
    from likewise.records import Record

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
    """With a scenario: the options that the request sets to their defaults."""


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Request)}


class _Body(OptionsBody):
    """The JSON object. Unknown fields are ignored, and null means not given."""

    user_id: str | int | None = None
    liked: list[str | int] | None = None
    similar_to: str | int | None = None
    users_for: str | int | None = None
    users_like: str | int | None = None
    after: str | None = None
    next_of: str | None = None
    scenario: str | None = None
    version: int | None = None
    request_id: str | int | None = None
    reply_to: str | int | None = None


_OF_NOBODY = frozenset({"popular", "trending", "new"})
"""Sources that rank without a subject."""
_body_decoder = msgspec.json.Decoder(_Body)


def decode_request(value: bytes | None) -> Request:
    """Return the request that a record's value carries.

    Raises:
        InvalidInputError: the value breaks the wire contract. Nothing else is ever raised.
    """
    body = decode_json(_body_decoder, value, what="request", max_bytes=MAX_REQUEST_BYTES)
    if body.version not in {1, None}:
        raise InvalidInputError("unsupported_version", f"version {body.version} is not 1")
    options = parse_options(body)
    if body.after is not None:
        options["after"] = Position.parse(body.after)
    if body.next_of is not None:
        options["next_of"] = parse_recommendation_id(body.next_of, "next_of")
    if body.scenario is not None:
        options["scenario"] = parse_scenario_name(body.scenario)
        options["explicit"] = at_defaults(options)
    request = Request(**_subject(body), **options)
    _check_subject(request)
    if request.pin and request.scenario is None:
        check_pins(request.pin, request.count)
    return request


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


def at_defaults(options: dict[str, object]) -> frozenset[str]:
    """Return the names of the options whose values are the defaults of a request."""
    return frozenset(
        name
        for name in RequestOptions.__struct_fields__
        if name in options and options[name] == _DEFAULTS[name]
    )


def read_request(record: Record) -> Request:
    """Return the request that a record carries.

    Raises:
        InvalidInputError: the value or the header of the reply partition breaks the wire contract.
            The message names another serialiser's form if it is recognised.
    """
    try:
        if record.headers:
            parse_reply_partition(dict(record.headers).get(REPLY_PARTITION_HEADER))
        return decode_request(record.value)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


def _subject(body: _Body) -> dict[str, Any]:
    subject: dict[str, Any] = {}
    if body.user_id is not None:
        subject["user_id"] = parse_user_id(body.user_id)
    if body.liked is not None:
        subject["liked"] = parse_item_ids("liked", body.liked)
    for field in ("similar_to", "users_for", "users_like"):
        if (raw := getattr(body, field)) is not None:
            subject[field] = parse_id(field, raw)
    if not subject and body.source in _OF_NOBODY:
        subject["liked"] = ()
    return subject


def _check_subject(request: Request) -> None:
    of_users = request.users_for or request.users_like
    of_items = request.user_id or request.similar_to
    if request.liked is not None and of_items:
        raise InvalidInputError("ambiguous_subject", "`liked` replaces `user_id` and `similar_to`")
    if not of_users and not of_items and request.liked is None:
        raise InvalidInputError(
            "missing_field",
            "a request needs `user_id`, `liked`, `similar_to`, `users_for` or `users_like`",
        )
    if of_users and (
        of_items or request.liked is not None or (request.users_for and request.users_like)
    ):
        raise InvalidInputError(
            "ambiguous_subject", "`users_for` and `users_like` each replace every other subject"
        )
