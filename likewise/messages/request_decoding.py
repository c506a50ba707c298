"""From a record of the request topic to a request. Any bytes give a request or an `InvalidInputError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import (
    MAX_ID_BYTES,
    ItemId,
    UserId,
    parse_id,
    parse_recommendation_id,
    parse_scenario_name,
    parse_user_id,
)
from likewise.messages.json_input import convert_fields, decode_json
from likewise.messages.positions import Position
from likewise.messages.reply_routes import (
    MAX_REQUEST_BYTES,
    REPLY_PARTITION_HEADER,
    parse_reply_partition,
)
from likewise.messages.request_options import (
    MAX_DEADLINE_MS,
    MAX_LISTED_ITEMS,
    OptionsBody,
    parse_item_ids,
    parse_options,
)
from likewise.messages.requests import DEFAULT_COUNT, Request, at_defaults
from likewise.messages.rules import MAX_COUNT, check_pins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.records import Record

# The longest id if each of its characters takes four bytes, the maximum of UTF-8.
_SurelyShort = msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES // 4)
_ShortItemIds = Annotated[
    tuple[Annotated[ItemId, _SurelyShort], ...], msgspec.Meta(max_length=MAX_LISTED_ITEMS)
]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _UsualBody(msgspec.Struct, forbid_unknown_fields=True):
    """The usual form of a request. `_Body` is for all other forms, and for error messages."""

    user_id: Annotated[UserId, _SurelyShort] | None = None
    liked: _ShortItemIds | None = None
    similar_to: Annotated[ItemId, _SurelyShort] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)] = DEFAULT_COUNT
    exclude: _ShortItemIds = ()
    explain: bool = False
    diversity: _Share = 0.0
    novelty: _Share = 0.0
    include_liked: bool = False
    fill: bool = True
    after: str | None = None
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=MAX_DEADLINE_MS)] | None = None
    version: Literal[1, None] = None
    request_id: str | int | None = None
    reply_to: str | int | None = None


class _Body(OptionsBody):
    """Any form of a request. Unknown fields are ignored, and null means not given."""

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
_usual_decoder = msgspec.json.Decoder(_UsualBody)
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_body_decoder = msgspec.json.Decoder(_Body)


def decode_request(value: bytes | None) -> Request:
    """Return the request that a record's value carries.

    Raises:
        InvalidInputError: the value breaks the wire contract. Nothing else is ever raised.
    """
    return _decode_usual_form(value) or decode_any_form(value)


def fields_given(value: bytes | None) -> frozenset[str]:
    """Return the names of the fields that the JSON object of a request sets; none if it is not valid."""
    try:
        body = _fields_decoder.decode(value or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()
    return frozenset(name for name, raw in body.items() if bytes(raw) != b"null")


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


def _decode_usual_form(value: bytes | None) -> Request | None:
    """Return what `decode_any_form` returns, in a third of the time; None if the form is not the usual one.

    The JSON decoder checks all types, lengths and ranges of such a body.
    """
    if value is None or len(value) > MAX_REQUEST_BYTES:
        return None
    try:
        body = _usual_decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    request = Request(
        user_id=body.user_id,
        liked=body.liked,
        similar_to=body.similar_to,
        count=body.count,
        exclude=body.exclude,
        explain=body.explain,
        diversity=body.diversity,
        novelty=body.novelty,
        include_liked=body.include_liked,
        fill=body.fill,
        after=None if body.after is None else Position.parse(body.after),
        deadline_ms=body.deadline_ms,
    )
    _check_subject(request)
    return request


def decode_any_form(value: bytes | None) -> Request:
    """Return what `decode_request` returns, without trying the usual form first."""
    return _request(decode_json(_body_decoder, value, what="request", max_bytes=MAX_REQUEST_BYTES))


def parse_request(fields: Mapping[str, Any]) -> Request:
    """Return the request that these fields of a JSON object make.

    Raises:
        InvalidInputError: see `decode_request`.
    """
    return _request(convert_fields(_Body, fields))


def _request(body: _Body) -> Request:
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
