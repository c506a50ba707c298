"""One endpoint as an OpenAPI operation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gateway.answers import MODEL_HEADER, POSITION_HEADER
from gateway.openapi.errors import by_status, codes_of
from gateway.openapi.examples import answer_example, body_examples, path_example
from gateway.openapi.schemas import parameter_schemas
from gateway.openapi.wire import reference, request_properties
from gateway.problem import MEDIA_TYPE
from gateway.reasons import reason_of
from likewise.messages.replies import Recommendations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.endpoint import Endpoint
    from gateway.openapi.schemas import Schemas
    from gateway.openapi.wire import Schema

_POSITION = {"type": "string", "pattern": r"^\d{1,9}:\d{1,18}$"}
_IDS = {"user_id": "UserId", "item_id": "ItemId"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 256}


def operation_of(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    """Return the operation."""
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if parameters := [*_parameters(endpoint)]:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        operation["requestBody"] = _request_body(endpoint, schemas)
    operation["responses"] = {**_success(endpoint, schemas), **_problems(endpoint)}
    # OpenAPI 3.1 lists the roles of a key here. Without keys in the settings, none is needed.
    operation["security"] = [] if endpoint.role is None else [{"key": [endpoint.role]}, {}]
    return operation


def operation_id(endpoint: Endpoint) -> str:
    """Return a name that no other endpoint has: `put-users-user-likes-item`."""
    path = endpoint.path.removeprefix("/v1").replace("_id}", "")
    words = re.findall(r"\w+", path) or ["root"]
    return "-".join([endpoint.method.lower(), *words]).replace("_", "-")


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", endpoint.path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _path_schema(name),
            "example": path_example(name),
        }
    if endpoint.query is not None:
        for name, schema in parameter_schemas(endpoint.query):
            yield _query_parameter(name, schema)
    if endpoint.answer is Recommendations:
        yield {
            "name": POSITION_HEADER,
            "in": "header",
            "description": "The position of an event: the answer counts it. It applies where `after` is not given.",
            "schema": _POSITION,
        }


def _path_schema(name: str) -> Schema:
    if name == "kind":
        return reference("SignalKind")
    text = {"description": "1 to 256 bytes of UTF-8, percent-encoded.", **_NAME}
    return text if name in _IDS else _NAME


def _query_parameter(name: str, schema: Schema) -> dict[str, Any]:
    shared = request_properties().get(name, {})
    own = {key: value for key, value in schema.items() if key != "description"}
    if name == "where":
        own = {**own, "contentMediaType": "application/json", "contentSchema": reference("Where")}
    elif shared and own.get("type") != "array":
        own = {key: value for key, value in shared.items() if key != "description"}
    parameter = {"name": name, "in": "query", "schema": own}
    description = schema.get("description") or shared.get("description")
    return parameter | ({"description": description} if description else {})


def _request_body(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.of(endpoint.body)
    content = {}
    for media_type in endpoint.accepts:
        if media_type.endswith("ndjson"):
            content[media_type] = {"schema": {"type": "string"}}
        else:
            content[media_type] = {"schema": schema, **body_examples(schema)}
    return {"required": True, "content": content}


def _success(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    return {
        str(status): _answer(endpoint, schemas, status)
        for status in (endpoint.status, *endpoint.also)
    }


def _answer(endpoint: Endpoint, schemas: Schemas, status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": reason_of(status)}
    if endpoint.answer is not None:
        schema = schemas.of(endpoint.answer)
        answer["content"] = {endpoint.media_type: {"schema": schema, **answer_example(schema)}}
    if headers := _headers(endpoint):
        answer["headers"] = headers
    return answer


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.answer is Recommendations:
        return {
            MODEL_HEADER: {
                "description": "The version of the model that answered.",
                "schema": {"type": "string"},
            }
        }
    if endpoint.role == "write" and endpoint.tag in ("likes", "users"):
        return {
            POSITION_HEADER: {
                "description": "The position of the event. A request that carries this header counts the event.",
                "schema": _POSITION,
            }
        }
    return {}


def _problems(endpoint: Endpoint) -> dict[str, Any]:
    problems = {
        str(status): _problem(status, codes)
        for status, codes in by_status(codes_of(endpoint)).items()
    }
    if endpoint.media_type == "text/plain":  # what is wrong, in words
        problems["503"]["content"]["text/plain"] = {"schema": {"type": "string"}}
        del problems["503"]["headers"]
    return problems


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": f"{reason_of(status)}: {', '.join(f'`{code}`' for code in codes)}.",
        "content": {MEDIA_TYPE: {"schema": reference("Problem")}},
    }
    if status in (429, 503):
        problem["headers"] = {
            "Retry-After": {
                "description": "Seconds until another attempt makes sense.",
                "required": True,
                "schema": {"type": "integer", "minimum": 0},
            }
        }
    return problem
