"""A person's commit that changes what tests expect: said along with the behaviour, loosened, or passed by something beside the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import Repo, zwarm

PYPROJECT = "[tool.pytest.ini_options]\ntestpaths = ['tests']\npythonpath = ['.']\n"
CODE = "def name(x):\n    return f'no {x}'\n\n\ndef one():\n    return 1\n"
TEST = """from calc import name, one


def wanted():
    return 'no 3'


def test_name():
    assert name(3) == 'no 3'


def test_wanted():
    assert name(3) == wanted()


def test_one():
    assert one() == 1
"""
CHANGED = CODE.replace("no {x}", "not {x}")


def verified(where: Path, code: str, test: str) -> dict[str, Any]:
    """The task of the run on a commit that takes the repository to these two files."""
    repo = Repo.make(where, {"pyproject.toml": PYPROJECT, "calc.py": CODE, "tests/test_calc.py": TEST})
    repo.commit("Change", {"calc.py": code, "tests/test_calc.py": test})
    said = zwarm("verify", "HEAD", "--json", "--set", "verify.strict=false", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    (task,) = said.json["tasks"]
    assert isinstance(task, dict)
    return task


@pytest.mark.parametrize(
    "test",
    [
        TEST.replace("== 'no 3'", "== 'not 3'").replace("== wanted()", "== 'not 3'"),
        TEST.replace("def test_name():\n    assert name(3) == 'no 3'", "def test_name():\n    assert name(4) == 'not 4'")
        .replace("== wanted()", "== name(3) == 'not 3'"),
    ],
)  # fmt: skip
def test_a_test_that_tells_the_two_apart_is_counted_and_no_finding(tmp_path: Path, test: str) -> None:
    task = verified(tmp_path / "p", CHANGED, test)
    assert not [f for f in task["review"] if f["guard"] == "behaviour"], task["review"]
    assert task["reason"].endswith("tests of the base that fail with it and that it states anew: 2")


@pytest.mark.parametrize(
    "test",
    [
        TEST.replace("== 'no 3'", "in ('no 3', 'not 3')").replace("== wanted()", "== 'not 3'"),
        TEST.replace("== 'no 3'", "== 'not 3'").replace("return 'no 3'", "return 'not 3'"),
    ],
    ids=["loosened", "passed by a helper"],
)
def test_a_test_that_was_made_to_fit_asks_for_review(tmp_path: Path, test: str) -> None:
    task = verified(tmp_path / "p", CHANGED, test)
    (finding,) = [f for f in task["review"] if f["guard"] == "behaviour"]
    assert "tests/test_calc.py::test_" in finding["detail"]


def test_names_that_changed_together_with_their_tests_are_no_finding(tmp_path: Path) -> None:
    task = verified(tmp_path / "p", CODE.replace("def one", "def single"), TEST.replace("one", "single"))
    assert not [f for f in task["review"] if f["guard"] == "behaviour"], task["review"]
