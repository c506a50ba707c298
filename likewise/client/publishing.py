"""The client's methods that publish: events, catalogue items and scenarios."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Unpack

from likewise.client.bodies import checked_item, checked_scenario, event_body
from likewise.client.ids import Id, checked_item_id, checked_user_id
from likewise.messages.events import (
    ForgetUser,
    Like,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
    event_key,
    make_event,
)
from likewise.messages.ids import (
    DISLIKE,
    HIDE,
    SignalKind,
    parse_kind,
    parse_scenario_name,
)
from likewise.messages.items import encode_item
from likewise.messages.positions import Position
from likewise.messages.scenarios import encode_scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from likewise.client.connection import ClientConnection
    from likewise.client.options import Options
    from likewise.log.port import Delivery
    from likewise.log.topics import Topics
    from likewise.messages.events import Event
    from likewise.messages.items import Label

_MAX_UNCONFIRMED = 10_000


class Publishing:
    """Publishes to the topics of a deployment; every method returns once the broker has confirmed."""

    _topics: Topics
    _timeout_s: float
    _connection: ClientConnection

    def like(self, user_id: Id, item_id: Id, *, recommendation_id: str | None = None) -> Position:
        """Publish that the user likes the item.

        Pass the position to `recommend` as `after` to get an answer that counts this like.
        `recommendation_id` names the answer that led to it.
        """
        event = Like(checked_user_id(user_id), checked_item_id(item_id))
        return self._publish(event, recommendation_id)

    def unlike(self, user_id: Id, item_id: Id) -> Position:
        """Publish that the user no longer likes the item; see `like`."""
        return self._publish(Unlike(checked_user_id(user_id), checked_item_id(item_id)))

    def dislike(
        self, user_id: Id, item_id: Id, *, recommendation_id: str | None = None
    ) -> Position:
        """Publish that the user dislikes the item; see `like`.

        The item is not shown to the user again, and similar items move down.
        """
        return self._signal(user_id, item_id, DISLIKE, recommendation_id)

    def undislike(self, user_id: Id, item_id: Id) -> Position:
        """Publish that the user no longer dislikes the item; see `like`."""
        return self._unsignal(user_id, item_id, DISLIKE)

    def hide(self, user_id: Id, item_id: Id, *, recommendation_id: str | None = None) -> Position:
        """Publish that the item is not to be shown to the user again; see `like`."""
        return self._signal(user_id, item_id, HIDE, recommendation_id)

    def unhide(self, user_id: Id, item_id: Id) -> Position:
        """Publish that a hidden item may be shown to the user again; see `like`."""
        return self._unsignal(user_id, item_id, HIDE)

    def signal(
        self, user_id: Id, item_id: Id, kind: str, *, recommendation_id: str | None = None
    ) -> Position:
        """Publish a signal of a kind that the setting table `signals` names, such as `buy`; see `like`."""
        return self._signal(user_id, item_id, parse_kind(kind), recommendation_id)

    def unsignal(self, user_id: Id, item_id: Id, kind: str) -> Position:
        """Publish that a signal no longer counts; see `like`."""
        return self._unsignal(user_id, item_id, parse_kind(kind))

    def merge_users(self, user_id: Id, *, into: Id) -> Position:
        """Publish that a guest is the user `into`, who gets the guest's likes and signals; see `like`.

        The position is in the guest's partition.
        """
        return self._publish(make_event("merge_users", checked_user_id(user_id), into=into))

    def forget(self, user_id: Id) -> Position:
        """Publish that everything known about the user is to be erased; see `like`."""
        return self._publish(ForgetUser(checked_user_id(user_id)))

    def retire_item(self, item_id: Id) -> Position:
        """Publish that the item is no longer to be recommended; see `like`."""
        return self._publish(RetireItem(checked_item_id(item_id)))

    def restore_item(self, item_id: Id) -> Position:
        """Publish that a retired item may be recommended again; see `like`."""
        return self._publish(RestoreItem(checked_item_id(item_id)))

    def like_many(self, pairs: Iterable[tuple[Id, Id]]) -> int:
        """Publish many likes as (user, item); see `publish`.

        >>> likewise.like_many([("u42", "i7"), ("u42", "i8"), ("u43", "i7")])
        3
        """
        return self.publish(
            Like(checked_user_id(user), checked_item_id(item)) for user, item in pairs
        )

    def publish(self, events: Iterable[Event]) -> int:
        """Publish many events without waiting for each; return how many, once all are confirmed.

        `events` may be an endless generator: a bounded number is in flight at a time. If this raises,
        some events may have been published; it is safe to publish all of them again.
        """
        return self._confirm_all(self._send_event(event) for event in events)

    def put_item(
        self,
        item_id: Id,
        *,
        title: str | None = None,
        image_url: str | None = None,
        url: str | None = None,
        categories: Sequence[str] = (),
        labels: Mapping[str, Label | Sequence[str] | None] | None = None,
        published_at: datetime | int | float | str | None = None,
    ) -> None:
        """Put an item into the catalogue, in place of what the catalogue had under this id.

        >>> likewise.put_item("i7", title="Solaris", categories=["drama"], labels={"year": 1972})
        """
        fields = {
            "item_id": item_id,
            "title": title,
            "image_url": image_url,
            "url": url,
            "categories": categories,
            "labels": labels,
            "published_at": published_at,
        }
        self._send_item(fields).result(self._timeout_s)

    def put_items(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Put many items into the catalogue; return how many, once all are confirmed.

        Each has the fields of `put_item`, which are those of the JSON form.

        >>> likewise.put_items([{"item_id": "i7", "title": "Solaris"}, {"item_id": "i8"}])
        2
        """
        return self._confirm_all(self._send_item(fields) for fields in items)

    def remove_item(self, item_id: Id) -> None:
        """Remove an item from the catalogue. Its likes stay."""
        key = checked_item_id(item_id).encode()
        self._connection.send(self._topics.items, None, key).result(self._timeout_s)

    def put_scenario(self, name: str, **defaults: Unpack[Options]) -> None:
        """Store defaults for the requests that name this scenario, in place of those it had.

        >>> likewise.put_scenario("home", count=20, where={"in_stock": True}, rotation=0.5)
        """
        scenario = checked_scenario(name, defaults)
        key, value = scenario.name.encode(), encode_scenario(scenario)
        self._connection.send(self._topics.scenarios, value, key).result(self._timeout_s)

    def remove_scenario(self, name: str) -> None:
        """Remove a scenario; requests that name it then get an error."""
        key = parse_scenario_name(name, "name").encode()
        self._connection.send(self._topics.scenarios, None, key).result(self._timeout_s)

    def _signal(
        self, user_id: Id, item_id: Id, kind: SignalKind, recommendation_id: str | None
    ) -> Position:
        event = Signal(checked_user_id(user_id), checked_item_id(item_id), kind)
        return self._publish(event, recommendation_id)

    def _unsignal(self, user_id: Id, item_id: Id, kind: SignalKind) -> Position:
        return self._publish(Unsignal(checked_user_id(user_id), checked_item_id(item_id), kind))

    def _publish(self, event: Event, recommendation_id: str | None = None) -> Position:
        return Position(*self._send_event(event, recommendation_id).result(self._timeout_s))

    def _send_event(self, event: Event, recommendation_id: str | None = None) -> Delivery:
        value = event_body(event, recommendation_id)
        return self._connection.send(self._topics.likes, value, event_key(event))

    def _send_item(self, fields: Mapping[str, Any]) -> Delivery:
        item = checked_item(fields)
        return self._connection.send(self._topics.items, encode_item(item), item.item_id.encode())

    def _confirm_all(self, deliveries: Iterable[Delivery]) -> int:
        unconfirmed: deque[Delivery] = deque()
        count = 0
        for delivery in deliveries:
            unconfirmed.append(delivery)
            count += 1
            if len(unconfirmed) > _MAX_UNCONFIRMED:
                unconfirmed.popleft().result(self._timeout_s)
        for delivery in unconfirmed:
            delivery.result(self._timeout_s)
        return count
