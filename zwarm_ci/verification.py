"""The verifier alone: any patch, whoever made it, against its base. Nothing of the user's repository changes and no branch is made."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zwarm_ci import baseline as before
from zwarm_ci import config, environment, pipeline, selection, survey
from zwarm_ci import site as places
from zwarm_ci.baseline import Baseline
from zwarm_ci.conclude import Facts
from zwarm_ci.crew import Watch
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.pipeline import Finished
from zwarm_ci.plan import make_task, named
from zwarm_ci.private import PrivateRepository
from zwarm_ci.scrub import one_line
from zwarm_ci.selection import Request
from zwarm_ci.task import Check, Task
from zwarm_ci.verdict import CheckResult, GuardFinding, TaskOutcome, Verdict
from zwarm_ci.verify import guards
from zwarm_ci.verify.court import Rejected
from zwarm_ci.verify.judge import Court, judge, refuse


@dataclass(frozen=True, slots=True)
class Offer:
    """A patch to verify. `commit` is empty where it came as a file; `patch` is empty where it came as a commit."""

    title: str
    commit: str = ""
    patch: bytes = b""

    def tree(self, private: PrivateRepository, base: str) -> str:
        """The tree that would be delivered.

        Raises:
            UsageError: the patch does not apply to the base.
        """
        if self.commit:
            return private.tree_of(self.commit)
        made = private.apply(private.tree_of(base), self.patch)
        if made is None:
            raise UsageError(
                f"{self.title} does not apply to {base[:12]}", remedy="name the commit that it was made on: --base REF"
            )
        return made


def offer(change: str, request: Request) -> tuple[Offer, Request]:
    """What `COMMIT|PATCH` names, and the request with the base that it is held against.

    A file is a patch on `--base`, or on the tree as it is. A commit is held against its first parent, or against where it
    left `--base`; `A..B` is B against A.

    Raises:
        UsageError: it names nothing, or a commit without a parent.
    """
    user = open_repository(request.directory)
    if (file := Path(change)).is_file():
        return _from_file(file), request
    start, dots, end = change.partition("..")
    commit = user.commit_of(end.lstrip(".") or "HEAD") if dots else _commit(user, change)
    title = user.git.ask("show", "-s", "--format=%s", commit) or commit[:12]
    wanted = request.base or (start if dots else "")
    if wanted:
        named_base = user.commit_of(wanted)
        base = user.git.ask("merge-base", named_base, commit) or named_base
    else:
        base = user.git.ask("rev-parse", "--verify", "--quiet", f"{commit}^1") or ""
    if not base:
        raise UsageError(f"{change} has no parent here", remedy="name what it is held against: --base REF")
    return Offer(one_line(title), commit), replace(request, base=base)


def _commit(user: Repository, change: str) -> str:
    try:
        return user.commit_of(change)
    except UsageError as error:
        raise UsageError(f"{one_line(change, 80)!r} is neither a file nor a commit", remedy="name one") from error


def _from_file(file: Path) -> Offer:
    try:
        patch = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", remedy="name a readable patch") from error
    if not patch.strip():
        raise UsageError(f"{file} is empty", remedy="name a patch, as `git diff` or `git format-patch` write them")
    return Offer(file.name, patch=patch)


def run(request: Request, offered: Offer, watch: Watch) -> Finished:
    """Verify the patch and keep the record of it.

    Raises:
        UsageError, BlockedError, InterruptedRunError: as a run's.
    """
    return pipeline.recorded(request, watch, functools.partial(_story, offered))


def guarded(request: Request, offered: Offer) -> tuple[str, tuple[Check, ...], tuple[GuardFinding, ...]]:
    """The base, the checks that would run, and what the guards say; nothing of the repository's is executed.

    Raises:
        UsageError, BlockedError: as the run itself would.
    """
    user = open_repository(request.directory)
    with places.workshop(user) as (scratch, private):
        base, settings = selection.base_and_settings(request, private)
        furnisher = Furnisher(private, base)
        look = private.worktree(base, scratch / "look" / furnisher.name)
        checks, _ = selection.choose_checks(request, settings, look.path, furnisher.env_of, user.prefix)
        rules = selection.rules(settings, checks, private, base, ())
        return base, checks, _seen(private, base, offered.tree(private, base), rules)


def _seen(private: PrivateRepository, base: str, tree: str, rules: guards.Rules) -> tuple[GuardFinding, ...]:
    """What the guards say of a tree against a base commit."""
    return guards.look(guards.Patch.between(private, private.tree_of(base), tree, rules))


def _story(
    offered: Offer, request: Request, watch: Watch, site: places.Site, settings: config.Settings, facts: Facts
) -> None:
    tree = offered.tree(site.private, facts.base)
    watch.stage("looking at the patch")
    with survey.workroom(request, site, facts, watch.stage) as trees:
        checks, notes = selection.look(request, settings, trees, facts.base)
        facts.notes = notes
        if refused := _by_guards(offered, site, settings, checks, facts, tree):
            facts.tasks = (refused,)
            return
        environment.adopt_variables(site.user.top, checks)
        watch.stage("checks on the base")
        base = before.establish(
            trees, checks, facts.base, site.user, reruns=settings.verify.reruns,
            same_as_tree=selection.same_as_tree(request) or facts.base == site.user.head, tell=watch.stage,
        )  # fmt: skip
        facts.before, facts.after = base.results, base.results
        facts.notes += base.notes
        if all(r.trouble for r in base.results):
            raise BlockedError(f"no check can run: {base.results[0].name}: {base.results[0].trouble}")
        court = selection.court(trees, settings, facts.base, checks, base)
        court = replace(court, rules=replace(court.rules, strict=settings.verify.strict))
        for task in _tasks(offered, request, site, court):
            watch.plan((task,))
            facts.tasks = (*facts.tasks, _judged(offered, request, site, court, task, tree, facts))
            watch.ended(facts.tasks[-1])


def _by_guards(
    offered: Offer, site: places.Site, settings: config.Settings, checks: tuple[Check, ...], facts: Facts, tree: str
) -> TaskOutcome | None:
    """The end of it where a guard refuses what no run could make good; nothing of the repository's has been executed."""
    rules = selection.rules(settings, checks, site.private, facts.base, ())
    task = _in_words(offered, checks[0])
    found = _seen(site.private, facts.base, tree, rules)
    try:
        refuse(found)
    except Rejected as no:
        return TaskOutcome(task, no.status, no.reason, commit=offered.commit or None, review=found)
    return None


def _in_words(offered: Offer, check: Check) -> Task:
    return Task("patch", offered.title, "", check.name, ())


def _tasks(offered: Offer, request: Request, site: places.Site, court: Court) -> tuple[Task, ...]:
    """What the patch is held to: the red ids of each check, those named where some are; or nothing but that nothing gets worse.

    Nobody says of a person's own commit that it is to repair all that happens to be red, so there just what is named counts.
    """
    wanted = named(court.baseline, request.targets, site.user.prefix)
    tests = [c for c in court.checks if c.is_test]
    whole = (_in_words(offered, (*tests, *court.checks)[0]),)
    if not court.rules.strict and not wanted:
        return whole
    tasks = []
    for check in court.checks:
        red = [f for f in court.baseline.failures(check.name) if not wanted or _is_under(f.id, wanted)]
        if red:
            tasks.append(make_task(f"{check.name}-targets", check, red))
    if not tasks and wanted:
        raise UsageError(
            f"{wanted[0]} is not red on {court.base[:12]}", remedy="leave --target out, or name another --base"
        )
    return tuple(tasks) or whole


def _is_under(test_id: str, wanted: Sequence[str]) -> bool:
    return any(test_id == w or test_id.startswith((f"{w}::", f"{w}[", f"{w}/")) for w in wanted)


def _judged(
    offered: Offer, request: Request, site: places.Site, court: Court, task: Task, tree: str, facts: Facts
) -> TaskOutcome:
    verdict = judge(court, task, tree)
    if request.strict_flaky and verdict.accepted and (odd := [f for f in verdict.findings if f.guard == "flaky"]):
        verdict = replace(verdict, status="regressed", reason=f"--strict-flaky: {odd[0].detail}")
    facts.after = _after(court.baseline, verdict)
    outcome = TaskOutcome(task, verdict.status, verdict.reason, commit=offered.commit or None, review=verdict.findings)
    if verdict.accepted:
        patch, evidence = f"patches/{task.id}.patch", f"evidence/{task.id}.json"
        write_atomic(site.folder / patch, site.private.patch(site.private.tree_of(court.base), tree))
        write_atomic(site.folder / evidence, verdict.evidence)
        outcome = replace(outcome, patch=patch, evidence=evidence)
    return outcome


def _after(base: Baseline, verdict: Verdict) -> tuple[CheckResult, ...]:
    """The last word on each check: of the patched tree, where it ran there."""
    ran = {r.name: r for r in verdict.checks}
    return tuple(ran.get(r.name, r) for r in base.results)


__all__ = ["Offer", "guarded", "offer", "run"]
