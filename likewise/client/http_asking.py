"""Asking for recommendations over HTTP, as steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import httpx
import msgspec

from likewise.client.bodies import checked_request, request_body
from likewise.client.http_answers import no_answer, recommendations
from likewise.client.http_steps import HttpRequest, Steps, answer_to
from likewise.errors import ReplyTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.client.ids import Id
    from likewise.client.options import Options
    from likewise.messages.positions import Position
    from likewise.messages.replies import RankedUser, Recommendations
    from likewise.messages.requests import Request


class AskingSteps:
    """The calls that ask."""

    timeout_s: float
    retries: int

    def recommend(
        self,
        user_id: Id | None = None,
        *,
        liked: Iterable[Id] | None = None,
        after: Position | None = None,
        next_of: str | Recommendations | None = None,
        scenario: str | None = None,
        ranker: str | None = None,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Steps[Recommendations]:
        """Return up to `count` items for a user, or for what an anonymous visitor `liked`, best first.

        The items that the user likes are left out unless `include_liked` is set. See `Options` for
        the other options. `after` waits until the event at that position is applied. `next_of` names
        an answer, or its `recommendation_id`: the items that follow, without those shown before.
        `scenario` names stored options, which apply where the call gives none. `ranker` names one of
        the alternatives to the current model.

        Raises:
            ReplyTimeoutError: no answer within `timeout_s` (by default, the client's).
            ReplyError: the gateway answered with an error.
        """
        subject = {"user_id": user_id, "liked": liked}
        asked = checked_request(subject, options, after=after, next_of=next_of, scenario=scenario)
        return self._ask(asked, timeout_s, ranker)

    def similar(
        self,
        item_id: Id,
        *,
        user_id: Id | None = None,
        after: Position | None = None,
        next_of: str | Recommendations | None = None,
        scenario: str | None = None,
        ranker: str | None = None,
        timeout_s: float | None = None,
        **options: Unpack[Options],
    ) -> Steps[Recommendations]:
        """Return up to `count` items liked by those who like this one; see `recommend`.

        With a `user_id`, the items that this user likes are left out.
        """
        subject = {"similar_to": item_id, "user_id": user_id}
        asked = checked_request(subject, options, after=after, next_of=next_of, scenario=scenario)
        return self._ask(asked, timeout_s, ranker)

    def users_for(
        self, item_id: Id, *, count: int = 10, timeout_s: float | None = None
    ) -> Steps[tuple[RankedUser, ...]]:
        """Return up to `count` users who would like the item, best first; see `recommend`."""
        asked = checked_request({"users_for": item_id}, {"count": count})
        return (yield from self._ask(asked, timeout_s)).users or ()

    def users_like(
        self, user_id: Id, *, count: int = 10, timeout_s: float | None = None
    ) -> Steps[tuple[RankedUser, ...]]:
        """Return up to `count` users whose likes resemble this user's, best first; see `recommend`."""
        asked = checked_request({"users_like": user_id}, {"count": count})
        return (yield from self._ask(asked, timeout_s)).users or ()

    def _ask(
        self, asked: Request, timeout_s: float | None, ranker: str | None = None
    ) -> Steps[Recommendations]:
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        body = request_body(asked, limit_s)
        if ranker is not None:
            body = msgspec.json.encode({**msgspec.json.decode(body), "ranker": ranker})
        request = HttpRequest(method="POST", path="/v1/recommendations", body=body)
        try:
            answer = yield from answer_to(request, limit_s, self.retries)
        except httpx.ReadTimeout as error:
            raise ReplyTimeoutError(f"no answer within {limit_s:g} s") from error
        except httpx.TransportError as error:
            raise no_answer(error) from error
        return recommendations(answer)
