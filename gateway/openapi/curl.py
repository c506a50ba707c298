"""Examples of calls with curl, from the OpenAPI document."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_ORIGIN = "http://localhost:8080"


@dataclass(frozen=True, slots=True)
class Example:
    """A request: what the example in the documentation sends."""

    method: str
    target: str
    """The path, with a query string."""
    body: Any = None


def example_of(path: str, method: str, operation: dict[str, Any]) -> Example:
    """Return the example of an operation: its required parameters and its first body."""
    query = []
    for parameter in operation.get("parameters", ()):
        name, value = parameter["name"], parameter.get("example")
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        elif parameter["in"] == "query" and value is not None:
            query.append(f"{name}={quote(str(value), safe='')}")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    bodies = [example["value"] for example in content.get("examples", {}).values()]
    target = path + ("?" + "&".join(query) if query else "")
    return Example(method.upper(), target, bodies[0] if bodies else None)


def curl(example: Example) -> str:
    """Return the command that sends the request."""
    parts = ["curl"]
    if example.method not in ("GET", "POST") or (example.method == "POST" and not example.body):
        parts.append(f"-X {example.method}")
    parts.append(shlex.quote(_ORIGIN + example.target))
    lines = [" ".join(parts)]
    if example.body is not None:
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(json.dumps(example.body, ensure_ascii=False))}")
    return " \\\n  ".join(lines)
