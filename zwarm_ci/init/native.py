"""Which native hooks are to be written, and where; in words, what has to be done by hand."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from zwarm_ci import shims
from zwarm_ci.git import Repository
from zwarm_ci.init.steps import Step, content, shown


def plan(user: Repository) -> tuple[list[Step], list[str]]:
    """The hooks that are missing, each in front of what is there now; and what is left undone, with the reason."""
    where = shims.folder(user)
    if (manager := shims.manager(user.top)) is not None:
        why = f"native hooks: {manager.name} manages the hooks here ({manager.by_hand})"
        return [], [] if manager.calls else [why]
    if where.closed:
        return [], [f"native hooks: {where.closed}"]
    steps: list[Step] = []
    left: list[str] = []
    program = "" if where.shared else _program()
    for stage in shims.STAGES:
        hook = shims.look(where, stage)
        if hook.state == "ours" or hook.moved is not None:
            if hook.state == "ours" and not hook.runs:
                left.append(f"{shown(hook.path, user.top)}: it is ours, but git does not run it (chmod +x it)")
        elif why := _obstacle(hook):
            left.append(f"{shown(hook.path, user.top)}: {why}")
        else:
            there = hook.state == "foreign"
            aside = hook.path.with_name(stage + shims.SUFFIX) if there else None
            before = content(hook.path) if there else None
            after = there or hook.before is not None  # without ours: it was deleted, or the install was cut off
            why = "runs zwarm-ci after the hook that is there" if after else "a new hook"
            steps.append(Step(hook.path, before, shims.text(stage, program), mode=0o755, aside=aside, why=why))
    return steps, left


def _obstacle(hook: shims.Hook) -> str:
    """Why nothing is written over a hook; "" = nothing is in the way."""
    if hook.state == "changed":
        return "it was ours and was changed (take your lines out of it, or delete it)"
    if hook.before is not None and hook.state != "none":
        return f"{hook.before.name} is there already, from another time (move one of the two away)"
    if hook.own_name:
        return (
            f'it asks for its own name, so it cannot be called by another (add to it: zwarm-ci hook {hook.stage} "$@")'
        )
    if hook.state == "foreign" and not hook.path.is_file():
        return "it is no file (move it away)"
    return ""


def _program() -> str:
    """Where zwarm-ci is, for hooks that git runs with another PATH."""
    beside = Path(sys.executable).with_name("zwarm-ci")
    return str(beside) if beside.is_file() else shutil.which("zwarm-ci") or ""
