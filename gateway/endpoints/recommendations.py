"""Recommendations: requests as on the topic, answered in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.answers import MODEL_HEADER, POSITION_HEADER, json_answer
from gateway.endpoint import Call, Endpoint
from gateway.openapi.wire import REQUEST
from gateway.problem import Problem
from likewise.messages.positions import Position
from likewise.messages.replies import Recommendations
from likewise.messages.reply_routes import MAX_REQUEST_BYTES
from likewise.messages.request_decoding import decode_request, fields_given, parse_request
from likewise.messages.requests import Request, with_explicit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

    Handler = Callable[[Call], Awaitable[Response]]


class UsersQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Parameters of a request for users."""

    count: int | None = None
    after: str | None = None
    deadline_ms: int | None = None


class OptionsQuery(UsersQuery, frozen=True, kw_only=True, omit_defaults=True):
    """The options of a request as parameters."""

    explain: bool | None = None
    diversity: float | None = None
    novelty: float | None = None
    rotation: float | None = None
    explore: float | None = None
    include_liked: bool | None = None
    fill: bool | None = None
    source: str | None = None
    scenario: str | None = None
    next_of: str | None = None
    exclude: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    where: str | None = None
    """A filter, as JSON."""
    ranker: str | None = None
    """One of the alternatives to the current model; see `GET /v1/rankers`."""


class ItemsQuery(OptionsQuery, frozen=True, kw_only=True, omit_defaults=True):
    """The same, where a user is optional."""

    user_id: str | None = None
    """What this user likes or hides is left out."""


class _Ranker(msgspec.Struct):
    ranker: str | None = None


_POSITION_HEADER = POSITION_HEADER.lower().encode()
_ranker_decoder = msgspec.json.Decoder(_Ranker)


async def _recommend(call: Call) -> Response:
    user_id = call.user_id()
    if not call.request.scope["query_string"]:  # the usual request: nothing to check
        return await _answer(call, Request(user_id=user_id), None)
    return await _ask(call, user_id=user_id)


async def _similar(call: Call) -> Response:
    return await _ask(call, similar_to=call.item_id())


async def _users_for(call: Call) -> Response:
    return await _ask(call, users_for=call.item_id())


async def _users_like(call: Call) -> Response:
    return await _ask(call, users_like=call.user_id())


def _ranked_by(source: str) -> Handler:
    async def handle(call: Call) -> Response:
        return await _ask(call, source=source)

    return handle


async def _whole_request(call: Call) -> Response:
    request = decode_request(call.body)
    if call.gateway.catalogue.experiments:
        request = with_explicit(request, fields_given(call.body))
    ranker = None
    if b'"ranker"' in call.body:
        try:
            ranker = _ranker_decoder.decode(call.body).ranker
        except msgspec.ValidationError:
            raise Problem("wrong_type", "`ranker` is not a string", field="ranker") from None
    return await _answer(call, request, ranker)


async def _ask(call: Call, **subject: Any) -> Response:
    """Answer the request that the query string and the path make."""
    fields = msgspec.to_builtins(call.query) | subject
    ranker = fields.pop("ranker", None)
    if "where" in fields:
        fields["where"] = _where(fields["where"])
    request = parse_request(fields)
    if call.gateway.catalogue.experiments:
        request = with_explicit(request, fields)
    return await _answer(call, request, ranker)


async def _answer(call: Call, request: Request, ranker: str | None) -> Response:
    position = call.header(_POSITION_HEADER)
    if position is not None and request.after is None:
        request = msgspec.structs.replace(request, after=Position.parse(position))
    answer = await call.gateway.answers.ask(request, ranker)
    return json_answer(answer, headers={MODEL_HEADER: answer.model.version})


def _where(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise Problem("invalid_where", "`where` is not JSON", field="where") from None


def _get(path: str, handler: Handler, summary: str, query: type, weight: float = 1) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        tag="recommendations",
        query=query,
        answer=Recommendations,
        weight=weight,
    )


ENDPOINTS = (
    _get(
        "/v1/users/{user_id}/recommendations",
        _recommend,
        "Recommend items to a user.",
        OptionsQuery,
    ),
    Endpoint(
        method="POST",
        path="/v1/recommendations",
        handler=_whole_request,
        summary="Answer a whole request, as on the topic `recommendation-requests`.",
        tag="recommendations",
        body=REQUEST,
        raw_body=True,
        answer=Recommendations,
        max_body=MAX_REQUEST_BYTES,
    ),
    _get("/v1/items/{item_id}/similar", _similar, "Items like this one.", ItemsQuery),
    _get("/v1/items/popular", _ranked_by("popular"), "The most popular items.", ItemsQuery),
    _get("/v1/items/trending", _ranked_by("trending"), "Items with many recent likes.", ItemsQuery),
    _get("/v1/items/new", _ranked_by("new"), "The newest items of the catalogue.", ItemsQuery),
    _get("/v1/items/{item_id}/users", _users_for, "Users who would like the item.", UsersQuery, 20),
    _get("/v1/users/{user_id}/similar", _users_like, "Users with a similar taste.", UsersQuery, 20),
)
