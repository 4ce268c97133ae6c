"""`--dry-run`: which checks would run and why, on which base, with which executors, at what cost at most."""

from __future__ import annotations

import json

from zwarm_ci import selection, staffing
from zwarm_ci import site as places
from zwarm_ci.config import Settings
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.pricing import format_cost
from zwarm_ci.selection import Request


def preview(request: Request, *, as_json: bool) -> str:
    """What would run, as text or JSON; nothing of the repository's is executed and no run is made.

    Raises:
        UsageError, BlockedError: as the run itself would.
    """
    user = open_repository(request.directory)
    request = selection.with_last_green(request, user)
    user.free_branch(selection.branch_name(request, places.run_id()))
    with places.workshop(user) as (scratch, private):
        base, settings = selection.base_and_settings(request, private)
        furnisher = Furnisher(private, base)
        look = private.worktree(base, scratch / "look" / furnisher.name)
        checks, notes = selection.choose_checks(request, settings, look.path, furnisher.env_of, user.prefix)
        pythons = dict.fromkeys(furnisher.env_of(c.workdir).note for c in checks)
        replaying = request.means.replay is not None
        rungs, paying = staffing.ladder(settings, staffing.gateway(settings, replaying=replaying), replaying=replaying)
        rungs = selection.able(request, rungs, paying)
        paying = (*_said(request, settings), *paying)
        if request.command == "orchestrate":
            planner = settings.orchestrator
            paying = (
                f"planned by {':'.join(filter(None, (planner.host, planner.lm)))}, {planner.max_steps} steps at most",
                *paying,
            )
    names = [r.name for r in rungs]
    paid = request.command == "orchestrate" or any(r.paid for r in rungs)
    ceiling = min(settings.budget.usd, settings.budget.day_usd) if paid else 0.0
    document = {
        "base": base,
        "snapshot": base != user.head and not request.base,
        "checks": [{"name": c.name, "command": c.run, "kind": c.kind, "timeout": c.timeout} for c in checks],
        "ladder": names,
        "minutes": settings.budget.minutes,
        "cost_ceiling_usd": ceiling,
        "notes": list(paying),
    }
    if as_json:
        return json.dumps(document, indent=1) + "\n"
    kind = "a snapshot of the working tree on " + user.head[:12] if document["snapshot"] else base[:12]
    lines = [f"base      {kind}", *(f"check     {note}" for note in notes), *(f"python    {p}" for p in pythons)]
    lines += [f"executor  {', '.join(names)}", *(f"          {note}" for note in paying)]
    lines += [f"limits    {settings.budget.minutes:g} minutes; cost at most {format_cost(ceiling)}", "Nothing was run."]
    return "\n".join(lines) + "\n"


def _said(request: Request, settings: Settings) -> tuple[str, ...]:
    """What is known of the thing that somebody else asked for."""
    if request.asked is None:
        return ()
    declined = request.asked.declined(settings)
    return (*request.asked.notes(settings), *([declined.reason] if declined else []))
