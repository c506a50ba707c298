"""The client: publish likes, ask for recommendations, from any thread of an app."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Self

import msgspec

from likewise.client.connection import ClientConnection
from likewise.errors import InvalidInputError, ReplyTimeoutError
from likewise.log.topics import Topics
from likewise.messages.events import (
    ForgetUser,
    Like,
    RestoreItem,
    RetireItem,
    Unlike,
    encode_event,
    event_key,
)
from likewise.messages.ids import ItemId, UserId, parse_id
from likewise.messages.positions import Position
from likewise.messages.replies import Recommendations, decode_reply
from likewise.messages.request_decoding import decode_request
from likewise.messages.request_options import MAX_DEADLINE_MS
from likewise.messages.requests import DEFAULT_COUNT, Request, encode_request
from likewise.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.log.port import Broker, Delivery
    from likewise.messages.events import Event

_MAX_UNCONFIRMED = 10_000

Id = str | int
"""An id as apps have it; integers become their decimal digits."""


class Likewise:
    """A connection to likewise, shared by all threads of an app.

    The first call connects, so it takes longer. Every call can raise:

    - `InvalidInputError`, at once: an id or a number breaks the protocol;
    - `TransientError`: the broker could not be reached within `timeout_s`; try again later;
    - `UndeliverableError`: a topic does not exist, because no service was ever started;
    - `SettingsError`: the broker refuses our credentials, or they do not allow the call.

    >>> with Likewise("localhost:9092") as likewise:
    ...     position = likewise.like("u42", "i7")
    ...     for item in likewise.recommend("u42", after=position).items:
    ...         print(item.item_id, item.score)
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        *,
        topic_prefix: str | None = None,
        reply_topic: str | None = None,
        timeout_s: float = 10.0,
        settings: KafkaSettings | None = None,
        broker: Broker | None = None,
    ) -> None:
        """Store how to connect.

        `bootstrap_servers` (`host:port`, by default `localhost:9092`) and `topic_prefix` override
        those in `settings`, which has the rest: TLS, user, password. Replies come on the topic that
        likewise creates, or on `reply_topic`; servers accept names such as `shop.replies`
        (`serving.reply_topic_pattern`). In tests, pass `likewise.testing.MemoryBroker()` as `broker`.

        Raises:
            SettingsError: a setting, or a file that it names, cannot be used.
        """
        named = {"bootstrap_servers": bootstrap_servers, "topic_prefix": topic_prefix}
        given = {name: value for name, value in named.items() if value is not None}
        kafka = msgspec.structs.replace(settings or KafkaSettings(), **given)
        self._topics = Topics(kafka.topic_prefix)
        self._reply_topic = reply_topic or self._topics.replies
        self._timeout_s = timeout_s
        self._connection = ClientConnection(kafka, self._reply_topic, timeout_s, broker)

    def like(self, user_id: Id, item_id: Id) -> Position:
        """Publish that the user likes the item; return once the broker has confirmed it.

        Pass the position to `recommend` as `after` to get an answer that counts this like.
        """
        return self._publish(Like(_user_id(user_id), _item_id(item_id)))

    def unlike(self, user_id: Id, item_id: Id) -> Position:
        """Publish that the user no longer likes the item; see `like`."""
        return self._publish(Unlike(_user_id(user_id), _item_id(item_id)))

    def forget(self, user_id: Id) -> Position:
        """Publish that everything known about the user is to be erased; see `like`."""
        return self._publish(ForgetUser(_user_id(user_id)))

    def retire_item(self, item_id: Id) -> Position:
        """Publish that the item is no longer to be recommended; see `like`."""
        return self._publish(RetireItem(_item_id(item_id)))

    def restore_item(self, item_id: Id) -> Position:
        """Publish that a retired item may be recommended again; see `like`."""
        return self._publish(RestoreItem(_item_id(item_id)))

    def like_many(self, pairs: Iterable[tuple[Id, Id]]) -> int:
        """Publish many likes as (user, item); see `publish`.

        >>> likewise.like_many([("u42", "i7"), ("u42", "i8"), ("u43", "i7")])
        3
        """
        return self.publish(Like(_user_id(user), _item_id(item)) for user, item in pairs)

    def publish(self, events: Iterable[Event]) -> int:
        """Publish many events without waiting for each; return how many, once all are confirmed.

        `events` may be an endless generator: a bounded number is in flight at a time. If this raises,
        some events may have been published; it is safe to publish all of them again.
        """
        unconfirmed: deque[Delivery] = deque()
        count = 0
        for event in events:
            unconfirmed.append(self._send_event(event))
            count += 1
            if len(unconfirmed) > _MAX_UNCONFIRMED:
                unconfirmed.popleft().result(self._timeout_s)
        for delivery in unconfirmed:
            delivery.result(self._timeout_s)
        return count

    def recommend(
        self,
        user_id: Id | None = None,
        *,
        liked: Iterable[Id] | None = None,
        count: int = DEFAULT_COUNT,
        exclude: Iterable[Id] = (),
        explain: bool = False,
        diversity: float = 0.0,
        novelty: float = 0.0,
        include_liked: bool = False,
        fill: bool = True,
        after: Position | None = None,
        deadline_ms: int | None = None,
        timeout_s: float | None = None,
    ) -> Recommendations:
        """Return up to `count` items for a user, or for what an anonymous visitor `liked`, best first.

        The items that the user likes are left out unless `include_liked` is set; those in `exclude`
        always are. `explain` adds the likes that speak for each item. `diversity` ranks items lower
        that resemble the ones before them, `novelty` popular ones; both range from 0 to 1. If the
        model has evidence for fewer than `count` items, popular ones follow, unless `fill` is false.
        `after` waits until the event at that position is applied. Servers drop the request after
        `deadline_ms`, by default the timeout.

        >>> likewise.recommend("u42", count=3, explain=True)
        >>> likewise.recommend(liked=["i7", "i9"], exclude=["i1"])

        Raises:
            ReplyTimeoutError: no answer within `timeout_s` (by default, the client's).
            ReplyError: the server answered with an error.
        """
        request = Request(
            user_id=None if user_id is None else _user_id(user_id),
            liked=None if liked is None else _item_ids("liked", liked),
            count=count,
            exclude=_item_ids("exclude", exclude),
            explain=explain,
            diversity=diversity,
            novelty=novelty,
            include_liked=include_liked,
            fill=fill,
            after=after,
            deadline_ms=deadline_ms,
        )
        return self._ask(request, timeout_s)

    def similar(
        self,
        item_id: Id,
        *,
        user_id: Id | None = None,
        count: int = DEFAULT_COUNT,
        exclude: Iterable[Id] = (),
        diversity: float = 0.0,
        novelty: float = 0.0,
        include_liked: bool = False,
        fill: bool = True,
        after: Position | None = None,
        deadline_ms: int | None = None,
        timeout_s: float | None = None,
    ) -> Recommendations:
        """Return up to `count` items liked by those who like this one; see `recommend`.

        With a `user_id`, the items that this user likes are left out.

        >>> likewise.similar("i7", count=3)
        """
        request = Request(
            user_id=None if user_id is None else _user_id(user_id),
            similar_to=_item_id(item_id),
            count=count,
            exclude=_item_ids("exclude", exclude),
            diversity=diversity,
            novelty=novelty,
            include_liked=include_liked,
            fill=fill,
            after=after,
            deadline_ms=deadline_ms,
        )
        return self._ask(request, timeout_s)

    def close(self) -> None:
        """Disconnect within a few seconds; calls that wait for a reply raise `LikewiseError`."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _publish(self, event: Event) -> Position:
        return Position(*self._send_event(event).result(self._timeout_s))

    def _send_event(self, event: Event) -> Delivery:
        for field, raw in msgspec.structs.asdict(event).items():
            _id(field, raw)
        return self._connection.send(self._topics.likes, encode_event(event), event_key(event), [])

    def _ask(self, request: Request, timeout_s: float | None) -> Recommendations:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + limit_s
        value = _checked(request, limit_s)
        subject = request.user_id or request.similar_to
        with self._connection.replies().expecting() as reply:
            key = None if subject is None else subject.encode()
            delivery = self._connection.send(self._topics.requests, value, key, reply.headers)
            place = Position(*delivery.result(max(0.0, deadline_s - time.monotonic())))
            try:
                answer = reply.value.result(max(0.0, deadline_s - time.monotonic()))
            except TimeoutError as error:
                raise ReplyTimeoutError(
                    f"no reply on {self._reply_topic} within {limit_s:g} s; the request is at "
                    f"{place} of {self._topics.requests}. Is a server running (`likewise serve`)?"
                ) from error
        return decode_reply(answer)


def _checked(request: Request, limit_s: float) -> bytes:
    """Return the encoded request, checked as a server checks it."""
    if request.deadline_ms is None:
        default_ms = min(max(1, int(limit_s * 1000)), MAX_DEADLINE_MS)
        request = msgspec.structs.replace(request, deadline_ms=default_ms)
    value = encode_request(request)
    if decode_request(value) != request:  # JSON has neither NaN nor infinity, and says null instead
        raise InvalidInputError("wrong_type", "a number in the request is NaN or infinite")
    return value


def _user_id(raw: Id) -> UserId:
    return UserId(_id("user_id", raw))


def _item_id(raw: Id, field: str = "item_id") -> ItemId:
    return ItemId(_id(field, raw))


def _item_ids(field: str, raw: Iterable[Id]) -> tuple[ItemId, ...]:
    if isinstance(raw, str | bytes):  # its characters would pass for ids
        raise InvalidInputError("wrong_type", f"`{field}` takes several ids, not one string")
    return tuple(_item_id(item, field) for item in raw)


def _id(field: str, raw: object) -> str:
    if not isinstance(raw, str | int) or isinstance(raw, bool):
        raise InvalidInputError("wrong_type", f"`{field}` is {raw!r}, not a string or an integer")
    return parse_id(field, raw)
