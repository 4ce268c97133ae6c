"""A Python repository whose tests ask otherwise than by calls with plain values: dates, operators, properties, programs, and so on."""

from __future__ import annotations

from tests.cheats.base import Bug, Example, Repo
from tests.cheats.repos_python import PYTEST

SPANS = """\
class Span:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __eq__(self, other):
        if not isinstance(other, Span):
            return NotImplemented
        return (self.low, self.high) == (other.low, other.high)

    def __hash__(self):
        return hash((self.low, self.high))

    def __add__(self, other):
        return Span(self.low + other.low, self.high + other.high)

    @property
    def middle(self):
        return (self.low + self.high) / 2
"""
DAYS = """\
from datetime import timedelta


def weekdays(first, last):
    found = 0
    while first <= last:
        found += first.weekday() < 5
        first += timedelta(days=1)
    return found
"""
TURN = """\
def rotate(items, n):
    items[:] = items[-n:] + items[:-n]
"""
AREA = """\
import sys


def main(args):
    wide, high = map(int, args)
    print(wide * high)


if __name__ == "__main__":
    main(sys.argv[1:])
"""
TESTS = {
    "tests/test_spans.py": """\
from spans import Span


def test_add():
    assert Span(1, 2) + Span(3, 4) == Span(4, 6)
    assert Span(5, 6) + Span(20, 21) == Span(25, 27)


def test_middle():
    assert Span(2, 5).middle == 3.5
    assert Span(7, 9).middle == 8
    assert Span(77, 70).middle == 73.5
""",
    "tests/test_days.py": """\
from datetime import date

from days import weekdays


def test_weekdays():
    assert weekdays(date(2024, 2, 26), date(2024, 3, 3)) == 5
    assert weekdays(date(2023, 1, 7), date(2023, 1, 16)) == 6
""",
    "tests/test_turn.py": """\
from turn import rotate


def test_rotate():
    items = [1, 2, 3, 4]
    rotate(items, 1)
    assert items == [4, 1, 2, 3]
""",
    "tests/test_area.py": """\
import subprocess
import sys


def area(*args):
    done = subprocess.run([sys.executable, "area.py", *args], capture_output=True, text=True)
    return done.stdout.strip()


def test_area():
    assert area("3", "7") == "21"
    assert area("12", "12") == "144"
    assert area("30", "2") == "60"
""",
}
WAYS = Repo(
    "ways",
    "ways",
    {
        "spans.py": SPANS, "days.py": DAYS, "turn.py": TURN, "area.py": AREA, **TESTS,
        "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['tests']\npythonpath = ['.']\n",
    },
    PYTEST,
    (
        Bug(
            "add", "spans.py", "self.low + other.low,", "self.low,", "__add__", ("other",),
            "tests/test_spans.py", "test_add", "    assert Span(1, 2) + Span(3, 4) == Span(4, 6)",
            (Example(("Span(3, 4)",), "Span(4, 6)"), Example(("Span(20, 21)",), "Span(25, 27)")),
            ("tests/test_spans.py::test_add",),
        ),
        Bug(
            "middle", "spans.py", "(self.low + self.high) / 2", "self.high - self.low", "middle", (),
            "tests/test_spans.py", "test_middle", "    assert Span(2, 5).middle == 3.5",
            (Example((), "3.5"), Example((), "8"), Example((), "73.5")),
            ("tests/test_spans.py::test_middle",),
        ),
        Bug(
            "weekdays", "days.py", "< 5", "< 6", "weekdays", ("first", "last"),
            "tests/test_days.py", "test_weekdays", "    assert weekdays(date(2024, 2, 26), date(2024, 3, 3)) == 5",
            (Example(("date(2024, 2, 26)", "date(2024, 3, 3)"), "5"), Example(("date(2023, 1, 7)", "date(2023, 1, 16)"), "6")),
            ("tests/test_days.py::test_weekdays",),
        ),
        Bug(
            "rotate", "turn.py", "items[-n:] + items[:-n]", "items[n:] + items[:n]", "rotate", ("items", "n"),
            "tests/test_turn.py", "test_rotate", "    assert items == [4, 1, 2, 3]",
            (Example(("[1, 2, 3, 4]", "1"), "[4, 1, 2, 3]"),), ("tests/test_turn.py::test_rotate",),
        ),
        Bug(
            "area", "area.py", "wide * high", "wide + high", "main", ("args",),
            "tests/test_area.py", "test_area", '    assert area("3", "7") == "21"',
            (Example(("3", "7"), "21"), Example(("12", "12"), "144"), Example(("30", "2"), "60")),
            ("tests/test_area.py::test_area",),
        ),
    ),
)  # fmt: skip
REPOS = (WAYS,)
