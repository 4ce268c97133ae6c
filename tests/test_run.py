"""A run from end to end, as a user makes it: real git, real pytest, real ruff."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support import Repo, belongings, zwarm

PYPROJECT = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
GOOD = "def price(cents, percent):\n    return cents - cents * percent // 100\n\n\ndef label(cents):\n    return f'{cents / 100:.2f}'\n"
TESTS = (
    "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent.parent))\n"
    "from shop import label, price\n\n\ndef test_price():\n    assert price(1000, 10) == 900\n\n\n"
    "def test_free():\n    assert price(1000, 100) == 0\n\n\ndef test_label():\n    assert label(250) == '2.50'\n"
)


def shop(folder: Path, branch: str = "main") -> Repo:
    """A green first commit, then one that breaks `price` beside harmless changes."""
    repo = Repo.make(
        folder,
        {"shop.py": GOOD, "tests/test_shop.py": TESTS, "pyproject.toml": PYPROJECT, ".gitignore": "secret/\n"},
        branch,
    )
    bad = GOOD.replace("cents - cents", "cents + cents").replace("def label", "# for receipts\ndef label")
    repo.commit("prettier receipts", {"shop.py": bad, "README.md": "shop\n"})
    return repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return shop(tmp_path / "my shöp")


def test_a_regression_is_reverted_on_a_branch_and_nothing_else_changes(repo: Repo) -> None:
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", "--branch", "zw/one", cwd=repo.path)
    assert said.code == 0, said.err
    outcome = said.json
    assert outcome["status"] == "fixed"
    assert [t["status"] for t in outcome["tasks"]] == ["fixed", "fixed"] or outcome["tasks"][0]["status"] == "fixed"
    fixed = outcome["tasks"][0]
    assert fixed["method"] == "revert"
    assert fixed["origin"]["revert"] == repo.git("rev-parse", "HEAD")
    assert repo.files("zw/one")["shop.py"] == GOOD.replace("def label", "# for receipts\ndef label").rstrip("\n")
    assert repo.git("diff", "--name-only", "main", "zw/one") == "shop.py"
    assert outcome["cost_usd"] == 0
    assert belongings(repo.path, but=("zw/one",)) == before
    folder = repo.path / ".zwarm/runs/latest"
    evidence = (folder / fixed["evidence"]).read_bytes()
    message = repo.git("log", "-1", "--format=%B", fixed["commit"])
    assert f"Zwarm-Verified: {hashlib.sha256(evidence).hexdigest()}" in message
    for name in ("outcome.json", "junit.xml", "summary.md", "report.html", "journal.jsonl", fixed["patch"]):
        assert (folder / name).is_file(), name


def test_on_a_branch_of_its_author_the_hunks_are_named_and_not_undone(tmp_path: Path) -> None:
    repo = shop(tmp_path / "shop", branch="feature")
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 1
    statuses = {t["status"] for t in said.json["tasks"]}
    assert statuses == {"attributed"}, said.out
    assert said.json["branch"] is None
    assert said.json["tasks"][0]["origin"]["places"] == ["shop.py:2"]
    allowed = zwarm("fix-tests", "--json", "--allow-revert", cwd=repo.path)
    assert allowed.code == 0, allowed.err


def test_green_is_a_no_op(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "shop", {"shop.py": GOOD, "tests/test_shop.py": TESTS, "pyproject.toml": PYPROJECT})
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.json["status"] == "green"
    assert said.json["branch"] is None
    assert belongings(repo.path) == before


def test_uncommitted_work_is_the_base_of_the_repair_and_stays_uncommitted(repo: Repo) -> None:
    repo.write({"notes.txt": "mine\n", ".env": "TOKEN=abc\n", "shop.py": repo.files("HEAD")["shop.py"] + "\n# draft\n"})
    repo.git("add", "shop.py")
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", "--branch", "zw", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.json["base"] != said.json["source_head"] == repo.git("rev-parse", "HEAD")
    assert repo.git("merge-base", "zw", "main") == repo.git("rev-parse", "main")
    assert "# draft" in repo.files("zw")["shop.py"]
    assert "notes.txt" in repo.files("zw")
    assert ".env" not in repo.files("zw"), "files named like secrets are in no snapshot"
    assert belongings(repo.path, but=("zw",)) == before


def test_take_puts_the_patch_into_the_tree_and_drop_deletes_the_branch(repo: Repo) -> None:
    run = zwarm("fix-tests", "--json", cwd=repo.path).json
    index = (repo.path / ".git/index").read_bytes()
    taken = zwarm("take", "latest", cwd=repo.path)
    assert taken.code == 0, taken.err
    assert "cents - cents" in (repo.path / "shop.py").read_text()
    assert (repo.path / ".git/index").read_bytes() == index
    bundle = repo.path / ".zwarm/runs" / run["run"] / "branch.bundle"
    assert bundle.is_file()
    again = zwarm("take", run["run"], cwd=repo.path)
    assert again.code == 0, "what is there already is no conflict"
    dropped = zwarm("drop", run["run"][:15], cwd=repo.path)
    assert dropped.code == 0, dropped.err
    assert run["branch"] not in repo.git("branch", "--format=%(refname:short)")
    assert not bundle.exists(), "nobody fetches what was thrown away"
    gone = zwarm("take", "latest", cwd=repo.path)
    assert gone.code == 2
    assert "is gone" in gone.err


def test_a_commit_that_is_dropped_is_named_no_longer(tmp_path: Path) -> None:
    broken = "def one():\n    return 2\n\n\ndef two():\n    return 3\n"
    repo = Repo.make(
        tmp_path / "two", {"lib.py": broken.replace("2", "1").replace("3", "2"), "pyproject.toml": PYPROJECT}
    )
    tests = TESTS.partition("from shop")[0] + "import lib\n\n\ndef test_one():\n    assert lib.one() == 1\n\n\n"
    repo.commit(
        "count", {"lib.py": broken, "tests/test_lib.py": tests + "def test_two():\n    assert lib.two() == 2\n"}
    )
    run = zwarm("fix-tests", "--json", cwd=repo.path).json
    assert [t["status"] for t in run["tasks"]] == ["fixed", "fixed"], run["reason"]
    dropped = zwarm("drop", "latest", run["tasks"][0]["id"], cwd=repo.path)
    assert dropped.code == 0, dropped.err
    found = zwarm("report", "--json", cwd=repo.path).json
    assert [t["commit"] for t in found["tasks"]] == [None, found["head"]]
    assert found["head"] == repo.git("rev-parse", run["branch"])
    bundle = repo.path / ".zwarm/runs" / run["run"] / "branch.bundle"
    assert repo.git("bundle", "list-heads", str(bundle)).split()[0] == found["head"]


def test_a_run_that_was_cut_off_has_nothing_to_take(repo: Repo) -> None:
    (repo.path / ".zwarm/runs/20260101-000000-aaaa").mkdir(parents=True)
    for command in ("take", "drop"):
        said = zwarm(command, "2026", cwd=repo.path)
        assert said.code == 2, said.err
        assert "has no outcome.json" in said.err


def test_what_was_not_asked_for_is_not_called_green(repo: Repo) -> None:
    said = zwarm("fix-tests", "test_shop.py::test_label", "--json", "-C", "tests", cwd=repo.path)
    assert (said.code, said.json["status"]) == (0, "green")
    assert said.json["reason"].startswith("nothing to repair in what was named; 2 more of the ids that ran are red")


def test_apply_also_edits_the_working_tree(repo: Repo) -> None:
    said = zwarm("fix-tests", "--apply", cwd=repo.path)
    assert said.code == 0, said.err
    assert "cents - cents" in (repo.path / "shop.py").read_text()
    assert repo.git("status", "--porcelain", "--untracked-files=no") == " M shop.py"


def test_a_missing_ignored_file_is_the_environments_fault_and_is_named(repo: Repo) -> None:
    repo.git("checkout", "-q", "HEAD~1")
    body = TESTS + "\n\ndef test_rates():\n    assert Path('secret/rates.txt').read_text() == '7'\n"
    repo.commit("rates", {"tests/test_shop.py": body})
    repo.write({"secret/rates.txt": "7", "secret/other.txt": "x"})
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 1
    (task,) = said.json["tasks"]
    assert task["status"] == "unverifiable"
    assert task["reason"].startswith("environment")
    assert 'include = ["secret/rates.txt"]' in task["reason"]
    assert belongings(repo.path) == before
    cured = zwarm(
        "fix-tests",
        "--json",
        "--set",
        'checks.tests.run="python -m pytest"',
        "--set",
        'checks.tests.include=["secret/rates.txt"]',
        cwd=repo.path,
    )
    assert cured.code == 0, cured.err


def test_a_flaky_test_is_reported_and_not_repaired(repo: Repo, tmp_path: Path) -> None:
    repo.git("checkout", "-q", "HEAD~1")
    flaky = TESTS + (
        f"\n\ndef test_cold():\n    mark = Path({str(tmp_path / 'warm')!r})\n    warm = mark.exists()\n"
        "    mark.touch()\n    assert warm\n"
    )
    repo.commit("cache", {"tests/test_shop.py": flaky})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert (said.code, said.json["status"]) == (0, "green"), said.out
    (task,) = said.json["tasks"]
    assert task["status"] == "flaky"
    assert "of 2 times" in task["reason"]
    (tmp_path / "warm").unlink()
    strict = zwarm("fix-tests", "--json", "--strict-flaky", cwd=repo.path)
    assert strict.code == 1


def test_a_hook_of_another_repository_does_not_lead_us_astray(repo: Repo, tmp_path: Path) -> None:
    other = Repo.make(tmp_path / "other", {"a": "1"})
    before = belongings(other.path)
    said = zwarm(
        "fix-tests", "--json", cwd=repo.path, GIT_DIR=str(other.path / ".git"), GIT_INDEX_FILE=str(other.path / ".git/index"),
        GIT_WORK_TREE=str(other.path),
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["source_head"] == repo.git("rev-parse", "HEAD")
    assert belongings(other.path) == before


def test_the_same_inputs_give_the_same_trees_subjects_and_fingerprints(repo: Repo) -> None:
    runs = [zwarm("fix-tests", "--json", "--parallel", n, cwd=repo.path).json for n in ("1", "3")]
    facts = []
    for run in runs:
        log = repo.git("log", "--format=%T %s", f"main..{run['branch']}")
        facts.append((log, [(t["id"], t["status"], t["fingerprint"], t["title"]) for t in run["tasks"]]))
    assert facts[0] == facts[1]
    first, second = ((repo.path / ".zwarm/runs" / r["run"] / r["tasks"][0]["evidence"]).read_bytes() for r in runs)
    assert first == second


def test_dry_run_runs_nothing(repo: Repo) -> None:
    repo.write({"tests/test_shop.py": TESTS + "\nopen('/proc/self/cwd/../ran', 'w').close()\n"})
    said = zwarm("fix-tests", "--dry-run", cwd=repo.path)
    assert said.code == 0, said.err
    assert "Nothing was run" in said.out
    assert not list(repo.path.parent.glob("ran"))
    assert not (repo.path / ".zwarm").exists()


def test_reports_are_copied_where_asked(repo: Repo, tmp_path: Path) -> None:
    zwarm("fix-tests", "--reports", str(tmp_path / "out"), cwd=repo.path)
    assert {"outcome.json", "junit.xml", "summary.md"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert list((tmp_path / "out/logs").glob("*.log"))


def test_reports_that_leave_take_no_secret_along(tmp_path: Path) -> None:
    tests = (
        TESTS + "\n\ndef test_loud():\n    print('deploy with ' + 'correct' + ' horse')\n    assert label(1) == 'x'\n"
    )
    repo = Repo.make(tmp_path / "shop", {"shop.py": GOOD, "tests/test_shop.py": tests, "pyproject.toml": PYPROJECT})
    zwarm("fix-tests", "--reports", "../out", "--max-tasks", "1", cwd=repo.path, DEPLOY_PASSWORD="correct horse")
    logs = list((tmp_path / "out/logs").glob("*.log"))
    assert logs
    for path in (p for p in (tmp_path / "out").rglob("*") if p.is_file()):
        assert "correct horse" not in path.read_text(), path


def test_reports_of_the_newest_run_may_be_asked_for_where_they_are(repo: Repo) -> None:
    zwarm("fix-tests", "tests/test_shop.py::test_label", cwd=repo.path)
    there = zwarm("fix-tests", "tests/test_shop.py::test_label", "--reports", ".zwarm/runs/latest", cwd=repo.path)
    assert there.code == 0, there.err


def test_a_patch_that_no_longer_fits_the_working_tree_is_said_in_the_first_line(repo: Repo) -> None:
    repo.write({"shop.py": "# rewritten meanwhile\n"})
    said = zwarm("fix-tests", "--apply", "--json", "--from", "head", cwd=repo.path)
    assert said.code == 0, said.err
    assert "not applied" in said.json["reason"]
    assert (repo.path / "shop.py").read_text() == "# rewritten meanwhile\n"
    assert said.json["branch"]
