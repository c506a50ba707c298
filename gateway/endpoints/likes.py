"""What users like, dislike, hide and do: one event a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.answers import POSITION_HEADER, json_answer
from gateway.endpoint import Call, Endpoint
from likewise.messages.events import (
    Event,
    ForgetUser,
    Like,
    Signal,
    Unlike,
    Unsignal,
    check_kind,
    make_event,
)
from likewise.messages.ids import (
    DISLIKE,
    HIDE,
    SignalKind,
    parse_kind,
    parse_recommendation_id,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

    Handler = Callable[[Call], Awaitable[Response]]

_WAITING = (
    "Answers once Kafka has the event. With `wait=applied` the answer comes once the event counts in every "
    "answer; the status is 202 if that takes longer than `gateway.wait_timeout_ms`. Repeating the call is safe."
)


class Published(msgspec.Struct, frozen=True):
    """Where Kafka has the event."""

    position: str
    """The value for `after`, or for the header `Likewise-Position`, of requests that are to count the event."""


class RemoveQuery(msgspec.Struct, frozen=True):
    """Parameters of a call that publishes one event."""

    wait: Literal["applied"] | None = None
    """Answer once the event is applied."""


class PutQuery(RemoveQuery, frozen=True):
    """Parameters of a call that publishes what a user did."""

    recommendation_id: str | None = None
    """The recommendation that led to it."""


class MergeBody(msgspec.Struct, frozen=True):
    """Where a guest's likes and signals go."""

    into: str | int
    """The id of the account."""


async def _like(call: Call) -> Response:
    return await publish(call, Like(call.user_id(), call.item_id()))


async def _unlike(call: Call) -> Response:
    return await publish(call, Unlike(call.user_id(), call.item_id()))


async def _forget(call: Call) -> Response:
    return await publish(call, ForgetUser(call.user_id()))


async def _merge(call: Call) -> Response:
    return await publish(call, make_event("merge_users", call.user_id(), into=call.body.into))


def _signal(kind: SignalKind | None = None, *, remove: bool = False) -> Handler:
    """Return a handler for signals of a kind; None: the path names it."""

    async def handle(call: Call) -> Response:
        named = kind or parse_kind(call.path["kind"])
        event = (Unsignal if remove else Signal)(call.user_id(), call.item_id(), named)
        check_kind(event, call.gateway.settings.signals.accepted)
        return await publish(call, event)

    return handle


async def publish(call: Call, event: Event) -> Response:
    """Publish an event, and wait until it counts if the call asks for that."""
    recommendation_id = getattr(call.query, "recommendation_id", None)
    if recommendation_id is not None:
        parse_recommendation_id(recommendation_id)
    position = await call.gateway.events.publish(event, recommendation_id)
    status = 200
    if call.query.wait is not None:
        timeout_s = call.gateway.settings.gateway.wait_timeout_ms / 1000
        status = 200 if await call.gateway.applied.wait_for(position, timeout_s) else 202
    text = str(position)
    return json_answer(Published(text), status=status, headers={POSITION_HEADER: text})


def _put(path: str, summary: str, handler: Handler) -> Endpoint:
    return Endpoint(
        method="PUT",
        path=f"/v1/users/{{user_id}}/{path}/{{item_id}}",
        handler=handler,
        summary=summary,
        description=_WAITING,
        tag="likes",
        role="write",
        query=PutQuery,
        answer=Published,
        also=(202,),
        errors=("invalid_recommendation_id", *(_OF_KINDS if "{kind}" in path else ())),
    )


def _delete(path: str, summary: str, handler: Handler, tag: str = "likes") -> Endpoint:
    return Endpoint(
        method="DELETE",
        path=f"/v1/users/{{user_id}}{path}",
        handler=handler,
        summary=summary,
        description=_WAITING,
        tag=tag,
        role="write",
        query=RemoveQuery,
        answer=Published,
        also=(202,),
        errors=_OF_KINDS if "{kind}" in path else (),
    )


_OF_KINDS = ("invalid_kind", "unknown_kind")
ENDPOINTS = (
    _put("likes", "The user likes the item.", _like),
    _delete("/likes/{item_id}", "The user no longer likes the item.", _unlike),
    _put("dislikes", "The user dislikes the item: it is not shown again.", _signal(DISLIKE)),
    _delete(
        "/dislikes/{item_id}",
        "The user no longer dislikes the item.",
        _signal(DISLIKE, remove=True),
    ),
    _put("hidden", "The item is not shown to the user again.", _signal(HIDE)),
    _delete("/hidden/{item_id}", "The item may be shown again.", _signal(HIDE, remove=True)),
    _put(
        "signals/{kind}",
        "Record a signal, such as `buy`.",
        _signal(),
    ),
    _delete("/signals/{kind}/{item_id}", "The signal no longer counts.", _signal(remove=True)),
    _delete("", "Erase everything known about the user.", _forget, tag="users"),
    Endpoint(
        method="POST",
        path="/v1/users/{user_id}/merge",
        handler=_merge,
        summary="Move a guest's likes and signals to an account.",
        description=_WAITING,
        tag="users",
        role="write",
        query=RemoveQuery,
        body=MergeBody,
        answer=Published,
        also=(202,),
        errors=("invalid_merge",),
    ),
)
