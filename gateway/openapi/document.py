"""The OpenAPI document of a table of endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.openapi import wire
from gateway.openapi.operations import operation_of
from gateway.openapi.schemas import Schemas
from gateway.openapi.wire import Schema, referenced
from likewise import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.endpoint import Endpoint

TAGS: Final = {
    "recommendations": "What to recommend.",
    "likes": "What users like, dislike and do.",
    "items": "The catalogue.",
    "users": "What is known about a user.",
    "models": "Models and rankers.",
    "experiments": "Ways to answer, compared by the likes that follow.",
    "operations": "What is running, and what is wrong.",
}
_DESCRIPTION = """\
likewise turns likes into recommendations, live. The bodies are those of the Kafka topics; unknown fields are \
ignored, and `null` in an optional field means that it is not given.

- **Ids** are strings of 1 to 256 bytes of UTF-8, percent-encoded in a path: `a/b` is `a%2Fb`. The ids `.` and `..` cannot be sent in \
a path; use `POST /v1/events` and `POST /v1/recommendations`.
- **Positions.** A write returns once Kafka has the event. It answers with the event's position, also in the header \
`Likewise-Position`. A request that carries this header gets an answer that counts the event.
- **Errors** are problem details (RFC 9457) with a stable `code`. After 429 and 503, try again when `Retry-After` is over.
- **Keys.** Where the gateway has API keys, send one as `Authorization: Bearer KEY`.
"""


def openapi(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the document, as JSON is decoded."""
    table = list(endpoints)
    kinds = [kind for one in table for kind in (one.body, one.answer) if kind is not None]
    schemas = Schemas(kinds)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        operation = operation_of(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    used = {endpoint.tag for endpoint in table}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "likewise",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "description": text} for name, text in TAGS.items() if name in used
        ],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _components({**schemas.components, "Problem": _PROBLEM}, paths),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key with the role `read`, `write` or `admin`.",
                }
            },
        },
    }


def _components(own: dict[str, Schema], paths: dict[str, Any]) -> dict[str, Schema]:
    """Return these components, with those of the wire contract that they and the paths refer to."""
    found = dict(own)
    pending = referenced([paths, *own.values()])
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = wire.schemas()[name]
            pending |= referenced(found[name])
    return dict(sorted(found.items()))


_PROBLEM: Schema = {
    "description": "Problem details, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "Where the documentation explains the code."},
        "title": {"type": "string", "description": "What the code means."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong, for people."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "field": {"type": "string", "description": "The field or parameter at fault."},
    },
}
