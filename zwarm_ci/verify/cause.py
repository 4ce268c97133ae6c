"""Proof that a patch is the cause: every hunk is needed, its lines run with the targets, its own tests fail without its source.

All of it runs the targets or the new tests alone. What the time allowed for it does not reach is said, never assumed.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zwarm_ci.baseline import only
from zwarm_ci.private import Change
from zwarm_ci.protected import is_protected
from zwarm_ci.task import Check, Failure, Task
from zwarm_ci.verdict import CheckResult, GuardFinding
from zwarm_ci.verify.court import Court, names
from zwarm_ci.verify.guards import Hunk, Patch

Proof = Literal["PROVEN", "WEAK", "INCONCLUSIVE"]
_MOST = 12  # hunks that are taken away one by one; of a larger patch, files
_SHARE = 0.3  # of the time of one whole run, for taking away
_LEAST = 30.0  # seconds, where that is less
_ASSERTS = re.compile(r"assert|expect|mismatch|panicked|Error: (?:Expected|expected)|\bwant\b", re.IGNORECASE)
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Cause:
    """What was seen of cause and effect.

    Attributes:
        parts: hunks (or files, of a larger patch) in source; tried: those that were taken away; idle: those without which the
            targets are green all the same.
        lines, covered: executable lines that the patch adds, and those of them that ran with the targets; None = cannot be seen.
        proofs: id of each test that came with the patch -> what it proves.
    """

    parts: int = 0
    tried: int = 0
    idle: tuple[str, ...] = ()
    lines: int | None = None
    covered: int = 0
    bare: tuple[tuple[str, int], ...] = ()
    proofs: dict[str, Proof] = field(default_factory=dict)

    @property
    def proof(self) -> Proof | None:
        """What the patch's own tests prove together: the best of them; None where it brought none."""
        ranked: tuple[Proof, ...] = ("PROVEN", "WEAK", "INCONCLUSIVE")
        return next((p for p in ranked if p in self.proofs.values()), None)


def is_sources(patch: Patch, path: str) -> bool:
    """Whether a path is part of what is repaired, rather than of what holds it to account."""
    return not is_protected(path, patch.rules.protect, patch.rules.about)


def needed(court: Court, check: Check, task: Task, patch: Patch, oracle: str) -> tuple[int, int, tuple[str, ...]]:
    """How many parts the patch has, how many were taken away in turn, and the places of those without which all targets are green.

    A part is a hunk, or, where there are more than a dozen, a file.
    """
    changes = {c.path: c for c in patch.changes if is_sources(patch, c.path)}
    hunks = [h for h in patch.hunks() if h.path in changes]
    whole = [c for c in changes.values() if not any(h.path == c.path for h in hunks)]  # modes, links, binaries
    parts: list[tuple[str, Hunk | Change]] = [(f"{h.path}:{h.new_start or 1}", h) for h in hunks]
    parts += [(c.path, c) for c in whole]
    if len(parts) > _MOST:
        parts = [(c.path, c) for c in changes.values()]
    if len(parts) < 2:  # taken away, the only one leaves the base, which is red
        return len(parts), len(parts), ()
    until = time.monotonic() + max(_LEAST, _SHARE * court.baseline.result(check.name).seconds)
    tried, idle = 0, []
    for place, part in parts[:_MOST]:
        if time.monotonic() > until:
            break
        without = _without(court, patch, oracle, part)
        tried += 1
        if without is None:
            continue
        result = court.trees.anew(check, without, only=only(task.targets))
        if not result.trouble and not result.timed_out and all(result.state(t) == "passed" for t in task.targets):
            idle.append(place)
    return len(parts), tried, tuple(idle)


def _without(court: Court, patch: Patch, tree: str, part: Hunk | Change) -> str | None:
    """`tree` less one part of the patch; None where that is the same."""
    repo = court.trees.repo
    change = part if isinstance(part, Change) else next(c for c in patch.changes if c.path == part.path)
    if isinstance(part, Change) or "000000" in (change.old_mode, change.new_mode):
        mode, blob = change.old_mode, change.old
    else:
        lines = _LINE.findall(patch.new_bytes(part.path))
        before = _LINE.findall(patch.old_bytes(part.path))
        at = part.new_start - 1 if part.new else part.new_start
        was = part.old_start - 1 if part.old else part.old_start
        lines[at : at + len(part.new)] = before[was : was + len(part.old)]
        mode, blob = change.new_mode, repo.write(b"".join(lines))
    made = repo.with_entries(tree, [f"{mode} {blob}\t".encode() + change.path.encode("utf-8", "surrogateescape")])
    return None if made == tree else made


def covered(
    court: Court, check: Check, task: Task, patch: Patch, oracle: str
) -> tuple[int, tuple[tuple[str, int], ...]] | None:
    """How many executable Python lines the patch adds, and those of them that do not run with the targets; None = cannot be seen."""
    wanted = wanted_lines(check, patch)
    if not wanted:
        return None
    prepared = court.trees.fresh(oracle, (check,), "lines")
    try:  # burn-in's last run has told it, as a rule
        result = court.trees.run(check, prepared, only=only(task.targets), lines=tuple(wanted))
    finally:
        court.trees.discard(prepared)
    if result.trouble or not result.lines:
        return None
    bare = [(p, n) for p, lines in wanted.items() for n in sorted(lines - set(result.lines.get(p, ())))]
    return sum(map(len, wanted.values())), tuple(bare)


def wanted_lines(check: Check, patch: Patch) -> dict[str, set[int]]:
    """The executable lines that the patch adds to source, by path; none where the check's kind cannot tell which ones run."""
    if check.kind != "pytest":
        return {}
    added: dict[str, set[int]] = {}
    for hunk in patch.hunks():
        if hunk.path.endswith(".py") and is_sources(patch, hunk.path) and hunk.new:
            added.setdefault(hunk.path, set()).update(range(hunk.new_start, hunk.new_start + len(hunk.new)))
    wanted = {path: executable(patch.new(path)) & lines for path, lines in added.items()}
    return {path: lines for path, lines in wanted.items() if lines}


def executable(text: str) -> set[int]:
    """Line numbers on which a statement of Python begins that does something; docstrings, `else:` and definitions' bodies apart."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    return {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and not isinstance(node, ast.Global | ast.Nonlocal | ast.Pass)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.AnnAssign) and node.value is None)
    }


def proofs(court: Court, check: Check, patch: Patch, new: Sequence[str], shapes: Sequence[Failure]) -> dict[str, Proof]:
    """What each new test says on the base with nothing of the patch but its tests.

    PROVEN: it fails there with an assertion or the task's own error. WEAK: it fails for another reason, such as an import
    that the patch brings. INCONCLUSIVE: it passes, or cannot be seen.
    """
    if not new:
        return {}
    tests = court.trees.repo.overlay(patch.base, patch.tree, lambda path: not is_sources(patch, path))
    result = court.trees.anew(check, tests, only=only(new))
    own = {f.shape for f in shapes if f.shape}
    return {i: _proof(result, i, own) for i in new}


def _proof(result: CheckResult, test_id: str, own: set[str]) -> Proof:
    if result.trouble or result.state(test_id) in {"passed", "skipped"}:
        return "INCONCLUSIVE"
    failure = result.failure(test_id)
    if failure is None:  # its module cannot even be imported without the source: nothing is shown of what it asserts
        module = result.failure(test_id.partition("::")[0])
        return "WEAK" if module else "INCONCLUSIVE"
    asserts = failure.shape in {"AssertionError", "Failed"} or bool(_ASSERTS.search(failure.message))
    return "PROVEN" if asserts or failure.shape in own else "WEAK"


def findings(cause: Cause, task: Task) -> Iterator[GuardFinding]:
    """What of it a person should look at."""
    for place in cause.idle:
        path, _, line = place.rpartition(":")
        where = (path, int(line)) if path and line.isdigit() else (place, None)
        detail = "without this part every target is green all the same"
        yield GuardFinding("cause", "review", where[0], where[1], detail, "see whether it belongs here")
    for path in dict.fromkeys(p for p, _ in cause.bare):
        lines = [n for p, n in cause.bare if p == path]
        shown = names([str(n) for n in lines])
        detail = f"{len(lines)} of the patch's lines run with no target: {shown}"
        yield GuardFinding("cause", "review", path, lines[0], detail, "see what they do")
    if task.targets:
        return
    for test_id, proof in cause.proofs.items():
        if proof != "PROVEN":
            why = (
                "fails without the patch for another reason than what it asserts"
                if proof == "WEAK"
                else "does not fail without the patch"
            )
            yield GuardFinding(
                "proof", "review", test_id.partition("::")[0], None, f"{test_id} {why}", "look at the test"
            )
