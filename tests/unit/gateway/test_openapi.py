"""The OpenAPI document says what the code does, and the page has all of it."""

from __future__ import annotations

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import gateway
from gateway import asyncapi
from gateway.endpoint import Endpoint
from gateway.endpoints import ENDPOINTS
from gateway.endpoints.documents import document
from gateway.openapi import wire
from gateway.openapi.document import openapi
from gateway.openapi.errors import UNKNOWN_PATH, codes_of, meanings
from gateway.openapi.html import blocks
from gateway.openapi.operations import operation_id
from gateway.openapi.page import page_of
from gateway.problem import HTTP_ERRORS
from likewise.errors import InvalidInputError
from likewise.messages.replies import Recommendations
from likewise.messages.request_decoding import parse_request
from likewise.messages.where import parse_where

DOCUMENT = document()
COMPONENTS = DOCUMENT["components"]["schemas"]
NAMED: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
OPERATIONS = [pytest.param(operation, id=name) for name, operation in NAMED.items()]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Return a validator; references lead to the wire contract or the document."""
    components = {**wire.schemas(), **COMPONENTS}
    return Draft202012Validator({**schema, "components": {"schemas": components}})


def errors(schema: dict[str, Any], value: Any) -> list[str]:
    return [error.message for error in validator(schema).iter_errors(value)]


# --- the document ----------------------------------------------------------------------------


def test_the_document_is_openapi() -> None:
    validate(DOCUMENT)


def test_every_endpoint_is_in_the_document_under_a_name_of_its_own() -> None:
    assert sorted(NAMED) == sorted(operation_id(endpoint) for endpoint in ENDPOINTS)


def test_every_reference_leads_to_a_component() -> None:
    assert wire.referenced(DOCUMENT) <= {*COMPONENTS}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_example_fits_its_schema(operation: dict[str, Any]) -> None:
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    answers = [
        content
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
    ]
    for content in [*bodies, *answers]:
        examples = [example["value"] for example in content.get("examples", {}).values()]
        for example in examples + ([content["example"]] if "example" in content else []):
            assert errors(content["schema"], example) == []
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            assert errors(parameter["schema"], parameter["example"]) == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_json_answer_and_body_has_an_example(operation: dict[str, Any]) -> None:
    answer = next(one for status, one in operation["responses"].items() if status < "400")
    content = answer.get("content", {}).get("application/json", {})
    if operation["operationId"] not in {"get-openapi-json", "get-messages"}:  # documents themselves
        assert not content or "example" in content
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    assert not body or "examples" in body


def test_optional_fields_of_an_answer_may_be_missing_and_are_never_null() -> None:
    schema = COMPONENTS["Recommendations"]
    assert schema["required"] == ["items", "source", "model"]
    assert schema["properties"]["user_id"] == {"type": "string"}


def test_a_write_and_a_question_say_which_headers_they_have() -> None:
    like = DOCUMENT["paths"]["/v1/users/{user_id}/likes/{item_id}"]["put"]
    assert "Likewise-Position" in like["responses"]["200"]["headers"]
    ask = DOCUMENT["paths"]["/v1/users/{user_id}/recommendations"]["get"]
    assert "Likewise-Model" in ask["responses"]["200"]["headers"]
    assert "Likewise-Position" in {parameter["name"] for parameter in ask["parameters"]}
    assert "Retry-After" in ask["responses"]["503"]["headers"]
    assert ask["security"] == [{"key": ["read"]}, {}]


# --- the wire contract -----------------------------------------------------------------------


def test_recommendations_are_those_of_asyncapi_yaml() -> None:
    shared = asyncapi.document()["components"]["schemas"]
    named = {
        "Recommendations": "Recommendations",
        "RecommendedItem": "RecommendedItem",
        "RankedUser": "RankedUser",
        "Because": "Contribution",
        "ModelStamp": "ModelInUse",
    }
    for ours, theirs in named.items():
        assert {*COMPONENTS[ours]["properties"]} == {*shared[theirs]["properties"]}
        assert {*COMPONENTS[ours]["required"]} == {*shared[theirs]["required"]}


MESSAGES = {
    "Events": ["Like", "Unlike", "Dislike", "Signal", "MergeUsers", "ForgetUser", "RetireItem"],
    "CatalogueItemInput": ["CatalogueItem"],
    "Scenario": ["Scenario"],
    "RecommendationRequest": ["RequestForUser", "RequestForSession", "RequestForUsersLikeUser"],
}


@pytest.mark.parametrize("body", MESSAGES)
def test_every_message_of_the_topics_is_a_body(body: str) -> None:
    for message in MESSAGES[body]:
        for example in asyncapi.document()["components"]["messages"][message]["examples"]:
            assert errors(wire.reference(body), example["payload"]) == []


def test_ids_may_be_integers() -> None:
    assert errors(wire.reference("Events"), {"user_id": 1, "item_id": 2}) == []
    assert errors(wire.reference("Event"), {"user_id": [1], "item_id": 2}) != []


@pytest.mark.parametrize("name", wire.request_properties())
def test_a_value_that_fits_the_schema_of_an_option_is_accepted(name: str) -> None:
    if name != "ranker":  # the gateway's own
        body = {"user_id": "u1"} if name not in wire._SUBJECTS else {}
        for value in VALUES[name]:
            assert errors(wire.reference("RecommendationRequest"), {**body, name: value}) == []
            parse_request({**body, name: value})


@pytest.mark.parametrize("name", wire.request_properties())
def test_a_value_that_does_not_fit_is_refused(name: str) -> None:
    body = {"user_id": "u1"} if name not in wire._SUBJECTS else {}
    assert errors(wire.reference("RecommendationRequest"), {**body, name: {"$x": {}}}) != []
    if name != "ranker":
        with pytest.raises(InvalidInputError):
            parse_request({**body, name: {"$x": {}}})


VALUES: dict[str, list[Any]] = {
    "user_id": ["u1", 42],
    "liked": [[], ["i1", 2]],
    "similar_to": ["i1"],
    "users_for": [7],
    "users_like": ["u1"],
    "count": [1, 1000],
    "exclude": [[], [1, "b"]],
    "explain": [True],
    "diversity": [0, 1, 0.5],
    "novelty": [0, 1],
    "include_liked": [True],
    "fill": [False],
    "where": [{}, {"a": 1}, {"$not": {"b": {"$in": ["x", 1, True]}}}],
    "only": [[]],
    "boost": [[{"where": {}, "factor": 1000}]],
    "pin": [[{"item_id": 1, "place": 1}]],
    "max_per": [{"field": "artist", "count": 1}],
    "fields": [["title", "x"]],
    "without": [["i1"]],
    "rotation": [0.5],
    "explore": [1],
    "source": ["model", "popular", "trending", "new"],
    "deadline_ms": [1, 3_600_000],
    "after": ["3:17"],
    "next_of": ["r-1_A"],
    "scenario": ["home"],
}

KEYS = st.sampled_from(
    ["$and", "$or", "$not", "$eq", "$ne", "$in", "$gt", "$lte", "$exists", "$x", "a", "b", ""]
)
FILTERS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(FILTERS)
def test_what_fits_the_schema_of_a_filter_is_what_the_code_accepts(raw: Any) -> None:
    try:
        parse_where(raw)
        accepted = True
    except InvalidInputError:
        accepted = False
    assert validator(wire.reference("Where")).is_valid(raw) == accepted


# --- errors ----------------------------------------------------------------------------------


def test_every_code_that_the_gateway_gives_has_a_meaning() -> None:
    given_codes = {
        node.args[0].value
        for path in Path(gateway.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"Problem", "InvalidInputError", "ReplyError"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert "unknown_parameter" in given_codes
    assert given_codes <= {*meanings()}


WITH_BODY = Endpoint(
    method="POST",
    path="/v1/x",
    handler=ENDPOINTS[0].handler,
    summary="Reads a body.",
    tag="items",
    body=wire.ITEM,
)


def test_every_code_of_http_is_listed_by_an_endpoint() -> None:
    listed = {code for endpoint in ENDPOINTS for code in codes_of(endpoint)}
    listed |= {*codes_of(WITH_BODY), *UNKNOWN_PATH}
    assert {*HTTP_ERRORS} <= listed


def test_an_endpoint_lists_only_codes_that_exist() -> None:
    for endpoint in ENDPOINTS:
        assert {*endpoint.errors} <= {*meanings()}, endpoint.path


# --- the page --------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects the ids, links, elements and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name == "href" and value]


PAGE = Reader(page_of(DOCUMENT))


def test_every_endpoint_and_every_code_has_a_place_on_the_page() -> None:
    assert {operation_id(endpoint) for endpoint in ENDPOINTS} <= {*PAGE.ids}
    assert {f"error-{code}" for code in meanings()} <= {*PAGE.ids}
    assert len({*PAGE.ids}) == len(PAGE.ids)


def test_every_link_on_the_page_leads_somewhere_in_the_deployment() -> None:
    for link in PAGE.links:
        assert link.startswith(("#", "/")), link
        if link.startswith("#"):
            assert link[1:] in PAGE.ids, link


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    assert "style" not in PAGE.elements | PAGE.attributes
    assert not [name for name in PAGE.attributes if name.startswith("on")]
    assert re.findall(r"<script[^>]*>[^<]", page_of(DOCUMENT)) == []


def test_what_the_table_says_is_shown_as_text() -> None:
    hostile = '<script>alert(1)</script> & `<b>` "quoted"'
    endpoint = Endpoint(
        method="GET",
        path="/v1/x",
        handler=ENDPOINTS[0].handler,
        summary=hostile,
        description=f"- {hostile}",
        tag="items",
    )
    page = page_of(openapi([endpoint]))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; <code>&lt;b&gt;</code>" in page


def test_markdown_is_paragraphs_lists_code_and_strong_text() -> None:
    text = "One\ntwo.\n\n- a `b`\n- **c**\n"
    assert blocks(text) == (
        "<p>One two.</p><ul><li>a <code>b</code></li><li><strong>c</strong></li></ul>"
    )


def test_the_document_is_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert any(endpoint.answer is Recommendations for endpoint in ENDPOINTS)
