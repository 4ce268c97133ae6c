"""The executor without a model: fixers, regressions undone, single edits, in a process of its own. Costs nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from zwarm_ci.executors.base import Conduct, Order, Report
from zwarm_ci.executors.wire import order_text, read_result
from zwarm_ci.proc import Exit, run_lines
from zwarm_ci.scrub import child_env, decode, one_line


class Embedded:
    """Starts `embedded_main` and reads its events. Nothing is kept between turns."""

    name = "embedded"
    deterministic = True

    def unusable(self) -> str:
        """It needs nothing but this interpreter."""
        return ""

    def login(self) -> str:
        """It needs none."""
        return ""

    def version(self) -> str:
        """It is part of this package."""
        return ""

    def doubt(self) -> str:
        """Nothing speaks against it."""
        return ""

    def check(self, conduct: Conduct) -> None:
        """It has no use for it."""

    def turn(self, order: Order, on_line: Callable[[bytes], None]) -> Report:
        """Run one turn; see `Executor.turn`."""
        last: dict[str, Any] = {}

        def hear(line: bytes) -> None:
            on_line(line)
            last.update(_event(line))

        order.folder.mkdir(parents=True, exist_ok=True)
        order.scratch.mkdir(parents=True, exist_ok=True)
        names = {name for check in order.workbench.checks for name in check.env}
        ended = run_lines(
            [sys.executable, "-P", "-m", "zwarm_ci.executors.embedded_main"],
            cwd=order.folder,  # not the worktree: its files are data, not modules for our process
            env=child_env({"TMPDIR": str(order.scratch)}, names=names),
            timeout=order.timeout,
            silence=order.silence,
            on_line=hear,
            stdin=order_text(order).encode() + b"\n",
            halt=order.halt,
        )
        return replace(_report(ended, last, order), seconds=ended.seconds)

    def headline(self, line: bytes) -> str:
        """The text of a progress event."""
        try:
            event = json.loads(line)
        except ValueError:
            return ""
        return one_line(str(event.get("text", "")), 100) if isinstance(event, dict) else ""


def _event(line: bytes) -> dict[str, Any]:
    """A result event, or the suite runs of a progress event; anything else is nothing to us."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(event, dict):
        return {}
    if event.get("type") == "result":
        return {"result": event}
    return {"suite_runs": event["suite_runs"]} if isinstance(event.get("suite_runs"), int) else {}


def _report(ended: Exit, last: dict[str, Any], order: Order) -> Report:
    runs = last.get("suite_runs", 0)
    if ended.halted:
        return Report("killed", ended.halted, suite_runs=runs)
    if ended.timed_out:
        return Report("timed_out", f"the turn's {order.timeout:.0f} s were over", suite_runs=runs)
    if ended.silent:
        return Report("timed_out", f"no event for {order.silence:.0f} s", suite_runs=runs)
    if ended.ok and "result" in last:
        return read_result(last["result"])
    said = decode(ended.stderr).strip()
    if said:
        (order.folder / f"stderr_{order.turn}.txt").write_text(said + "\n", encoding="utf-8")
    last_line = one_line(said.rpartition("\n")[2], 400) or "it said nothing"
    return Report("failed", f"ended with {ended.code} and without a result: {last_line}", suite_runs=runs)
