"""`zwarm-ci verify`: commits and patch files of anybody, through guards, clean runs and proof of cause."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support import Repo, belongings, zwarm

PYPROJECT = "[tool.pytest.ini_options]\ntestpaths = ['tests']\npythonpath = ['.']\n"
BROKEN = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n"
FIXED = BROKEN.replace("a - b", "a + b")
TEST = "from calc import add, double\n\n\ndef test_add():\n    assert add(2, 3) == 5\n\n\ndef test_double():\n    assert double(4) == 8\n"
NEW = TEST + "\n\ndef test_half():\n    from calc import half\n    assert half(4) == 2\n"


def repository(where: Path, *, code: str = BROKEN, test: str = TEST) -> Repo:
    return Repo.make(where, {"pyproject.toml": PYPROJECT, "calc.py": code, "tests/test_calc.py": test})


def test_a_commit_that_repairs_a_red_test_is_accepted_with_evidence(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p")
    repo.commit("Add adds", {"calc.py": FIXED})
    before = belongings(repo.path)
    said = zwarm("verify", "HEAD", "--json", "--reports", str(tmp_path / "out"), cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert belongings(repo.path) == before
    (task,) = said.json["tasks"]
    assert (said.json["command"], said.json["status"], task["status"]) == ("verify", "fixed", "fixed")
    assert (task["failures"], task["commit"]) == (["tests/test_calc.py::test_add"], repo.git("rev-parse", "HEAD"))
    evidence = json.loads((tmp_path / "out" / task["evidence"]).read_text())
    assert evidence["delivered_tree"] == repo.git("rev-parse", "HEAD^{tree}")
    assert evidence["targets"]["tests/test_calc.py::test_add"]["after"] == "passed"
    assert (tmp_path / "out" / task["patch"]).read_text().count("+    return a + b") == 1
    assert (said.json["branch"], said.json["cost_usd"]) == (None, 0.0)


def test_a_patch_file_is_applied_to_the_tree_as_it_is_or_to_a_base(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p")
    base = repo.git("rev-parse", "HEAD")
    repo.commit("Add adds", {"calc.py": FIXED})
    patch = tmp_path / "fix.patch"
    patch.write_text(repo.git("format-patch", "-1", "--stdout") + "\n")
    assert zwarm("verify", str(patch), "--base", base, cwd=repo.path).code == 0
    again = zwarm("verify", str(patch), cwd=repo.path)
    assert (again.code, "no changes" in again.out) == (1, True), "it is there already"
    repo.git("reset", "-q", "--hard", base)
    repo.write({"calc.py": BROKEN + "\n\nX = 1\n"})
    assert zwarm("verify", str(patch), cwd=repo.path).code == 0, "on the tree as it is, not committed"


def test_a_weakened_test_is_refused_before_anything_runs_and_reviewed_for_people(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p", code=FIXED)
    weaker = TEST.replace("assert double(4) == 8", "assert double(4)")
    repo.commit("Less", {"tests/test_calc.py": weaker, "calc.py": FIXED + "\n\nX = 1\n"})
    said = zwarm("verify", "HEAD", "--json", cwd=repo.path)
    assert (said.code, said.json["tasks"][0]["status"], said.json["suite_runs"]) == (1, "tampered", 0), said.out
    findings = said.json["tasks"][0]["review"]
    assert [(f["level"], f["path"]) for f in findings if f["level"] == "refuse"] == [("refuse", "tests/test_calc.py")]
    eased = zwarm("verify", "HEAD", "--json", "--set", "verify.strict=false", cwd=repo.path)
    assert eased.code == 0, eased.out
    assert {f["level"] for f in eased.json["tasks"][0]["review"]} == {"review"}
    allowed = zwarm("verify", "HEAD", "--json", "--allow-test-edits", cwd=repo.path)
    assert (allowed.code, {f["level"] for f in allowed.json["tasks"][0]["review"]}) == (0, {"review"}), allowed.out


@pytest.mark.parametrize(
    ("test", "proof"),
    [
        (TEST + "\n\ndef test_twice():\n    assert double(-1) == 0\n", "PROVEN"),
        (NEW, "WEAK"),
        (TEST + "\n\ndef test_twice():\n    assert double(1) == 2\n", "INCONCLUSIVE"),
    ],
)
def test_what_new_tests_prove(tmp_path: Path, test: str, proof: str) -> None:
    repo = repository(tmp_path / "p", code=FIXED)
    code = FIXED.replace("return a * 2", "return max(a, 0) * 2") + "\n\ndef half(a):\n    return a // 2\n"
    repo.commit("More", {"calc.py": code, "tests/test_calc.py": test})
    said = zwarm("verify", "HEAD", "--json", "--reports", str(tmp_path / "out"), cwd=repo.path)
    assert said.code == 0, said.out
    evidence = json.loads((tmp_path / "out" / said.json["tasks"][0]["evidence"]).read_text())
    assert list(evidence["new_tests"].values()) == [proof], evidence["new_tests"]
    assert evidence["assurance"]["proof_by_new_tests"] == proof
    assert any(f["guard"] == "proof" for f in said.json["tasks"][0]["review"]) == (proof != "PROVEN")


def test_a_regression_is_refused_for_people_too(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p", code=FIXED)
    repo.commit("Break", {"calc.py": FIXED.replace("a * 2", "a * 3")})
    said = zwarm("verify", "HEAD", "--json", "--set", "verify.strict=false", cwd=repo.path)
    assert (said.code, said.json["tasks"][0]["status"], said.json["exit_code"]) == (1, "regressed", 1), said.out


def test_a_moved_test_is_no_weakening(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p", code=FIXED)
    repo.git("mv", "tests/test_calc.py", "tests/test_moved.py")
    repo.commit("Move", {"calc.py": FIXED + "\n\nX = 1\n"})
    said = zwarm("verify", "HEAD", "--json", cwd=repo.path)
    assert said.code == 0, said.out


def test_targets_that_were_named_alone_decide(tmp_path: Path) -> None:
    test = TEST + "\n\ndef test_red():\n    assert double(1) == 3\n"
    repo = repository(tmp_path / "p", test=test)
    repo.commit("Add adds", {"calc.py": FIXED})
    whole = zwarm("verify", "HEAD", "--json", cwd=repo.path)
    assert (whole.code, whole.json["tasks"][0]["status"]) == (1, "still_failing")
    one = zwarm("verify", "HEAD", "--json", "--target", "tests/test_calc.py::test_add", cwd=repo.path)
    assert [t["failures"] for t in one.json["tasks"]] == [["tests/test_calc.py::test_add"]], one.out
    assert one.code == 0, one.out
    green = zwarm("verify", "HEAD", "--target", "tests/test_calc.py::test_double", cwd=repo.path)
    assert (green.code, "is not red on" in green.err) == (2, True)
    nobody = zwarm("verify", "HEAD", "--target", "tests/test_calc.py::test_nobody", cwd=repo.path)
    assert (nobody.code, "no test is called" in nobody.err) == (2, True)


def test_a_branch_is_held_against_where_it_left_its_base(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p")
    repo.git("checkout", "-qb", "side")
    repo.commit("Add adds", {"calc.py": FIXED})
    repo.git("checkout", "-q", "-")
    main = repo.git("rev-parse", "--abbrev-ref", "HEAD")
    repo.commit("Else", {"other.py": "Y = 1\n"})
    for args in (("side", "--base", main), (f"{main}..side",), (f"{main}...side",)):
        said = zwarm("verify", *args, "--json", cwd=repo.path)
        assert (said.code, said.json["base"]) == (0, repo.git("merge-base", main, "side")), said.out


def test_hunks_that_are_not_needed_and_lines_that_do_not_run_are_shown(tmp_path: Path) -> None:
    code = BROKEN + "\n\ndef unused():\n    return 1\n"
    repo = repository(tmp_path / "p", code=code)
    repo.commit(
        "Add adds, and more", {"calc.py": code.replace("a - b", "a + b").replace("return 1", "x = 2\n    return x")}
    )
    said = zwarm("verify", "HEAD", "--json", cwd=repo.path)
    assert said.code == 0, said.out
    found = [(f["guard"], f["line"], f["detail"]) for f in said.json["tasks"][0]["review"]]
    assert ("cause", 10, "without this part every target is green all the same") in found
    assert ("cause", 10, "2 of the patch's lines run with no target: 10, 11") in found


def test_bad_input(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p")
    (tmp_path / "empty.patch").write_text("\n")
    (tmp_path / "bad.patch").write_text("--- a/calc.py\n+++ b/calc.py\n@@ -1 +1 @@\n-nothing like it\n+x\n")
    for args, says in {
        ("nobody",): "is neither a file nor a commit",
        ("HEAD",): "has no parent here",
        (str(tmp_path / "empty.patch"),): "is empty",
        (str(tmp_path / "bad.patch"),): "does not apply to",
        ("HEAD", "--base", ""): "--base is empty",
    }.items():
        said = zwarm("verify", *args, cwd=repo.path)
        assert (said.code, says in said.err) == (2, True), said.err
    assert not (repo.path / ".zwarm" / "runs").exists() or not list((repo.path / ".zwarm" / "runs").iterdir())


def test_dry_run_shows_guards_and_checks_and_runs_nothing(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p", code=FIXED)
    repo.commit("Less", {"tests/test_calc.py": TEST.replace("double(4) == 8", "True")})
    said = zwarm("verify", "HEAD", "--dry-run", cwd=repo.path)
    assert (said.code, "Nothing was run" in said.out, "tests/test_calc.py" in said.out) == (0, True, True), said.out
    listed = zwarm("verify", "HEAD", "--dry-run", "--json", cwd=repo.path).json
    assert [c["kind"] for c in listed["checks"]] == ["pytest"]
    assert listed["guards"]


def test_a_patch_in_hidden_places_of_git_is_refused_for_people_too(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p", code=FIXED)
    repo.commit("Key", {"calc.py": FIXED + f"KEY = 'ghp_{'a1B2' * 9}'\n"})
    said = zwarm("verify", "HEAD", "--json", "--set", "verify.strict=false", cwd=repo.path)
    assert (said.code, said.json["tasks"][0]["status"]) == (1, "tampered")
    assert "ghp_a1B2a1B2" not in said.out


def test_a_patch_of_a_whole_series_is_one_patch(tmp_path: Path) -> None:
    repo = repository(tmp_path / "p")
    repo.commit("Add adds", {"calc.py": FIXED})
    repo.commit("A note", {"calc.py": FIXED + "\n\n# add adds\n"})
    text = subprocess.run(
        ["git", "format-patch", "-2", "--stdout"], cwd=repo.path, capture_output=True, check=True
    ).stdout
    repo.git("reset", "-q", "--hard", "HEAD~2")
    (tmp_path / "series.mbox").write_bytes(text)
    assert zwarm("verify", str(tmp_path / "series.mbox"), cwd=repo.path).code == 0


def test_a_script_that_the_checks_recipe_calls_is_the_bases(tmp_path: Path) -> None:
    files = {
        "Makefile": "other:\n\t./add.sh 1 1\n\ntest:\n\t@sh inner/sums.sh -v\n\t./add.sh 1 1 | grep -q 2\n",
        "inner/sums.sh": 'set -e\ntest "$(sh add.sh 20 13)" = 33\n',
        "add.sh": "#!/bin/sh\necho $(($1 - $2))\n",
    }
    repo = Repo.make(tmp_path / "p", files)
    (repo.path / "add.sh").chmod(0o755)
    base = repo.commit("Programs are programs", {})
    repo.commit(
        "Fix sums", {"inner/sums.sh": 'test "$(sh add.sh 20 13)" = 7\n', "Makefile": files["Makefile"] + "# x\n"}
    )
    cheat = repo.commit(
        "Sums", {"inner/sums.sh": "true\n", "add.sh": "#!/bin/sh\necho 2\n", "Makefile": files["Makefile"]}
    )
    repo.git("reset", "-q", "--hard", base)
    honest = repo.commit("Add adds", {"add.sh": "#!/bin/sh\necho $(($1 + $2))\n"})
    for commit, code in ((cheat, 1), (honest, 0)):
        said = zwarm("verify", commit, "--base", base, "--check", "make test", "--json", cwd=repo.path)
        assert said.code == code, said.out + said.err
