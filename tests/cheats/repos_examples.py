"""Repositories whose tests are no functions: examples in docstrings, data in a file, and a command with nothing but an exit code."""

from __future__ import annotations

from tests.cheats.base import Bug, Example, Repo
from tests.cheats.repos_python import PYTEST, STATS
from zwarm_ci.task import Check

PRICES = '''\
def total(cents, percent):
    """What is to be paid.

    >>> total(1000, 19)
    1190
    >>> total(250, 7)
    267
    """
    return cents + cents * percent // 100


def halves(cents):
    """Two shares.

    >>> halves(7)
    [4, 3]
    """
    return [cents - cents // 2, cents // 2]
'''
DOCTESTS = Repo(
    "doctests",
    "doctest",
    {
        "prices.py": PRICES,
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--doctest-modules'\n",
        "README.md": "# prices\n",
    },
    PYTEST,
    (
        Bug(
            "total", "prices.py", "cents + cents", "cents - cents", "total", ("cents", "percent"),
            "prices.py", "total", "    1190",
            (Example(("1000", "19"), "1190"), Example(("250", "7"), "267")),
            ("prices.py::prices.total",),
        ),
    ),
)  # fmt: skip

CASES = """\
import json
from pathlib import Path

import pytest

from stats import spread

ROWS = json.loads((Path(__file__).parent.parent / "data" / "spreads.json").read_text())


@pytest.mark.parametrize("row", ROWS)
def test_spread(row):
    values, expected = row
    assert spread(values) == expected
"""
DATA = Repo(
    "data-driven",
    "data",
    {
        "stats.py": STATS,
        "data/spreads.json": "[[[1, 2], 1], [[3, 50, 10], 47], [[7, 7], 0]]\n",
        "tests/test_spreads.py": CASES,
        "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['tests']\npythonpath = ['.']\n",
    },
    PYTEST,
    (
        Bug(
            "spread", "stats.py", "max(values) - min(values)", "max(values) + min(values)", "spread", ("values",),
            "tests/test_spreads.py", "test_spread", "    assert spread(values) == expected",
            (Example(("[1, 2]",), "1"), Example(("[3, 50, 10]",), "47"), Example(("[7, 7]",), "0")),
            tuple(f"tests/test_spreads.py::test_spread[row{n}]" for n in range(3)),
        ),
    ),
)  # fmt: skip

SUM = "#!/bin/sh\nset -e\necho $(($1 + $2))\n"
BANNER = '#!/bin/sh\nset -e\nname=$1\necho "Hello, $name"\n'
MAKEFILE = 'check:\n\ttest "$$(sh sum.sh 20 13)" = 33\n\ttest "$$(sh sum.sh 4 50)" = 54\n\tsh banner.sh Ada | diff - banner.expected.txt\n'
MAKE = Repo(
    "make",
    "command",
    {"sum.sh": SUM, "banner.sh": BANNER, "banner.expected.txt": "Hello, Ada\n", "Makefile": MAKEFILE, "README.md": "# sums\n"},
    Check("tests", "make check", "generic", timeout=60),
    (
        Bug(
            "sum", "sum.sh", "$(($1 + $2))", "$(($1 - $2))", "sum", ("1", "2"), "Makefile", "check",
            '\ttest "$$(sh sum.sh 20 13)" = 33', (Example(("20", "13"), "33"), Example(("4", "50"), "54")), ("tests::exit",),
        ),
        Bug(
            "banner", "banner.sh", "Hello, $name", "Helo, $name", "banner", ("1",), "Makefile", "check",
            "\tsh banner.sh Ada | diff - banner.expected.txt", (Example(("Ada",), "Hello, Ada"),), ("tests::exit",),
        ),
    ),
    needs="make",
)  # fmt: skip

REPOS = (DOCTESTS, DATA, MAKE)
