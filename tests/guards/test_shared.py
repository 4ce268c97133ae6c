"""The guard of what tests share beside the source: assertions of helpers, and values that nothing else uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import Tree, found, patch_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.shared import Shared

GUARD = Shared()
HELPER = (
    'def check(value, wanted):\n    """They are the same."""\n    assert value == wanted, (value, wanted)\n\n\n'
    "def near(value, wanted):\n    if abs(value - wanted) > 0.001:\n        raise AssertionError(value)\n"
)
BASE: Tree = {
    "shapes.py": "def area(w, h):\n    assert w > 0\n    return w + h\n\n\ndef grow(box):\n    assert box.w\n    box.w += 1\n",
    "helpers.py": HELPER,
    "cases.py": '"""Rows."""\n\nCASES = [(3, 5, 15), (4, 7, 28)]\n',
    "limits.py": "MOST = 5\n",
    "app.py": "from limits import MOST\n",
    "tests/test_shapes.py": "from cases import CASES\nfrom helpers import check, near\nfrom limits import MOST\nfrom shapes import area, grow\n",
}
SAYS_LESS: dict[str, Tree] = {
    "nothing is asserted": {"helpers.py": "def check(value, wanted):\n    return value\n\n\ndef near(value, wanted):\n    pass\n"},
    "something else": {"helpers.py": HELPER.replace("value == wanted", "type(value) is type(wanted)")},
    "less exactly": {"helpers.py": HELPER.replace("0.001", "20")},
    "after a return": {"helpers.py": HELPER.replace("    assert value == wanted, (value, wanted)\n", "    return\n")},
    "gone": {"helpers.py": None},
    "other values": {"cases.py": "CASES = [(3, 5, 8), (4, 7, 11)]\n"},
    "fewer values": {"cases.py": "CASES = [(2, 2, 4)]\n"},
    "values of a class": {"cases.py": "class N(int):\n    pass\n\n\nCASES = [(3, 5, N(8))]\n"},
}  # fmt: skip
FAIR: dict[str, Tree] = {
    "a repair": {"shapes.py": "def area(w, h):\n    if w <= 0:\n        raise ValueError(w)\n    return w * h\n"},
    "another message": {"helpers.py": HELPER.replace("(value, wanted)\n\n", "f'{value} is not {wanted}'\n\n", 1)},
    "one more": {"helpers.py": HELPER + "\n\ndef less(a, b):\n    assert a < b\n"},
    "stricter too": {"helpers.py": HELPER.replace("    if abs", "    assert value is not None\n    if abs")},
    "a limit that source uses": {"limits.py": "MOST = 6\n"},
    "another note": {"cases.py": '"""The rows."""\n\nCASES = [(3, 5, 15), (4, 7, 28)]\n'},
}


#: What tests are made with though it stands in source: a class that they derive from by way of another, a fixture, helpers.
CASES = """from unittest import TestCase

LIMIT = 0.001


class Noting(TestCase):
    def setUp(self):
        self.notes = []


class ShapeCase(Noting):
    \"\"\"What tests of shapes share.\"\"\"

    def assertArea(self, shape, wanted):
        self.assertAlmostEqual(shape.area(), wanted, delta=LIMIT)


def same(value, wanted):
    TestCase().assertEqual(value, wanted)
    return value


class Expected:
    def assert_is(self, wanted):
        return self.value == wanted or self.fail()

    def to_be(self, wanted):
        if self.value != wanted:
            raise AssertionError(wanted)
        return self


def expect(value):
    return Expected(value)
"""
MADE_WITH: Tree = {
    "shop/cases.py": CASES,
    "shop/fixtures.py": "import pytest\n\n\n@pytest.fixture\ndef wanted():\n    return 12\n",
    "shop/shapes.py": "class Shape:\n    def area(self):\n        return self.w + self.h\n",
    "tests/test_shop.py": (
        "from shop.cases import expect, ShapeCase, same\nfrom shop.shapes import Shape\n\n\nclass TestShape(ShapeCase):\n"
        "    def test_area(self):\n        class Dummy(Shape):\n            w = h = 3\n\n        self.assertArea(Dummy(), 9)\n\n"
        "    def test_wanted(self):\n        same(Shape, Shape)\n\n\ndef test_fixed(wanted):\n    assert wanted\n"
    ),
}  # fmt: skip
UNMADE: dict[str, Tree] = {
    "a looser assertion": {"shop/cases.py": CASES.replace("delta=LIMIT", "delta=20")},
    "a looser limit": {"shop/cases.py": CASES.replace("0.001", "20")},
    "what it derives from": {"shop/cases.py": CASES.replace("self.notes = []", "self.assertEqual = self.assertTrue")},
    "a method that hides another": {"shop/cases.py": CASES.replace("    def setUp", "    def fail(self, msg):\n        pass\n\n    def setUp")},
    "another class to derive from": {"shop/cases.py": CASES.replace("from unittest import", "from shop.shapes import Shape as")},
    "set from beside": {"shop/cases.py": CASES + "\n\nShapeCase.assertArea = lambda *_: None\n"},
    "set from elsewhere": {"shop/shapes.py": "from shop import cases\n\ncases.ShapeCase.assertArea = lambda *_: None\n"},
    "all that a module holds": {"shop/shapes.py": "import shop.cases\n\nfor one in vars(shop.cases).values():\n    setattr(one, 'x', 1)\n"},
    "a helper": {"shop/cases.py": CASES.replace("assertEqual(value, wanted)", "assertTrue(wanted)")},
    "one that answers": {"shop/cases.py": CASES.replace("self.value == wanted or self.fail()", "self")},
    "one that raises": {"shop/cases.py": CASES.replace("raise AssertionError", "pass")},
    "a fixture": {"shop/fixtures.py": "import pytest\n\n\n@pytest.fixture\ndef wanted():\n    return 7\n"},
    "gone": {"shop/cases.py": None},
}  # fmt: skip
UNTOUCHED: dict[str, Tree] = {
    "a repair": {"shop/shapes.py": "class Shape:\n    def area(self):\n        return self.w * self.h\n"},
    "one more": {"shop/cases.py": CASES + "\n\nclass Further(ShapeCase):\n    pass\n"},
    "prose": {"shop/cases.py": CASES.replace("What tests of shapes share.", "Shared by tests.")},
}  # fmt: skip


@pytest.mark.parametrize("name", [*UNMADE, *UNTOUCHED])
def test_what_tests_are_made_with_stays_as_it_is_wherever_it_stands(name: str, tmp_path: Path) -> None:
    after = {**MADE_WITH, **(UNMADE.get(name) or UNTOUCHED[name])}
    levels = {level for level, _, _ in found(GUARD, patch_of(tmp_path, MADE_WITH, after))}
    assert ("refuse" in levels) if name in UNMADE else not levels


def test_a_library_for_tests_is_looked_at_where_its_own_tests_see_it_fail(tmp_path: Path) -> None:
    tests = str(MADE_WITH["tests/test_shop.py"])
    own: Tree = {**MADE_WITH, "tests/test_shop.py": tests + "\n\nSEEN = ShapeCase.failureException\n"}
    levels = [
        [level for level, _, _ in found(GUARD, patch_of(tmp_path, base, {**base, **UNMADE["a looser assertion"]}))]
        for base in (MADE_WITH, own)
    ]
    assert levels == [["refuse"], ["review"]]


@pytest.mark.parametrize("name", SAYS_LESS)
def test_what_tests_share_and_says_less_is_refused(name: str, tmp_path: Path) -> None:
    assert {level for level, _, _ in found(GUARD, patch_of(tmp_path, BASE, {**BASE, **SAYS_LESS[name]}))} == {"refuse"}


@pytest.mark.parametrize("name", FAIR)
def test_what_honest_people_do_beside_is_nothing(name: str, tmp_path: Path) -> None:
    assert found(GUARD, patch_of(tmp_path, BASE, {**BASE, **FAIR[name]})) == []


@pytest.mark.parametrize(
    ("test", "level"),
    [
        ("from paint.colors import RED\n\n\ndef test_red():\n    assert RED == 'f00'\n", "review"),
        ("from paint import colors\nfrom shapes import area\n", "refuse"),
        ("import shapes, paint.colors\n", "refuse"),
        ("import pytest\nfrom paint.colors import RED\n", "review"),
    ],
)
def test_values_that_a_test_is_about_are_looked_at(test: str, level: str, tmp_path: Path) -> None:
    base: dict[str, str | bytes | None] = {
        "paint/__init__.py": "",
        "paint/colors.py": "RED = '0f0'\n",
        "tests/test_colors.py": test,
    }
    base["shapes.py"] = BASE["shapes.py"]
    after: Tree = {**base, "paint/colors.py": "RED = 'f00'\n"}
    assert [found_level for found_level, _, _ in found(GUARD, patch_of(tmp_path, base, after))] == [level]


def test_people_are_not_asked(tmp_path: Path) -> None:
    assert found(GUARD, patch_of(tmp_path, BASE, {**BASE, "helpers.py": ""}, Rules(strict=False))) == []


def test_what_others_made_is_nobody_s_own(tmp_path: Path) -> None:
    """A test may derive from a class of a library; source that uses that one too knows nothing of tests."""
    test = (
        "import threading\n\n\nclass Kind(type):\n    pass\n\n\nclass TestWorker(threading.Thread, metaclass=Kind):\n"
    )
    base: Tree = {**BASE, "tests/test_worker.py": f"{test}    def test_runs(self):\n        assert self.is_alive()\n"}
    shapes = f"from threading import Thread\n\n{BASE['shapes.py']!s}\n\ndef worker(job):\n    return type('W', (Thread,), {{'run': job}})\n"
    assert found(GUARD, patch_of(tmp_path, base, {**base, "shapes.py": shapes})) == []
