"""The bench over twins can go red: it reads what runners say, sees each kind of falsehood, and leaves a checkout as it was."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from real_repos import changes, fingerprint
from twin_lib import Checkout, Recipe, Spot, Tally, UnfitError, recipes, tally
from twins import Row, Said, healthy, look, main, planted, read, table

from zwarm_ci import proc
from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.git import Git

RUNNERS = [
    ("pytest", "== 3 failed, 70 passed, 2 skipped, 1 xfailed, 9 warnings, 6 subtests passed in 3.77s ==", (70, 3, 3)),
    ("pytest -q", "79 passed, 1 skipped in 0.57s", (79, 0, 1)),
    ("pytest-pretty", "Results (17.1s):\n       853 passed\n        41 xfailed", (853, 0, 41)),
    ("broken pytest", "3 skipped, 23 errors in 3.48s", (0, 23, 3)),
    ("unittest", "Ran 303 tests in 6.818s\n\nOK (skipped=55)", (248, 0, 55)),
    ("red unittest", "Ran 9 tests in 1s\n\nFAILED (failures=2, errors=1, expected failures=1)", (5, 3, 1)),
    ("jest, twice", "Tests:  1 failed, 2 skipped, 3 passed, 6 total\nTests:       4 passed, 4 total", (7, 1, 2)),
    ("vitest", "\x1b[2m      Tests \x1b[22m 8 failed | 100 passed | 2 skipped (110)", (100, 8, 2)),
    ("mocha", "\n  1257 passing (3s)\n  4 pending\n  1 failing\n", (1257, 1, 4)),
    ("node", "# tests 17\n# suites 0\n# pass 15\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0", (15, 1, 1)),
    ("node's spec", "\u2139 tests 3\n\u2139 pass 2\n\u2139 fail 1", (2, 1, 0)),
    ("cargo", "test result: ok. 16 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n" * 2, (32, 0, 2)),
    ("go -v", "--- PASS: TestA (0.00s)\n    --- FAIL: TestA/sub (0.1s)\n--- SKIP: TestB (0.0s)", (1, 1, 1)),
    ("nothing", "make: all is built, 3 passed by", (0, 0, 0)),
]


@pytest.mark.parametrize(("said", "counts"), [r[1:] for r in RUNNERS], ids=[r[0] for r in RUNNERS])
def test_the_closing_lines_of_runners_are_read(said: str, counts: tuple[int, int, int]) -> None:
    found = tally(f"collecting\n{said}\n", 0)
    assert (found.passed, found.failed, found.skipped) == counts


def test_a_command_that_fails_without_a_word_is_one_red() -> None:
    assert (tally("", 2).red, tally("", 0).red, tally("", -1).red) == (1, 0, 1)
    assert tally("3 failed, 1 passed in 1s", 1).red == 3
    assert str(tally("", 2)) == "exit 2"
    assert Tally(1, 0, 2) + Tally(3, 4, 5, 1) == Tally(4, 4, 7, 1)


GREEN = Said("green", 0, before=Tally(9, 0, 1), commands=(("tests", "pytest"),))


def test_what_is_only_red_in_the_twin_is_a_false_red_unless_the_environment_is_blamed() -> None:
    row = Row("a")
    blamed = replace(GREEN, status="not_fixed", exit=1, tasks=(("no_changes", 2, "no idea"), ("flaky", 1, "")))
    assert healthy(row, blamed, Tally(10, 0, 0), opaque=False).false_reds == 2
    assert healthy(row, blamed, Tally(9, 1, 0, 1), opaque=False).false_reds == 1, "one of them is red in place too"
    excused = replace(blamed, tasks=(("unverifiable", 2, "environment: no redis"),))
    found = healthy(row, excused, Tally(10, 0, 0), opaque=False)
    assert (found.false_reds, found.unseen, found.note) == (0, 0, "environment: no redis")


def test_tests_that_the_twin_left_out_are_unseen_where_nothing_was_said() -> None:
    assert healthy(Row("a"), GREEN, Tally(12, 0, 0), opaque=False).unseen == 3
    assert healthy(Row("a"), GREEN, Tally(12, 0, 0), opaque=True).unseen == 0, "one id stands for a whole suite"
    assert healthy(Row("a"), GREEN, Tally(9, 0, 5), opaque=False).unseen == 0


@pytest.mark.parametrize(
    ("said", "delivered", "verdict", "false_greens", "real"),
    [
        (GREEN, 2, "green", 1, False),
        (replace(GREEN, status="fixed", tasks=(("fixed", 2, ""),), head="x"), 0, "fixed", 0, True),
        (replace(GREEN, status="fixed", tasks=(("fixed", 2, ""),), head="x"), 1, "fixed", 1, False),
        (replace(GREEN, status="not_fixed", exit=1, tasks=(("attributed", 2, ""),)), 2, "attributed", 0, True),
        (replace(GREEN, status="not_fixed", exit=1, tasks=(("no_changes", 2, ""),)), 2, "still failing", 0, True),
        (replace(GREEN, status="blocked", exit=4, tasks=(("unverifiable", 1, "e"),)), 2, "unverifiable", 0, False),
        (replace(GREEN, status="stopped", exit=3, tasks=(("over_budget", 2, ""),)), 2, "stopped", 0, False),
        (Said(trouble="Traceback"), 2, "no outcome", 0, False),
    ],
)
def test_what_is_said_of_a_planted_regression(
    said: Said, delivered: int, verdict: str, false_greens: int, real: bool
) -> None:
    row = planted(Row("a"), said, 2, delivered, 0, exact=False)
    assert (row.verdict, row.false_greens, row.real) == (verdict, false_greens, real)
    assert planted(Row("a"), said, 2, 2, 2, exact=False).false_greens == 0, "the base was as red before"


def test_a_verdict_is_worth_nothing_after_a_false_red() -> None:
    fixed = replace(GREEN, status="fixed", tasks=(("fixed", 2, ""),), head="x")
    assert not planted(Row("a", false_reds=1), fixed, 2, 0, 0, exact=True).real


def test_an_outcome_is_read() -> None:
    check = {"name": "tests", "command": "pytest", "passed": ["a"], "failed": ["b", "c"], "skipped": []}
    task = {"status": "no_changes", "failures": ["b", "c"], "reason": "no idea"}
    outcome = {
        "status": "not_fixed",
        "exit_code": 1,
        "reason": "r",
        "head": None,
        "checks": {"before": [check]},
        "tasks": [task],
    }
    said = read(outcome, 3.0)
    assert (said.commands, said.before, said.blamed) == ((("tests", "pytest"),), Tally(1, 2, 0), 2)
    assert (said.verdict, said.head) == ("still failing", "")


SOURCE = "def double(x):\n    return x + x\n\n\ndef half(x):\n    return x // 2\n"
TESTS = """import unittest
from calc import double, half

class T(unittest.TestCase):
    def test_double(self): self.assertEqual(double(3), 6)
    def test_half(self): self.assertEqual(half(6), 3)
"""
SUITE = f"{shlex.quote(sys.executable)} -m unittest"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    top = tmp_path / "calc-repo"
    top.mkdir()
    (top / "calc.py").write_text(SOURCE)
    (top / "test_calc.py").write_text(TESTS)
    (top / ".gitignore").write_text("__pycache__/\n.zwarm/\n")
    git = Git(top)
    git.run("init", "--quiet", "--initial-branch", "main")
    git.run("add", "--all")
    git.run("-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "--quiet", "-m", "All")
    return top


def test_a_plant_is_committed_and_taken_away_again(checkout: Path) -> None:
    before = fingerprint(checkout)
    with Checkout.at(checkout, Recipe(suite=SUITE)) as repo:
        assert repo.plain([]) == Tally(2, 0, 0)
        with repo.left_as_it_was():
            repo.plant(Spot("calc.py", "x + x", "x - x"))
            repo.commit("Tidy up")
            assert repo.plain([]) == Tally(1, 1, 0, 1)
            repo.git("branch", "zwarm-ci/x")
            (checkout / "left.db").write_text("by a test")
        gits_own = (".git/logs/", ".git/index", ".git/ORIG_HEAD", ".git/COMMIT_EDITMSG", ".git/packed-refs")
        assert [name for name in changes(before, fingerprint(checkout), None) if not name.startswith(gits_own)] == []
        assert repo.git("status", "--porcelain") == ""
        with pytest.raises(UnfitError, match="stands 2 times"):
            repo.plant(Spot("calc.py", "return x", "return -x"))


def test_a_stop_leaves_the_checkout_as_it_was(checkout: Path) -> None:
    def stopped(repo: Checkout) -> None:
        with repo.left_as_it_was():
            repo.plant(Spot("calc.py", "x + x", "x - x"))
            repo.commit("Tidy up")
            proc.STOP.set(signal.SIGTERM)
            repo.plain([SUITE])

    with Checkout.at(checkout, Recipe()) as repo:
        try:
            with pytest.raises(InterruptedRunError):
                stopped(repo)
        finally:
            proc.STOP.clear()
        assert (checkout / "calc.py").read_text() == SOURCE
        assert repo.git("log", "--format=%s") == "All"


def test_two_benches_do_not_meet_in_a_checkout(checkout: Path) -> None:
    with Checkout.at(checkout, Recipe()):
        (row,) = look(checkout, Recipe(), ("false",), configured=False, seed=1)
    assert row.note == "not looked at: another bench is at work in it"
    with Checkout.at(checkout, Recipe()) as repo:
        assert repo.branch == "main"


def test_a_checkout_with_changes_is_not_touched(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "notes.txt").write_text("mine")
    before = fingerprint(checkout)
    assert main([str(checkout), "--tool", "false"]) == 0
    assert "it has changes of its own: ?? notes.txt" in capsys.readouterr().out
    assert fingerprint(checkout) == before


def test_recipes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "recipes.toml"
    file.write_text(
        '["a.js"]\nup = ["x up"]\nenv = {TZ = "UTC"}\n[["a.js".plants]]\npath = "p"\nold = "o"\nnew = "n"\n[b]\n'
    )
    assert recipes(file) == {
        "a.js": Recipe(up=("x up",), env={"TZ": "UTC"}, plants=(Spot("p", "o", "n"),)),
        "b": Recipe(),
    }


FAKE = """
import json, os, subprocess, sys
git = lambda *a: subprocess.run(["git", *a], check=True, capture_output=True, text=True).stdout.strip()
mode, words = sys.argv[1], sys.argv[2:]
if words[0] == "doctor":
    print(json.dumps({"config": "run = 1"}))
    sys.exit(mode == "configured")
assert words[0] == "fix-tests" and "--json" in words, words
assert mode != "configured" or "run = 1" in open(words[words.index("--config") + 1]).read()
assert os.environ["TZ"] == "UTC" and os.environ.get("CI", "") == ""
if mode == "silent":
    sys.exit("cannot")
red = subprocess.run([sys.executable, "-B", "-m", "unittest"], capture_output=True).returncode
check = {"name": "tests", "command": %r, "passed": ["a", "b"][red:], "failed": ["b"][:red], "skipped": []}
status, tasks, head = "green", [], None
if mode == "red" or (red and mode != "blind"):
    status = "not_fixed"
    tasks = [{"status": "no_changes", "failures": ["b"], "reason": "no idea"}]
if red and mode in ("perfect", "configured"):
    status, tasks[0]["status"] = "fixed", "fixed"
    head = git("-c", "user.name=x", "-c", "user.email=x@x.example", "commit-tree", "-m", "x", "-p", "HEAD", "HEAD~1^{tree}")
    git("update-ref", "refs/heads/zwarm-ci/x", head)
print(json.dumps({"status": status, "exit_code": int(status == "not_fixed"), "reason": status, "head": head,
    "checks": {"before": [check]}, "tasks": tasks}))
"""


@pytest.mark.parametrize(
    ("mode", "code", "verdict", "false_reds", "false_greens", "exact"),
    [
        ("perfect", 0, "fixed", 0, 0, "yes"),
        ("configured", 0, "fixed", 0, 0, "yes"),
        ("idle", 0, "still failing", 0, 0, "-"),
        ("blind", 1, "green", 0, 1, "-"),
        ("red", 1, "still failing", 1, 0, "-"),
        ("silent", 0, "no outcome", 0, 0, "-"),
    ],
)
def test_from_checkout_to_table(
    checkout: Path, tmp_path: Path, mode: str, code: int, verdict: str, false_reds: int, false_greens: int, exact: str
) -> None:
    fake, known, rows = tmp_path / "fake.py", tmp_path / "recipes.toml", tmp_path / "rows.jsonl"
    fake.write_text(FAKE % SUITE)
    suite = f"suite = {json.dumps(SUITE)}\n" if mode == "silent" else ""
    spot = '[[calc-repo.plants]]\npath = "calc.py"\nold = "x + x"\nnew = "x - x"\n' if mode == "perfect" else ""
    known.write_text(f'[calc-repo]\n{suite}env = {{TZ = "UTC"}}\n{spot}')
    words = [str(checkout), "--tool", f"{shlex.quote(sys.executable)} {fake} {mode}"]
    configured = ["--configured"] if mode == "configured" else []
    assert main([*words, "--recipes", str(known), "--rows", str(rows), *configured]) == code
    found = json.loads(rows.read_text())
    assert (found["verdict"], found["exact"]) == (verdict, exact)
    assert found["settings"] == ("doctor's" if configured else "none")
    assert (found["false_reds"], found["false_greens"]) == (false_reds, false_greens)
    assert Git(checkout).run("for-each-ref", "--format=%(refname)").stdout.decode().split() == ["refs/heads/main"]
    assert (checkout / "calc.py").read_text() == SOURCE


def test_services_are_ended_whatever_happens(checkout: Path, tmp_path: Path) -> None:
    mark = shlex.quote(str(tmp_path / "up"))
    recipe = Recipe(up=(f"touch {mark}",), down=(f"rm {mark}",), plants=(Spot("calc.py", "nowhere", ""),), suite=SUITE)
    (row,) = look(checkout, recipe, ("false",), configured=False, seed=1)
    assert "stands 0 times" in row.note
    assert not (tmp_path / "up").exists()


def test_the_table_sums_up() -> None:
    rows = [Row("a", verdict="fixed"), Row("b", verdict="green", false_greens=1), Row("c", false_reds=2, unseen=4)]
    assert "real verdicts: 1 of 3 (33 %), false reds 2, false greens 1, tests unseen 4" in table(rows)
