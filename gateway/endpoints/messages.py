"""The messages of the topics: the AsyncAPI document, and publishing one as any producer would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.answers import json_answer
from gateway.asyncapi import document
from gateway.endpoint import Call, Endpoint
from gateway.openapi.wire import MESSAGE
from gateway.problem import Problem
from likewise.client.inbox import ReplyInbox
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import event_key
from likewise.messages.experiments import decode_experiment
from likewise.messages.items import decode_item
from likewise.messages.reply_routes import MAX_REQUEST_BYTES
from likewise.messages.request_decoding import decode_request
from likewise.messages.scenarios import decode_scenario
from likewise.records import Unsent

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from gateway.gateway import Gateway
    from likewise.client.inbox import Expected

_REPLY_TIMEOUT_S = 5.0


class SentMessage(msgspec.Struct, frozen=True):
    """Where the message is, and the reply to a request."""

    topic: str
    position: str
    reply: dict[str, Any] | None = None
    """The reply; null for other messages than requests, and if none came within 5 s."""


async def _document(call: Call) -> Response:
    del call
    return json_answer(document())


async def _send(call: Call) -> Response:
    channel = _channels().get(call.path["name"])
    if channel is None or channel not in _KEYS:
        raise Problem("unknown_message", "there is no message of this name that apps can send")
    key = _KEYS[channel](Unsent(call.body))
    topic = getattr(call.gateway.topics, channel)
    if channel == "requests":
        return json_answer(await _asked(call.gateway, topic, call.body, key))
    position = await call.gateway.events.publish_record(topic, call.body, key)
    return json_answer(SentMessage(topic, str(position)))


async def _asked(gateway: Gateway, topic: str, value: bytes, key: bytes | None) -> SentMessage:
    """Publish a request, and wait for its reply as any client does."""
    with gateway.slow.place():
        inbox = await gateway.run(ReplyInbox, gateway.broker, gateway.topics.replies)
        try:
            with inbox.expecting() as expected:
                position = await gateway.events.publish_record(topic, value, key, expected.headers)
                reply = await _reply(expected)
        finally:
            await gateway.run(inbox.close)
    return SentMessage(topic, str(position), reply)


async def _reply(expected: Expected) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(_REPLY_TIMEOUT_S):
            value = await asyncio.wrap_future(expected.value)
    except TimeoutError:
        return None
    return msgspec.json.decode(value, type=dict[str, Any])


def _channels() -> dict[str, str]:
    """Return the channel of each message, by its name in the channel and among the components."""
    found = {}
    for channel, described in document()["channels"].items():
        for name, message in described["messages"].items():
            found[name] = found[message["$ref"].rpartition("/")[2]] = channel
    return found


def _request_key(record: Unsent) -> bytes | None:
    request = decode_request(record.value)
    subject = request.user_id or request.similar_to or request.users_for or request.users_like
    return None if subject is None else subject.encode()


def _scenario_key(record: Unsent) -> bytes:
    # Without a name in the body, the key would have to have it.
    return decode_scenario(record).name.encode()


_KEYS: dict[str, Callable[[Unsent], bytes | None]] = {
    "likes": lambda record: event_key(decode_event(record)),
    "items": lambda record: decode_item(record).item_id.encode(),
    "scenarios": _scenario_key,
    "experiments": lambda record: decode_experiment(record).name.encode(),
    "requests": _request_key,
}
"""By channel that apps write: checks a message as its readers do, and returns its key."""

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/messages",
        handler=_document,
        summary="The AsyncAPI document: every topic, message and header.",
        tag="operations",
        answer=dict[str, Any],
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{name}",
        handler=_send,
        summary="Publish a message to its topic; for a request, return the reply.",
        description=(
            "`name` is a message of the AsyncAPI document, such as `Like` or `RequestForUser`, and the "
            "body its payload. What the readers of the topic would refuse is refused here."
        ),
        tag="operations",
        role="admin",
        body=MESSAGE,
        raw_body=True,
        answer=SentMessage,
        max_body=MAX_REQUEST_BYTES,
        errors=("unknown_message", "overloaded"),
        weight=10,
    ),
)
