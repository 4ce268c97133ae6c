"""What is red before anything is done, and whose fault it is: the code's, chance's or the environment's.

Checks run in a clean twin of the base, with the network off. What fails there is run again in fresh processes (flaky?), with the
network on, and where a person would run it (environment? see calibrate). Only what is still red is a fault of the code.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from zwarm_ci import submodules
from zwarm_ci.calibrate import Case, Lack, healed, lacks
from zwarm_ci.git import Repository
from zwarm_ci.task import Check, Failure
from zwarm_ci.trees import Prepared, Trees
from zwarm_ci.verdict import CheckResult

Tell = Callable[[str], None]
_SHORT = 10.0  # seconds of a suite that may as well run whole


@dataclass(frozen=True, slots=True)
class Baseline:
    """The state of the base.

    Attributes:
        results: one per check, in the run's order.
        flaky: (check, id) -> (passes, runs) of the re-runs.
        environment: (check, id) -> why it is the environment's; id "" = the whole check.
        hidden: (check, id) -> why it is skipped here though it runs, and passes, in place.
        notes: lines for the report.
        proposals: (check, TOML for its table) that would supply what is lacking.
        unsteady: (check, id) of what is red each time, with another error than before.
    """

    results: tuple[CheckResult, ...]
    flaky: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    environment: dict[tuple[str, str], str] = field(default_factory=dict)
    hidden: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    proposals: tuple[tuple[str, str], ...] = ()
    unsteady: frozenset[tuple[str, str]] = frozenset()

    def result(self, check: str) -> CheckResult:
        """The result of one check."""
        return next(r for r in self.results if r.name == check)

    def failures(self, check: str) -> tuple[Failure, ...]:
        """The reds of a check that are the code's own."""
        return tuple(
            f
            for f in self.result(check).failures
            if (check, f.id) not in self.flaky and (check, f.id) not in self.environment
        )

    def is_flaky(self, check: str, test_id: str) -> bool:
        """Whether an id was seen both red and green on the base."""
        return (check, test_id) in self.flaky

    @property
    def green(self) -> bool:
        """Nothing is red but by chance, and every check could be believed."""
        return all(not r.trouble and not self.failures(r.name) for r in self.results) and not self.environment


def establish(
    trees: Trees,
    checks: Sequence[Check],
    base: str,
    user: Repository,
    *,
    reruns: int,
    same_as_tree: bool,
    tell: Tell,
) -> Baseline:
    """Run the checks on `base` and sort what is red: by chance, by the environment, or the code's.

    `same_as_tree`: `base` is what stands in the checkout; otherwise there is nothing to calibrate against.
    """
    twin = trees.fresh(base, checks, "twin")
    sorted_out = Baseline(())
    for check in checks:
        tell(f"{check.name}: running {check.run}")
        result = trees.run(check, twin)
        flaky: dict[tuple[str, str], tuple[int, int]] = {}
        odd: set[tuple[str, str]] = set()
        if check.is_test and result.failed and not result.trouble:
            tell(f"{check.name}: {len(result.failed)} red, running them again")
            # The run with the network on, below, is one of the re-runs.
            spared = reruns > 1 and trees.surroundings.offline(check)
            result, flaky = _chance(trees, check, twin.tree, result, reruns - spared, odd)
        there, blind = _skipped_here_alone(trees, check, result) if same_as_tree else ({}, "")
        red = tuple(i for i in result.failed if (check.name, i) not in flaky)
        result, note, chance = _with_network(trees, check, twin, result, red, tuple(there))
        flaky |= {(check.name, i): (1, reruns + 1) for i in chance}
        red = tuple(i for i in (*red, *there) if result.state(i) in {"failed", "skipped"} and i not in chance)
        found: dict[str, Lack] = {}
        if result.trouble.startswith("environment") or (red and not result.trouble):
            tell(f"{check.name}: is it the environment?")
            asked = _alone(trees, check, twin, red) if check.is_test else ()
            case = Case(trees, check, base, user, result, red, asked, twin.path)
            found = lacks(case, in_place=same_as_tree)
        why = {(check.name, i): lack.why for i, lack in found.items()}
        hidden = {key: said for key, said in why.items() if there.get(key[1]) == "passed"}
        offered = ((check.name, lack.config) for lack in found.values() if lack.config)
        sorted_out = Baseline(
            (*sorted_out.results, result),
            {**sorted_out.flaky, **flaky},
            {**sorted_out.environment, **{k: said for k, said in why.items() if k not in hidden}},
            {**sorted_out.hidden, **hidden},
            (*sorted_out.notes, *filter(None, (note, blind, _said(check, hidden)))),
            tuple(dict.fromkeys((*sorted_out.proposals, *offered))),
            sorted_out.unsteady | (odd - flaky.keys()),
        )
    trees.discard(twin)
    if edited := ", ".join(submodules.edited(user)):
        note = f"uncommitted work in submodules is no part of what was checked: {edited}"
        sorted_out = replace(sorted_out, notes=(*sorted_out.notes, note))
    if missing := ", ".join(submodules.missing(trees.repo, twin.tree)):
        note = (
            f"the checkout lacks these submodules, and so do clean worktrees: {missing} (git submodule update --init)"
        )
        sorted_out = replace(sorted_out, notes=(*sorted_out.notes, note))
    return sorted_out


def _skipped_here_alone(trees: Trees, check: Check, result: CheckResult) -> tuple[dict[str, str], str]:
    """Ids that are skipped in a clean worktree and run in place: `passed` or `failed` there; a note where that cannot be told."""
    if not check.is_test or result.trouble or not result.skipped:
        return {}, ""
    there = trees.in_place(check, only=result.skipped, variables={})
    if there is None or there.trouble:
        why = there.trouble if there else "it cannot be run there without writing into it"
        return (
            {},
            f"{check.name}: {len(result.skipped)} skipped; whether they run in the checkout cannot be told ({why})",
        )
    return {i: state for i in result.skipped if (state := there.state(i)) in {"passed", "failed"}}, ""


def _said(check: Check, hidden: Mapping[tuple[str, str], str]) -> str:
    if not hidden:
        return ""
    (_, first), why = next(iter(hidden.items()))
    more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
    return f"{check.name}: {first}{more}: skipped in clean worktrees, where it proves nothing: {why.removeprefix('environment: ')}"


def _with_network(
    trees: Trees, check: Check, twin: Prepared, result: CheckResult, red: tuple[str, ...], skipped: tuple[str, ...]
) -> tuple[CheckResult, str, tuple[str, ...]]:
    """The result to go by, a note, and ids that are red by chance.

    Where ids are `red` or `skipped` only because the network is off, it is switched on for the run. What is green with it, and then
    without it too, owes that to chance. The whole suite is asked where some are green without their neighbours.
    """
    tree, wrong = twin.tree, (*red, *skipped)
    if not trees.surroundings.offline(check) or not (wrong or result.trouble.startswith("environment")):
        return result, "", ()
    whole = check.is_test and bool(red) and not _alone(trees, check, twin, red)
    trees.surroundings.allow_network(check, "the base is red without it")
    better = healed(trees.anew(check, tree, only=() if whole else only(wrong)), wrong, result)
    trees.surroundings.deny_network(check)
    if not better:
        return result, "", ()
    ids = tuple(filter(None, better))
    chance = healed(trees.anew(check, tree, only=() if whole else only(ids)), ids, result) if ids else ()
    if ids and set(better) <= set(chance):
        return result, "", chance
    trees.surroundings.allow_network(check, "the base is red without it")
    config = f"network = true under [checks.{check.name}]"
    note = f"{check.name}: ran with the network on, as it is red without ({config} saves the second run)"
    return trees.anew(check, tree), note, chance


def serialised(
    trees: Trees, checks: Sequence[Check], baseline: Baseline, base: str, tell: Tell
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks, those made exclusive that say something else beside themselves than alone, and a note for each of these.

    Each test check runs twice at once on the base, a long one with what is red and a neighbour a file; asked only where sessions
    will run side by side.
    """
    made, notes = [], []
    for check in checks:
        alone = baseline.result(check.name)
        if not check.is_test or check.exclusive or check.isolation == "inplace" or alone.trouble:
            made.append(check)
            continue
        tell(f"{check.name}: two runs at once, as sessions will have it")
        asked = _some(alone, baseline)
        pair = [trees.fresh(base, (check,), "pair") for _ in range(2)]
        with ThreadPoolExecutor(max_workers=2) as pool:
            results = list(pool.map(functools.partial(trees.run_in, check, only=asked), pair))
        for one in pair:
            trees.discard(one)
        apart = next((i for r in results for i in _apart(alone, r, baseline, asked)), "")
        made.append(replace(check, exclusive=True) if apart else check)
        notes += [f"{check.name}: never beside another check, since {apart} said something else then"] if apart else []
    return tuple(made), tuple(notes)


def _some(alone: CheckResult, baseline: Baseline) -> tuple[str, ...]:
    """The reds of a check, and of each of their files the first test that passed: what sets up all that a file shares.

    Other files' first tests too, up to a tenth of the suite; () = all of it, where that takes no time.
    """
    if alone.seconds <= _SHORT:
        return ()
    red = [f.id for f in baseline.failures(alone.name)]
    files = {i.partition("::")[0] for i in red}
    first: dict[str, str] = {}
    for test_id in alone.passed:
        first.setdefault(test_id.partition("::")[0], test_id)
    near = [first.pop(file) for file in sorted(files & first.keys())]
    room = (len(alone.passed) + len(alone.failed)) // 10 - len(red) - len(near)
    return only((*red, *near, *itertools.islice(first.values(), max(0, room))))


def _apart(alone: CheckResult, beside: CheckResult, baseline: Baseline, asked: Sequence[str]) -> list[str]:
    """Ids, of those asked for or of all, with another state than when the check ran alone; chance left out."""
    if beside.trouble:
        return [beside.trouble]
    ids = asked or dict.fromkeys((*alone.passed, *alone.failed, *beside.failed))
    return [i for i in ids if alone.state(i) != beside.state(i) and not baseline.is_flaky(alone.name, i)]


def only(ids: Sequence[str]) -> tuple[str, ...]:
    """The ids to ask a check for; a suite that did not start at all can only be run whole."""
    return () if any(i.endswith("::startup") for i in ids) else tuple(ids)


def _chance(
    trees: Trees, check: Check, tree: str, first: CheckResult, reruns: int, odd: set[tuple[str, str]]
) -> tuple[CheckResult, dict[tuple[str, str], tuple[int, int]]]:
    """The result to go by, and which of its reds are flaky: (passes, runs). What fails otherwise than before is put into `odd`.

    Where chance alone kept the rest of a suite from running, a whole run tells what is red in it.
    """
    flaky = _rerun(trees, check, tree, first, first.failed, reruns, odd)
    hiding = {f.id for f in first.failures if f.message == "timed out" or f.id.endswith("::startup")}
    if not any((check.name, i) in flaky for i in hiding):
        return first, flaky
    whole = trees.anew(check, tree)
    if whole.timed_out or any(i.endswith("::startup") for i in whole.failed):
        return first, {key: n for key, n in flaky.items() if key[1] not in hiding}
    new = tuple(i for i in whole.failed if i not in first.failed)
    if new and not whole.trouble:
        flaky |= _rerun(trees, check, tree, whole, new, reruns, odd)
    kept = tuple(f for f in first.failures if f.id not in whole.failed)
    ids = {f.id for f in kept}
    return replace(
        whole,
        passed=tuple(i for i in whole.passed if i not in ids),
        skipped=tuple(i for i in whole.skipped if i not in ids),
        failed=(*whole.failed, *ids),
        failures=(*whole.failures, *kept),
    ), flaky


def _alone(trees: Trees, check: Check, twin: Prepared, red: Sequence[str]) -> tuple[str, ...]:
    """What to ask for where `red` are tried elsewhere: () = the whole suite, since some of them are green without their neighbours."""
    if not red or not only(red):
        return ()
    result = trees.run(check, twin, only=only(red))
    return () if any(result.state(i) == "passed" for i in red) else only(red)


def _rerun(
    trees: Trees,
    check: Check,
    tree: str,
    first: CheckResult,
    red: Sequence[str],
    reruns: int,
    odd: set[tuple[str, str]],
) -> dict[tuple[str, str], tuple[int, int]]:
    """Which of `red` also pass in clean worktrees of the same commit: (passes, runs).

    One that is red in each and green only after an earlier run left something behind is no matter of chance. One that passes
    alone but is red again in a whole run depends on its neighbours: a fault of the code.
    """
    passes = dict.fromkeys(red, 0)
    for _ in range(reruns):
        again = trees.anew(check, tree, only=only(red))
        for test_id in red:
            passes[test_id] += again.state(test_id) == "passed"
            was, now = first.failure(test_id), again.failure(test_id)
            if was and now and was.shape != now.shape:
                odd.add((check.name, test_id))
    runs = reruns
    if any(n == reruns for n in passes.values()) and reruns:
        whole = trees.anew(check, tree)
        runs += 1
        for test_id, n in passes.items():
            if n == reruns:
                passes[test_id] = n + 1 if whole.state(test_id) == "passed" else 0
    return {(check.name, test_id): (n, runs) for test_id, n in passes.items() if n}
