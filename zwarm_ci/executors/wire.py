"""Orders and reports as JSON: what goes into a session's process and comes out as its last line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zwarm_ci.checks.base import PACKAGE_SETTINGS
from zwarm_ci.executors.base import Conduct, Order, Report, Workbench
from zwarm_ci.task import Check, Endpoint, Origin, Task, Usage, failure_of

SCHEMA = 1  # 1: first form
_HANDED_ON = ("PYTHONPATH",)


def order_text(order: Order) -> str:
    """One line of JSON."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "environ": {k: v for k, v in os.environ.items() if _handed_on(k)},
            **asdict(replace(order, halt=None)),
        },
        default=str,
    )


def _handed_on(name: str) -> bool:
    return name in _HANDED_ON or bool(PACKAGE_SETTINGS.match(name))


def handed_on(text: str) -> dict[str, str]:
    """Variables that the session's process needs for finding the environment, but not for its own start."""
    return dict(json.loads(text)["environ"])


def read_order(text: str) -> Order:
    """The order that `order_text` wrote."""
    data = json.loads(text)
    del data["schema"], data["environ"]
    bench = data["workbench"]
    checks = tuple(Check(**{**c, **_tuples(c, "env", "include", "files")}) for c in bench["checks"])
    workbench = Workbench(
        Path(bench["private"]),
        Path(bench["top"]),
        bench["base"],
        checks,
        bench["last_green"],
        bench["revert"],
        tuple(bench["protect"]),
        Path(bench["shared"]) if bench["shared"] else None,
        tuple(bench["cohort"]),
        bench["built_for"],
    )
    failures = tuple(failure_of(f) for f in data["task"]["failures"])
    paths = {name: Path(data[name]) for name in ("worktree", "folder", "scratch")}
    task = Task(**{**data["task"], "failures": failures})
    cli = {
        "total": Usage(**data["total"]),
        "endpoint": Endpoint(**data["endpoint"]) if data["endpoint"] else None,
        "conduct": Conduct(**{**data["conduct"], **_tuples(data["conduct"], "env")}),
    }
    return Order(**{**data, **paths, **cli, "task": task, "workbench": workbench, "refused": tuple(data["refused"])})


def result_event(report: Report) -> dict[str, Any]:
    """The last event of a session: every field of its report."""
    return {"type": "result", "schema": SCHEMA, **asdict(report)}


def read_result(event: dict[str, Any]) -> Report:
    """The report of a `result` event.

    Raises:
        TypeError, KeyError: it is not one of ours.
    """
    fields = {k: v for k, v in event.items() if k not in {"type", "schema"}}
    origin = Origin(**{**fields["origin"], **_tuples(fields["origin"], "places")}) if fields["origin"] else None
    counts = {name: Usage(**fields[name]) for name in ("usage", "total")}
    models = tuple((model, Usage(**usage)) for model, usage in fields["models"])
    return Report(**{**fields, **counts, "origin": origin, "models": models, "left": tuple(fields.get("left", ()))})


def _tuples(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: tuple(data[name]) for name in names}
