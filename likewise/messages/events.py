"""Events: what an app publishes to the likes topic. docs/protocol.md has the JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import (
    DISLIKE,
    HIDE,
    ItemId,
    SignalKind,
    UserId,
    parse_id,
    parse_item_id,
    parse_kind,
    parse_user_id,
)
from likewise.messages.times import wire_time

if TYPE_CHECKING:
    from collections.abc import Container, Sequence


class Like(msgspec.Struct, frozen=True, gc=False):
    """The user likes the item."""

    user_id: UserId
    item_id: ItemId


class Unlike(msgspec.Struct, frozen=True, gc=False):
    """The user no longer likes the item."""

    user_id: UserId
    item_id: ItemId


class ForgetUser(msgspec.Struct, frozen=True, gc=False):
    """Everything stored about the user is erased."""

    user_id: UserId


class RetireItem(msgspec.Struct, frozen=True, gc=False):
    """The item is no longer recommended to anyone."""

    item_id: ItemId


class RestoreItem(msgspec.Struct, frozen=True, gc=False):
    """The item may be recommended again."""

    item_id: ItemId


class Signal(msgspec.Struct, frozen=True, gc=False):
    """The user dislikes or hides the item, or did with it what `kind` names, such as `buy`."""

    user_id: UserId
    item_id: ItemId
    kind: SignalKind


class Unsignal(msgspec.Struct, frozen=True, gc=False):
    """The signal of this kind no longer holds."""

    user_id: UserId
    item_id: ItemId
    kind: SignalKind


class MergeUsers(msgspec.Struct, frozen=True, gc=False):
    """Everything that a guest likes and signalled moves to the account `into`."""

    user_id: UserId
    into: UserId


Event = Like | Unlike | ForgetUser | RetireItem | RestoreItem | Signal | Unsignal | MergeUsers
BeyondLikes = Signal | Unsignal | MergeUsers
"""Events that say nothing about what a user likes now, except by moving it."""
_ABOUT_ITEMS = (RetireItem, RestoreItem)

_ACTIONS: dict[type[Event], str] = {
    Like: "like",
    Unlike: "unlike",
    ForgetUser: "forget_user",
    RetireItem: "retire_item",
    RestoreItem: "restore_item",
    MergeUsers: "merge_users",
}
_SIGNAL_ACTIONS: dict[type[Event], dict[SignalKind | None, str]] = {
    Signal: {None: "signal", DISLIKE: "dislike", HIDE: "hide"},
    Unsignal: {None: "unsignal", DISLIKE: "undislike", HIDE: "unhide"},
}
"""By kind; None: the action names its kind in `kind`."""
ACTIONS = frozenset(_ACTIONS.values()).union(*(by.values() for by in _SIGNAL_ACTIONS.values()))

_encoder = msgspec.json.Encoder()


def make_event(
    action: str,
    user_id: str | int | None,
    item_id: str | int | None = None,
    *,
    kind: object = None,
    into: object = None,
) -> Event:
    """Return the event for an action; a field that the action does not use is ignored.

    Raises:
        InvalidInputError: the action is unknown, or a field that it needs is missing or invalid.
    """
    match action:
        case "like":
            return Like(parse_user_id(user_id), parse_item_id(item_id))
        case "unlike":
            return Unlike(parse_user_id(user_id), parse_item_id(item_id))
        case "forget_user":
            return ForgetUser(parse_user_id(user_id))
        case "retire_item":
            return RetireItem(parse_item_id(item_id))
        case "restore_item":
            return RestoreItem(parse_item_id(item_id))
        case "dislike" | "hide" | "signal":
            named = parse_kind(kind) if action == "signal" else SignalKind(action)
            return Signal(parse_user_id(user_id), parse_item_id(item_id), named)
        case "undislike" | "unhide" | "unsignal":
            named = parse_kind(kind) if action == "unsignal" else SignalKind(action[2:])
            return Unsignal(parse_user_id(user_id), parse_item_id(item_id), named)
        case "merge_users":
            return _merge(parse_user_id(user_id), into)
    raise InvalidInputError(
        "unknown_action", f"action {action[:64]!r} is not one of {', '.join(sorted(ACTIONS))}"
    )


def encode_event(
    event: Event, *, timestamp_ms: int | None = None, recommendation_id: str | None = None
) -> bytes:
    """Return the JSON body of an event, which `decode_event` decodes to the same event.

    `recommendation_id` names the answer that led to the event.
    """
    body: dict[str, object] = {"action": action_of_event(event), **msgspec.structs.asdict(event)}
    if isinstance(event, Signal | Unsignal) and event.kind in {DISLIKE, HIDE}:
        del body["kind"]  # the action names it
    if timestamp_ms is not None:
        body["timestamp"] = wire_time(timestamp_ms)
    if recommendation_id is not None:
        body["recommendation_id"] = recommendation_id
    return _encoder.encode(body)


def action_of_event(event: Event) -> str:
    """Return the `action` of an event."""
    if isinstance(event, Signal | Unsignal):
        by_kind = _SIGNAL_ACTIONS[type(event)]
        return by_kind.get(event.kind, by_kind[None])
    return _ACTIONS[type(event)]


def event_key(event: Event) -> bytes:
    """Return the record key: the user, or for events about an item the item."""
    return event_subject(event).encode()


def event_subject(event: Event) -> UserId | ItemId:
    """Return the id of the user or item whose events must stay in order."""
    return event.item_id if isinstance(event, _ABOUT_ITEMS) else event.user_id


def users_of(event: Event) -> Sequence[UserId]:
    """Return the users whose event it is: two for a merge, none for an event about an item."""
    if isinstance(event, _ABOUT_ITEMS):
        return ()
    if isinstance(event, MergeUsers):
        return event.user_id, event.into
    return (event.user_id,)


def check_kind(event: Event, kinds: Container[str]) -> None:
    """Return unless the event is a signal of another kind than these, which the settings name.

    Raises:
        InvalidInputError: it is.
    """
    if isinstance(event, Signal | Unsignal) and event.kind not in kinds:
        raise InvalidInputError(
            "unknown_kind",
            f"`kind` {event.kind!r} is not in the settings of the consumer: set signals.{event.kind}",
        )


def _merge(guest: UserId, into: object) -> MergeUsers:
    if isinstance(into, bool) or not isinstance(into, str | int | None):
        raise InvalidInputError("wrong_type", "`into` is neither a string nor an integer")
    account = UserId(parse_id("into", into))
    if guest == account:
        raise InvalidInputError("invalid_merge", f"`into` is `user_id` itself: {guest[:64]!r}")
    return MergeUsers(guest, account)
