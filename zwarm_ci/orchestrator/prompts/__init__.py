"""What the host is told: its part, the day, the limits and the task; what it is told when it stopped too early, or goes on after a break.

No name in here ranks above another, and nothing of the repository's is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

from zwarm_ci.scrub import plain

Part = Literal["orchestrator", "pilot"]


def system(part: Part) -> str:
    """The whole system prompt of a part."""
    return Path(__file__).with_name(f"{part}.md").read_text(encoding="utf-8")


def version(part: Part) -> str:
    """Tells one wording of a prompt from another, for the record."""
    return hashlib.sha256(system(part).encode()).hexdigest()[:12]


def first(task: str, today: date, limits: Sequence[str]) -> str:
    """The first message: the task, fenced, with the day and the limits, a line each."""
    bounds = "\n".join(f"- {line}" for line in limits)
    return f"Today is {today.isoformat()}.\n\nLimits of this run:\n{bounds}\n\nYour task:\n\n{plain(task)}\n"


def early(missing: str) -> str:
    """To a host that ended its turn although the run has not ended. `missing`: what `exit` would be refused for."""
    return (
        f"Your turn ended, but the run has not: it ends when `exit` is accepted. What it lacks: {plain(missing)}\n"
        "Call `status`, go on, and call `exit` when everything is verified and accepted. If something cannot be done, end its "
        "sessions with a verdict and say so in `exit` or `chat`."
    )


def again(why: str, words: str = "") -> str:
    """To a host that goes on after a break: its memory may lack the last steps, the tools' does not. `words` are the user's."""
    said = f"\n\nThe user says: {plain(words)}" if words else ""
    return (
        f"The run was interrupted ({plain(why)}) and goes on now. Calls that were under way then may have done their work without your "
        "having seen the answer. Call `status` first: it knows all sessions, alive or ended, with their verdicts. Start nothing twice."
        f"{said}"
    )
