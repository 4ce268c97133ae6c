"""Orders and reports as JSON: what goes into a session's process and comes out as its last line."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from zwarm_ci.checks.base import PACKAGE_SETTINGS
from zwarm_ci.codec import from_data, to_data
from zwarm_ci.executors.base import Order, Report

SCHEMA = 1  # 1: first form
_HANDED_ON = ("PYTHONPATH",)


def order_text(order: Order) -> str:
    """One line of JSON."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "environ": {k: v for k, v in os.environ.items() if _handed_on(k)},
            **to_data(replace(order, halt=None)),
        }
    )


def _handed_on(name: str) -> bool:
    return name in _HANDED_ON or bool(PACKAGE_SETTINGS.match(name))


def handed_on(text: str) -> dict[str, str]:
    """Variables that the session's process needs for finding the environment, but not for its own start."""
    return dict(json.loads(text)["environ"])


def read_order(text: str) -> Order:
    """The order that `order_text` wrote.

    Raises:
        ValueError: it is none.
    """
    data = json.loads(text)
    del data["schema"], data["environ"]
    return from_data(Order, data)


def result_event(report: Report) -> dict[str, Any]:
    """The last event of a session: every field of its report."""
    return {"type": "result", "schema": SCHEMA, **to_data(report)}


def read_result(event: dict[str, Any]) -> Report:
    """The report of a `result` event.

    Raises:
        ValueError: it is not one of ours.
    """
    return from_data(Report, {k: v for k, v in event.items() if k not in {"type", "schema"}})
