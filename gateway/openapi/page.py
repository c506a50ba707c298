"""The OpenAPI document as a page for people. It loads two style sheets and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gateway.openapi.curl import curl, example_of
from gateway.openapi.errors import meanings
from gateway.openapi.html import Html, blocks, h, inline, join
from gateway.openapi.shapes import shape
from gateway.problem import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_Operation = tuple[str, str, dict[str, Any]]
"""Path, method, operation."""


def page_of(document: dict[str, Any]) -> str:
    """Return the page."""
    info = document["info"]
    by_tag = {tag["name"]: _operations(document, tag["name"]) for tag in document["tags"]}
    components = document["components"]["schemas"]
    main = h(
        "main",
        h("h1", "The HTTP API"),
        h("p", f"Version {info['version']}. ", h("a", "openapi.json", href="/openapi.json")),
        blocks(info["description"]),
        (
            h(
                "section",
                h("h2", tag["name"].capitalize()),
                h("p", inline(tag["description"])),
                [_section(operation, components) for operation in by_tag[tag["name"]]],
                id=f"tag-{tag['name']}",
            )
            for tag in document["tags"]
        ),
        _errors(),
        id="main",
    )
    body = h(
        "body", h("a", "Skip to content", href="#main", class_="skip"), _navigation(by_tag), main
    )
    return "<!doctype html>\n" + h("html", _head(info["title"]), body, lang="en")


def _head(title: str) -> Html:
    return h(
        "head",
        h("meta", charset="utf-8"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("title", f"{title}: HTTP API"),
        h("link", rel="icon", href="/page/icon.svg", type="image/svg+xml"),
        h("link", rel="stylesheet", href="/docs/style.css"),
        h("link", rel="stylesheet", href="/page/style/tokens.css"),
        h("script", src="/page/theme.js"),
    )


def _navigation(by_tag: dict[str, list[_Operation]]) -> Html:
    groups = (
        h(
            "li",
            h("a", tag.capitalize(), href=f"#tag-{tag}"),
            h("ul", *(h("li", _link(operation)) for operation in operations)),
        )
        for tag, operations in by_tag.items()
    )
    errors = h("li", h("a", "Errors", href="#errors"))
    contents = h("details", h("summary", "Contents"), h("ul", *groups, errors))
    return h(
        "header",
        h("a", "likewise", href="/", class_="brand"),
        h("nav", contents, aria_label="Contents"),
    )


def _link(operation: _Operation) -> Html:
    path, method, content = operation
    return h("a", f"{method.upper()} {path}", href=f"#{content['operationId']}")


def _operations(document: dict[str, Any], tag: str) -> list[_Operation]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]


def _section(operation: _Operation, components: dict[str, Any]) -> Html:
    path, method, content = operation
    roles = [role for way in content["security"] for role in way.get("key", ())]
    return h(
        "article",
        h("h3", h("span", method.upper(), class_=f"method {method}"), " ", _breakable(path)),
        h("p", inline(content["summary"])),
        blocks(content.get("description", "")),
        h("p", "Role: ", h("code", roles[0]), class_="role") if roles else "",
        _parameters(content.get("parameters", ()), components),
        _body(content, components),
        h("h4", "Example"),
        _code(curl(example_of(path, method, content))),
        _answers(content["responses"], components),
        id=content["operationId"],
    )


def _parameters(parameters: Iterable[dict[str, Any]], components: dict[str, Any]) -> Html:
    rows = [
        h(
            "div",
            h("dt", h("code", one["name"]), " ", h("span", _place(one, components), class_="type")),
            h("dd", inline(_about(one, one["schema"], components))),
        )
        for one in parameters
    ]
    return join([h("h4", "Parameters"), h("dl", *rows)]) if rows else Html("")


def _about(described: dict[str, Any], schema: dict[str, Any], components: dict[str, Any]) -> str:
    """Return the description, or that of the schema or of what the schema refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found = [described, schema, components.get(name, {})]
    return next((one["description"] for one in found if "description" in one), "")


def _place(parameter: dict[str, Any], components: dict[str, Any]) -> str:
    where = "" if parameter["in"] == "query" else f", {parameter['in']}"
    return f"{shape(parameter['schema'], components)}{where}"


def _body(operation: dict[str, Any], components: dict[str, Any]) -> Html:
    content = operation.get("requestBody", {}).get("content", {})
    parts = [
        join([h("h4", "Body, ", h("code", media_type)), _fields(one["schema"], components)])
        for media_type, one in content.items()
    ]
    return join(parts)


def _answers(responses: dict[str, Any], components: dict[str, Any]) -> Html:
    parts: list[Html] = []
    errors: list[Html] = []
    for status, response in responses.items():
        if int(status) >= 400:
            errors.append(h("li", f"{status} ", _linked_codes(response["description"])))
            continue
        parts.append(h("h4", f"Answer, {status}"))
        for media_type, one in response.get("content", {}).items():
            parts.append(_fields(one["schema"], components))
            if "example" in one:
                parts.append(_example(one["example"], media_type))
    return join([*parts, h("details", h("summary", "Errors"), h("ul", *errors), class_="errors")])


def _fields(schema: dict[str, Any], components: dict[str, Any]) -> Html:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = components.get(name, schema)
    rows = [
        h(
            "div",
            h("dt", h("code", field), " ", h("span", shape(part, components), class_="type")),
            h("dd", inline(_about(part, part, components))),
        )
        for field, part in found.get("properties", {}).items()
    ]
    about = h("p", inline(found["description"])) if "description" in found else Html("")
    return join([about, h("dl", *rows) if rows else h("p", h("code", shape(schema, components)))])


def _example(example: Any, media_type: str) -> Html:
    if media_type == "application/json":
        return _code(json.dumps(example, indent=2, ensure_ascii=False))
    return _code(str(example))


def _code(text: str) -> Html:
    return h("pre", h("code", text), tabindex="0")


def _linked_codes(description: str) -> Iterator[Html]:
    """Yield the codes in the description of a problem, each with a link to its meaning."""
    for at, code in enumerate(description.split("`")[1::2]):
        yield join([", " if at else "", h("a", h("code", code), href=f"#error-{code}")])


def _errors() -> Html:
    rows = [
        h(
            "div",
            h("dt", h("code", code), " ", h("span", str(status_of(code)), class_="type")),
            h("dd", inline(meaning)),
            id=f"error-{code}",
        )
        for code, meaning in meanings().items()
    ]
    return h("section", h("h2", "Errors"), h("dl", *rows), id="errors")


def _breakable(path: str) -> Html:
    """Return the path, which may be broken before each slash."""
    parts = path.split("/")
    return h("code", parts[0], *(join([h("wbr"), f"/{part}"]) for part in parts[1:]))
