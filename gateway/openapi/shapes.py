"""A JSON Schema in a few words."""

from __future__ import annotations

from typing import Any

_LONGEST = 80


def shape(schema: dict[str, Any], components: dict[str, Any]) -> str:
    """Return what a value with this schema is: `integer, 1 to 1000`."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            found = components[name]
            return name if "properties" in found or "anyOf" in found else shape(found, components)
        case {"const": constant}:
            return repr(constant)
        case {"enum": values}:
            return ", ".join(map(str, values))
        case {"anyOf": parts}:
            named = dict.fromkeys(shape(part, components) for part in parts)
            text = " or ".join(named)
            return text if len(text) <= _LONGEST else "one of several"
        case {"type": "array"}:
            items = shape(schema.get("items", {}), components)
            return f"list of {items.replace('string', 'strings').replace('integer', 'integers')}"
        case {"type": kind}:
            kinds = kind if isinstance(kind, list) else [kind]
            return " or ".join(kinds) + _bounds(schema)
    return "any value"


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    text = f", {low} to {high}" if low is not None and high is not None else ""
    default = schema.get("default")
    if default is not None and default not in ("", []):
        text += f", default {str(default).lower()}"
    return text
