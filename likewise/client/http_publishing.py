"""Publishing over HTTP, as steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote

import httpx

from likewise.client.bodies import checked_item, checked_scenario, event_body
from likewise.client.http_answers import check_written, no_answer, published_positions
from likewise.client.http_steps import HttpRequest, Steps, answer_to
from likewise.client.ids import Id, checked_item_id, checked_user_id
from likewise.errors import InvalidInputError
from likewise.messages.events import (
    ForgetUser,
    Like,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
    make_event,
)
from likewise.messages.ids import DISLIKE, HIDE, parse_kind, parse_scenario_name
from likewise.messages.items import encode_item
from likewise.messages.scenarios import encode_scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from likewise.client.options import Options
    from likewise.messages.events import Event
    from likewise.messages.ids import SignalKind
    from likewise.messages.items import Label
    from likewise.messages.positions import Position

_BATCH_EVENTS = 1_000
_BATCH_BYTES = 256 * 1024


class PublishingSteps:
    """The calls that publish. They are idempotent, so that they are sent again where that helps."""

    timeout_s: float
    retries: int

    def like(
        self, user_id: Id, item_id: Id, *, recommendation_id: str | None = None
    ) -> Steps[Position]:
        """Publish that the user likes the item; return once Kafka has the event.

        Pass the position to `recommend` as `after` to get an answer that counts this like.
        `recommendation_id` names the answer that led to it.
        """
        event = Like(checked_user_id(user_id), checked_item_id(item_id))
        return self._publish(event, recommendation_id)

    def unlike(self, user_id: Id, item_id: Id) -> Steps[Position]:
        """Publish that the user no longer likes the item; see `like`."""
        return self._publish(Unlike(checked_user_id(user_id), checked_item_id(item_id)))

    def dislike(
        self, user_id: Id, item_id: Id, *, recommendation_id: str | None = None
    ) -> Steps[Position]:
        """Publish that the user dislikes the item; see `like`.

        The item is not shown to the user again, and similar items move down.
        """
        return self._signal(user_id, item_id, DISLIKE, recommendation_id)

    def undislike(self, user_id: Id, item_id: Id) -> Steps[Position]:
        """Publish that the user no longer dislikes the item; see `like`."""
        return self._unsignal(user_id, item_id, DISLIKE)

    def hide(
        self, user_id: Id, item_id: Id, *, recommendation_id: str | None = None
    ) -> Steps[Position]:
        """Publish that the item is not to be shown to the user again; see `like`."""
        return self._signal(user_id, item_id, HIDE, recommendation_id)

    def unhide(self, user_id: Id, item_id: Id) -> Steps[Position]:
        """Publish that a hidden item may be shown to the user again; see `like`."""
        return self._unsignal(user_id, item_id, HIDE)

    def signal(
        self, user_id: Id, item_id: Id, kind: str, *, recommendation_id: str | None = None
    ) -> Steps[Position]:
        """Publish a signal of a kind that the setting table `signals` names, such as `buy`; see `like`."""
        return self._signal(user_id, item_id, parse_kind(kind), recommendation_id)

    def unsignal(self, user_id: Id, item_id: Id, kind: str) -> Steps[Position]:
        """Publish that a signal no longer counts; see `like`."""
        return self._unsignal(user_id, item_id, parse_kind(kind))

    def merge_users(self, user_id: Id, *, into: Id) -> Steps[Position]:
        """Publish that a guest is the user `into`, who gets the guest's likes and signals; see `like`.

        The position is in the guest's partition.
        """
        return self._publish(make_event("merge_users", checked_user_id(user_id), into=into))

    def forget(self, user_id: Id) -> Steps[Position]:
        """Publish that everything known about the user is to be erased; see `like`."""
        return self._publish(ForgetUser(checked_user_id(user_id)))

    def retire_item(self, item_id: Id) -> Steps[Position]:
        """Publish that the item is no longer to be recommended; see `like`."""
        return self._publish(RetireItem(checked_item_id(item_id)))

    def restore_item(self, item_id: Id) -> Steps[Position]:
        """Publish that a retired item may be recommended again; see `like`."""
        return self._publish(RestoreItem(checked_item_id(item_id)))

    def like_many(self, pairs: Iterable[tuple[Id, Id]]) -> Steps[int]:
        """Publish many likes as (user, item); see `publish`."""
        return self.publish(
            Like(checked_user_id(user), checked_item_id(item)) for user, item in pairs
        )

    def publish(self, events: Iterable[Event]) -> Steps[int]:
        """Publish many events, in batches; return how many, once Kafka has them all.

        `events` may be an endless generator. If this raises, some events may have been published; it
        is safe to publish all of them again.
        """
        count = 0
        for batch in _batches(event_body(event) for event in events):
            count += len((yield from self._publish_bodies(batch)))
        return count

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
    ) -> Steps[None]:
        """Put an item into the catalogue, in place of what the catalogue had under this id."""
        fields = {
            "item_id": item_id,
            "title": title,
            "image_url": image_url,
            "url": url,
            "categories": categories,
            "labels": labels,
            "published_at": published_at,
        }
        return self._put_item(fields)

    def put_items(self, items: Iterable[Mapping[str, Any]]) -> Steps[int]:
        """Put many items into the catalogue, one after another; return how many.

        Each has the fields of `put_item`, which are those of the JSON form.
        """
        count = 0
        for fields in items:
            yield from self._put_item(fields)
            count += 1
        return count

    def remove_item(self, item_id: Id) -> Steps[None]:
        """Remove an item from the catalogue. Its likes stay."""
        return self._write("DELETE", _item_path(checked_item_id(item_id)))

    def put_scenario(self, name: str, **defaults: Unpack[Options]) -> Steps[None]:
        """Store defaults for the requests that name this scenario, in place of those it had."""
        scenario = checked_scenario(name, defaults)
        return self._write("PUT", f"/v1/scenarios/{scenario.name}", encode_scenario(scenario))

    def remove_scenario(self, name: str) -> Steps[None]:
        """Remove a scenario; requests that name it then get an error."""
        return self._write("DELETE", f"/v1/scenarios/{parse_scenario_name(name, 'name')}")

    def _signal(
        self, user_id: Id, item_id: Id, kind: SignalKind, recommendation_id: str | None
    ) -> Steps[Position]:
        event = Signal(checked_user_id(user_id), checked_item_id(item_id), kind)
        return self._publish(event, recommendation_id)

    def _unsignal(self, user_id: Id, item_id: Id, kind: SignalKind) -> Steps[Position]:
        return self._publish(Unsignal(checked_user_id(user_id), checked_item_id(item_id), kind))

    def _publish(self, event: Event, recommendation_id: str | None = None) -> Steps[Position]:
        [position] = yield from self._publish_bodies([event_body(event, recommendation_id)])
        return position

    def _publish_bodies(self, bodies: Sequence[bytes]) -> Steps[Sequence[Position]]:
        # Ids in a body may be anything; in a path, "." and ".." get lost on the way.
        answer = yield from self._send("POST", "/v1/events", b"[" + b",".join(bodies) + b"]")
        return published_positions(answer, len(bodies))

    def _put_item(self, fields: Mapping[str, Any]) -> Steps[None]:
        item = checked_item(fields)
        yield from self._write("PUT", _item_path(item.item_id), encode_item(item))

    def _write(self, method: str, path: str, body: bytes | None = None) -> Steps[None]:
        check_written((yield from self._send(method, path, body)))

    def _send(self, method: str, path: str, body: bytes | None) -> Steps[httpx.Response]:
        request = HttpRequest(method=method, path=path, body=body)
        try:
            return (yield from answer_to(request, self.timeout_s, self.retries))
        except httpx.TransportError as error:
            raise no_answer(error) from error


def _item_path(item_id: str) -> str:
    if item_id in {".", ".."}:
        raise InvalidInputError(
            "invalid_id",
            f"`item_id` {item_id!r} cannot be part of a URL; publish the item over Kafka",
        )
    return f"/v1/items/{quote(item_id, safe='')}"


def _batches(bodies: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for body in bodies:
        if len(batch) == _BATCH_EVENTS or size + len(body) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    if batch:
        yield batch
