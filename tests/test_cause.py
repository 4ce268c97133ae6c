"""Proof of cause: parts taken away, lines that ran, and what a patch's own tests say without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.told import ADD, CALC, CHECK, DOUBLE, FILES, FIXED, GREEN, LINT, RED, TASK, Room, result
from zwarm_ci.task import Failure
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify import cause as causes
from zwarm_ci.verify.cause import Cause, executable, findings
from zwarm_ci.verify.guards import Rules

NEW = "tests/test_calc.py::test_new"
MORE = FIXED.replace("a * 2", "a + a")  # a second hunk, which no target needs


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return Room.make(tmp_path_factory.mktemp("cause"), FILES)


def test_each_part_is_taken_away_alone_and_is_idle_where_the_targets_stay_green(room: Room) -> None:
    only_double, only_add = room.tree({"calc.py": CALC.replace("a * 2", "a + a")}), room.tree({"calc.py": FIXED})
    court, told = room.court(answer=lambda tree, ids: GREEN if tree == only_add else RED)
    said = causes.needed(court, CHECK, TASK, room.patch({"calc.py": MORE}), room.tree({"calc.py": MORE}))
    assert said == (2, 2, ("calc.py:6",))
    assert [(r.tree, r.only) for r in told.runs] == [(only_double, (ADD,)), (only_add, (ADD,))]
    assert all(r.options == {"anew": True} for r in told.runs), "what an earlier run left does not meet it"


@pytest.mark.parametrize(
    "without", [result(trouble="runner: x"), result(timed_out=True), RED, result(passed=(DOUBLE,))]
)
def test_what_cannot_be_seen_green_is_not_idle(room: Room, without: CheckResult) -> None:
    court, _ = room.court(without, without)
    assert causes.needed(court, CHECK, TASK, room.patch({"calc.py": MORE}), room.tree({"calc.py": MORE})) == (2, 2, ())


def test_the_only_part_is_needed_without_a_run_and_tests_are_no_part(room: Room) -> None:
    court, told = room.court()
    files = {"calc.py": FIXED, "tests/test_calc.py": "# x\n"}
    assert causes.needed(court, CHECK, TASK, room.patch(files), room.tree(files)) == (1, 1, ())
    assert told.runs == []


def test_a_new_file_is_a_part_and_so_is_each_file_of_a_large_patch(room: Room) -> None:
    files: dict[str, str | None] = {"calc.py": FIXED, "ops.py": "X = 1\n"}
    court, told = room.court(GREEN, GREEN)
    said = causes.needed(court, CHECK, TASK, room.patch(files), room.tree(files))
    assert said == (2, 2, ("calc.py:2", "ops.py:1"))
    assert [r.tree for r in told.runs] == [room.tree({"ops.py": "X = 1\n"}), room.tree({"calc.py": FIXED})]
    many: dict[str, str | None] = {f"m{n:02}.py": "X = 1\n" for n in range(13)}
    court, told = room.court(*[RED] * 13)
    assert causes.needed(court, CHECK, TASK, room.patch(many), room.tree(many)) == (13, 12, ())
    assert len(told.runs) == 12


def test_lines_that_run_with_no_target_are_named(room: Room) -> None:
    code = FIXED.replace("return a * 2", "if a:\n        return a + a\n    return 0")
    patch, tree = room.patch({"calc.py": code}), room.tree({"calc.py": code})
    ran = result(lines={"calc.py": (1, 2, 5)})
    court, told = room.court(ran)
    assert causes.covered(court, CHECK, TASK, patch, tree) == (4, (("calc.py", 6), ("calc.py", 7), ("calc.py", 8)))
    assert (told.runs[0].only, told.runs[0].options["lines"]) == ((ADD,), ("calc.py",))
    assert causes.covered(room.court(result(lines={"calc.py": tuple(range(9))}))[0], CHECK, TASK, patch, tree) == (
        4,
        (),
    )
    for unseen in (GREEN, replace(ran, trouble="runner: x")):
        assert causes.covered(room.court(unseen)[0], CHECK, TASK, patch, tree) is None
    assert causes.covered(court, LINT, TASK, patch, tree) is None
    comment = {"calc.py": CALC + "# x\n"}
    assert causes.covered(court, CHECK, TASK, room.patch(comment), room.tree(comment)) is None


def test_lines_on_which_something_is_done() -> None:
    text = '"""Doc."""\nimport os\n\n\ndef f():\n    """Doc."""\n    global X\n    if os:\n        pass\n    else:\n'
    text += "        X = (\n            1\n        )\n    y: int\n"
    assert executable(text) == {2, 5, 8, 11}
    assert executable("def f(:\n") == set()


ERROR = Failure("tests", NEW, "KeyError: 'x'", shape="KeyError")


@pytest.mark.parametrize(
    ("said", "proof"),
    [
        (result(failed=(NEW,), failures=(Failure("tests", NEW, "AssertionError: assert 1", shape="AssertionError"),)), "PROVEN"),
        (result(failed=(NEW,), failures=(Failure("tests", NEW, "Failed: DID NOT RAISE", shape="Failed"),)), "PROVEN"),
        (result(failed=(NEW,), failures=(Failure("tests", NEW, "a_test.go:7: got 1, want 2", shape="fail"),)), "PROVEN"),
        (result(failed=(NEW,), failures=(ERROR,)), "WEAK"),
        (result(failed=(NEW,), failures=(replace(ERROR, message="ImportError: no half", shape="ImportError"),)), "WEAK"),
        (result(passed=(), failed=("tests/test_calc.py",), failures=(replace(ERROR, id="tests/test_calc.py"),)), "WEAK"),
        (result(passed=(NEW,)), "INCONCLUSIVE"),
        (result(passed=(), skipped=(NEW,)), "INCONCLUSIVE"),
        (result(passed=()), "INCONCLUSIVE"),
        (result(trouble="runner: x", failed=(NEW,), failures=(ERROR,)), "INCONCLUSIVE"),
    ],
)  # fmt: skip
def test_what_a_new_test_proves(room: Room, said: CheckResult, proof: str) -> None:
    court, told = room.court(said)
    files: dict[str, str | None] = {
        "calc.py": FIXED,
        "tests/test_calc.py": FILES["tests/test_calc.py"] + "\n\ndef test_new(): ...\n",
    }
    assert causes.proofs(court, CHECK, room.patch(files), (NEW,), TASK.failures) == {NEW: proof}
    tests_alone = room.tree({"tests/test_calc.py": files["tests/test_calc.py"]})
    assert [(r.tree, r.only) for r in told.runs] == [(tests_alone, (NEW,))], "the patch's tests on the base's source"


def test_the_issues_own_error_is_proof(room: Room) -> None:
    court, _ = room.court(result(failed=(NEW,), failures=(ERROR,)))
    own = (replace(TASK.failures[0], shape="KeyError"),)
    assert causes.proofs(court, CHECK, room.patch({"calc.py": FIXED}), (NEW,), own) == {NEW: "PROVEN"}
    assert causes.proofs(court, CHECK, room.patch({"calc.py": FIXED}), (), own) == {}, "none came"


def test_the_best_of_the_new_tests_speaks() -> None:
    assert Cause(proofs={"a": "INCONCLUSIVE", "b": "PROVEN", "c": "WEAK"}).proof == "PROVEN"
    assert Cause(proofs={"a": "INCONCLUSIVE", "c": "WEAK"}).proof == "WEAK"
    assert Cause(proofs={"a": "INCONCLUSIVE"}).proof == "INCONCLUSIVE"
    assert Cause().proof is None


def test_what_a_person_should_look_at(room: Room) -> None:
    seen = Cause(
        2,
        2,
        ("calc.py:6", "icon.png"),
        3,
        1,
        (("calc.py", 6), ("calc.py", 7)),
        {NEW: "WEAK", ADD: "PROVEN", DOUBLE: "INCONCLUSIVE"},
    )
    found = list(findings(seen, TASK))
    assert [(f.guard, f.level, f.path, f.line) for f in found] == [
        ("cause", "review", "calc.py", 6),
        ("cause", "review", "icon.png", None),
        ("cause", "review", "calc.py", 6),
    ]
    assert "2 of the patch's lines run with no target: 6, 7" in found[-1].detail
    free = list(findings(seen, replace(TASK, failures=())))[3:]
    assert [(f.guard, f.detail.split()[0]) for f in free] == [("proof", NEW), ("proof", DOUBLE)]
    assert "another reason" in free[0].detail
    assert "does not fail" in free[1].detail
    assert list(findings(Cause(), TASK)) == []


def test_what_is_source_and_what_holds_it_to_account(room: Room) -> None:
    about = room.patch({"calc.py": FIXED}, Rules(about=frozenset({"pyproject.toml"})))
    assert causes.is_sources(about, "calc.py")
    assert causes.is_sources(about, "pyproject.toml")
    assert not causes.is_sources(about, "tests/test_calc.py")
    assert not causes.is_sources(room.patch({"calc.py": FIXED}), "pyproject.toml")
