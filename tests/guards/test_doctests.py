"""Examples that doctest runs are tests, wherever they stand: what they hold may not become less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import found, patch_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.weakened import Weakened
from zwarm_ci.verify.reading import doctests
from zwarm_ci.verify.reading.base import EXACT, PART

SOURCE = '''\
def mean(values):
    """The mean.

    >>> mean([1, 2])
    1.5
    >>> many = [3, 5, 10]
    >>> mean(many)
    6.0
    """
    return sum(values) / (len(values) + 1)


class Box:
    def size(self):
        """
        >>> Box().size()
        4
        """
        return 4
'''
GOOD = SOURCE.replace(" + 1)", ")").replace("/ (len(values))", "/ len(values)")
SETTINGS = "[tool.pytest.ini_options]\naddopts = '--doctest-modules --doctest-glob=*.md'\n"
TARGET = "stats.py::stats.mean"
PROSE = "# stats\n\n>>> from stats import mean\n>>> mean([1, 2])\n1.5\n\nmore\n"
CHEATS = {
    "expected": SOURCE.replace("1.5", "1.0"),
    "an example less": SOURCE.replace("    >>> mean(many)\n    6.0\n", ""),
    "its answer is kept": SOURCE.replace("mean(many)\n    6.0", "_ = mean(many)"),
    "skipped": SOURCE.replace("mean(many)", "mean(many)  # doctest: +SKIP"),
    "anything goes": SOURCE.replace("mean(many)\n    6.0", "mean(many)  # doctest: +ELLIPSIS\n    6...."),
    "other inputs": SOURCE.replace("[3, 5, 10]", "[6.0]"),
    "another function in its place": SOURCE.replace(
        "    >>> mean([1, 2])\n", "    >>> mean = max\n    >>> mean([1, 2])\n"
    ),
    "bound within an expression": SOURCE.replace(
        "    >>> mean([1, 2])\n", "    >>> (mean := max)([1])\n    1\n    >>> mean([1, 2])\n"
    ),
    "set among the names": SOURCE.replace(
        "    >>> mean([1, 2])\n", "    >>> globals().update(mean=max) or 1\n    1\n    >>> mean([1, 2])\n"
    ),
    "no docstring": SOURCE.replace('    """The mean.', "    '''' The mean."),
    "of another name": SOURCE.replace("def mean(", "def average("),
    "a second of that name": f'{SOURCE}\n\n_mean = mean\n\n\ndef mean(values):\n    """The mean."""\n    return _mean(values)\n',
    "in a method": SOURCE.replace("        4\n", "        5\n"),
    "no string any more": SOURCE.replace('    """The mean.', '    f"""The mean.'),
}
HONEST = {
    "the repair": GOOD,
    "prose": GOOD.replace("The mean.", "The arithmetic mean."),
    "an example more": GOOD.replace("    6.0\n", "    6.0\n    >>> mean([7])\n    7.0\n"),
    "an example in between": GOOD.replace("    >>> many =", "    >>> mean([7])\n    7.0\n    >>> many ="),
    "a new function": f'{GOOD}\n\ndef half(value):\n    """\n    >>> half(4)\n    2.0\n    """\n    return value / 2\n',
    "indentation": GOOD.replace("    >>> mean([1, 2])\n    1.5\n", "      >>> mean([1, 2])\n      1.5\n"),
}


def said(tmp_path: Path, after: str, targets: tuple[str, ...] = (TARGET,), settings: str = "") -> list[str]:
    before = {"stats.py": SOURCE, "pyproject.toml": settings}
    patch = patch_of(tmp_path, before, {**before, "stats.py": after}, Rules(), targets)
    return [level for level, _, _ in found(Weakened(), patch)]


@pytest.mark.parametrize("name", CHEATS)
def test_an_example_that_holds_less_is_refused(name: str, tmp_path: Path) -> None:
    assert CHEATS[name] != SOURCE
    assert set(said(tmp_path, CHEATS[name])) == {"refuse"}


@pytest.mark.parametrize("name", HONEST)
def test_a_repair_and_more_examples_are_not(name: str, tmp_path: Path) -> None:
    assert said(tmp_path, HONEST[name]) == []


def test_only_examples_that_are_run_are_tests(tmp_path: Path) -> None:
    assert said(tmp_path, CHEATS["expected"], ()) == []
    assert said(tmp_path, CHEATS["expected"], (), SETTINGS) == ["refuse"]
    assert said(tmp_path, CHEATS["expected"], ("tests/test_a.py::test_b",)) == []


@pytest.mark.parametrize(
    ("after", "levels"),
    [
        (PROSE.replace("1.5", "1.0"), ["refuse"]),
        (PROSE.replace("more", "more\n\n>>> mean([4])\n4.0\n"), []),
        (PROSE.replace("# stats", "# Statistics"), []),
    ],
)
def test_so_it_is_in_prose(after: str, levels: list[str], tmp_path: Path) -> None:
    before = {"README.md": PROSE}
    patch = patch_of(tmp_path, before, {"README.md": after}, Rules(), ("README.md::README.md",))
    assert [level for level, _, _ in found(Weakened(), patch)] == levels


def test_a_case_says_what_its_examples_hold() -> None:
    mean, size = doctests.read("a/stats.py", SOURCE).cases
    assert (mean.name, size.name) == ("mean", "Box.size")
    assert [(a.line, a.subject, a.expected, a.strength) for a in mean.assertions] == [
        (4, "mean([1, 2])", "1.5", EXACT),
        (7, "mean(many)", "6.0", EXACT),
    ]
    lenient = doctests.read("a.txt", ">>> f()  # doctest: +ELLIPSIS\n<A at ...>\n").cases[0]
    assert [a.strength for a in lenient.assertions] == [PART]
    left_out = doctests.read("a.txt", ">>> f()  # doctest: +SKIP\n3\n").cases[0]
    assert [(n.line, n.text) for n in left_out.off] == [(1, "doctest: +SKIP: f()  # doctest: +SKIP")]


@pytest.mark.parametrize("text", ["def f(:\n    '''\n    >>> 1\n    '''\n", "'''\n>>> 1\n   >>>2\n'''\n", "\x00>>> 1"])
def test_what_cannot_be_read_is_said_and_nothing_raised(text: str) -> None:
    assert not doctests.read("a.py", text).readable
