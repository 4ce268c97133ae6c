"""Template repair end to end: planted bugs are found, hangs end, edits that disagree are not offered, the runner is safe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.repair.bugs import BUGS, Bug
from tests.repair.labs import Workshop, history
from zwarm_ci.repair import plausible, warm
from zwarm_ci.repair.lab import Lab, Remedy
from zwarm_ci.task import Check


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausible, "_AFTER_FIRST", 0.5)


def _repair(lab: Lab) -> Remedy:
    try:
        return plausible.repair(lab, warm.trace(lab, 10.0))
    finally:
        lab.close()


def _workshop(tmp_path: Path, files: dict[str, str], check: Check | None = None) -> Workshop:
    repo = history(tmp_path / "r", files)
    return Workshop(repo, tmp_path / "w", check or Check("tests", "python -m pytest", "pytest", timeout=10.0))


@pytest.mark.parametrize("bug", BUGS, ids=lambda b: b.name)
def test_planted_bugs_are_repaired(tmp_path: Path, bug: Bug) -> None:
    files = {"m.py": bug.broken, "tests/test_m.py": bug.test.replace("{m}", "m"), "tests/__init__.py": ""}
    workshop = _workshop(tmp_path, files)
    remedy = _repair(workshop.lab())
    assert workshop.changed(remedy) == {"m.py": (bug.broken, bug.module)}, remedy.message
    assert remedy.method == "template"
    assert remedy.message.startswith("a plausible edit: m.py:")


def test_a_hanging_test_is_repaired(tmp_path: Path) -> None:
    text = "def count(n):\n    total = 0\n    while n > 0:\n        total += n\n        n += 1\n    return total\n"
    test = "from m import count\n\n\ndef test_count():\n    assert count(3) == 6\n\n\ndef test_none():\n    assert count(0) == 0\n"
    check = Check("tests", "python -m pytest", "pytest", timeout=3.0)
    workshop = _workshop(tmp_path, {"m.py": text, "test_m.py": test}, check)
    assert workshop.changed(_repair(workshop.lab()))["m.py"][1] == text.replace("n += 1", "n -= 1")


def test_edits_that_disagree_are_not_offered(tmp_path: Path) -> None:
    """One example that `a + b`, `a * b` and more explain alike."""
    workshop = _workshop(
        tmp_path,
        {
            "m.py": "def f(a, b):\n    return a - b\n",
            "test_m.py": "from m import f\n\n\ndef test_f():\n    assert f(2, 2) == 4\n",
        },
    )
    remedy = _repair(workshop.lab())
    assert not remedy.tree
    assert remedy.message.startswith("two plausible edits disagree: m.py:2 ")
    assert " for m.f(" in remedy.message


def test_an_edit_that_breaks_another_file_is_not_offered(tmp_path: Path) -> None:
    files = {
        "m.py": "def f(a):\n    return a + 1\n",
        "test_m.py": "from m import f\n\n\ndef test_f():\n    assert f(1) == 3\n    assert f(3) == 5\n",
        "test_other.py": "from m import f\n\n\ndef test_other():\n    assert f(5) == 6\n",
    }
    remedy = _repair(_workshop(tmp_path, files).lab())
    assert not remedy.tree
    assert "breaks test_other.py::test_other" in remedy.message


def test_refused_trees_are_passed_over(tmp_path: Path) -> None:
    bug = BUGS[0]
    workshop = _workshop(tmp_path, {"m.py": bug.broken, "test_m.py": bug.test.replace("{m}", "m")})
    first = _repair(workshop.lab())
    second = _repair(workshop.lab(refused=frozenset({first.tree})))
    assert first.tree != second.tree


def test_what_no_single_edit_repairs_is_said_so(tmp_path: Path) -> None:
    files = {
        "m.py": "def f(a):\n    return [a]\n",
        "test_m.py": "from m import f\n\n\ndef test_f():\n    assert f(3) == {'x': (3, 9, 27)}\n",
    }
    remedy = _repair(_workshop(tmp_path, files).lab())
    assert re.fullmatch(r"none of \d+ single edits makes them pass", remedy.message)


def test_what_was_not_tried_is_not_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausible, "SECONDS", 0.01)
    remedy = _repair(_workshop(tmp_path, {"m.py": BUGS[0].broken, "test_m.py": BUGS[0].test.replace("{m}", "m")}).lab())
    assert re.fullmatch(
        r"none of \d single edits makes them pass \(\d\d+ were thought of; the time was over\)", remedy.message
    )


def test_tests_and_settings_are_never_edited(tmp_path: Path) -> None:
    files = {"test_m.py": "LIMIT = 1\n\n\ndef test_f():\n    assert LIMIT == 2\n"}
    assert (
        _repair(_workshop(tmp_path, files).lab()).message
        == "no line outside tests and settings is run by the failing tests"
    )


def test_a_fault_on_import_is_repaired_by_importing_anew(tmp_path: Path) -> None:
    files = {
        "m.py": "SIZES = (1, 2, 3)\nFIRST = SIZES[3]\n",
        "test_m.py": "import m\n\n\ndef test_first():\n    assert m.FIRST == 3\n",
    }
    workshop = _workshop(tmp_path, files)
    assert workshop.changed(_repair(workshop.lab()))["m.py"][1] in {
        "SIZES = (1, 2, 3)\nFIRST = SIZES[2]\n", "SIZES = (1, 2, 3)\nFIRST = SIZES[3 - 1]\n", "SIZES = (1, 2, 3)\nFIRST = SIZES[-1]\n",
    }  # fmt: skip


def test_unittest_without_pytest(tmp_path: Path) -> None:
    test = "import unittest\n\nimport m\n\n\nclass TestM(unittest.TestCase):\n"
    test += "    def test_f(self):\n        self.assertEqual(m.f(3, 4), 12)\n        self.assertEqual(m.f(0, 4), 0)\n\n"
    test += "    def test_g(self):\n        self.assertEqual(m.g(1), 1)\n"
    files = {"m.py": "def f(a, b):\n    return a + b\n\n\ndef g(a):\n    return a\n", "test_m.py": test}
    workshop = _workshop(tmp_path, files, Check("tests", "python -m unittest", "junit", timeout=30.0))
    assert workshop.changed(_repair(workshop.lab()))["m.py"][1] == files["m.py"].replace("a + b", "a * b")


def test_a_plugin_that_pytest_runs_on_is_never_edited(tmp_path: Path) -> None:
    """Its edit could turn every test off; so it is left alone, though the fault is in it."""
    files = {
        "plug.py": "def pytest_configure(config):\n    pass\n\n\ndef f(a):\n    return a - 1\n",
        "test_m.py": "from plug import f\n\n\ndef test_f():\n    assert f(1) == 2\n",
    }
    remedy = _repair(
        _workshop(tmp_path, files, Check("tests", "python -m pytest -p plug", "pytest", timeout=30.0)).lab()
    )
    assert not remedy.tree
    assert remedy.message == "no line outside tests and settings is run by the failing tests"


def test_a_test_that_writes_to_standard_output_does_not_speak_for_us(tmp_path: Path) -> None:
    lie = '{"type": "tried", "edit": 0, "passed": true}'
    test = f"import os\nfrom m import f\n\n\ndef test_f():\n    os.write(1, {lie.encode()!r} + b'\\n')\n    assert f() == {{}}\n"
    assert not _repair(_workshop(tmp_path, {"m.py": "def f():\n    return [1]\n", "test_m.py": test}).lab()).tree
