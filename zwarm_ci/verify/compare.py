"""A run on the patched tree held against the base's: nothing that passed may fail or vanish, and every target is green."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from zwarm_ci.baseline import only
from zwarm_ci.protected import is_protected, is_setting
from zwarm_ci.task import Check
from zwarm_ci.trees import Prepared
from zwarm_ci.verdict import CheckResult, GuardFinding
from zwarm_ci.verify.court import Court, Rejected, names

_ASKS = ("reads ", "asks ", "opens ")  # how the names of such things begin (checks/probe/zwarm_ci_asks.py)


def must_pass(result: CheckResult, targets: Sequence[str], check: Check, *, cut: bool = False) -> None:
    """Every target is green; `cut`: the base's own run is ended by the time limit, so that ids may be missing from a whole run.

    Raises:
        Rejected: still_failing or unverifiable.
    """
    if result.trouble:
        raise Rejected("unverifiable", result.trouble)
    good = {"passed", "absent"} if cut or not check.is_test else {"passed"}
    if red := [t for t in targets if result.state(t) not in good]:
        failure = result.failure(red[0])
        said = f": {failure.message}" if failure and failure.message else f" ({result.state(red[0])})"
        raise Rejected("still_failing", f"{names(red)} still red{said}")
    if result.timed_out and not cut:
        raise Rejected("still_failing", f"{check.name} was ended after {check.timeout:.0f} s")
    if result.canary is False and not cut:
        raise Rejected("unverifiable", f"runner: the test that must fail was not seen failing by {check.name}")


def untouched_runner(court: Court, check: Check, result: CheckResult) -> None:
    """The run leaves things as a run of the base does: the runner's own functions, the tests and settings.

    Raises:
        Rejected: unverifiable.
    """
    usual = court.baseline.result(check.name)
    if (altered := odd_code(court, check, result)) and _ran_on_the_base(court, check):
        raise Rejected("unverifiable", f"runner: {check.name} ran with its own code changed: {names(altered)}")
    held = court.trees.repo.files(court.base)
    edited = [p for p in result.edited if p not in usual.edited and is_protected(p, court.rules.protect)]
    if edited := [p for p in edited if p in held or is_setting(p) or p.endswith("conftest.py")]:
        raise Rejected("unverifiable", f"runner: {check.name} rewrote {names(edited)} while it ran")


def _ran_on_the_base(court: Court, check: Check) -> bool:
    """Whether any run of the base got as far as a test, so that what its plugins change of the runner is known."""
    base = court.trees.seen(court.trees.repo.tree_of(court.base), check)
    return any(
        r.passed or r.skipped or any(not i.endswith("::startup") for i in r.failed)
        for r in (court.baseline.result(check.name), *base)
    )


def odd_code(court: Court, check: Check, result: CheckResult) -> list[str]:
    """The runner's functions whose code a run changed, less those that runs of the base change too."""
    return [name for name in _new(court, check, result) if not name.startswith(_ASKS)]


def curious(court: Court, check: Check, result: CheckResult, changed: Collection[str]) -> list[str]:
    """How code of `changed` paths looked at the tests or at its callers while it ran, as no run of the base does."""
    found = (name for name in _new(court, check, result) if name.startswith(_ASKS))
    return [name for name in found if name.rpartition(": ")[2] in changed]


def _new(court: Court, check: Check, result: CheckResult) -> list[str]:
    """What the witnesses saw that they see in no run of the base."""
    base = court.trees.seen(
        court.trees.repo.tree_of(court.base), check
    )  # parts of a suite load other plugins than the whole
    known = {name for one in (court.baseline.result(check.name), *base) for name in one.altered}
    return [name for name in result.altered if name not in known]


def compare(
    court: Court,
    check: Check,
    result: CheckResult,
    prepared: Callable[[], Prepared],
    *,
    asked: Sequence[str] = (),
    moves: bool = False,
) -> tuple[GuardFinding, ...]:
    """Hold a run against the base's: nothing that passed may fail or vanish, the count is not lower.

    An id that fails now and passes when run again is chance, and goes to review.

    `asked` are the ids that ran, () = the whole check. `moves`: the tests are the patch's own, so that one may have gone to
    another file.

    Raises:
        Rejected: unverifiable or regressed.
    """
    before = court.baseline.result(check.name)
    if before.trouble:
        return ()  # it told nothing before either; the report says so
    if result.trouble:
        raise Rejected("unverifiable", result.trouble)
    if before.canary and result.canary is False and not result.timed_out:
        raise Rejected("unverifiable", f"runner: the test that must fail was not seen failing by {check.name}")
    untouched_runner(court, check, result)
    lost = [i for i in worse(check, before, result, asked) if not court.baseline.is_flaky(check.name, i)]
    gone = [i for i in lost if result.state(i) == "absent"]
    if result.timed_out:
        _ended_by_the_limit(check, before, lost, gone)
        return ()
    if moves:
        moved = _moved(gone, before, result)
        gone, lost = ([i for i in ids if i not in moved] for ids in (gone, lost))
    found = _missing(court, check, before, result, gone, whole=not asked)
    if altered := odd_code(court, check, result):  # no run of the base tells whether its plugins do that
        detail = f"{check.name} ran with the runner's own code changed: {names(altered)}"
        found = (*found, GuardFinding("runner", "review", "", None, detail, "see which plugin does it"))
    if left := [name for name in result.left if name not in before.left]:
        detail = f"{check.name} left {names(left)} running, which it does not on the base; it was ended"
        found = (*found, GuardFinding("runner", "review", "", None, detail, "see what starts it"))
    red = [i for i in lost if i not in gone]
    return (*found, *(_chance(court, check, red, result, prepared) if red else ()))


def _ended_by_the_limit(check: Check, before: CheckResult, lost: Sequence[str], gone: Sequence[str]) -> None:
    """Where the base is ended by the limit too, what never ran tells nothing; a new hang has an id that is red now."""
    left = [i for i in lost if i not in gone] if before.timed_out else lost
    if left or not before.timed_out:
        told = names(left) or "no test had begun"
        raise Rejected("regressed", f"{check.name} was ended after {check.timeout:.0f} s: {told}")


def _missing(
    court: Court, check: Check, before: CheckResult, result: CheckResult, gone: Sequence[str], *, whole: bool
) -> tuple[GuardFinding, ...]:
    """Tests that ran before and do not now: refused, or, in people's own commits, a thing to look at where nothing came instead."""
    fewer = check.is_test and whole and _total(result) < _total(before)
    if court.rules.strict:
        if gone:
            raise Rejected("regressed", f"{names(gone)} passed before and did not run now")
        if fewer:
            raise Rejected("regressed", f"{check.name} ran {_total(result)} tests, {_total(before)} before")
        return ()
    known = {*before.passed, *before.failed, *before.skipped}
    come = Counter(_file(i) for i in (*result.passed, *result.skipped) if i not in known)
    lost = Counter(map(_file, gone))
    if lone := [i for i in gone if come[_file(i)] < lost[_file(i)]]:
        detail = f"{names(lone)} passed before and did not run now"
        return (GuardFinding("runs", "review", _file(lone[0]), None, detail, "a look at why"),)
    return ()


def worse(check: Check, before: CheckResult, result: CheckResult, asked: Sequence[str] = ()) -> list[str]:
    """Ids that are worse off than on the base, each once."""
    was_red = set(before.failed)
    new = [i for i in result.failed if i not in was_red]
    if not check.is_test:
        return list(dict.fromkeys(new))
    known = set(before.passed)
    wanted = known if not asked else known.intersection(asked)
    lost = [i for i in before.passed if i in wanted and result.state(i) != "passed"]
    return list(dict.fromkeys([*lost, *(i for i in new if i not in known and not _was_hidden(i, before))]))


def _was_hidden(test_id: str, before: CheckResult) -> bool:
    """Whether an id could not be seen on the base, because its module was not collected or nothing was."""
    return (
        before.timed_out
        or test_id.partition("::")[0] in before.failed
        or any(i.endswith("::startup") for i in before.failed)
    )


def _moved(gone: Sequence[str], before: CheckResult, result: CheckResult) -> frozenset[str]:
    """Those of `gone` that ran in another file under their name; what they hold there is a guard's matter."""
    known = {*before.passed, *before.failed, *before.skipped}
    come = Counter(i.partition("::")[2] for i in result.passed if i not in known)
    moved = set()
    for test_id in gone:
        inner = test_id.partition("::")[2]
        if inner and come[inner]:
            come[inner] -= 1
            moved.add(test_id)
    return frozenset(moved)


def _chance(
    court: Court, check: Check, lost: Sequence[str], result: CheckResult, prepared: Callable[[], Prepared]
) -> tuple[GuardFinding, ...]:
    again = [
        court.trees.anew(check, prepared().tree, only=only(lost)) for _ in range(court.reruns if check.is_test else 0)
    ]
    for test_id in lost:
        if not again or any(r.state(test_id) != "passed" for r in again):
            failure = result.failure(test_id)
            said = f": {failure.message}" if failure and failure.message else f" ({result.state(test_id)})"
            raise Rejected(
                "regressed", f"{names(lost)} passed before{said}" if check.is_test else f"new: {names(lost)}"
            )
    detail = f"red once and green in {len(again)} fresh runs, in a run of the patched tree"
    return tuple(GuardFinding("flaky", "review", _file(i), None, f"{i}: {detail}", "look at the test") for i in lost)


def came(before: CheckResult, result: CheckResult) -> tuple[str, ...]:
    """Ids that ran and passed now and were not there on the base: the patch's own tests, the moved ones left out."""
    known = {*before.passed, *before.failed, *before.skipped}
    gone = [i for i in known if result.state(i) == "absent"]
    inner = Counter(i.partition("::")[2] for i in gone)
    found = []
    for test_id in result.passed:
        name = test_id.partition("::")[2]
        if test_id in known or before.state(test_id) == "failed":
            continue
        if name and inner[name]:
            inner[name] -= 1
            continue
        found.append(test_id)
    return tuple(found)


def _file(test_id: str) -> str:
    return test_id.partition("::")[0]


def _total(result: CheckResult) -> int:
    return len(result.passed) + len(result.failed) + len(result.skipped)
