"""Two runs side by side: what became of each task, by its fingerprint, and what it took."""

from __future__ import annotations

from typing import Any

from zwarm_ci.pricing import format_cost
from zwarm_ci.reports import base
from zwarm_ci.scrub import one_line
from zwarm_ci.verdict import Outcome

SCHEMA = 1  # 1: {"schema", "runs", "tasks", "cost_usd", "wall_seconds", "suite_runs"}, pairs in the order of "runs"


def document(old: Outcome, new: Outcome) -> dict[str, Any]:
    """The comparison as JSON; a status is null where that run had no such task."""
    old, new = base.cleaned(old), base.cleaned(new)
    then = {t.task.fingerprint: t for t in old.tasks}
    now = {t.task.fingerprint: t for t in new.tasks}
    tasks = [
        {
            "fingerprint": key,
            "title": one_line((now.get(key) or then[key]).task.title),
            "status": [then[key].status if key in then else None, now[key].status if key in now else None],
        }
        for key in dict.fromkeys([*then, *now])
    ]
    return {
        "schema": SCHEMA,
        "runs": [old.run, new.run],
        "tasks": tasks,
        "cost_usd": [old.cost_usd, new.cost_usd],
        "wall_seconds": [round(old.seconds.wall, 3), round(new.seconds.wall, 3)],
        "suite_runs": [old.suite_runs, new.suite_runs],
    }


def render(old: Outcome, new: Outcome) -> str:
    """The comparison as plain text, what changed first."""
    found = document(old, new)
    lines = [" → ".join(found["runs"]), ""]
    for task in sorted(found["tasks"], key=lambda t: t["status"][0] == t["status"][1]):
        was, now = (base.words(s) if s else "no such task" for s in task["status"])
        lines.append(f"  {was if was == now else f'{was} → {now}'}: {task['title']}")
    cost = " → ".join(format_cost(max(0.0, c)) for c in found["cost_usd"])
    time = " → ".join(base.seconds(s) for s in found["wall_seconds"])
    runs = " → ".join(f"{n:,}" for n in found["suite_runs"])
    return "\n".join([*lines, "", f"  cost {cost} · time {time} · suite runs {runs}"]) + "\n"
