"""An id is one path from the repository's top, wherever the check runs and wherever its tool counts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci.checks.base import Job, Parsed
from zwarm_ci.checks.prefix import prefixed, rerooted, stripped
from zwarm_ci.task import Check, Failure, Kind

TESTS = """import pytest

@pytest.mark.parametrize('x', ['a/b::c', '../d'])
def test_a(x):
    assert x == 'a/b::c'

class TestB:
    def test_b(self):
        pass
"""
IDS = ("sub/deep/test_a.py::test_a[../d]", "sub/deep/test_a.py::test_a[a/b::c]", "sub/deep/test_a.py::TestB::test_b")


@pytest.mark.parametrize(
    "ini",
    ["tree/pytest.ini", "tree/sub/pytest.ini", "tree/sub/deep/pytest.ini", "pytest.ini"],
    ids=["at the top", "in the folder", "below the folder", "above the tree"],
)
def test_pytest_counts_from_its_root_and_the_id_from_the_top(tmp_path: Path, ini: str) -> None:
    plant(tmp_path, {ini: "[pytest]\n", "tree/sub/deep/test_a.py": TESTS, "tree/sub/deep/test_b.py": TESTS})
    command = "python -m pytest deep" if ini == "tree/sub/deep/pytest.ini" else "python -m pytest"
    whole = believed(run_in(tmp_path / "tree", command, workdir="sub"))
    assert {i for i in whole.failed if "test_a.py" in i} == {IDS[0]}
    assert {i for i in whole.passed if "test_a.py" in i} == set(IDS[1:])
    assert whole.failures[0].id == whole.failed[0]
    assert {"sub/deep/test_a.py", "sub/deep/test_b.py", "tests::startup", "tests::exit"} <= set(whole.modules)
    part = believed(run_in(tmp_path / "tree", command, workdir="sub", only=[IDS[0], IDS[2]]))
    assert (part.failed, part.passed) == ((IDS[0],), (IDS[2],))
    file = believed(run_in(tmp_path / "tree", command, workdir="sub", only=["sub/deep/test_b.py"]))
    assert {*file.failed, *file.passed} == {i.replace("test_a.py", "test_b.py") for i in IDS}


def test_a_file_that_cannot_be_collected_has_its_path_too(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree", {"sub/pytest.ini": "[pytest]\n", "sub/test_a.py": "import nowhere\n", "sub/test_b.py": TESTS}
    )
    assert "sub/test_a.py" in believed(run_in(tree, workdir="sub")).failed


def test_workers_of_xdist_are_asked_by_the_same_names(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"sub/pytest.ini": "[pytest]\n", "sub/deep/test_a.py": TESTS})
    result = believed(run_in(tree, "python -m pytest -n 1", workdir="sub", only=list(IDS[:2])))
    assert (result.failed, result.passed) == (IDS[:1], IDS[1:2])


def _job(kind: Kind, workdir: str) -> Job:
    check = Check("tests", "x", kind, workdir=workdir)
    return Job(check, ("python", "-m", "unittest"), {}, Path(), Path(), Path(), Path(), Path(), "t")


PARSED = Parsed(
    ("pkg.tests.A.one",),
    ("pkg.tests.A.two", "libs/x/b.ts::three"),
    ("pkg.tests",),
    (Failure("tests", "pkg.tests.A.two"), Failure("tests", "libs/x/b.ts::three")),
    modules=("pkg.tests", "tests::startup", "tests::exit"),
)


def test_a_folder_goes_in_front_of_what_has_it_not_and_comes_off_again() -> None:
    job = _job("junit", "libs/x/")
    said = prefixed(PARSED, job)
    assert (said.passed, said.skipped) == (("libs/x/pkg.tests.A.one",), ("libs/x/pkg.tests",))
    assert said.failed == ("libs/x/pkg.tests.A.two", "libs/x/b.ts::three")
    assert tuple(f.id for f in said.failures) == said.failed
    assert said.modules == ("libs/x/pkg.tests", "tests::startup", "tests::exit")
    assert prefixed(said, job) == said
    assert stripped((*said.passed, "tests::exit"), job) == ("pkg.tests.A.one", "tests::exit")
    assert stripped(said.passed, replace(job, argv=("vitest",))) == said.passed


@pytest.mark.parametrize(("kind", "workdir"), [("junit", "."), ("ruff", "libs/x"), ("pytest", "libs/x")])
def test_what_counts_from_the_top_already_is_left_alone(kind: Kind, workdir: str) -> None:
    job = _job(kind, workdir)
    assert prefixed(PARSED, job) == PARSED
    assert stripped(("libs/x/a",), job) == ("libs/x/a",)


def test_a_path_outside_the_tree_stays_as_it_is(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    said = rerooted(replace(PARSED, passed=("../other/test_a.py::b", "tree/c.py::d")), tmp_path, tree)
    assert said.passed == ("../other/test_a.py::b", "c.py::d")


def test_unittest_in_a_folder_is_asked_by_its_own_names(tmp_path: Path) -> None:
    case = "import unittest\nclass A(unittest.TestCase):\n    def test_one(self):\n        pass\n    def test_two(self):\n        assert 0\n"
    tree = plant(tmp_path / "tree", {"libs/x/test_a.py": case})
    whole = believed(run_in(tree, "python -m unittest", "junit", workdir="libs/x"))
    assert (whole.passed, whole.failed) == (("libs/x/test_a.A.test_one",), ("libs/x/test_a.A.test_two",))
    part = believed(run_in(tree, "python -m unittest", "junit", workdir="libs/x", only=whole.passed))
    assert (part.passed, part.failed) == (whole.passed, ())
