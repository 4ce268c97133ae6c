"""Outcomes of every kind for the tests of reports: what runs really end in, and what a hostile repository would like."""

from __future__ import annotations

from dataclasses import replace

from zwarm_ci.task import Failure, Origin, Place, Task, Usage
from zwarm_ci.verdict import (
    Attempt,
    CheckResult,
    GuardFinding,
    Outcome,
    RunStatus,
    Seconds,
    Status,
    TaskOutcome,
)

BASE, HEAD, FIX = "b" * 40, "c" * 40, "f" * 40
TRACE = """\
    def test_total():
>       assert total([1, 2]) == 3
E       assert -1 == 3

tests/test_cart.py:7: AssertionError"""


def failure(
    number: int = 0, *, test_id: str = "", message: str = "AssertionError: assert -1 == 3", detail: str = TRACE
) -> Failure:
    test_id = test_id or f"tests/test_cart.py::test_total[{number}]"
    return Failure("tests", test_id, message, detail, Place("shop/cart.py", 12), "AssertionError")


def task(name: str = "T1", title: str = "test_total: assert -1 == 3", failures: tuple[Failure, ...] = ()) -> Task:
    return Task(name, title, "0123456789abcdef", "tests", failures or (failure(),), "what an executor gets")


def attempt(verdict: Status = "fixed") -> Attempt:
    return Attempt("s1", 1, "embedded", "", verdict, "all targets pass", executor_seconds=1.25, verify_seconds=2.5)


def ended(status: Status, reason: str, name: str = "T1", title: str = "test_total: assert -1 == 3") -> TaskOutcome:
    return TaskOutcome(task(name, title), status, reason, attempts=(attempt(status),))


REVERTED = TaskOutcome(
    task(),
    "fixed",
    "2 targets pass, nothing else changed",
    "revert",
    Origin("1a2b3c4d5e6f7890", "Ann Onymous", "Tune rounding", ("shop/cart.py:12",)),
    "patches/T1.patch",
    FIX,
    "evidence/T1.json",
    attempts=(attempt(),),
)
LINT = TaskOutcome(
    task("T2", "ruff: 3 × F401 unused import", (Failure("lint", "shop/a.py::F401[`os` imported but unused]"),)),
    "fixed",
    "3 targets pass",
    "fixer",
    patch="patches/T2.patch",
    commit="e" * 40,
    evidence="evidence/T2.json",
    review=(GuardFinding("size", "review", "shop/a.py", 3, "deletes more than it adds"),),
    attempts=(attempt(),),
)
FLAKY = ended("flaky", "passed in 2 of 2 fresh runs, nothing was spent", "T3", "test_clock: assert 9 < 9")
OPEN = ended("still_failing", "3 targets still fail: no plausible edit was found", "T4", "test_parse: ValueError")
ATTRIBUTED = replace(
    REVERTED, status="attributed", reason="3 of your 41 hunks cause this", patch=None, commit=None, evidence=None
)
CHEATED = replace(
    ended("tampered", "the patch edits tests/test_cart.py, which decides", "T5", "test_price: assert 0"),
    review=(
        GuardFinding("protected", "refuse", "tests/test_cart.py", None, "a test was edited", "--allow-test-edits"),
    ),
)
BEFORE = (
    CheckResult("tests", "python -m pytest", 1, ("t::a", "t::b"), ("t::c", "t::d"), ("t::e",), 3.21),
    CheckResult("lint", "ruff check .", 1, failed=("shop/a.py::F401[`os` imported but unused]",), seconds=0.05),
)
AFTER = (replace(BEFORE[0], failed=("t::d",)), replace(BEFORE[1], failed=(), exit_code=0))


def outcome(status: RunStatus, code: int, reason: str, *tasks: TaskOutcome, branch: str | None = None) -> Outcome:
    return Outcome(
        "20260102-030405-ab12",
        "fix-checks",
        HEAD,
        BASE,
        status,
        code,
        reason,
        branch,
        FIX if branch else None,
        BEFORE if tasks else (),
        AFTER if tasks else (),
        tasks,
        Usage(),
        0.0,
        0,
        Seconds(75.4321, 10.5, 20.25, 30.125),
        14,
        {"minutes": 60.0},
        ("chose `python -m pytest` because of [tool.pytest.ini_options]",),
    )


BRANCH = "zwarm/20260102-030405-ab12"
OUTCOMES: dict[str, Outcome] = {
    "green": outcome("green", 0, "every check is green, nothing to do"),
    "fixed": outcome("fixed", 0, "all failures repaired and verified", REVERTED, LINT, branch=BRANCH),
    "partly": outcome("partly_fixed", 1, "2 tasks remain", REVERTED, LINT, FLAKY, OPEN, CHEATED, branch=BRANCH),
    "not_fixed": outcome("not_fixed", 1, "1 task remains", OPEN),
    "attributed": outcome("not_fixed", 1, "the cause is named, no patch is offered", ATTRIBUTED),
    "stopped": outcome("stopped", 3, "the limit of 60 minutes is reached", ended("timed_out", "60 minutes are over")),
    "interrupted": outcome("interrupted", 130, "interrupted by SIGINT", ended("interrupted", "interrupted by SIGINT")),
    "blocked": replace(
        outcome("blocked", 4, "no check can run: pytest is not installed"),
        before=(CheckResult("tests", "pytest", None, trouble="environment: pytest is not installed"),),
    ),
    "paid": replace(
        outcome(
            "fixed",
            0,
            "repaired",
            replace(
                LINT,
                method="model",
                cost_usd=0.0123,
                attempts=(
                    replace(
                        attempt(),
                        executor="codex",
                        model="gpt-5.1-codex-mini",
                        usage=Usage(1000, 5000, 0, 700, 300),
                        cost_usd=None,
                        provider_cost_usd=0.0123,
                    ),
                ),
            ),
            branch=BRANCH,
        ),
        usage=Usage(1000, 5000, 0, 700, 300),
        cost_usd=0.0123,
        unpriced_tokens=6700,
    ),
}

#: Token shapes and a value from the environment; none may be in any report. Built from parts, so that no scanner takes this file for a leak.
CANARIES = ("ghp_" + "A1b2" * 9, "sk-ant-" + "x9Y8" * 8, "AKIA" + "ABCD1234" * 2, "hunter2-of-the-environment")
SPLIT = CANARIES[0][:10] + "\u200b" + CANARIES[0][10:]  # whole again once what is invisible has been removed
HOSTILE = "\x1b[31m<script>alert(1)</script>\x00\x9b2J ]]> & | `x` ``` \u202e @everyone\r\n::error::owned \udcff \ufffe"


def hostile() -> Outcome:
    """Every text that can come from a repository is an attack and carries a secret."""
    bad = HOSTILE + " ".join((*CANARIES, SPLIT))
    failed = (
        failure(test_id=bad, message=bad, detail=bad * 80),
        failure(1, detail=f"\n::set-output name=x::y\n{bad}"),
        *(failure(i) for i in range(2, 40)),
    )
    found = GuardFinding(bad, "review", bad, 3, bad, bad)
    made = replace(
        REVERTED,
        task=task(bad, bad, failed),
        status="still_failing",
        reason=bad,
        origin=Origin(bad, bad, bad, (bad, bad)),
        review=(found,),
        attempts=(
            replace(
                attempt(),
                session=bad,
                executor=bad,
                model=bad,
                reason=bad,
                guards=(found,),
                checks=(replace(BEFORE[0], command=bad),),
            ),
        ),
    )
    check = replace(BEFORE[0], name=bad, command=bad, failed=(bad,), trouble=bad)
    whole = outcome(
        "partly_fixed",
        1,
        bad,
        made,
        replace(made, status="fixed"),
        replace(made, status="flaky"),
        replace(made, status="attributed"),
    )
    return replace(
        whole,
        run=bad,
        command=bad,
        branch=bad,
        before=(check,),
        after=(check,),
        notes=(bad,),
        limits={bad: 1.0, "usd": float("inf")},
    )


def huge() -> Outcome:
    """5,000 failures: 50 tasks with long tracebacks, and one that has half of them."""
    many = [
        replace(
            OPEN,
            task=task(f"T{n}", f"task {n}", tuple(failure(n * 50 + i, detail=f"{TRACE}\n" * 40) for i in range(50))),
        )
        for n in range(50)
    ]
    one = replace(OPEN, task=task("T50", "all at once", tuple(failure(i, detail=TRACE) for i in range(2500))))
    return outcome("partly_fixed", 1, "much remains", *many, one)
