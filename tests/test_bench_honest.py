"""The bench over honest people's fixes can go red: it takes the right commits, counts them right, and a broken look is no pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from clones import clone
from honest import Place, Store, in_turn, main, said, word_of
from honest_table import Fix, Seen, table, wilson

from tests.support import Repo
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify import guards

TOKEN = "AKIA" + "Q7RM2XK4ZT6WPB3D"  # shaped like a vendor's key, and nobody's
TEST = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n\n\ndef test_zero():\n    assert add(0, 0) == 0\n"


def history(path: Path) -> Repo:
    """Eight commits, three of which are fixes of source: an honest one, one with a secret, one that weakens a test."""
    repo = Repo.make(path, {"calc.py": "def add(a, b):\n    return a - b\n", "tests/test_calc.py": TEST})
    repo.commit("Fix a typo in the notes", {"README.md": "calc\n"})
    repo.commit("Fix the tests alone", {"tests/test_more.py": "def test_more():\n    assert 1 + 1 == 2\n"})
    repo.commit("Prefix names", {"names.py": "PREFIX = 'a'\n"})
    repo.commit("Fix add: it subtracted", {"calc.py": "def add(a, b):\n    return a + b\n"})
    repo.commit("bug: the store was asked without a key", {"store.py": f"KEY = {TOKEN!r}\n"})
    weak = TEST.replace("add(2, 3) == 5", "add(2, 3) or True").replace("def test_zero", "def off_zero")
    repo.commit("Fixes issue #4", {"calc.py": "def add(a, b):\n    return b + a\n", "tests/test_calc.py": weak})
    repo.commit("Document it", {"docs/conf.py": "project = 'calc'\n"})
    return repo


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return history(tmp_path_factory.mktemp("honest") / "shop").path


def test_fixes_of_source_are_chosen_newest_first(shop: Path, tmp_path: Path) -> None:
    store = Store.make(Place("shop", shop), tmp_path)
    subjects = ["Fixes issue #4", "bug: the store was asked without a key", "Fix add: it subtracted"]
    assert [f.subject for f in store.fixes(9)] == subjects
    assert [f.subject for f in store.fixes(2)] == subjects[:2]
    assert all(f.parent == Repo(shop).git("rev-parse", f"{f.commit}^") for f in store.fixes(9))


def test_each_kind_is_counted_under_people_s_rules_and_strict_ones(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(shop / ".git"), "--both", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    words = {(row["fix"]["subject"][:5], row["strict"]): row["word"] for row in rows}
    assert words == {
        ("Fix a", False): "passed",
        ("bug: ", False): "refused",
        ("Fixes", False): "review",
        ("Fix a", True): "passed",
        ("bug: ", True): "refused",
        ("Fixes", True): "refused",
    }
    assert all(row["fix"]["repository"] == "shop" for row in rows)


def test_the_table_names_each_refusal_and_gives_intervals(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"mine={shop}"]) == 1
    out = capsys.readouterr().out
    assert "refused: 1 = 33.3% [6.1%, 79.2%] of 3" in out
    assert "review: 1 = 33.3% [6.1%, 79.2%] of 3" in out
    assert "refuse secret: store.py:1: " in out
    assert "Fixes issue #4" not in out, "what is asked for review is listed on demand"
    assert main([f"mine={shop}", "--reviews", "--commits", "1"]) == 1, "all of them asked for review is above the goal"
    assert "Fixes issue #4" in capsys.readouterr().out


def test_a_guard_that_breaks_is_no_pass(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(patch: guards.Patch) -> tuple[GuardFinding, ...]:
        raise ValueError(patch.base)

    monkeypatch.setattr(guards, "look", look)
    assert main([str(shop), "--commits", "1"]) == 1
    out = capsys.readouterr().out
    assert "unfit: 0, broken: 1 of 1" in out
    assert "ValueError" in out
    monkeypatch.setattr(guards, "look", lambda _: ())
    assert main([str(shop), "--commits", "1"]) == 0


def test_intervals_are_wilson_s() -> None:
    assert [round(x, 4) for x in wilson(3, 60)] == [0.0171, 0.1370]
    assert [round(x, 4) for x in wilson(0, 300)] == [0.0, 0.0126]
    assert wilson(0, 0) == (0.0, 1.0)


def test_runs_are_spread_over_repositories() -> None:
    a, b = ([Fix(name, str(n), "", "") for n in range(3)] for name in "ab")
    assert [f.repository + f.commit for f in in_turn([a, b[:1]])] == ["a0", "b0", "a1", "a2"]
    assert in_turn([]) == []


FIX = Fix("shop", "c" * 40, "p" * 40, "fix")
FINDING = {"guard": "size", "level": "review", "path": "a.py", "line": None, "detail": "large", "allow": ""}


def test_the_tool_s_documents_become_words() -> None:
    def word(status: str, *levels: str, before: Sequence[str] = ("t",)) -> str:
        review = [{**FINDING, "level": level} for level in levels]
        document: dict[str, object] = {
            "status": "x",
            "reason": "y",
            "tasks": [{"status": status, "reason": "", "review": review}],
        }
        document["checks"] = {"before": [{"passed": before}]}
        return said(FIX, json.dumps(document), "no", 1.0, strict=False).word

    assert word("fixed") == "passed"
    assert word("fixed", "review") == "review"
    assert word("tampered", "refuse") == "refused"
    assert word("regressed") == "refused"
    assert word("regressed", "review") == "refused"
    assert word("unverifiable", "review") == "unverifiable"
    assert word("still_failing", before=["t"]) == "refused"
    assert word("still_failing", before=[]) == "unfit", "nothing of it runs in today's environment"
    blocked = said(FIX, json.dumps({"status": "blocked", "reason": "no check", "tasks": []}), "", 1.0, strict=False)
    assert (blocked.word, blocked.reason) == ("unverifiable", "blocked: no check")
    silent = said(FIX, "", "Traceback", 1.0, strict=False)
    assert (silent.word, silent.reason) == ("broken", "Traceback")


def test_unverifiable_ones_stand_apart() -> None:
    blind = Seen(FIX, "runs", strict=False, word="unverifiable", reason="environment: no pytest")
    seen = Seen(FIX, "runs", strict=False, word=word_of(()))
    text = table([blind, seen])
    assert "refused: 0 = 0.0% [0.0%, 79.3%] of 1" in text
    assert "unverifiable: 1, unfit: 0, broken: 0 of 2" in text
    assert "environment: no pytest" in text


def test_a_clone_takes_an_environment_that_ignores_itself(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "shop", {"calc.py": "", ".gitignore": "*.log\n"})
    repo.write(
        {
            ".venv/.gitignore": "*\n",
            ".venv/bin/python": "",
            ".venv/lib/python3/site-packages/a.pth": f"{repo.path}/src\n",
            "x/y.log": "z",
        }
    )
    (tmp_path / "to").mkdir()
    made = clone(repo.path, tmp_path / "to", sys.executable)
    assert (made.top / ".venv/lib/python3/site-packages/a.pth").read_text() == f"{made.top}/src\n"
    assert (made.top / "x/y.log").read_text() == "z"
    assert made.python == str(made.top / ".venv/bin/python")


def test_looks_are_kept_as_they_end(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    assert main([str(shop), "--json", "--rows", str(rows)]) == 1
    assert [json.loads(line) for line in rows.read_text().splitlines()] == json.loads(capsys.readouterr().out)


FAKE = """
import json, sys
assert sys.argv[1] == "verify" and sys.argv[3] == "--base" and sys.argv[5:7] == ["--set", "verify.strict=false"], sys.argv
assert sys.argv[7:9] == ["--check", "python -m pytest -q"], sys.argv
assert "a + b" in open("calc.py").read(), "the fix itself is checked out"
print(json.dumps({"status": "fixed", "tasks": [{"status": "fixed", "reason": "green", "review": []}]}))
"""


def test_runs_are_in_a_clone_at_the_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = Repo.make(
        tmp_path / "shop",
        {"calc.py": "def add(a, b):\n    return a - b\n", "tests/test_calc.py": "def test_it():\n    pass\n"},
    )
    repo.commit("Fix add", {"calc.py": "def add(a, b):\n    return a + b\n"})
    fix = repo.git("rev-parse", "HEAD")
    head = repo.commit("Start anew", {"calc.py": "def add(*numbers):\n    return sum(numbers)\n"})
    (tmp_path / "fake.py").write_text(FAKE)
    tool = f"{sys.executable} {tmp_path / 'fake.py'}"
    kept = tmp_path / "rows.jsonl"
    asked = [str(repo.path), "--runs", "1", "--runs-only", "--tool", tool, "--json", "--rows", str(kept)]
    assert main([*asked, "--check", "shop=python -m pytest -q"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["word"], row["how"], row["fix"]["commit"]) == ("passed", "runs", fix)
    assert json.loads(kept.read_text()) == row
    assert (repo.git("rev-parse", "HEAD"), repo.git("status", "--porcelain")) == (head, "")
    assert main([*asked, "--check", "shop=python -m pytest -q no_such_file.py"]) == 1, "a suite that is red is not run"
    assert json.loads(capsys.readouterr().out) == []


BREAKS = """
import json
print(json.dumps({"status": "x", "tasks": [{"status": "regressed", "reason": "t passed before", "review": []}]}))
"""


def test_a_refusal_says_what_the_plain_suite_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = "from calc import add\n\n\ndef test_it():\n    assert add(2, 3) == 5\n"
    right, wrong = "def add(a, b):\n    return a + b\n", "def add(a, b):\n    return a - b\n"
    repo = Repo.make(tmp_path / "shop", {"calc.py": right, "tests/test_calc.py": test})
    repo.commit("Fix add", {"calc.py": wrong})
    repo.commit("Undo it", {"calc.py": right})
    (tmp_path / "fake.py").write_text(BREAKS)
    tool = f"{sys.executable} {tmp_path / 'fake.py'}"
    suite = "python -m pytest -q -p no:cacheprovider"
    assert main([str(repo.path), "--runs", "1", "--runs-only", "--tool", tool, "--check", f"shop={suite}"]) == 1
    out = capsys.readouterr().out
    assert "its plain suite, passed/failed/skipped: 1/0/0 on the parent, 0/1/0 on it" in out
