"""A script that runs unittest's tests by itself is watched inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in

CASE = "import unittest\nclass A(unittest.TestCase):\n    def test_one(self):\n        pass\n    def test_two(self):\n        {body}\n"
MAIN = "import unittest\nif __name__ == '__main__':\n    unittest.main(module='cases.a')\n"
TWICE = """import sys, unittest
load = unittest.defaultTestLoader.loadTestsFromName
first = unittest.TextTestRunner().run(load('cases.a'))
if not first.wasSuccessful():
    sys.exit(len(first.failures))
second = unittest.TextTestRunner().run(load('cases.b'))
sys.exit(len(second.failures))
"""


def _files(script: str, *bodies: str) -> dict[str, str]:
    return {
        "runtests.py": script,
        **{f"cases/{name}.py": CASE.format(body=body) for name, body in zip("ab", bodies, strict=False)},
    }


def test_a_script_that_is_green_and_one_that_is_red(tmp_path: Path) -> None:
    for name, body, failed in (("green", "pass", ()), ("red", "assert 0", ("cases.a.A.test_two",))):
        result = believed(run_in(plant(tmp_path / name, _files(MAIN, body)), "python runtests.py", "junit"))
        assert (result.failed, result.canary, result.exit_code) == (failed, True, len(failed))
        assert "cases.a.A.test_one" in result.passed


def test_every_suite_of_a_script_is_seen_and_its_number_of_failures_is_no_contradiction(tmp_path: Path) -> None:
    green = believed(run_in(plant(tmp_path / "green", _files(TWICE, "pass", "pass")), "python runtests.py", "junit"))
    assert (green.green, len(green.passed)) == (True, 4)
    red = believed(
        run_in(
            plant(tmp_path / "red", _files(TWICE.replace(".failures)", ".failures) * 3"), "pass", "assert 0")),
            "python runtests.py",
            "junit",
        )
    )
    assert (red.failed, len(red.passed)) == (("cases.b.A.test_two",), 3)


def test_a_suite_that_is_red_before_a_green_one_is_red(tmp_path: Path) -> None:
    script = TWICE.replace("if not first.wasSuccessful():\n    sys.exit(len(first.failures))\n", "").replace(
        "len(second.failures)", "1"
    )
    result = believed(
        run_in(plant(tmp_path / "tree", _files(script, "assert 0", "pass")), "python runtests.py", "junit")
    )
    assert (result.failed, len(result.passed), result.exit_code) == (("cases.a.A.test_two",), 3, 1)


def test_only_some(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", _files(TWICE, "pass", "assert 0"))
    result = believed(run_in(tree, "python runtests.py", "junit", only=["cases.b.A.test_two"]))
    assert (result.failed, result.passed) == (("cases.b.A.test_two",), ())


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("print('no test at all')\n", "runner:"),
        (MAIN.replace("unittest.main(", "import os; os._exit(0); unittest.main("), "runner:"),
        (MAIN.replace("unittest.main(module='cases.a')", "unittest.main(module='cases.a', exit=False)"), "runner:"),
        ("import sys\nsys.exit('no database')\n", ""),
    ],
    ids=["nothing", "left at once", "its failures ignored", "it cannot start"],
)
def test_what_is_not_green(tmp_path: Path, script: str, trouble: str) -> None:
    result = run_in(plant(tmp_path / "tree", _files(script, "assert 0")), "python runtests.py", "junit")
    assert not result.green
    assert result.trouble.startswith(trouble)
    assert result.trouble or result.failed
