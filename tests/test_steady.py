"""Targets in fresh processes: how often, with which seeds, made to fail, and what is said where one of the runs is odd."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.told import ADD, CHECK, FILES, FIXED, GREEN, RED, TASK, Room, result
from zwarm_ci.task import Check
from zwarm_ci.verify import expected, steady
from zwarm_ci.verify.court import Rejected
from zwarm_ci.verify.reading.table import reader

PROPERTY = (
    "from hypothesis import given\nimport calc\n\n\n@given(...)\ndef test_any(n):\n    assert calc.double(n) == n + n\n"
)
PROP = "tests/test_prop.py::test_any"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return Room.make(tmp_path_factory.mktemp("steady"), {**FILES, "tests/test_prop.py": PROPERTY})


def test_the_targets_run_as_often_as_is_set_each_time_in_fresh_processes(room: Room) -> None:
    court, told = room.court(GREEN, GREEN)
    patch, prepared = room.patch({"calc.py": FIXED}), room.prepared()
    assert steady.burn_in(court, CHECK, TASK, patch, prepared, ["calc.py"]) == 3, "the run of everything is the third"
    assert [(r.only, r.options.get("again")) for r in told.runs] == [((ADD,), True)] * 2
    assert [r.options["lines"] for r in told.runs] == [(), ("calc.py",)]
    once, told = room.court(GREEN, burn_in=1)
    assert steady.burn_in(once, CHECK, TASK, patch, prepared) == 2, "alone at least once"
    assert len(told.runs) == 1


def test_what_is_red_while_it_is_traced_is_asked_again_without(room: Room) -> None:
    patch, prepared = room.patch({"calc.py": FIXED}), room.prepared()
    court, told = room.court(GREEN, RED, GREEN)
    assert steady.burn_in(court, CHECK, TASK, patch, prepared, ["calc.py"]) == 3
    assert [r.options.get("lines", ()) for r in told.runs] == [(), ("calc.py",), ()]
    court, _ = room.court(GREEN, RED, RED)
    with pytest.raises(Rejected) as said:
        steady.burn_in(court, CHECK, TASK, patch, prepared, ["calc.py"])
    assert said.value.status == "still_failing"


@pytest.mark.parametrize("line", ["import random", "    await x", "let t = Instant::now();", "const d = new Date()"])
def test_three_times_as_often_where_chance_is_near(room: Room, line: str) -> None:
    court, _ = room.court()
    assert steady.times(court, room.patch({"calc.py": f"{FIXED}# {line}\n"})) == 9
    assert steady.times(replace(court, burn_in=0), room.patch({"calc.py": FIXED})) == 1


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (RED, "still_failing"),
        (result(trouble="runner: odd"), "unverifiable"),
        (result(altered=("_pytest.runner.call",)), "unverifiable"),
        (result(canary=False), "unverifiable"),
        (result(timed_out=True), "still_failing"),
    ],
)
def test_the_last_of_the_runs_counts_as_the_first(room: Room, last: object, status: str) -> None:
    court, _ = room.court(GREEN, last)  # type: ignore[arg-type]
    with pytest.raises(Rejected) as said:
        steady.burn_in(court, CHECK, TASK, room.patch({"calc.py": FIXED}), room.prepared())
    assert said.value.status == status


def test_each_target_must_be_seen_failing_where_it_is_made_to(room: Room) -> None:
    court, told = room.court(RED)
    assert steady.doomed(court, CHECK, TASK, room.prepared()) is True
    assert (told.runs[0].only, told.runs[0].options) == ((ADD,), {"again": True, "doom": True})
    for odd in (GREEN, result(passed=()), result(passed=(), skipped=(ADD,)), replace(RED, trouble="runner: x")):
        court, _ = room.court(odd)
        with pytest.raises(Rejected) as said:
            steady.doomed(court, CHECK, TASK, room.prepared())
        assert said.value.status == "unverifiable"
    startup = replace(TASK, failures=(replace(TASK.failures[0], id="tests::startup"),))
    assert steady.doomed(court, CHECK, startup, room.prepared()) is None


def seeds(runs: list[object]) -> list[str]:
    return [r.options["variables"]["PYTEST_ADDOPTS"] for r in runs]  # type: ignore[attr-defined]


def test_property_tests_of_what_changed_run_with_three_seeds_of_the_tree(room: Room) -> None:
    before = result(passed=(ADD, PROP))
    patch = room.patch({"calc.py": FIXED})
    court, told = room.court(*[before] * 6, before=before)
    first = steady.seeded(court, CHECK, patch, room.prepared)
    assert len(set(first)) == 3
    assert seeds([*told.runs]) == [f"--hypothesis-seed={seed}" for seed in first]
    assert all(r.only == (PROP,) for r in told.runs)
    assert steady.seeded(court, CHECK, patch, room.prepared) == first, "the same facts, the same seeds"
    other = room.court(*[before] * 3, before=before)[0]
    moved = steady.seeded(other, CHECK, patch, lambda: room.prepared({"calc.py": FIXED + "# x\n"}))
    assert not set(moved) & set(first)
    assert steady.seeded(court, CHECK, room.patch({"other.py": "X = 1\n"}), room.prepared) == (), "none is about it"


def test_what_a_seed_breaks_is_a_regression_unless_it_breaks_the_base(room: Room) -> None:
    before, red = result(passed=(ADD, PROP)), result(passed=(), failed=(PROP,))
    court, told = room.court(before, red, before, before, before=before)
    with pytest.raises(Rejected, match="red with the hypothesis seed") as said:
        steady.seeded(court, CHECK, room.patch({"calc.py": FIXED}), room.prepared)
    assert said.value.status == "regressed"
    assert told.runs[-1].tree == room.repo.tree_of(room.base)
    assert seeds([*told.runs])[1] == seeds([*told.runs])[2], "the base is asked with the same seed"
    court, _ = room.court(before, red, red, before, before=before)
    assert len(steady.seeded(court, CHECK, room.patch({"calc.py": FIXED}), room.prepared)) == 3


def test_a_deferred_verification_reaches_the_tests_that_name_what_changed(room: Room) -> None:
    far = "tests/test_far.py::test_far"
    court, _ = room.court(before=result(passed=(ADD, PROP, far)))
    assert steady.reached(court, CHECK, TASK, room.patch({"calc.py": FIXED})) == (ADD, PROP)
    assert steady.reached(court, CHECK, TASK, room.patch({"other.py": "X = 1\n"})) == (ADD,)


JS = 'const test = require("node:test");\n\ntest("add", () => {\n  assert.strictEqual(add(33, 0), 33);\n  assert.equal(name(), \'x\');\n});\n'
GO = 'package a\n\nfunc TestAdd(t *testing.T) {\n\tif got := Add(1, 2); got != 3 {\n\t\tt.Errorf("got %d, want 3", got)\n\t}\n}\n'
RUST = '#[test]\nfn adds() {\n    assert_eq!(add(1, 2), 3);\n    assert_eq!(\n        text(),\n        "a b"\n    );\n    assert!(ok() == true);\n}\n'


@pytest.mark.parametrize(
    ("path", "text", "changes"),
    [
        ("a.test.js", JS, {"add(33, 0), 33": "add(33, 0), 34", "'x'": "'~x'"}),
        ("a_test.go", GO, {"got != 3 ": "got != 4 "}),
        ("tests/a.rs", RUST, {"2), 3)": "2), 4)", '"a b"': '"~a b"', "== true": "== false"}),
        ("a.test.js", JS.replace("33);", "of(1));").replace("'x'", "y"), {}),
    ],
)
def test_what_a_test_expects_exactly_becomes_something_else(path: str, text: str, changes: dict[str, str]) -> None:
    read = reader(path)
    assert read
    (case,) = read(path, text).cases
    wanted = text
    for old, new in changes.items():
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new)
    assert expected.otherwise(text, case) == wanted


NODE = Check("tests", "npm test", "junit")
NODE_ID = "test/a.test.js::add"
NODE_TASK = replace(TASK, failures=(replace(TASK.failures[0], id=NODE_ID),))


def test_a_target_that_passes_whatever_it_expects_is_no_proof(tmp_path: Path) -> None:
    room = Room.make(tmp_path, {"test/a.test.js": JS, "src/a.js": "x\n", "test/b.test.js": JS})
    prepared = room.prepared({"src/a.js": "y\n"})
    red, green = (result(passed=p, failed=f, canary=None) for p, f in (((), (NODE_ID,)), ((NODE_ID,), ())))
    court, told = room.court(red)
    assert steady.doomed(court, NODE, NODE_TASK, prepared) is True
    changed = room.repo.read(told.runs[0].tree, "test/a.test.js") or b""
    assert (b"add(33, 0), 34" in changed, told.runs[0].only) == (True, (NODE_ID,))
    assert room.repo.read(told.runs[0].tree, "src/a.js") == b"y\n"
    assert (room.repo.read(told.runs[0].tree, "test/b.test.js") or b"").decode() == JS
    court, _ = room.court(green)
    with pytest.raises(Rejected, match="whatever it was made to expect") as said:
        steady.doomed(court, NODE, NODE_TASK, prepared)
    assert said.value.status == "unverifiable"
    court, told = room.court(result(trouble="environment: x"))
    assert steady.doomed(court, NODE, NODE_TASK, prepared) is None, "it cannot be told"
    plain = room.prepared({"test/a.test.js": JS.replace("33);", "of(1));").replace("'x'", "y")})
    court, told = room.court()
    assert (steady.doomed(court, NODE, NODE_TASK, plain), told.runs) == (None, []), (
        "nothing is expected in so many words"
    )
    people, told = room.court()
    people = replace(people, rules=replace(people.rules, strict=False))
    assert (steady.doomed(people, NODE, NODE_TASK, prepared), told.runs) == (None, [])


def test_a_test_inside_of_a_suite_is_found_by_its_id(tmp_path: Path) -> None:
    nested = 'describe("sums", () => {\n  it("add", () => {\n    expect(add(1, 2)).toBe(3);\n  });\n});\n'
    room = Room.make(tmp_path, {"test/a.test.js": nested, "src/a.js": "x\n"})
    inner = "test/a.test.js::sums > add"
    task = replace(TASK, failures=(replace(TASK.failures[0], id=inner),))
    court, told = room.court(result(passed=(), failed=(inner,), canary=None))
    assert steady.doomed(court, NODE, task, room.prepared({"src/a.js": "y\n"})) is True
    assert b"toBe(4)" in (room.repo.read(told.runs[0].tree, "test/a.test.js") or b"")
