"""Scenarios: the stored defaults of a request's options, applied before anything else looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.messages.replies import ErrorBody
from likewise.messages.requests import with_defaults
from serving.outgoing import error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.messages.scenarios import Scenario
    from serving.incoming import OpenRequest
    from serving.outgoing import Reply


def resolved(asked: OpenRequest, scenario: Callable[[str], Scenario | None]) -> OpenRequest | Reply:
    """Return the request with its scenario's defaults where it says nothing, or an error reply."""
    name = asked.request.scenario
    if name is None:
        return asked
    found = scenario(name)
    if found is None:
        unknown = ErrorBody("unknown_scenario", f"`scenario`: there is no scenario {name!r}")
        return error_reply(asked, unknown)
    try:
        return replace(asked, request=with_defaults(asked.request, found.defaults))
    except InvalidInputError as error:
        return error_reply(asked, ErrorBody(error.code, error.message))
