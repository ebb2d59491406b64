"""Examples, made from what the fields of a JSON schema declare."""

from __future__ import annotations

from typing import Any

_BY_TYPE: dict[str, Any] = {"string": "…", "integer": 1, "number": 1.0, "boolean": True, "null": None}


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """The first example that the schema declares, or one put together from those of its fields. References are
    looked up in `schemas` by the last part of their name.
    """
    match schema:
        case {"examples": [dict(first), *_], "properties": dict(properties)}:
            return {name: first[name] for name in properties if name in first}
        case {"examples": [first, *_]}:
            return first
        case {"$ref": str(reference)}:
            return example_of(schemas[reference.rsplit("/", 1)[1]], schemas)
        case {"const": value} | {"enum": [value, *_]} | {"default": value}:
            return value
        case {"anyOf": [first, *_]}:
            return example_of(first, schemas)
        case {"properties": dict(properties)}:
            return {name: example_of(field, schemas) for name, field in properties.items()}
        case {"type": "array", "items": dict(items)}:
            return [example_of(items, schemas)]
        case {"type": "object"}:
            return {}
        case _:
            return _BY_TYPE.get(schema.get("type", ""))
