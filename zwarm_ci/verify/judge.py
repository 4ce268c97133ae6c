"""The only place that makes a Verdict: guards on the patch, then the checks in a clean worktree with the base's tests.

Targets first, in fresh processes, then everything in its own order. The tree with the base's tests laid over the patch is
the oracle; the tree to be delivered runs too where it differs. Whoever made the patch has no part in this.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from zwarm_ci.baseline import only
from zwarm_ci.detect.graph import gate
from zwarm_ci.private import PrivateRepository
from zwarm_ci.protected import is_protected
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.task import Check, Task
from zwarm_ci.verdict import CheckResult, GuardFinding, Verdict
from zwarm_ci.verify import cause as causes
from zwarm_ci.verify import guards, steady, varied
from zwarm_ci.verify.cause import Cause
from zwarm_ci.verify.compare import came, compare, curious, must_pass, odd_code, worse
from zwarm_ci.verify.court import Court, Opinion, Rejected, names
from zwarm_ci.verify.evidence import Facts, canonical
from zwarm_ci.verify.moved import moved
from zwarm_ci.verify.restated import restated

_GREEN = "green for the stated cause in a clean worktree, tests untouched"
_NO_TARGET = "nothing that passed fails in a clean worktree; no red test stands for the task, so no cause is proven"
_PROVEN = "nothing that passed fails in a clean worktree; {n} of the patch's own tests fail without its source"


@dataclass(slots=True)
class _Hearing:
    """One judgement while it goes on."""

    court: Court
    task: Task
    patch: guards.Patch
    findings: list[GuardFinding]
    runs: list[CheckResult] = field(default_factory=list)
    cause: Cause = field(default_factory=Cause)
    burned: int = 0
    doomed: bool | None = None
    seeds: tuple[int, ...] = ()
    subset: bool = False
    restated: int = 0

    @property
    def own(self) -> Check:
        """The check that the task is about."""
        return self.court.check(self.task.check)

    @property
    def changed(self) -> tuple[str, ...]:
        """Paths that the patch changes."""
        return tuple(c.path for c in self.patch.changes)


def judge(court: Court, task: Task, tree: str) -> Verdict:
    """The verdict on `tree`, offered as a repair of `task`.

    Raises:
        LimitError: the run's limits ended it.
    """
    started = time.monotonic()
    repo = court.trees.repo
    base_tree = repo.tree_of(court.base)
    commands = tuple(c.run for c in court.checks if c.kind == "generic")
    rules = replace(court.rules, about=about(court, task), commands=commands)
    patch = guards.Patch.between(repo, base_tree, tree, rules, task.targets)
    if not patch.changes:
        return Verdict("no_changes", "the tree is the base's")
    heard = _Hearing(court, task, patch, list(guards.look(patch)))
    try:
        oracle = _hear(heard, base_tree)
    except Rejected as no:
        seconds = time.monotonic() - started
        findings, runs = tuple(heard.findings), tuple(heard.runs)
        return Verdict(no.status, no.reason, findings, runs, seconds=seconds, draft=no.draft)
    heard.findings += _second_opinions(heard, base_tree)
    evidence = canonical(_facts(heard, base_tree, oracle))
    seconds = time.monotonic() - started
    return Verdict("fixed", _reason(heard), tuple(heard.findings), tuple(heard.runs), evidence, seconds)


def _hear(heard: _Hearing, base_tree: str) -> str:
    """Everything that may end in a rejection; the oracle's tree."""
    court, patch, repo = heard.court, heard.patch, heard.court.trees.repo
    untouched(repo)
    refuse(heard.findings)
    oracle = repo.overlay(patch.tree, base_tree, lambda p: is_protected(p, patch.rules.protect, patch.rules.about))
    if patch.rules.strict and oracle == base_tree:
        raise Rejected("tampered", "nothing is left of the patch once the tests and settings are the base's")
    if patch.rules.strict or heard.task.targets:
        _try(heard, oracle, moves=False)
    if oracle != patch.tree or not heard.runs:
        _try(heard, patch.tree, moves=True)
    if not patch.rules.strict and not heard.task.targets and oracle not in {patch.tree, base_tree}:
        _behaviour(heard, oracle)
    _own_code(heard.runs, heard.changed)
    _curious(heard)
    untouched(repo)
    if patch.rules.strict and heard.own.is_test and heard.task.targets:
        heard.findings += varied.ask(court, heard.own, heard.task, patch, oracle)
        refuse(heard.findings)
    _prove(heard, oracle)
    heard.findings += [*(_in_place(c) for c in court.checks if c.isolation == "inplace"), *_unseen(court)]
    return oracle


def about(court: Court, task: Task) -> frozenset[str]:
    """Paths that the task itself is about: where a linter's complaints lie, or what a person's words name."""
    if task.targets:
        own = court.check(task.check)
        return frozenset() if own.is_test else frozenset(f.place.path for f in task.failures if f.place)
    if task.quoted:  # words of somebody who may be anybody open nothing
        return frozenset()
    words = {w.strip("`'\"(),.;:") for w in task.text.split()}
    return frozenset(p for p in court.trees.repo.files(court.base) if p in words)


def untouched(repo: PrivateRepository) -> None:
    """The repository that trees are checked out of is as we made it; a filter put there shows other files than are delivered.

    Raises:
        Rejected: tampered.
    """
    if changed := repo.mend():
        raise Rejected("tampered", f"the run's own repository was changed: {names(changed)}; it was put back")


def _in_place(check: Check) -> GuardFinding:
    detail = (
        f"{check.name} ran in the CI checkout reset to the patched tree, not in a clean second one; a draft at most"
    )
    return GuardFinding("isolation", "review", "", None, detail, 'isolation = "twin"')


def _unseen(court: Court) -> tuple[GuardFinding, ...]:
    """Tests that a clean worktree skips though they run in the checkout: they say nothing of the patch."""
    ids = [test_id for _, test_id in court.baseline.hidden]
    detail = f"skipped in clean worktrees, though run in the checkout: {names(ids)}"
    return (GuardFinding("environment", "review", "", None, detail, "see `zwarm-ci doctor`"),) if ids else ()


def _own_code(runs: Sequence[CheckResult], changed: Sequence[str]) -> None:
    """What the patch changes and the runs imported must have come from the worktree, not from an installed copy."""
    for result in runs:
        for package in result.shadowed:
            if inner := [p for p in changed if p == package or p.startswith(f"{package}/")]:
                raise Rejected(
                    "unverifiable",
                    f"environment: {result.name} imports an installed copy in place of this tree's {inner[0]} "
                    "(install the project with `pip install -e .`)",
                )


def _curious(heard: _Hearing) -> None:
    """Code of a patch has no reason to open the tests that it is to pass, or to look at who calls it; a person's may."""
    court = heard.court
    for result in heard.runs if heard.patch.rules.strict else ():
        if found := curious(court, court.check(result.name), result, heard.changed):
            raise Rejected("tampered", f"the patch's code looks at what it is held to: {names(found)}")


def refuse(findings: Sequence[GuardFinding]) -> None:
    """Turn refusals into a rejection. A patch that leaves the oracle alone but is refused is still `tampered`: a guard said no.

    Raises:
        Rejected: tampered.
    """
    refused = [f for f in findings if f.level == "refuse"]
    if refused:
        first = refused[0]
        where = f" {first.path}" if first.path else ""
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise Rejected("tampered", f"{first.guard}:{where} {first.detail}{more}; to allow: {first.allow}")


def _try(heard: _Hearing, tree: str, *, moves: bool) -> None:
    """Targets, burn-in and everything that the change can reach, on one tree; what is seen but not refused becomes findings.

    In a monorepo that is the changed packages and their dependents, where that can be told; all of it runs on the union.
    """
    court, task, own = heard.court, heard.task, heard.own
    trees = court.trees
    if moves and own.is_test and (elsewhere := moved(heard.patch, task.targets)):
        there = (replace(f, id=elsewhere.get(f.id, f.id)) for f in task.failures)
        task = replace(task, failures=tuple(there))
    with trees.lazily(tree, court.checks, "verify") as prepared:
        if own.is_test and task.targets:
            lines = () if moves else tuple(causes.wanted_lines(own, heard.patch))
            heard.burned = steady.burn_in(court, own, task, heard.patch, prepared(), lines)
            if not moves:
                heard.doomed = steady.doomed(court, own, task, prepared())
        for check, asked in _reached(heard, prepared):
            doomed = task.targets if check is own else ()
            known = None if asked else trees.known(tree, check)
            result = known or trees.run(check, prepared(), only=asked, targets=doomed)
            heard.runs.append(result)
            if check is own:
                must_pass(result, task.targets, check, cut=court.baseline.result(check.name).timed_out)
            heard.findings += compare(court, check, result, prepared, asked=asked, moves=moves)
        if own.is_test:
            heard.seeds = steady.seeded(court, own, heard.patch, prepared)


def _reached(heard: _Hearing, prepared: steady.Ready) -> list[tuple[Check, tuple[str, ...]]]:
    """The checks that a verification runs, the task's own first, and the ids to ask each for (none = the whole check)."""
    court, own = heard.court, heard.own
    if court.defer and heard.task.targets:
        asked = only(steady.reached(court, own, heard.task, heard.patch)) if own.is_test else ()
        heard.subset = True
        return [(own, asked)]
    reached = gate(prepared().path, court.checks, heard.changed) if len(court.checks) > 1 else None
    others = (c for c in court.checks if c is not own and (reached is None or c.name in reached))
    return [(own, ()), *((c, ()) for c in others)]


def _behaviour(heard: _Hearing, oracle: str) -> None:
    """In a person's own commit: what the base's tests say of the patch, where the patch changes tests too. A thing to look at.

    Tests that the patch states anew along with what they test are counted in the reason, no finding.
    """
    court = heard.court
    delivered = {r.name: r for r in heard.runs}
    with court.trees.lazily(oracle, court.checks, "oracle") as prepared:
        for check in (c for c in court.checks if c.is_test and c.name in delivered):
            result = court.trees.run(check, prepared())
            try:
                compare(court, check, result, prepared)
            except Rejected as no:
                before = court.baseline.result(check.name)
                red = [i for i in worse(check, before, result) if result.state(i) == "failed"]
                if no.status == "regressed" and red and restated(court, check, heard.patch, red, delivered[check.name]):
                    heard.restated += len(red)
                    continue
                detail = f"with the tests of the base: {no.reason}"
                heard.findings.append(GuardFinding("behaviour", "review", "", None, detail, "a look at what changed"))


def _prove(heard: _Hearing, oracle: str) -> None:
    """Cause and effect: hunks taken away, lines that run, the patch's own tests without its source.

    Raises:
        Rejected: the patch must bring a test that proves it, and does not.
    """
    court, task, own, patch = heard.court, heard.task, heard.own, heard.patch
    made = Cause()
    if own.is_test and task.targets:
        parts, tried, idle = causes.needed(court, own, task, patch, oracle)
        seen = causes.covered(court, own, task, patch, oracle)
        lines, bare = seen or (None, ())
        made = Cause(parts, tried, idle, lines, (lines or 0) - len(bare), bare)
    delivered = {r.name: r for r in heard.runs if court.check(r.name).is_test}  # of each check its last run
    for name, result in delivered.items():
        new = came(court.baseline.result(name), result)
        made.proofs.update(causes.proofs(court, court.check(name), patch, new, task.failures))
    heard.cause = made
    if court.prove and made.proof != "PROVEN":
        said = {
            None: "it brings no test",
            "WEAK": "its tests fail without it for another reason than what they assert",
        }
        why = said.get(made.proof, "its tests do not fail without it")
        lacking = f"check: the patch must come with a test that fails without it, and {why}"
        raise Rejected("unverifiable", lacking, draft=True)
    if patch.rules.strict:
        heard.findings += causes.findings(made, task)


def _second_opinions(heard: _Hearing, base_tree: str) -> list[GuardFinding]:
    """What other readers say of an accepted patch; it asks for review and does nothing else."""
    if not heard.court.opinions:
        return []
    shown = decode(heard.court.trees.repo.patch(base_tree, heard.patch.tree))
    found = []
    for opinion in heard.court.opinions:
        try:
            said = opinion(heard.task.title, shown)
        except OSError as error:
            said = (GuardFinding("", "review", "", None, f"no second opinion could be had: {one_line(str(error))}"),)
        found += [replace(f, guard=f"opinion:{opinion.name}", level="review") for f in said]
    return found


def _reason(heard: _Hearing) -> str:
    if heard.task.targets:
        return _GREEN
    proven = [i for i, proof in heard.cause.proofs.items() if proof == "PROVEN"]
    anew = f"; tests of the base that fail with it and that it states anew: {heard.restated}" if heard.restated else ""
    return (_PROVEN.format(n=len(proven)) if proven else _NO_TARGET) + anew


def _facts(heard: _Hearing, base_tree: str, oracle: str) -> Facts:
    court = heard.court
    return Facts(
        heard.task, base_tree, oracle, heard.patch.tree, court.baseline.result(heard.task.check), tuple(heard.runs),
        tuple(heard.findings), heard.burned, court.grounds(), heard.cause, heard.doomed, heard.seeds, heard.subset,
        tuple(t for t in heard.task.targets if (heard.task.check, t) in court.baseline.unsteady),
        {r.name: odd_code(court, court.check(r.name), r) for r in heard.runs},
    )  # fmt: skip


def judge_union(
    court: Court, tree: str, tasks: Sequence[Task]
) -> tuple[tuple[CheckResult, ...], str, tuple[tuple[str, str], ...]]:
    """Run every check on `tree` as it would be delivered: the results, why it may not be ("" = it may), the (check, id) that say so.

    `tasks` are those whose patches are in it: each of their targets must still be green.
    """
    results: list[CheckResult] = []
    red: list[tuple[str, str]] = []
    changed = court.trees.repo.mend()
    why = f"the run's own repository was changed: {names(changed)}" if changed else ""
    repo = court.trees.repo
    patch = guards.Patch.between(repo, repo.tree_of(court.base), tree, court.rules)
    with court.trees.lazily(tree, court.checks, "union") as prepared:
        for check in court.checks:
            targets = [i for task in tasks if task.check == check.name for i in task.targets]
            if check.is_test:
                elsewhere = moved(patch, targets)
                targets = [elsewhere.get(i, i) for i in targets]
            result = court.trees.known(tree, check) or court.trees.run(check, prepared(), targets=targets)
            results.append(result)
            try:
                compare(court, check, result, prepared, moves=True)
                if targets:
                    must_pass(result, targets, check, cut=court.baseline.result(check.name).timed_out)
            except Rejected as no:
                why = why or f"{no.status}: {no.reason}"
                lost = worse(check, court.baseline.result(check.name), result)
                good = {"passed"} if check.is_test else {"passed", "absent"}
                red += [(check.name, i) for i in (*lost, *(t for t in targets if result.state(t) not in good))]
    return tuple(results), why, tuple(dict.fromkeys(red))


__all__ = ["Court", "Opinion", "about", "judge", "judge_union", "refuse", "untouched"]
