"""The ranking of lines by what failing and passing tests run."""

from __future__ import annotations

from zwarm_ci.repair.localize import Spectrum
from zwarm_ci.task import Place


def _spectrum(**lines: list[int]) -> Spectrum:
    spectrum = Spectrum(("f1", "f2"))
    spectrum.hear({"type": "import", "lines": {"a.py": [1, 2]}})
    for name, numbers in lines.items():
        spectrum.hear(
            {"type": "test", "id": name, "lines": {"a.py": numbers}, "passed": name.startswith("p"), "hung": False}
        )
    return spectrum


def test_lines_that_only_failing_tests_run_come_first() -> None:
    ranked = _spectrum(f1=[5, 6], f2=[5], p1=[6, 7], p2=[6]).ranked()
    assert ranked[0] == (1.0, Place("a.py", 5))
    assert ranked[-1][1] == Place("a.py", 6)
    assert Place("a.py", 7) not in [place for _, place in ranked]


def test_lines_that_run_on_import_are_suspicious_too() -> None:
    scores = {place.line: score for score, place in _spectrum(f1=[5], f2=[5], p1=[5]).ranked()}
    assert scores[1] == scores[2] > 0.0
    assert scores[1] <= scores[5]


def test_tests_of_other_tasks_that_fail_say_nothing() -> None:
    spectrum = _spectrum(f1=[5], f2=[5])
    spectrum.hear({"type": "test", "id": "other", "lines": {"a.py": [9]}, "passed": False, "hung": False})
    assert 9 not in spectrum.covered()["a.py"]


def test_a_hang_is_remembered_with_the_lines_so_far() -> None:
    spectrum = Spectrum(("f1",))
    spectrum.hear({"type": "test", "id": "f1", "lines": {"a.py": [3]}, "passed": False, "hung": True})
    assert spectrum.hung
    assert spectrum.covered() == {"a.py": {3}}
