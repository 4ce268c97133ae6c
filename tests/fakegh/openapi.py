"""GitHub's own description of its API, cut to what we use (tests/cut_openapi.py): requests and answers are held against it.

`fill` makes whole answers out of the few values that the double knows, so that they have every field that GitHub's have.
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

FIXTURE = Path(__file__).parents[1] / "data" / "github-openapi.json"
_MISSING = object()
_WORDS = {"uri": "https://forge.example/x", "date-time": "2026-01-02T03:04:05Z", "email": "x@forge.example"}


class Operation(NamedTuple):
    """One entry of the description, and the values of its path."""

    name: str
    description: dict[str, Any]
    values: dict[str, str]


@functools.cache
def published() -> dict[str, Any]:
    """The fixture."""
    return dict(json.loads(FIXTURE.read_text(encoding="utf-8")))


def find(method: str, path: str) -> Operation | None:
    """The operation that a request asks for."""
    for name, description in published()["operations"].items():
        verb, _, template = name.partition(" ")
        if verb == method and (found := _pattern(template).fullmatch(path)):
            values = {key: urllib.parse.unquote(value) for key, value in found.groupdict().items()}
            return Operation(name, description, values)
    return None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    """A path's pattern; GitHub marks `ref` and `basehead` as parts that may hold slashes."""
    made = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    made = re.sub(r"\{(ref|basehead)\}", r"(?P<\1>.+)", made)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", made))


def wrong_request(operation: Operation, query: dict[str, str], body: Any) -> list[str]:
    """What is wrong with a request, a line each."""
    known = {p["name"]: p for p in operation.description["parameters"]}
    found = [f"{operation.name}: unknown query {key}" for key in query if known.get(key, {}).get("in") != "query"]
    for key, value in {**operation.values, **query}.items():
        if key in known:
            schema = known[key]["schema"]
            given: Any = int(value) if schema.get("type") == "integer" and value.isdecimal() else value
            found += _errors(schema, given, f"{operation.name} {key}")
    schema = operation.description["request"]
    if schema is None:
        return found + ([f"{operation.name}: takes no body"] if body is not None else [])
    properties = schema.get("properties", {})
    if properties and isinstance(body, dict):
        found += [f"{operation.name}: unknown field {key}" for key in body if key not in properties]
    return found + _errors(schema, body, f"{operation.name} request")


def wrong_answer(operation: Operation, status: int, body: Any) -> list[str]:
    """What is wrong with an answer, a line each; of codes that are not described, a message is all that is asked for."""
    schema = operation.description["responses"].get(str(status))
    if schema is None:
        return (
            [] if status < 400 or (isinstance(body, dict) and "message" in body) else [f"{operation.name}: no message"]
        )
    return _errors(schema, body, f"{operation.name} {status}")


def answer(operation: Operation, status: int, known: Any) -> Any:
    """A whole answer with the values that are known."""
    schema = operation.description["responses"].get(str(status))
    return fill(schema, known) if schema else known


def _errors(schema: dict[str, Any], value: Any, what: str) -> list[str]:
    return [
        f"{what}: {'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
        for e in _validator(json.dumps(schema)).iter_errors(value)
    ]


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({"components": published()["components"], **json.loads(schema)})


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = published()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema:
        parts = [_resolved(part) for part in schema["allOf"]]
        return {
            "type": "object",
            "properties": {key: value for part in parts for key, value in part.get("properties", {}).items()},
            "required": [key for part in parts for key in part.get("required", ())],
        }
    return schema


def fill(schema: dict[str, Any], known: Any = _MISSING) -> Any:
    """`known` with every required field that it lacks, of the right type."""
    schema = _resolved(schema)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        if known in (_MISSING, None) and any(_resolved(o).get("type") == "null" for o in options):
            return None
        made = [fill(o, known) for o in options if _resolved(o).get("type") != "null"]
        return next((m for o, m in zip(options, made, strict=False) if not _errors(o, m, "")), made[0])
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if known is None or (known is _MISSING and "null" in kinds):
        return None
    kind = next(k for k in kinds if k != "null")
    if kind == "object":
        return _object(schema, {} if known is _MISSING else known)
    if kind == "array":
        return [fill(schema.get("items", {}), item) for item in ([] if known is _MISSING else known)]
    return _scalar(schema, kind) if known is _MISSING else known


def _object(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    made = dict(known)
    for key in {*schema.get("required", ()), *known}:
        if key in properties:
            made[key] = fill(properties[key], known.get(key, _MISSING))
    return made


def _scalar(schema: dict[str, Any], kind: str) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "string":
        return _WORDS.get(schema.get("format", ""), "x" * schema.get("minLength", 0))
    return {"boolean": False, "number": 0.0}.get(kind, schema.get("minimum", 0))
