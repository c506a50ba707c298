"""Replies to `users_for` and `users_like`: users in place of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.messages.replies import ErrorBody, Recommendations
from likewise.service.logs import get_logger
from serving.answering import internal_error, stamp_of
from serving.outgoing import Reply, error_reply
from serving.users_by_taste import users_by_taste

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.messages.ids import SignalKind
    from likewise.messages.requests import Request
    from likewise.models.holder import ServedModel
    from serving.incoming import OpenRequest
    from serving.users_by_taste import CurrentState


def asks_about_users(request: Request) -> bool:
    """Whether the reply holds users."""
    return request.users_for is not None or request.users_like is not None


def answer_about_users(
    served: ServedModel,
    asked: OpenRequest,
    state: CurrentState,
    kinds: Collection[SignalKind],
    *,
    recommendation_id: str,
    now_ms: int,
) -> Reply:
    """Return the reply to one request; an error reply if the model or a user's key does not suit.

    Raises:
        TransientError: the store cannot be reached.
    """
    try:
        found = users_by_taste(served.model, asked.request, state, kinds)
    except TransientError:
        raise
    except Exception:  # noqa: BLE001  # one request must never cost the others their answers
        get_logger().exception("ranking users failed", model=served.version)
        return error_reply(asked, internal_error())
    if isinstance(found, ErrorBody):
        return error_reply(asked, found)
    body = Recommendations(
        items=(),
        source="model",
        model=stamp_of(served, now_ms=now_ms),
        recommendation_id=recommendation_id,
        request_id=asked.route.request_id,
        users=found,
    )
    return Reply(asked.record, asked.route, body)
