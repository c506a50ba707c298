"""Schemathesis sends what openapi.json describes, and what it does not: answers match it, and none is a 500."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from gateway.endpoints.documents import document

if TYPE_CHECKING:
    from tests.deployment import Deployment


def no_fault_of_the_gateway(
    context: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case[Any],
) -> None:
    """Refuse 500, and 503, for which fakes give no reason. 504 is a deadline that passed."""
    assert response.status_code not in {500, 502, 503}, response.text


@schemathesis.serializer("application/x-ndjson")
def lines(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return the body as it is sent: what is no text is a line of JSON."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


EXAMPLES = int(os.environ.get("API_EXAMPLES", "10"))
CHECKS = [
    no_fault_of_the_gateway,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

described = schemathesis.openapi.from_dict(document())
api = described.exclude(path="/v1/live")  # it ends when the client leaves


@pytest.mark.timeout(120 + 2 * EXAMPLES)
@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(case: schemathesis.Case[Any], running: Deployment) -> None:
    case.call_and_validate(base_url=running.url, checks=CHECKS, timeout=20)
