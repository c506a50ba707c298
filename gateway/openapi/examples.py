"""Examples of bodies and answers. Tests compare each with its schema."""

from __future__ import annotations

from functools import cache
from typing import Any

from gateway import asyncapi
from gateway.openapi.resource_examples import RESOURCE_ANSWERS, RESOURCE_BODIES
from gateway.openapi.wire import Schema, referenced

_MESSAGES = {
    "Events": {"like": ("Like", "least"), "signal": ("Signal", "signal")},
    "CatalogueItemInput": {"item": ("CatalogueItem", "everything")},
    "Scenario": {"home": ("Scenario", "home")},
    "RecommendationRequest": {
        "user": ("RequestForUser", "forUser"),
    },
}
"""Of each body, its examples by name: a message of asyncapi.yaml, and the name of the example there."""
_BODIES: dict[str, dict[str, Any]] = {
    "MergeBody": {"account": {"into": "ann"}},
    **RESOURCE_BODIES,
}
"""The examples of bodies that no topic has."""
_PATH = {"user_id": "ann", "item_id": "dune", "kind": "buy", "name": "home"}
_VERSION = "20260101T120000.000Z"


def path_example(name: str) -> str:
    """Return an example of a path parameter."""
    return _PATH.get(name, _VERSION)


def body_examples(schema: Schema) -> dict[str, Any]:
    """Return the examples of a body with this schema, as a member of a media type object."""
    for name in sorted(referenced(schema) & _MESSAGES.keys()):
        examples = {
            example: {"value": _of_http(_payloads(message)[theirs])}
            for example, (message, theirs) in _MESSAGES[name].items()
        }
        return {"examples": examples}
    for name in referenced(schema) & _BODIES.keys():
        return {"examples": {example: {"value": body} for example, body in _BODIES[name].items()}}
    return {}


def answer_example(schema: Schema) -> dict[str, Any]:
    """Return the example of an answer with this schema, as a member of a media type object."""
    for name in referenced(schema) & ANSWERS.keys():
        example = ANSWERS[name]
        return {"example": [example] if schema.get("type") == "array" else example}
    return {}


def _of_http(payload: dict[str, Any]) -> dict[str, Any]:
    """Return an item without its id, which is in the path; other messages as they are."""
    return {k: v for k, v in payload.items() if k != "item_id" or "title" not in payload}


@cache
def _payloads(message: str) -> dict[str, Any]:
    examples = asyncapi.document()["components"]["messages"][message]["examples"]
    return {example["name"]: example["payload"] for example in examples}


ANSWERS: dict[str, Any] = {
    "Published": {"position": "3:17"},
    "PublishedEvents": {"published": 2, "positions": ["3:17", "0:41"]},
    "Recommendations": {
        "items": [
            {
                "item_id": "solaris",
                "score": 0.045,
                "because": [{"item_id": "dune", "contribution": 0.0226}],
                "fields": {"title": "Solaris"},
            }
        ],
        "source": "model",
        "model": {"version": _VERSION, "age_s": 12.5},
        "user_id": "ann",
        "recommendation_id": "01J8Z7Q4",
    },
    **RESOURCE_ANSWERS,
    "Session": {"name": "shop", "roles": ["read", "write"], "keys_required": True},
}
"""By the name of the component."""
