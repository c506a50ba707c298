"""What the caller may do: the page asks it which views to show, and whether to ask for a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.answers import json_answer
from gateway.endpoint import Endpoint
from gateway.security.principal import Role

if TYPE_CHECKING:
    from starlette.responses import Response

    from gateway.endpoint import Call


class Session(msgspec.Struct, frozen=True):
    """The rights of the caller."""

    name: str
    """The name of the key; `everybody` where no keys are required, `nobody` without a key."""
    roles: tuple[Role, ...]
    keys_required: bool


async def _session(call: Call) -> Response:
    roles: list[Role] = ["read", "write", "admin"]
    return json_answer(
        Session(
            call.principal.name,
            tuple(role for role in roles if role in call.principal.roles),
            call.gateway.security.keys_required,
        )
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/session",
        handler=_session,
        summary="Who you are, and what you may do.",
        description="Answers without a key as well. A wrong or expired key is an error.",
        tag="operations",
        role=None,
        answer=Session,
    ),
)
