"""Cuts tests/data/github-openapi.json out of GitHub's published OpenAPI: the operations that our client uses and their schemas.

    npm install --no-save @octokit/openapi@VERSION     # some 400 MB, so in a folder of its own
    python tests/cut_openapi.py node_modules/@octokit/openapi

Descriptions and examples are left out; `nullable` of OpenAPI 3.0 becomes the `null` of JSON Schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("data") / "github-openapi.json"
REPO = "/repos/{owner}/{repo}"
OPERATIONS = (
    ("get", REPO),
    ("get", f"{REPO}/collaborators/{{username}}/permission"),
    ("get", f"{REPO}/issues/{{issue_number}}"),
    ("post", f"{REPO}/issues/{{issue_number}}/labels"),
    ("get", f"{REPO}/issues/{{issue_number}}/comments"),
    ("post", f"{REPO}/issues/{{issue_number}}/comments"),
    ("patch", f"{REPO}/issues/comments/{{comment_id}}"),
    ("get", f"{REPO}/pulls"),
    ("post", f"{REPO}/pulls"),
    ("patch", f"{REPO}/pulls/{{pull_number}}"),
    ("post", f"{REPO}/pulls/{{pull_number}}/requested_reviewers"),
    ("get", f"{REPO}/compare/{{basehead}}"),
    ("get", f"{REPO}/git/ref/{{ref}}"),
    ("get", f"{REPO}/actions/runs/{{run_id}}/jobs"),
    ("get", f"{REPO}/actions/jobs/{{job_id}}/logs"),
    ("post", f"{REPO}/check-runs"),
)
#: What validation needs of a schema; everything else is prose.
_KEPT = frozenset(
    "type properties required items enum oneOf anyOf allOf $ref format maxLength minLength maxItems minItems "
    "minimum maximum pattern additionalProperties default".split()
)


def schema(found: Any) -> Any:
    """One schema without prose, with `null` for `nullable`."""
    if isinstance(found, list):
        return [schema(part) for part in found]
    if not isinstance(found, dict):
        return found
    kept = {
        key: {name: schema(s) for name, s in value.items()} if key == "properties" else schema(value)
        for key, value in found.items()
        if key in _KEPT
    }
    if found.get("nullable"):
        if "enum" in kept:
            kept["enum"] = [*kept["enum"], None]
        if "type" in kept:
            kept["type"] = [kept["type"], "null"]
        elif kept:
            kept = {"anyOf": [kept, {"type": "null"}]}
    return kept


def operation(whole: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Parameters, the request's schema and the answers' of one operation."""
    parameters = [resolved(whole, p) for p in found.get("parameters", ())]
    answers = {}
    for code, answer in found["responses"].items():
        content = resolved(whole, answer).get("content", {})
        form = content.get("application/json", content.get("application/scim+json", {}))
        answers[code] = schema(form["schema"]) if "schema" in form else None
    body = found.get("requestBody", {})
    return {
        "parameters": [{"name": p["name"], "in": p["in"], "schema": schema(p["schema"])} for p in parameters],
        "request": schema(body["content"]["application/json"]["schema"]) if body else None,
        "responses": answers,
    }


def resolved(whole: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a reference points at, or the thing itself."""
    if "$ref" not in found:
        return found
    at: Any = whole
    for part in found["$ref"].removeprefix("#/").split("/"):
        at = at[part]
    return dict(at)


def references(found: Any) -> set[str]:
    """Names of the schemas that are referred to."""
    if isinstance(found, list):
        return set().union(*map(references, found))
    if not isinstance(found, dict):
        return set()
    own = {found["$ref"].rpartition("/")[2]} if isinstance(found.get("$ref"), str) else set()
    return own.union(*map(references, found.values()))


def cut(package: Path) -> dict[str, Any]:
    """The fixture's content."""
    whole = json.loads((package / "generated" / "api.github.com.json").read_text(encoding="utf-8"))
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    operations = {
        f"{method.upper()} {path}": operation(whole, whole["paths"][path][method]) for method, path in OPERATIONS
    }
    known = whole["components"]["schemas"]
    schemas: dict[str, Any] = {}
    todo = references(operations)
    while todo:
        name = todo.pop()
        schemas[name] = schema(known[name])
        todo |= references(schemas[name]) - set(schemas)
    return {
        "source": f"npm @octokit/openapi {about['version']}, GitHub's REST API description {whole['info']['version']}",
        "license": f"{about['license']} (Copyright (c) 2020 Octokit contributors; Copyright (c) GitHub)",
        "operations": operations,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(cut(Path(sys.argv[1])), indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
