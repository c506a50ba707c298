"""What bodies may hold: the schemas of asyncapi.yaml, which the topics and HTTP share.

AsyncAPI's are kept simple for generators of classes. Where the code accepts more, or less, than they show, the schemas
here are exact.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec

from gateway import asyncapi
from likewise.messages.ids import MAX_ID_BYTES
from likewise.messages.items import MAX_LABELS, MAX_STRINGS
from likewise.messages.where import MAX_IN_VALUES, MAX_VALUE_BYTES

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
_EVENTS = (
    *("Like", "Unlike", "Dislike", "Undislike", "Hide", "Unhide", "Signal", "Unsignal"),
    *("MergeUsers", "ForgetUser", "RetireItem", "RestoreItem"),
)
_SUBJECTS = {
    "user_id": "UserId",
    "liked": "ItemIds",
    "similar_to": "ItemId",
    "users_for": "ItemId",
    "users_like": "UserId",
}
_OF_KAFKA = {"request_id", "reply_to", "version"}


def reference(name: str) -> Schema:
    """Return a reference to the component with this name."""
    return {"$ref": f"{_PREFIX}{name}"}


def referenced(schema: object) -> set[str]:
    """Return the names of the components that the schema refers to."""
    if isinstance(schema, dict):
        here = schema.get("$ref", "")
        found = {here.removeprefix(_PREFIX)} if str(here).startswith(_PREFIX) else set()
        return found.union(*map(referenced, schema.values()))
    if isinstance(schema, list):
        return set().union(*map(referenced, schema))
    return set()


def _body(name: str) -> Any:
    """Return a type for `Endpoint.body` with the schema of this name."""
    return Annotated[Any, msgspec.Meta(extra_json_schema=reference(name))]


EVENTS = _body("Events")
"""One event or several."""
REQUEST = _body("RecommendationRequest")
ITEM = _body("CatalogueItemInput")
SCENARIO = _body("Scenario")
EXPERIMENT = Annotated[Any, msgspec.Meta(extra_json_schema=reference("Experiment"))]
NEW_EXPERIMENT = _body("NewExperiment")
_MESSAGES = ("Event", "CatalogueItemInput", "Scenario", "RecommendationRequest")
MESSAGE = Annotated[
    Any, msgspec.Meta(extra_json_schema={"anyOf": [reference(name) for name in _MESSAGES]})
]
"""Any message that apps write."""


@cache
def schemas() -> dict[str, Schema]:
    """Return the schemas by name. Callers must not change them."""
    shared: dict[str, Schema] = asyncapi.document()["components"]["schemas"]
    return {
        **shared,
        **{name: _id_schema(shared[name]) for name in ("UserId", "ItemId")},
        "ItemIds": {"type": "array", "maxItems": 10_000, "items": reference("ItemId")},
        "Labels": _labels(shared["Labels"]),
        **_where(),
        "Event": {
            "description": "An event, as on the topic `likes`.",
            "anyOf": [reference(name) for name in (*_EVENTS, "CloudEvent")],
        },
        "CloudEvent": _cloud_event(),
        "Events": {
            "description": "One event, or several.",
            "anyOf": [reference("Event"), {"type": "array", "items": reference("Event")}],
        },
        "CatalogueItemInput": shared["CatalogueItem"],
        "RecommendationRequest": _request(shared),
        "NewExperiment": _new_experiment(shared["Experiment"]),
    }


def request_properties() -> dict[str, Schema]:
    """Return the schemas of the options that a request may have, by name."""
    properties: dict[str, Schema] = schemas()["RecommendationRequest"]["properties"]
    return properties


def _id_schema(shared: Schema) -> Schema:
    return {**shared, "type": ["string", "integer"]}


def _request(shared: dict[str, Schema]) -> Schema:
    """Return one schema for all subjects; for the topic there is one for each."""
    _options, context = shared["RequestOptions"]["allOf"]
    added = {k: v for k, v in context["properties"].items() if k not in _OF_KAFKA}
    return {
        "description": (
            "A request, as on the topic `recommendation-requests`. One of `user_id`, `liked`, `similar_to`, "
            "`users_for` and `users_like` is required, unless `source` is `popular`, `trending` or `new`. Only "
            "`user_id` and `similar_to` go together."
        ),
        "type": "object",
        "properties": {
            **{name: reference(kind) for name, kind in _SUBJECTS.items()},
            **shared["Options"]["properties"],
            **added,
            "ranker": {
                "description": "One of the alternatives to the current model; see `GET /v1/rankers`.",
                "type": "string",
            },
        },
    }


def _new_experiment(shared: Schema) -> Schema:
    """Return the schema of an experiment that has not started: the gateway sets its times."""
    later = {"name", "started_at_ms", "canary", "stopped_at_ms", "outcome", "version"}
    properties = {name: part for name, part in shared["properties"].items() if name not in later}
    # Only the indexer starts a prequential one.
    properties["kind"] = {"type": "string", "enum": ["split", "interleaved"]}
    properties["variants"] = {**properties["variants"], "minItems": 1}
    return {
        **shared,
        "description": "An experiment to start. A split one, unless `kind` says otherwise.",
        "required": ["variants"],
        "properties": properties,
    }


def _cloud_event() -> Schema:
    return {
        "description": "A CloudEvents 1.0 envelope. Without `data.action`, `type` ends with the action.",
        "type": "object",
        "required": ["specversion", "data"],
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": {"type": "string"},
            "source": {"type": "string"},
            "type": {"type": "string"},
            "data": {"type": "object"},
        },
    }


def _labels(shared: Schema) -> Schema:
    strings = {"type": "array", "maxItems": MAX_STRINGS, "items": {"type": "string"}}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    return {
        **shared,
        "maxProperties": MAX_LABELS,
        "propertyNames": {"pattern": "^[^$]", "maxLength": MAX_ID_BYTES},
        "additionalProperties": {"anyOf": [scalar, strings]},
    }


def _where() -> dict[str, Schema]:
    """Return the schemas of a filter."""
    number_or_text = {"type": ["string", "number"], "maxLength": MAX_VALUE_BYTES}
    scalar = {"type": ["string", "number", "boolean"], "maxLength": MAX_VALUE_BYTES}
    scalars = {"type": "array", "maxItems": MAX_IN_VALUES, "items": scalar}
    filters = {"type": "array", "minItems": 1, "items": reference("Where")}
    comparison = {
        **dict.fromkeys(("$eq", "$ne"), scalar),
        **dict.fromkeys(("$in", "$nin"), scalars),
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), number_or_text),
        "$exists": {"type": "boolean"},
        "$not": reference("Comparison"),
    }
    return {
        "Where": {
            "description": (
                "A filter on catalogue fields, as in MongoDB: each name of a field has a value or a comparison. "
                "At most 10 levels and 200 conditions. Values for `published_at` are times."
            ),
            "type": "object",
            "properties": {"$and": filters, "$or": filters, "$not": reference("Where")},
            "propertyNames": {
                "anyOf": [
                    {"enum": ["$and", "$or", "$not"]},
                    {"pattern": "^[^$]", "maxLength": MAX_ID_BYTES},
                ]
            },
            "additionalProperties": {"anyOf": [scalar, reference("Comparison")]},
        },
        "Comparison": {
            "description": "Operators that must all hold for the value of the field.",
            "type": "object",
            "minProperties": 1,
            "properties": comparison,
            "additionalProperties": False,
        },
    }
