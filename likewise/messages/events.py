"""Events: what an app publishes to the likes topic. docs/protocol.md has the JSON form."""

from __future__ import annotations

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId, UserId, parse_item_id, parse_user_id
from likewise.messages.times import wire_time


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


Event = Like | Unlike | ForgetUser | RetireItem | RestoreItem
_ABOUT_ITEMS = (RetireItem, RestoreItem)

_ACTIONS: dict[type[Event], str] = {
    Like: "like",
    Unlike: "unlike",
    ForgetUser: "forget_user",
    RetireItem: "retire_item",
    RestoreItem: "restore_item",
}
ACTIONS = frozenset(_ACTIONS.values())


_encoder = msgspec.json.Encoder()


def make_event(action: str, user_id: str | int | None, item_id: str | int | None) -> Event:
    """Return the event for an action; an id that the action does not use is ignored.

    Raises:
        InvalidInputError: the action is unknown, or an id that it needs is missing or invalid.
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
    raise InvalidInputError(
        "unknown_action", f"action {action[:64]!r} is not one of {', '.join(sorted(ACTIONS))}"
    )


def encode_event(event: Event, *, timestamp_ms: int | None = None) -> bytes:
    """Return the JSON body of an event, which `decode_event` decodes to the same event."""
    body: dict[str, object] = {"action": _ACTIONS[type(event)], **msgspec.structs.asdict(event)}
    if timestamp_ms is not None:
        body["timestamp"] = wire_time(timestamp_ms)
    return _encoder.encode(body)


def event_key(event: Event) -> bytes:
    """Return the record key: the user, or for events about an item the item."""
    return event_subject(event).encode()


def event_subject(event: Event) -> UserId | ItemId:
    """Return the id of the user or item whose events must stay in order."""
    return event.item_id if isinstance(event, _ABOUT_ITEMS) else event.user_id
