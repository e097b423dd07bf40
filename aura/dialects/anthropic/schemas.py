"""JSON schemas as Anthropic's constrained decoding takes them.

Facts
  - Every object is closed (``additionalProperties`` false); bounds on numbers, lengths and counts are refused, as are
    patterns, recursion and references to elsewhere. ``minItems`` may be 0 or 1.
  - A choice is ``anyOf``; a type is one type.
See https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

from __future__ import annotations

from typing import Any

import orjson

from ...call import Json

_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_KEPT = ("title", "description", "enum", "const", "default", "type")
_LOOSE = {"not", "if", "then", "else", "patternProperties", "dependentSchemas", "prefixItems", "$dynamicRef"}
# Says nothing about the value.
_SILENT = {"$schema", "$id", "$comment", "additionalProperties", "examples", "deprecated", "readOnly", "writeOnly"}
_DEPTH = 64


def constrained(schema: Json) -> Json | None:
    """The schema in the form that is enforced; None where that would change which answers are right.

    What cannot be enforced but can be followed (bounds, patterns) is told to the model in the description.
    """
    try:
        out = _Schema(schema).of(schema, 0)
    except _Inexpressible:
        return None
    return out


class _Inexpressible(Exception):
    """The schema allows what constrained decoding cannot produce."""


class _Schema:
    """One schema document."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._open: list[str] = []
        self._checked: set[str] = set()

    def of(self, schema: Any, depth: int) -> Json:
        """One schema of the document."""
        if not isinstance(schema, dict) or depth > _DEPTH or _LOOSE & schema.keys():
            raise _Inexpressible
        schema = dict(schema)
        out: Json = {}
        for key in ("$defs", "definitions"):
            definitions = schema.pop(key, None)
            if isinstance(definitions, dict):
                out[key] = {name: self.of(part, depth + 1) for name, part in definitions.items()}
        if "$ref" in schema:
            self._check_reference(schema["$ref"], depth)
            return {**out, "$ref": schema["$ref"]}
        kinds = schema.get("type")
        if isinstance(kinds, list) and "enum" not in schema:
            schema = _split(schema, kinds)
        if "enum" in schema or "const" in schema:
            schema.pop("type", None)
        out.update({key: schema.pop(key) for key in _KEPT if key in schema})
        self._choices(schema, out, depth)
        self._members(schema, out, depth)
        _tell_rest(schema, out)
        return out

    def _check_reference(self, reference: Any, depth: int) -> None:
        """A reference may lead to another part of the document, but not back to itself."""
        if not isinstance(reference, str) or not reference.startswith("#/") or reference in self._open:
            raise _Inexpressible
        if reference in self._checked:
            return
        self._checked.add(reference)
        found: Any = self._root
        for step in reference[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        self._open.append(reference)
        self.of(found, depth + 1)
        self._open.pop()

    def _choices(self, schema: Json, out: Json, depth: int) -> None:
        for key, sent in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
            parts = schema.pop(key, None)
            if isinstance(parts, list) and parts:
                if sent in out:
                    raise _Inexpressible
                out[sent] = [self.of(part, depth + 1) for part in parts]

    def _members(self, schema: Json, out: Json, depth: int) -> None:
        kind = out.get("type")
        if kind == "object" or (kind is None and "properties" in schema):
            self._object(schema, out, depth)
        elif kind == "array":
            if "items" not in schema:
                raise _Inexpressible
            out["items"] = self.of(schema.pop("items"), depth + 1)
            if schema.get("minItems") in (0, 1):
                out["minItems"] = schema.pop("minItems")
        elif kind == "string" and schema.get("format") in _FORMATS:
            out["format"] = schema.pop("format")
        elif kind is None and not {"enum", "const", "anyOf", "allOf"} & out.keys():
            raise _Inexpressible  # anything at all

    def _object(self, schema: Json, out: Json, depth: int) -> None:
        properties = schema.pop("properties", None)
        further = schema.get("additionalProperties")
        if isinstance(further, dict) or (not properties and further is not False):
            raise _Inexpressible  # keys of the model's own choice
        out["type"] = "object"
        properties = properties if isinstance(properties, dict) else {}
        out["properties"] = {name: self.of(part, depth + 1) for name, part in properties.items()}
        if isinstance(schema.get("required"), list):
            out["required"] = schema.pop("required")
        out["additionalProperties"] = False


def _split(schema: Json, kinds: list[Any]) -> Json:
    """One of several types, as a choice of schemas."""
    outer: Json = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    return {**outer, "anyOf": [{"type": "null"} if kind == "null" else {**schema, "type": kind} for kind in kinds]}


def _tell_rest(rest: Json, out: Json) -> None:
    told = [f"{key}: {orjson.dumps(value).decode()}" for key, value in rest.items() if key not in _SILENT]
    if told:
        hint = f"({', '.join(told)})"
        out["description"] = f"{out['description']} {hint}" if isinstance(out.get("description"), str) else hint
