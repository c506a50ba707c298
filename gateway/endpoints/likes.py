"""What users like, dislike and do: one event a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.answers import POSITION_HEADER, json_answer
from gateway.endpoint import Call, Endpoint
from likewise.messages.events import Like, Unlike

if TYPE_CHECKING:
    from starlette.responses import Response

    from likewise.messages.events import Event


class Published(msgspec.Struct, frozen=True):
    """The position of the event, for `after` and `Likewise-Position`."""

    position: str


class PublishQuery(msgspec.Struct, frozen=True):
    """Parameters of a call that publishes one event."""

    recommendation_id: str | None = None


async def _like(call: Call) -> Response:
    return await _publish(call, Like(call.user_id(), call.item_id()))


async def _unlike(call: Call) -> Response:
    return await _publish(call, Unlike(call.user_id(), call.item_id()))


async def _publish(call: Call, event: Event) -> Response:
    position = str(await call.gateway.events.publish(event, call.query.recommendation_id))
    return json_answer(Published(position), headers={POSITION_HEADER: position})


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/v1/users/{user_id}/likes/{item_id}",
        handler=_like,
        summary="The user likes the item.",
        tag="likes",
        role="write",
        query=PublishQuery,
        answer=Published,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/users/{user_id}/likes/{item_id}",
        handler=_unlike,
        summary="The user no longer likes the item.",
        tag="likes",
        role="write",
        query=PublishQuery,
        answer=Published,
    ),
)
