"""The rankers that can answer: that of the current model, and those built next to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint

if TYPE_CHECKING:
    from starlette.responses import Response

DESCRIPTIONS: dict[str, str] = {
    "blend": "All singular vectors, and the links between items that they leave out.",
    "ridge": "A regression of items on items over the whole spectrum.",
    "spectral": "Singular vectors alone: what is alike in general.",
    "cooccurrence": "Links between items alone: what is liked together.",
    "neighbours": "The original: likes of the 50 nearest users, by the angle of 40 singular vectors.",
    "auto": "The recipe that ranked best the likes that its build held out.",
}


class AvailableRanker(msgspec.Struct, frozen=True):
    """A ranker, and the version of its model."""

    ranker: str
    """For the parameter `ranker` of a request, except for the current one, which needs none."""
    version: str
    current: bool
    """Whether it answers requests that name no ranker."""
    description: str


async def _rankers(call: Call) -> Response:
    gateway = call.gateway
    served = gateway.models.current()
    current = served.model.recipe.ranker
    built = await gateway.run(gateway.alternatives.manifests)
    rows = [AvailableRanker(current, served.version, True, DESCRIPTIONS[current])]
    rows += [
        AvailableRanker(ranker, manifest.version, False, DESCRIPTIONS[ranker])
        for ranker, manifest in built.items()
    ]
    return json_answer(rows)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/rankers",
        handler=_rankers,
        summary="List the rankers that requests can name.",
        description=(
            "The current model's, and those that the setting `indexer.alternatives` has built from the "
            "same likes."
        ),
        tag="models",
        answer=list[AvailableRanker],
    ),
)
