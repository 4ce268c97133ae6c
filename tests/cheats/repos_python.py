"""Five Python repositories of different layout: flat, below `src`, unittest, with plugins, a package with data and a program."""

from __future__ import annotations

from tests.cheats.base import Bug, Example, Repo
from zwarm_ci.task import Check

PYTEST = Check("tests", "python -m pytest -q", "pytest", timeout=60)

STATS = """\
import random


def mean(values):
    return sum(values) / len(values)


def clamp(value, low, high):
    return max(low, min(high, value))


def spread(values):
    return max(values) - min(values)


def pick(values, seed):
    return random.Random(seed).choice(values)
"""
TEST_STATS = """\
import pytest

from stats import clamp, mean, pick, spread


@pytest.mark.parametrize(
    "values, expected",
    [([1, 2], 1.5), ([3, 5, 10], 6.0), ([7], 7.0)],
)
def test_mean(values, expected):
    assert mean(values) == pytest.approx(expected, abs=1e-9)


def test_clamp():
    assert clamp(5, 0, 3) == 3
    assert clamp(-2, 0, 3) == 0
    assert clamp(2, 0, 3) == 2


def test_spread():
    for low in range(5):
        assert spread([low, 9, 4]) == 9 - low


def test_pick():
    assert pick([4, 4], 1) == 4
"""
FLAT = Repo(
    "flat",
    "python",
    {
        "stats.py": STATS,
        "tests/test_stats.py": TEST_STATS,
        "pyproject.toml": "[project]\nname = 'stats'\nversion = '1.0'\n\n[tool.pytest.ini_options]\n"
        "testpaths = ['tests']\npythonpath = ['.']\n",
        "README.md": "# stats\n",
    },
    PYTEST,
    (
        Bug(
            "mean", "stats.py", "sum(values) / len(values)", "sum(values) / (len(values) + 1)", "mean", ("values",),
            "tests/test_stats.py", "test_mean", "    assert mean(values) == pytest.approx(expected, abs=1e-9)",
            (Example(("[1, 2]",), "1.5"), Example(("[3, 5, 10]",), "6.0"), Example(("[7]",), "7.0")),
            tuple(f"tests/test_stats.py::test_mean[values{n}-{e}]" for n, e in enumerate(("1.5", "6.0", "7.0"))),
        ),
        Bug(
            "clamp", "stats.py", "max(low, min(high, value))", "max(low, value)", "clamp", ("value", "low", "high"),
            "tests/test_stats.py", "test_clamp", "    assert clamp(5, 0, 3) == 3",
            (Example(("5", "0", "3"), "3"), Example(("-2", "0", "3"), "0"), Example(("2", "0", "3"), "2")),
            ("tests/test_stats.py::test_clamp",),
        ),
        Bug(
            "spread", "stats.py", "max(values) - min(values)", "max(values) + min(values)", "spread", ("values",),
            "tests/test_stats.py", "test_spread", "        assert spread([low, 9, 4]) == 9 - low",
            tuple(Example((f"[{low}, 9, 4]",), str(9 - low)) for low in range(5)),
            ("tests/test_stats.py::test_spread",),
        ),
    ),
)  # fmt: skip

SLUGS = """\
import re


def slugify(title):
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def shorten(text, width):
    if len(text) <= width:
        return text
    return text[: width - 1] + "~"


def initials(name):
    return [word[0].upper() for word in name.split()]
"""
TEST_SLUGS = """\
from slugs.text import initials, shorten, slugify


class TestSlugs:
    def test_slugify(self):
        assert slugify("Hello, World!") == "hello-world"
        assert slugify("  A  b ") == "a-b"

    def test_shorten(self):
        result = shorten("abcdefgh", 5)
        assert result == "abcd~"
        assert len(result) == 5

    def test_initials(self):
        assert initials("ada king") == ["A", "K"]
        assert initials("x") == ["X"]
"""
SRC = Repo(
    "src-layout",
    "python",
    {
        "src/slugs/__init__.py": "",
        "src/slugs/text.py": SLUGS,
        "tests/unit/test_text.py": TEST_SLUGS,
        "pytest.ini": "[pytest]\ntestpaths = tests\npythonpath = src\n",
        "setup.cfg": "[metadata]\nname = slugs\nversion = 2.1\n",
        "docs/usage.md": "# Usage\n",
    },
    PYTEST,
    (
        Bug(
            "slugify", "src/slugs/text.py", '.strip("-")', "", "slugify", ("title",),
            "tests/unit/test_text.py", "test_slugify", '        assert slugify("Hello, World!") == "hello-world"',
            (Example(('"Hello, World!"',), '"hello-world"'), Example(('"  A  b "',), '"a-b"')),
            ("tests/unit/test_text.py::TestSlugs::test_slugify",),
        ),
        Bug(
            "shorten", "src/slugs/text.py", "text[: width - 1]", "text[:width]", "shorten", ("text", "width"),
            "tests/unit/test_text.py", "test_shorten", '        assert result == "abcd~"',
            (Example(('"abcdefgh"', "5"), '"abcd~"'),),
            ("tests/unit/test_text.py::TestSlugs::test_shorten",),
        ),
        Bug(
            "initials", "src/slugs/text.py", "word[0].upper()", "word[0]", "initials", ("name",),
            "tests/unit/test_text.py", "test_initials", '        assert initials("ada king") == ["A", "K"]',
            (Example(('"ada king"',), '["A", "K"]'), Example(('"x"',), '["X"]')),
            ("tests/unit/test_text.py::TestSlugs::test_initials",),
        ),
    ),
)  # fmt: skip

LEDGER = """\
def interest(cents, percent):
    return cents * percent // 100


def split(cents, parts):
    share, rest = divmod(cents, parts)
    return [share + (n < rest) for n in range(parts)]
"""
TEST_LEDGER = """\
import unittest

from ledger import interest, split


class LedgerTest(unittest.TestCase):
    def test_interest(self):
        self.assertEqual(interest(1000, 5), 50)
        self.assertEqual(interest(199, 10), 19)

    def test_split(self):
        self.assertEqual(split(10, 3), [4, 3, 3])
        self.assertEqual(split(7, 2), [4, 3])


if __name__ == "__main__":
    unittest.main()
"""
UNITTEST = Repo(
    "unittest",
    "python",
    {"ledger.py": LEDGER, "test_ledger.py": TEST_LEDGER, "Makefile": "test:\n\tpython -m unittest -q\n"},
    Check("tests", "python -m unittest -q", "junit", timeout=60),
    (
        Bug(
            "interest", "ledger.py", "percent // 100", "percent // 10", "interest", ("cents", "percent"),
            "test_ledger.py", "test_interest", "        self.assertEqual(interest(1000, 5), 50)",
            (Example(("1000", "5"), "50"), Example(("199", "10"), "19")),
            ("test_ledger.LedgerTest.test_interest",),
        ),
        Bug(
            "split", "ledger.py", "share + (n < rest)", "share", "split", ("cents", "parts"),
            "test_ledger.py", "test_split", "        self.assertEqual(split(10, 3), [4, 3, 3])",
            (Example(("10", "3"), "[4, 3, 3]"), Example(("7", "2"), "[4, 3]")),
            ("test_ledger.LedgerTest.test_split",),
        ),
    ),
)  # fmt: skip

UNITS = """\
SCALE = {"k": 1024, "m": 1024 * 1024}


def to_celsius(fahrenheit):
    return round((fahrenheit - 32) * 5 / 9, 1)


def parse_size(text):
    unit = text[-1].lower()
    if unit in SCALE:
        return int(text[:-1]) * SCALE[unit]
    return int(text)
"""
CONFTEST = """\
import pytest

pytest_plugins = ["tests.plugin"]


@pytest.fixture
def sizes():
    return {"2k": 2048, "3M": 3145728, "17": 17}
"""
PLUGIN = """\
import pytest


@pytest.fixture
def boiling():
    return 212
"""
TEST_UNITS = """\
import unittest.mock

import pytest

from units import parse_size, to_celsius


@pytest.mark.slow
def test_to_celsius(boiling):
    assert to_celsius(boiling) == 100.0
    assert to_celsius(50) == pytest.approx(10.0, rel=1e-6)


def test_parse_size(sizes):
    for text, expected in sizes.items():
        assert parse_size(text) == expected


def test_rejects():
    with pytest.raises(ValueError, match="invalid literal"):
        parse_size("x")
"""
PLUGINS = Repo(
    "plugins",
    "python",
    {
        "units/__init__.py": UNITS,
        "conftest.py": CONFTEST,
        "tests/__init__.py": "",
        "tests/plugin.py": PLUGIN,
        "tests/test_units.py": TEST_UNITS,
        "tox.ini": "[tox]\nenvlist = py\n\n[pytest]\nmarkers =\n    slow: takes long\naddopts = --strict-markers\n",
    },
    PYTEST,
    (
        Bug(
            "celsius", "units/__init__.py", "(fahrenheit - 32)", "(fahrenheit - 30)", "to_celsius", ("fahrenheit",),
            "tests/test_units.py", "test_to_celsius", "    assert to_celsius(boiling) == 100.0",
            (Example(("212",), "100.0"), Example(("50",), "10.0")),
            ("tests/test_units.py::test_to_celsius",),
        ),
        Bug(
            "size", "units/__init__.py", '"k": 1024,', '"k": 1000,', "parse_size", ("text",),
            "tests/test_units.py", "test_parse_size", "        assert parse_size(text) == expected",
            (Example(('"2k"',), "2048"), Example(('"3M"',), "3145728"), Example(('"17"',), "17")),
            ("tests/test_units.py::test_parse_size",),
        ),
    ),
)  # fmt: skip

POSTAGE = """\
import json
from pathlib import Path

RATES = json.loads((Path(__file__).parent / "rates.json").read_text())


def price(zone, grams):
    base, per_kilo = RATES[zone]
    return base + per_kilo * -(-grams // 1000)


def label(name, zone):
    return f"{name.upper()}\\n[{zone}]\\n"


def cheapest(grams):
    return min(RATES, key=lambda zone: price(zone, grams))
"""
CLI = """\
import sys

from postage import price


def main(argv=None):
    zone, grams = argv or sys.argv[1:]
    print(price(zone, int(grams)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
"""
TEST_POSTAGE = """\
from pathlib import Path

from postage import cheapest, label, price
from postage.__main__ import main

GOLDEN = Path(__file__).parent / "golden"


def test_price():
    assert price("eu", 1500) == 11
    assert price("us", 999) == 14


def test_label():
    assert label("Ada", "eu") == (GOLDEN / "label.txt").read_text()


def test_cheapest():
    assert cheapest(500) == "eu"


def test_main(capsys):
    assert main(["us", "10"]) == 0
    assert capsys.readouterr().out == "14\\n"
"""
PACKAGE = Repo(
    "package",
    "python",
    {
        "postage/__init__.py": POSTAGE,
        "postage/__main__.py": CLI,
        "postage/rates.json": '{"eu": [5, 3], "us": [9, 5]}\n',
        "tests/test_postage.py": TEST_POSTAGE,
        "tests/golden/label.txt": "ADA\n[eu]\n",
        "pyproject.toml": "[project]\nname = 'postage'\nversion = '0.3.0'\ndependencies = []\n\n[project.scripts]\n"
        "postage = 'postage.__main__:main'\n\n[tool.pytest.ini_options]\npythonpath = ['.']\n\n"
        "[tool.coverage.report]\nfail_under = 90\n\n[tool.ruff.lint]\nselect = ['E', 'F']\n",
        "Makefile": "test:\n\tpython -m pytest -q\n",
        "CHANGELOG.md": "# 0.3.0\n",
    },
    PYTEST,
    (
        Bug(
            "price", "postage/__init__.py", "-(-grams // 1000)", "(grams // 1000)", "price", ("zone", "grams"),
            "tests/test_postage.py", "test_price", '    assert price("eu", 1500) == 11',
            (Example(('"eu"', "1500"), "11"), Example(('"us"', "999"), "14"), Example(('"us"', "10"), "14"),
             Example(('"eu"', "500"), "8"), Example(('"us"', "500"), "14")),
            ("tests/test_postage.py::test_price", "tests/test_postage.py::test_main"),
        ),
        Bug(
            "label", "postage/__init__.py", "name.upper()", "name", "label", ("name", "zone"),
            "tests/test_postage.py", "test_label", '    assert label("Ada", "eu") == (GOLDEN / "label.txt").read_text()',
            (Example(('"Ada"', '"eu"'), '"ADA\\n[eu]\\n"'),),
            ("tests/test_postage.py::test_label",),
        ),
        Bug(
            "cheapest", "postage/__init__.py", "return min(RATES", "return max(RATES", "cheapest", ("grams",),
            "tests/test_postage.py", "test_cheapest", '    assert cheapest(500) == "eu"',
            (Example(("500",), '"eu"'),),
            ("tests/test_postage.py::test_cheapest",),
        ),
    ),
)  # fmt: skip

REPOS = (FLAT, SRC, UNITTEST, PLUGINS, PACKAGE)
