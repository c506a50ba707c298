"""The state of the deployment, as `likewise status` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.problem import Problem
from likewise.operations.status import Status, status_of

if TYPE_CHECKING:
    from starlette.responses import Response


class StatusQuery(msgspec.Struct, frozen=True):
    """How much to count."""

    counts: bool = False
    """Whether to count users and likes, one by one. Needs the role `admin`."""


async def _status(call: Call) -> Response:
    gateway, counts = call.gateway, call.query.counts
    if counts and "admin" not in call.principal.roles:
        raise Problem("missing_role", "`counts` needs the role `admin`", field="counts")
    run = gateway.slow.run if counts else gateway.run
    found = await run(status_of, gateway.settings, gateway.broker, gateway.store, counts=counts)
    return json_answer(found)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/status",
        handler=_status,
        summary="Show lag, dead letters, the catalogue's size and the current model.",
        description=(
            "The same as `likewise status --json`. `kafka` or `redis` is null, and `unreachable` says why, "
            "if a server cannot be reached: the status of the answer is 200 then, too."
        ),
        tag="operations",
        query=StatusQuery,
        answer=Status,
        errors=("missing_role", "overloaded"),
        weight=5,
    ),
)
