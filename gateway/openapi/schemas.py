"""JSON Schemas of the types in the table of endpoints, with the explanations that the code gives their fields."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect as types

from likewise.explanations import explanations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.openapi.wire import Schema

_TEMPLATE = "#/components/schemas/{name}"


class Schemas:
    """The schemas of some types, and of the structs in them."""

    def __init__(self, kinds: Sequence[Any]) -> None:
        self._places = {repr(kind): at for at, kind in enumerate(kinds)}
        self._schemas, components = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
        structs = {kind.__name__: kind for one in kinds for kind in _structs(types.type_info(one))}
        self.components = {
            name: _finished(schema, structs.get(name)) for name, schema in components.items()
        }
        """The schemas of all structs in the types, by name."""

    def of(self, kind: Any) -> Schema:
        """Return the schema of one of the types."""
        return self._schemas[self._places[repr(kind)]]


def parameter_schemas(query: type) -> Iterator[tuple[str, Schema]]:
    """Yield the name and the schema of each parameter in a query string, with its description."""
    _, components = msgspec.json.schema_components([query], ref_template=_TEMPLATE)
    texts = explanations(query)
    for name, schema in components[query.__name__]["properties"].items():
        finished = _without_null(schema)
        if name in texts:
            finished = {"description": texts[name], **finished}
        yield name, finished


def _structs(kind: types.Type) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs in a type."""
    pending, seen = [kind], set()
    while pending:
        match pending.pop():
            case types.StructType(cls=cls, fields=fields) if cls not in seen:
                seen.add(cls)
                yield cls
                pending += [field.type for field in fields]
            case types.UnionType(types=parts):
                pending += parts
            case (
                types.ListType(item_type=item)
                | types.VarTupleType(item_type=item)
                | types.SetType(item_type=item)
                | types.FrozenSetType(item_type=item)
            ):
                pending.append(item)
            case types.TupleType(item_types=items):
                pending += items
            case types.DictType(key_type=key, value_type=value):
                pending += [key, value]
            case types.Metadata(type=inner):
                pending.append(inner)


def _finished(schema: Schema, struct: type[msgspec.Struct] | None) -> Schema:
    """Return the schema of a struct as the struct is encoded."""
    finished = {name: part for name, part in schema.items() if name != "title"}
    if "description" in finished:
        finished["description"] = _one_paragraph(finished["description"])
    if struct is None or "properties" not in finished:
        return finished
    texts = explanations(struct)
    omits = struct.__struct_config__.omit_defaults
    properties = {}
    for field in msgspec.structs.fields(struct):
        part: Schema = finished["properties"][field.encode_name]
        part = _without_null(part) if omits else {k: v for k, v in part.items() if k != "default"}
        if field.name in texts:
            part = {"description": texts[field.name], **part}
        properties[field.encode_name] = part
    finished["properties"] = properties
    if not omits:  # every field is always there
        finished["required"] = list(properties)
    return finished


def _without_null(schema: Schema) -> Schema:
    """Return the schema of an optional value without null, which means that it is not given."""
    rest = {name: part for name, part in schema.items() if part not in (None, (), [])}
    if "anyOf" in rest:
        parts = [part for part in rest.pop("anyOf") if part != {"type": "null"}]
        rest |= parts[0] if len(parts) == 1 else {"anyOf": parts}
    return rest


def _one_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split())
