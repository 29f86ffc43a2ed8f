"""A check of values by the schemas of OpenAPI, as far as featx uses these."""

from __future__ import annotations

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def check(value, schema, schemas, place="$"):
    """Assert that a value is what a schema says; objects have nothing that it does not name."""
    if reference := schema.get("$ref"):
        check(value, schemas[reference.rpartition("/")[2]], schemas, place)
        return
    if named := schema.get("type"):
        kinds = [named] if isinstance(named, str) else named
        fits = [isinstance(value, _TYPES[each]) for each in kinds]
        assert any(fits), f"{place} is {value!r}, expected {kinds}"
    if "enum" in schema:
        assert value in schema["enum"], place
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"]), place
        for name, each in value.items():
            check(each, schema["properties"][name], schemas, f"{place}.{name}")
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9), place
        first = schema.get("prefixItems", [])
        for number, each in enumerate(value):
            own = first[number] if number < len(first) else schema.get("items", {})
            check(each, own, schemas, f"{place}[{number}]")
