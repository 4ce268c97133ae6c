"""What a turn did outside of its worktree, as a word on its patch: nothing is judged whose surroundings were tampered with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zwarm_ci.bystanders import Bystanders, Seen
from zwarm_ci.executors.trajectory import trajectory
from zwarm_ci.verdict import Verdict


def said(executor: str, events: Path) -> tuple[str, ...]:
    """The commands of a turn, the paths that it edited and its calls of tools, from its executor's own events."""
    lines = events.read_bytes().split(b"\n") if events.is_file() else []
    steps = [s for s in trajectory(executor, lines) if s.kind in {"command", "file change", "tool call"}]
    return tuple(f"{s.text}\n{s.detail}" if s.kind == "tool call" else s.text for s in steps)


def tampered(changed: Sequence[str], seen: Seen) -> Verdict | None:
    """The verdict on a turn that wrote where it may not; its patch is not even looked at. None = it did not.

    `changed`: files of the run's own repository that were put back.
    """
    if changed:
        reason = f"the session changed the run's own repository: {', '.join(changed[:3])}; it was put back"
        return Verdict("tampered", reason, seen.findings)
    if refused := seen.refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        return Verdict("tampered", f"{refused[0].detail}{more}", seen.findings)
    return Verdict("unverifiable", seen.spoiled, seen.findings) if seen.spoiled else None


def believed(verdict: Verdict, seen: Seen, bystanders: Bystanders) -> Verdict:
    """A verdict with what was seen of the turn; not accepted where another session spoiled the environment meanwhile."""
    verdict = replace(verdict, findings=(*verdict.findings, *seen.findings))
    if verdict.accepted and (why := bystanders.spoiled()):
        return replace(verdict, status="unverifiable", reason=why, evidence="")
    return verdict
