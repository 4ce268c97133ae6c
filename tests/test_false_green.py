"""Green must mean green: suites in which chance, order or an early end hides what is red, and tests by unusual names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.judge import CALC, FILES, FIXED, Case, writes
from tests.support import Repo, zwarm
from tests.test_judge import Bench
from zwarm_ci.protected import files_of_tests

PYPROJECT = FILES["pyproject.toml"]
NEVER = "\n\ndef test_never():\n    assert len('x') == 10**30\n"


def tasks(run: dict[str, Any]) -> dict[str, str]:
    """Status by failure."""
    return {failure: task["status"] for task in run["tasks"] for failure in task["failures"]}


def test_what_a_broken_conftest_hid_is_no_green_when_it_is_repaired(tmp_path: Path) -> None:
    files = {
        "names.py": "VALUE = 1\n", "tests/conftest.py": "from names import VALUE  # noqa\n", "tests/test_x.py": NEVER, "pyproject.toml": PYPROJECT,
    }  # fmt: skip
    repo = Repo.make(tmp_path / "repo", files)
    repo.commit("rename", {"names.py": "VALU = 1\n"})
    said = zwarm("fix-tests", "--json", "--last-green", "HEAD~1", cwd=repo.path)
    assert (said.code, said.json["status"]) == (1, "partly_fixed"), said.out
    assert tasks(said.json) == {"tests::startup": "fixed", "tests/test_x.py::test_never": "still_failing"}


def test_a_suite_that_chance_cut_short_is_run_whole(tmp_path: Path) -> None:
    cold = (
        f"import time\nfrom pathlib import Path\n\n\ndef test_cold():\n    mark = Path({str(tmp_path / 'mark')!r})\n"
        "    if not mark.exists():\n        mark.touch()\n        time.sleep(60)\n"
    )
    files = {"tests/test_x.py": cold + NEVER, ".gitignore": "mark\n", "pyproject.toml": PYPROJECT}
    repo = Repo.make(tmp_path / "repo", files)
    limit = ("--set", 'checks.tests.run="python -m pytest"', "--set", "checks.tests.timeout=5")
    said = zwarm("fix-tests", "--json", *limit, cwd=repo.path)
    assert said.code == 1, said.out
    found = tasks(said.json)
    assert found.pop("tests/test_x.py::test_never") != "fixed"
    assert found == {"tests/test_x.py::test_cold": "flaky"}


def test_a_test_that_only_its_neighbours_break_is_not_blamed_on_an_ignored_file(tmp_path: Path) -> None:
    body = "SEEN = []\n\n\ndef test_one():\n    SEEN.append(1)\n\n\ndef test_two():\n    assert not SEEN\n"
    repo = Repo.make(tmp_path / "repo", {"tests/test_x.py": body, ".gitignore": "*.log\n", "pyproject.toml": PYPROJECT})
    repo.write({"junk.log": "x"})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 1
    assert tasks(said.json) == {"tests/test_x.py::test_two": "no_changes"}


def test_tests_by_an_unusual_name_are_not_edited(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['checks']\npython_files = ['check_*.py']\n",
        "checks/check_x.py": "def test_sum():\n    want = 4 + 5\n    assert 5 + 3 == want - 3\n",
    }
    repo = Repo.make(tmp_path / "repo", files)
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 1
    assert tasks(said.json) == {"checks/check_x.py::test_sum": "no_changes"}


@pytest.mark.parametrize(
    ("test_id", "protected"),
    [
        ("checks/check_x.py::TestIt::test_sum[a::b]", True),
        ("check_x.py::TestIt::test_sum", True),  # relative to another folder
        ("checks.check_x.TestIt.test_sum", True),  # unittest
        ("checks.check_x.TestIt::test_sum", True),  # JUnit
        ("checks/check_x.py::checks.check_x.helper", False),  # doctest
        ("checks/check_x.py::check_x", False),
        ("checks/check_x.py::mypy", False),  # a linter as a plugin
        ("checks/check_x.py", False),  # a collection error
        ("tests::startup", False),
    ],
)
def test_files_in_which_a_test_that_ran_is_defined_are_tests(test_id: str, protected: bool) -> None:
    source = b"def helper():\n    pass\n\n\nclass TestIt:\n    pass\n\n\ndef check_x(): ...\n"
    found = files_of_tests([test_id], ["m.py", "checks/check_x.py"], lambda path: source)
    assert found == (("checks/check_x.py",) if protected else ())


def test_a_suite_that_makes_a_repository_is_judged_like_any_other(tmp_path: Path) -> None:
    test = "import subprocess\n\n\ndef test_git():\n    subprocess.run(['git', 'init', '-q', 'made'], check=True)\n"
    repo = Repo.make(tmp_path / "repo", {**FILES, "tests/test_git.py": test})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.json["status"] == "fixed"


@pytest.mark.parametrize("line", ["++ os._exit(0)", "x = 1\ros._exit(0)"])
def test_no_spelling_of_a_line_hides_it_from_the_guards(tmp_path: Path, line: str) -> None:
    where = Bench(Repo.make(tmp_path / "repo", FILES), tmp_path)
    case = Case("exit", lambda tree: writes_raw(tree, "import os\n" + FIXED + line + "\n"), frozenset())
    verdict = where.says(case)
    assert verdict.status == "tampered", verdict
    assert verdict.findings[0].line == len((FIXED + line).split("\n")) + 1


def writes_raw(tree: Path, text: str) -> None:
    (tree / "calc.py").write_bytes(text.encode())


def test_files_that_only_the_clone_ignores_are_no_content(tmp_path: Path) -> None:
    """core.excludesFile and info/attributes of the clone hold in the run's own repository too."""
    repo = Repo.make(tmp_path / "repo", {**FILES, "crlf.txt": "a\n"})
    (tmp_path / "ignore").write_text("*.tmp\n")
    repo.git("config", "core.excludesFile", str(tmp_path / "ignore"))
    (repo.path / ".git/info/attributes").write_text("crlf.txt text eol=crlf\n")
    where = Bench(repo, tmp_path)
    prepared = where.trees.fresh(where.court.base, (), "look")
    assert (prepared.path / "crlf.txt").read_bytes() == b"a\r\n"
    writes({"x.tmp": "", "calc.py": CALC})(prepared.path)
    assert prepared.worktree.tree() == prepared.tree


def test_what_only_the_checkout_has_is_no_fault_of_the_code(tmp_path: Path) -> None:
    test = "from pathlib import Path\n\n\ndef test_data():\n    assert Path('lfs/data.txt').read_text() == 'whole\\n'\n"
    repo = Repo.make(tmp_path / "repo", {"tests/test_x.py": test, "pyproject.toml": PYPROJECT})
    repo.git("config", "filter.stub.clean", "sed s/whole/stub/")
    repo.git("config", "filter.stub.smudge", "sed s/stub/whole/")
    repo.write({".gitattributes": "*.txt filter=stub\n", "lfs/data.txt": "whole\n"})
    os.utime(repo.path / "lfs" / "data.txt", (1, 1))  # older than the index, so that git need not read it
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "filter")
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert tasks(said.json) == {"tests/test_x.py::test_data": "unverifiable"}, said.out
    assert "it needs lfs/data.txt" in said.json["tasks"][0]["reason"]
