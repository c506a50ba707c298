"""The stored options of requests: those of scenarios and of the variants of experiments.

They are applied before anything else looks at a request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.messages.replies import ErrorBody
from likewise.messages.request_decoding import fields_given
from likewise.messages.requests import with_defaults, with_explicit
from serving.outgoing import error_reply
from serving.participation import participation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.messages.experiments import Experiment
    from likewise.messages.scenarios import Scenario
    from serving.incoming import OpenRequest
    from serving.outgoing import Reply


def resolved(
    asked: OpenRequest,
    scenario: Callable[[str], Scenario | None],
    running: Sequence[Experiment] = (),
) -> OpenRequest | Reply:
    """Return the request with its stored options where it says nothing, or an error reply.

    `running` are the experiments that it may take part in, in the order of `in_order`.
    """
    request = asked.request
    defaults = None
    if request.scenario is not None:
        found = scenario(request.scenario)
        if found is None:
            unknown = ErrorBody(
                "unknown_scenario", f"`scenario`: there is no scenario {request.scenario!r}"
            )
            return error_reply(asked, unknown)
        defaults = found.defaults
    if running:
        if request.scenario is None and asked.record.value:
            request = with_explicit(request, fields_given(asked.record.value))
        part = participation_of(request, defaults, running)
        if part is not None:
            return replace(asked, request=part.requests[0], part=part)
    if defaults is None:
        return asked
    try:
        return replace(asked, request=with_defaults(request, defaults))
    except InvalidInputError as error:
        return error_reply(asked, ErrorBody(error.code, error.message))
