"""Recommendations: requests as on the topic, answered in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.answers import MODEL_HEADER, POSITION_HEADER, json_answer
from gateway.endpoint import Call, Endpoint
from gateway.problem import Problem
from likewise.messages.replies import Recommendations
from likewise.messages.request_decoding import parse_request

if TYPE_CHECKING:
    from starlette.responses import Response


class OptionsQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of a request as parameters; docs/protocol.md explains each."""

    count: int | None = None
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
    after: str | None = None
    deadline_ms: int | None = None
    exclude: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    where: str | None = None
    """A filter as JSON."""
    ranker: str | None = None


async def _recommend(call: Call) -> Response:
    return await _answer(call, user_id=call.user_id())


async def _answer(call: Call, **subject: Any) -> Response:
    fields = msgspec.to_builtins(call.query) | subject
    ranker = fields.pop("ranker", None)
    if "where" in fields:
        fields["where"] = _where(fields["where"])
    if "after" not in fields and (position := call.request.headers.get(POSITION_HEADER)):
        fields["after"] = position
    answer = await call.gateway.answers.ask(parse_request(fields), ranker)
    return json_answer(answer, headers={MODEL_HEADER: answer.model.version})


def _where(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise Problem("invalid_where", "`where` is not JSON", field="where") from None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/users/{user_id}/recommendations",
        handler=_recommend,
        summary="Recommend items to a user.",
        tag="recommendations",
        query=OptionsQuery,
        answer=Recommendations,
    ),
)
