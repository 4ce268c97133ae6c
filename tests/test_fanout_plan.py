"""The plan: jobs, shares of the budget, the file that travels, and what it may not carry."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests import fanned
from tests.support import Repo, belongings
from zwarm_ci.baseline import Baseline
from zwarm_ci.cli import fanout as cli
from zwarm_ci.cli import main
from zwarm_ci.errors import UsageError
from zwarm_ci.fanout import packing, sheet
from zwarm_ci.fanout.sheet import Asked, Before, Job, Part, Sheet
from zwarm_ci.git import open_repository
from zwarm_ci.purse import Limits
from zwarm_ci.selection import Request, may_revert
from zwarm_ci.task import Failure, Place
from zwarm_ci.verdict import CheckResult

SECONDS = st.lists(st.floats(0, 5000), max_size=600)
DOLLARS = st.none() | st.decimals(0, 1_000_000, places=2)


def planned() -> Sheet:
    """A plan of two tasks in one job."""
    failures = tuple(
        Failure(
            "tests",
            f"t.py::{n}",
            "AssertionError: no",
            "detail",
            Place("a.py", 3),
            "AssertionError",
            frames=(Place("a.py", 3),),
        )
        for n in "ab"
    )
    result = CheckResult(
        "tests", "pytest", 1, ("t.py::c",), tuple(f.id for f in failures), seconds=2.5, failures=failures, log="l"
    )
    baseline = Baseline((result,), {("tests", "t.py::f"): (1, 2)}, {("tests", ""): "environment: x"}, {("tests", "t.py::h"): "y"},
                        unsteady=frozenset({("tests", "t.py::a")}))  # fmt: skip
    asked = Asked(
        "fix-tests", tests_only=True, commands=(), last_green="", revert=True, strict_flaky=False, max_tasks=0, branch="",
        sets=("budget.usd=1",), config="",
    )  # fmt: skip
    parts = tuple(
        Part(f"tests-{n}", f"title {n}", f"{n}" * 16, "tests", (f.id,), "text") for n, f in enumerate(failures, 1)
    )
    return Sheet(
        "a" * 40, "b" * 40, "", 3, asked, {"budget.usd": "d"}, {"tests": "d"}, {"tests": {"cell": "x"}},
        Before.of(baseline, ("note",), {"tests": "why"}), parts, (Job("001", ("tests-1", "tests-2"), 65),), 0.5, 3.0, 2.5, 4,
    )  # fmt: skip


@given(SECONDS, st.integers(1, packing.MOST_JOBS))
def test_every_task_is_in_one_job_and_no_job_is_idle(seconds: list[float], most: int) -> None:
    jobs = packing.packed(seconds, most)
    assert sorted(i for job in jobs for i in job) == list(range(len(seconds)))
    assert len(jobs) == min(most, len(seconds))
    assert all(jobs)
    assert all(list(job) == sorted(job) for job in jobs)
    loads = [sum(seconds[i] for i in job) for job in jobs]
    if seconds:  # longest first: no job is more than one task above the one with least to do
        assert max(loads) <= min(loads) + max(seconds) + 1e-6 * sum(seconds)


def test_the_command_line_and_the_packing_know_one_limit() -> None:
    assert cli._MOST_JOBS == packing.MOST_JOBS == 256, "of one matrix of GitHub Actions"


def test_where_there_are_jobs_enough_they_are_the_tasks_in_order() -> None:
    assert packing.packed([3.0, 1.0, 2.0], 256) == ((0,), (1,), (2,))


def test_the_longest_begin_first() -> None:
    assert packing.packed([1.0, 9.0, 1.0, 1.0], 2) == ((0, 2, 3), (1,))


@given(DOLLARS, DOLLARS, DOLLARS, st.decimals(0, 100, places=4), st.integers(0, 3000))
def test_shares_together_never_pass_a_limit(
    run: Decimal | None, task: Decimal | None, day: Decimal | None, today: Decimal, tasks: int
) -> None:
    each = packing.share(Limits(run, task, day), today, tasks)
    assert each >= 0
    assert task is None or each <= task
    assert run is None or each * tasks <= run
    assert day is None or each * tasks <= max(Decimal(0), day - today)
    limits = [
        run / max(1, tasks) if run is not None else None,
        task,
        (day - today) / max(1, tasks) if day is not None else None,
    ]
    tightest = min((x for x in limits if x is not None), default=Decimal(0))
    assert each >= tightest - Decimal("0.0001"), "nothing of the limit is given away but by rounding"


def test_minutes_leave_time_beside_the_jobs_own_limit() -> None:
    assert packing.minutes(60, 0) == 65
    assert packing.minutes(60, 600) == 80
    assert packing.minutes(0, 1) == packing.minutes(9999, 1) == 360


def test_a_plan_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = planned()
    back = sheet.write(made, tmp_path)
    assert back == replace(made, digest=back.digest)
    assert len(back.digest) == 64
    assert back.before.baseline() == replace(made.before.baseline(), notes=("note",))
    assert [(t.id, t.targets, t.failures[0].message) for t in back.all_tasks()] == [
        ("tests-1", ("t.py::a",), "AssertionError: no"),
        ("tests-2", ("t.py::b",), "AssertionError: no"),
    ]
    assert sheet.write(made, tmp_path).digest == back.digest, "the same plan has the same digest"


def test_what_is_no_text_does_not_break_the_digest(tmp_path: Path) -> None:
    made = planned()
    odd = replace(made, tasks=(replace(made.tasks[0], title="caf\udce9 \u202e"), made.tasks[1]))
    assert sheet.write(odd, tmp_path).tasks[0].title.startswith("caf?")


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        at: Any = document["plan"]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = to
        if to is not None:
            document["digest"] = sheet._digest(document["plan"])

    return change


BAD: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "content without its digest": (lambda d: d["plan"].update(base="c" * 40), "another digest"),
    "a later schema": (lambda d: d.update(schema=2), "schema 2"),
    "no plan": (lambda d: d.pop("plan"), "no plan"),
    "a job of two tasks that are one": (_set("jobs", 0, "tasks", to=["tests-1", "tests-1"]), "do not fit together"),
    "a job of somebody else's task": (_set("jobs", 0, "tasks", to=["tests-9"]), "do not fit together"),
    "a task that is a path": (_set("tasks", 0, "id", to="../../x"), "names of their own"),
    "two tasks of one name": (_set("tasks", 0, "id", to="tests-2"), "names of their own"),
    "a job that is a path": (_set("jobs", 0, "id", to="../0"), "names of their own"),
    "a target that is not red": (_set("tasks", 0, "targets", to=["t.py::c"]), "not red"),
    "a result of an unknown check": (_set("checks", to={"lint": "d"}), "do not fit together"),
    "a word for a figure": (_set("share_usd", to="much"), "share_usd"),
    "a table for a list": (_set("tasks", to={}), "tasks"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_a_plan_that_somebody_changed_is_refused(tmp_path: Path, change: Callable[[Any], None], said: str) -> None:
    sheet.write(planned(), tmp_path)
    fanned.changed(tmp_path, sheet.FILE, change)
    with pytest.raises(UsageError, match=said):
        sheet.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"schema": 1, "plan": [], "digest": "x"}', "[" * 100_000])
def test_what_is_no_plan_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / sheet.FILE).write_text(text)
    with pytest.raises(UsageError) as caught:
        sheet.read(tmp_path)
    assert "\n" not in caught.value.line


def test_no_plan_at_all_and_one_that_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        sheet.read(tmp_path)
    with (tmp_path / sheet.FILE).open("wb") as file:
        file.truncate(sheet._LARGEST + 1)
    with pytest.raises(UsageError, match="more than 256 MB"):
        sheet.read(tmp_path)


@pytest.mark.parametrize("command", ["plan", "work", "collect"])
def test_help_fits_into_eighty_columns(command: str) -> None:
    said = CliRunner().invoke(main, [command, "--help"], terminal_width=80)
    assert said.exit_code == 0
    assert max(map(len, said.output.splitlines())) <= 80
    assert "fan" not in said.output


def test_a_green_repository_needs_no_job(tmp_path: Path) -> None:
    repo = fanned.make(tmp_path / "repo", 1)
    repo.git("revert", "--no-edit", "HEAD")
    mine = belongings(repo.path)
    said = fanned.plan(repo, tmp_path / "plan")
    assert (said.code, said.json["status"], said.json["matrix"]) == (0, "green", {"include": []}), said.err
    assert json.loads((tmp_path / "plan" / sheet.MATRIX).read_text()) == {"include": []}
    assert belongings(repo.path) == mine
    assert not (repo.path / ".zwarm" / "runs").exists(), "a plan is no run"
    got = fanned.collect(repo, tmp_path / "plan")
    assert (got.code, got.json["status"], got.json["tasks"]) == (0, "green", []), got.err


def test_what_no_job_can_repair_is_said_and_not_hidden(tmp_path: Path) -> None:
    files = {"t.py": "import sys\nsys.exit('no such command: ' + open('there/it/is').read())\n"}
    repo = Repo.make(tmp_path / "repo", {**files, ".zwarm/config.toml": fanned.CONFIG.replace("run.py", "t.py")})
    said = fanned.plan(repo, tmp_path / "plan")
    assert said.code == 4, said.out
    assert "no check can run" in said.err
    assert not (tmp_path / "plan" / sheet.FILE).exists()


def test_limits_are_shared_out_and_the_rest_is_named(tmp_path: Path) -> None:
    repo = fanned.make(tmp_path / "repo", 4)
    said = fanned.plan(
        repo, tmp_path / "plan", "--max-tasks", "3", "--jobs", "2", "--executor", "embedded,codex:mini", "--budget-usd", "1",
        "--task-budget-usd", "0.5", "--minutes", "7",
    )  # fmt: skip
    assert said.code == 0, said.err
    made = sheet.read(tmp_path / "plan")
    assert [j.tasks for j in made.jobs] == [("tests-1", "tests-3"), ("tests-2",)]
    assert (len(made.tasks), made.share_usd, said.json["share_usd"]) == (4, 0.3333, 0.3333)
    assert {row["minutes"] for row in said.json["matrix"]["include"]} == {12}
    assert "and 1 more" in said.json["matrix"]["include"][0]["title"]
    got = fanned.collect(repo, tmp_path / "plan")
    assert [t["status"] for t in got.json["tasks"]] == ["interrupted"] * 3 + ["over_budget"], got.err
    assert got.code == 1, "a task that was left out by --max-tasks is no limit that was reached"
    assert "--max-tasks 3: not begun" in got.json["tasks"][3]["reason"]


def test_a_plan_as_text(tmp_path: Path) -> None:
    repo = fanned.make(tmp_path / "repo", 3)
    said = fanned.patient("plan", "--out", "../plan", "--jobs", "2", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.out.splitlines()[:4] == [
        "planned: 3 tasks in 2 jobs",
        "job 001   tests/test_001.py::test_001: integer division or modulo by zero",
        "job 001   tests/test_003.py::test_003: integer division or modulo by zero",
        "job 002   tests/test_002.py::test_002: integer division or modulo by zero",
    ]
    assert said.out.splitlines()[-2:] == [
        "next      zwarm-ci work --plan ../plan --job 001 --out WORK, and the others",
        "          zwarm-ci collect --plan ../plan --work WORK",
    ]
    assert "two runs at once" not in said.err, "no job has them"
    assert "money" not in said.out, "the embedded executor costs nothing"


def test_no_secret_travels(tmp_path: Path) -> None:
    canary = "kanarienvogel-4711"
    repo = fanned.make(tmp_path / "repo", 1)
    tests = (
        f"def test_001():\n    assert m001.half_001(1) == 0, {canary!r}\n\n\ndef test_b():\n    assert not {canary!r}\n"
    )
    leaky = f"import m001\n\n\n{tests}"
    repo.commit("tell", {"tests/test_001.py": leaky})
    said = fanned.plan(repo, tmp_path / "plan", MY_TOKEN=canary)
    assert said.code == 0, said.err
    assert len(fanned.jobs(said)) == 2
    for file in (tmp_path / "plan").iterdir():
        assert canary not in file.read_text(), file
    for option in ("--check", "--set"):
        value = f"{sys.executable} -c pass {canary}" if option == "--check" else f"executor.reasoning_effort={canary}"
        told = fanned.plan(repo, tmp_path / "two", option, value, MY_TOKEN=canary)
        assert (told.code, canary in told.err) == (2, False)
        assert f"{option} holds what looks like a secret" in told.err


def test_a_folder_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    repo = fanned.make(tmp_path / "repo", 1)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "mine").write_text("x")
    said = fanned.plan(repo, tmp_path / "plan")
    assert said.code == 2
    assert "is not empty" in said.err
    assert [p.name for p in (tmp_path / "plan").iterdir()] == ["mine"]


def test_whether_to_revert_is_decided_where_the_plan_is_made(tmp_path: Path) -> None:
    repo = open_repository(fanned.make(tmp_path / "repo", 1).path)
    request = Request("work", repo.top)
    assert may_revert(request, repo, {}) is True, "it stands on main"
    assert may_revert(replace(request, revert=False), repo, {"GITHUB_REF_PROTECTED": "true"}) is False
    assert may_revert(replace(request, revert=True), replace(repo, branch="feature"), {}) is True
