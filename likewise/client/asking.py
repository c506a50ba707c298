"""The client's methods that ask for recommendations and wait for the answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack

from likewise.client.bodies import checked_request, request_body
from likewise.errors import ReplyTimeoutError
from likewise.messages.positions import Position
from likewise.messages.replies import RankedUser, Recommendations, decode_reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.client.connection import ClientConnection
    from likewise.client.ids import Id
    from likewise.client.options import Options
    from likewise.log.topics import Topics
    from likewise.messages.requests import Request


class Asking:
    """Asks the servers of a deployment."""

    _topics: Topics
    _reply_topic: str
    _timeout_s: float
    _connection: ClientConnection

    def recommend(
        self,
        user_id: Id | None = None,
        *,
        liked: Iterable[Id] | None = None,
        after: Position | None = None,
        next_of: str | Recommendations | None = None,
        scenario: str | None = None,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Recommendations:
        """Return up to `count` items for a user, or for what an anonymous visitor `liked`, best first.

        The items that the user likes are left out unless `include_liked` is set. See `Options` for
        the other options. `after` waits until the event at that position is applied. `next_of` names
        an answer, or its `recommendation_id`: the items that follow, without those shown before.
        `scenario` names stored options, which apply where the call gives none.

        >>> likewise.recommend("u42", count=3, explain=True)
        >>> likewise.recommend(liked=["i7", "i9"], exclude=["i1"])
        >>> likewise.recommend("u42", where={"categories": "drama"}, fields=["title"])

        Raises:
            ReplyTimeoutError: no answer within `timeout_s` (by default, the client's).
            ReplyError: the server answered with an error.
        """
        subject = {"user_id": user_id, "liked": liked}
        asked = checked_request(subject, options, after=after, next_of=next_of, scenario=scenario)
        return self._ask(asked, timeout_s)

    def similar(
        self,
        item_id: Id,
        *,
        user_id: Id | None = None,
        after: Position | None = None,
        next_of: str | Recommendations | None = None,
        scenario: str | None = None,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Recommendations:
        """Return up to `count` items liked by those who like this one; see `recommend`.

        With a `user_id`, the items that this user likes are left out.

        >>> likewise.similar("i7", count=3)
        """
        subject = {"similar_to": item_id, "user_id": user_id}
        asked = checked_request(subject, options, after=after, next_of=next_of, scenario=scenario)
        return self._ask(asked, timeout_s)

    def users_for(
        self, item_id: Id, *, count: int = 10, timeout_s: float | None = None
    ) -> tuple[RankedUser, ...]:
        """Return up to `count` users who would like the item, best first; see `recommend`."""
        asked = checked_request({"users_for": item_id}, {"count": count})
        return self._ask(asked, timeout_s).users or ()

    def users_like(
        self, user_id: Id, *, count: int = 10, timeout_s: float | None = None
    ) -> tuple[RankedUser, ...]:
        """Return up to `count` users whose likes resemble this user's, best first; see `recommend`."""
        asked = checked_request({"users_like": user_id}, {"count": count})
        return self._ask(asked, timeout_s).users or ()

    def _ask(self, request: Request, timeout_s: float | None) -> Recommendations:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + limit_s
        value = request_body(request, limit_s)
        subject = request.user_id or request.similar_to or request.users_for or request.users_like
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
