"""The benchmark on somebody's repository can go red: what it plants is what it says, and a wrong repair is seen."""

import ast
import json
import random
import sys
from pathlib import Path

import pytest
from clones import Clone, Suite
from planting import Edit, apply, breaking, far_from, harmless, needless_f, unused_import
from real_repos import Plant, Row, changes, fingerprint, judge, main, plant, table

from zwarm_ci.demo import build
from zwarm_ci.git import Git

SOURCE = '''"""Doc."""

from os import path


def clip(x, low, high):
    """Between two bounds."""
    if x < low and not x == 7:
        return low
    name = "clip"
    total = x + 1
    return min(total, high)
'''


def test_breaking_edits_change_the_program_and_harmless_ones_do_not() -> None:
    pick = random.Random(1)
    before = ast.dump(ast.parse(SOURCE))
    broken, calm = breaking("a.py", SOURCE, pick), harmless("a.py", SOURCE, pick)
    assert {"<", "and", "+", "=="} <= {e.what.split()[0] for e in broken}
    assert all(ast.dump(ast.parse(apply(SOURCE, [e]))) != before for e in broken)
    assert len(calm) >= 3
    assert all(ast.dump(ast.parse(apply(SOURCE, [e]))) == before for e in calm)
    assert all(apply(SOURCE, [e]) != SOURCE for e in calm)


def test_the_seed_decides() -> None:
    first, again, other = (harmless("a.py", SOURCE, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_lint_is_planted_after_the_first_import() -> None:
    edit = unused_import("a.py", SOURCE, "wave")
    assert edit == Edit("a.py", 3, ("from os import path", "import wave"), "unused import of wave")
    assert unused_import("a.py", "x = 1\n", "wave") is None
    assert [e.after for e in needless_f("a.py", SOURCE)] == [('    name = f"clip"',)]


def test_edits_stay_hunks_of_their_own() -> None:
    here = Edit("a.py", 10, ("x",), "")
    assert not far_from(Edit("a.py", 13, ("x",), ""), [here])
    assert far_from(Edit("a.py", 14, ("x",), ""), [here])
    assert far_from(Edit("b.py", 10, ("x",), ""), [here])


def green_shop(folder: Path) -> Path:
    """The demo's repository as it was before anything broke."""
    git = Git(build(folder))
    git.run("checkout", "--quiet", "main~5")
    git.run("branch", "--quiet", "--force", "main", "HEAD")
    git.run("checkout", "--quiet", "main")
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Plant]:
    repo = Clone(green_shop(tmp_path_factory.mktemp("bench") / "shop"), sys.executable)
    return repo, plant(repo, 1)


def test_what_is_planted_is_one_breaking_hunk_among_harmless_ones(planted: tuple[Clone, Plant]) -> None:
    repo, plan = planted
    assert repo.git("log", "--format=%s", f"{plan.base}..HEAD").count("\n") == 1
    hunks = [line for line in repo.git("diff", "-U0", "HEAD~2", "HEAD~1").splitlines() if line.startswith("@@")]
    assert len(hunks) == plan.hunks >= 6
    assert repo.git("diff", "--name-only", "HEAD~2", "HEAD", "--", "tests") == ""
    assert repo.lint()
    assert repo.suite() == Suite(plan.red, plan.total, broken=False)
    assert 1 <= len(plan.red) <= 0.4 * plan.total
    repo.git("checkout", "--quiet", plan.wanted, "--", ".")
    try:
        assert repo.suite() == Suite(frozenset(), plan.total, broken=False)
        assert repo.lint() == []
    finally:
        repo.git("reset", "--quiet", "--hard", "main")


def verdict(repo: Clone, plan: Plant, tree: str, touched: list[str]) -> Row:
    head = repo.git("commit-tree", "-m", "repaired", "-p", "HEAD", tree)
    return judge(repo, plan, Row("shop", exit="0"), {"head": head, "reason": "", "suite_runs": 3}, touched)


def test_the_wanted_tree_and_nothing_else_is_good(planted: tuple[Clone, Plant]) -> None:
    repo, plan = planted
    assert verdict(repo, plan, plan.wanted, []).good
    assert not verdict(repo, plan, plan.wanted, ["shelf/money.py"]).good
    undone, nothing = verdict(repo, plan, f"{plan.base}^{{tree}}", []), verdict(repo, plan, "HEAD^{tree}", [])
    assert (undone.exact, undone.lint) == ("no", "yes"), "whole commits were undone, harmless hunks with them"
    assert (nothing.exact, nothing.lint) == ("no", "no")
    assert not judge(repo, plan, Row("shop", exit="1"), {"head": None, "reason": "gave up", "suite_runs": 3}, []).good


def test_whatever_changes_in_a_checkout_is_seen(tmp_path: Path) -> None:
    shop = green_shop(tmp_path / "shop")
    git = Git(shop)
    before = fingerprint(shop)
    git.run("branch", "zwarm-ci/x")
    (shop / ".zwarm").mkdir()
    (shop / ".zwarm/outcome.json").write_text("{}")
    assert changes(before, fingerprint(shop), "zwarm-ci/x") == []
    assert changes(before, fingerprint(shop), None) == [".git/logs/refs/heads/zwarm-ci/x", ".git/refs/heads/zwarm-ci/x"]

    (shop / ".cache").mkdir()
    (shop / ".cache/ignored").write_text("")
    (shop / ".git/hooks").mkdir()
    (shop / ".git/hooks/pre-commit").write_text("")
    git.run("config", "user.name", "somebody")
    git.run("add", "--force", ".cache")
    git.run("update-ref", "refs/stash", "HEAD")
    seen = changes(before, fingerprint(shop), "zwarm-ci/x")
    assert seen == [".cache/ignored", ".git/config", ".git/hooks/pre-commit", ".git/index", ".git/refs/stash"]


FAKE = """
import json, subprocess, sys
git = lambda *a: subprocess.run(["git", *a], check=True, capture_output=True, text=True).stdout.strip()
assert sys.argv[2:5] == ["fix-checks", "tests", "ruff"] and sys.argv[5] == "--last-green", sys.argv
if sys.argv[1] == "silent":
    sys.exit("cannot")
head = None
if sys.argv[1] == "perfect":  # the only tree without a commit is the wanted one
    tree = [line.split()[2] for line in git("fsck", "--dangling").splitlines() if line.startswith("dangling tree")][0]
    head = git("-c", "user.name=x", "-c", "user.email=x@x.example", "commit-tree", "-m", "x", "-p", "HEAD", tree)
    git("update-ref", "refs/heads/zwarm-ci/x", head)
print(json.dumps({"head": head, "branch": head and "zwarm-ci/x", "reason": "no idea", "suite_runs": 4}))
sys.exit(0 if head else 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "code", "note"), [("perfect", 0, ""), ("idle", 1, "no idea"), ("silent", 1, "cannot")]
)
def test_from_checkout_to_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str, code: int, note: str
) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE)
    shop = green_shop(tmp_path / "shop")
    before = fingerprint(shop)
    assert main([str(shop), "--tool", f"{sys.executable} {fake} {mode}"]) == code
    assert note in capsys.readouterr().out
    assert fingerprint(shop) == before, "the checkout is only read"


def test_the_table_is_aligned() -> None:
    said = table([Row("a", "12", note="n"), Row("longer-name", "3")]).splitlines()
    assert len({line.index(word) for line, word in zip(said, ("tests", "12", "3"), strict=True)}) == 1
    assert json.dumps(said[1]) == json.dumps("a            12     -    -           -        -      -     -          -")
