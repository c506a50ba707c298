"""The JSON answers of endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from gateway.endpoint import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

POSITION_HEADER = "Likewise-Position"
MODEL_HEADER = "Likewise-Model"

_encoder = msgspec.json.Encoder()


def json_answer(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer of JSON."""
    return Response(_encoder.encode(body), status, headers, JSON)
