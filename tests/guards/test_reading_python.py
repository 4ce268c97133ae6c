"""What the reader of Python says of assertions and of what keeps a test from meaning anything."""

from __future__ import annotations

import time

import pytest

from zwarm_ci.verify.reading import python
from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, TestCase


def case(body: str, head: str = "") -> TestCase:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (found,) = python.read("tests/test_a.py", f"from calc import add\n{head}\ndef test_a(self):\n{lines}\n").cases
    return found


@pytest.mark.parametrize(
    ("said", "strength"),
    [
        ("assert True", VACUOUS),
        ("assert 1", VACUOUS),
        ("assert add(1, 2) == 3 or True", VACUOUS),
        ("assert not False", VACUOUS),
        ("assert not (x == 1 and False)", VACUOUS),
        ("assert 1 == 1", VACUOUS),
        ("assert 1 < 2", VACUOUS),
        ("assert x == x", VACUOUS),
        ("assert add(1, 2) == add(1, 2)", VACUOUS),
        ("assert x is x", VACUOUS),
        ("assert x == 1 or x != 1", VACUOUS),
        ("assert x or not x", VACUOUS),
        ("assert (add(1, 2) == 3, 'told')", VACUOUS),
        ("assert [x == 1]", VACUOUS),
        ("assert (x == 1 for x in xs)", VACUOUS),
        ("assert lambda: x == 1", VACUOUS),
        ("assert f'is {x}'", VACUOUS),
        ("assert len(x) >= 0", VACUOUS),
        ("assert x in [x, 2]", VACUOUS),
        ("assert x == ANY", VACUOUS),
        ("assert x == mock.ANY", VACUOUS),
        ("assert type(x)", VACUOUS),
        ("assert isinstance(x, object)", VACUOUS),
        ("assert x == 3 if False else True", VACUOUS),
        ("self.assertTrue(True)", VACUOUS),
        ("self.assertEqual(1, 1)", VACUOUS),
        ("self.assertEqual(x, x)", VACUOUS),
        ("self.assertFalse(None)", VACUOUS),
        ("assert x", TRUTH),
        ("assert x is not None", TRUTH),
        ("assert isinstance(x, int)", TRUTH),
        ("assert callable(x)", TRUTH),
        ("assert type(x) is int", TRUTH),
        ("self.assertTrue(x)", TRUTH),
        ("self.assertIsNotNone(x)", TRUTH),
        ("self.assertIsInstance(x, int)", TRUTH),
        ("with pytest.raises(Exception):\n    add(1)", TRUTH),
        ("m.assert_called()", TRUTH),
        ("assert 1 in x", PART),
        ("assert x > 1", PART),
        ("assert 1 < x < 4", PART),
        ("assert x != 3", PART),
        ("assert not x == 3", PART),
        ("assert len(x) == 3", PART),
        ("assert x.startswith('a')", PART),
        ("assert re.match('a', x)", PART),
        ("assert x == 1 or x == 2", PART),
        ("assert all(v > 1 for v in x)", PART),
        ("with pytest.raises(ValueError):\n    add(1)", PART),
        ("with pytest.raises(ValueError, match='.*'):\n    add(1)", PART),
        ("self.assertIn(1, x)", PART),
        ("self.assertGreater(x, 1)", PART),
        ("self.assertRaises(ValueError, add, 1)", PART),
        ("assert x == 3", EXACT),
        ("assert 3 == x", EXACT),
        ("assert x is None", EXACT),
        ("assert x is True", EXACT),
        ("assert x == approx(3)", EXACT),
        ("assert math.isclose(x, 3)", EXACT),
        ("assert abs(x - 3) < 0.1", EXACT),
        ("with pytest.raises(ValueError, match='no'):\n    add(1)", EXACT),
        ("with self.assertRaisesRegex(ValueError, 'no'):\n    add(1)", EXACT),
        ("self.assertEqual(x, 3)", EXACT),
        ("self.assertEquals(x, 3)", EXACT),
        ("self.assertListEqual(x, [3])", EXACT),
        ("self.assertTrue(x == 3)", EXACT),
        ("np.testing.assert_allclose(x, 3)", EXACT),
        ("m.assert_called_once_with(1)", EXACT),
        ("if x != 3:\n    pytest.fail('no')", EXACT),
        ("if x != 3:\n    raise AssertionError", EXACT),
    ],
)
def test_strength(said: str, strength: int) -> None:
    assert [a.strength for a in case(said).assertions][:1] == [strength]


@pytest.mark.parametrize(
    ("said", "tolerance"),
    [
        ("assert x == pytest.approx(3)", 1e-6),
        ("assert x == pytest.approx(3, rel=0.1)", 0.1),
        ("assert x == pytest.approx(3, abs=2, rel=0.1)", 2.0),
        ("assert x == pytest.approx(3, 0.5)", 0.5),
        ("self.assertAlmostEqual(x, 3, places=2)", 0.005),
        ("self.assertAlmostEqual(x, 3, delta=0.25)", 0.25),
        ("self.assertAlmostEqual(x, 3, 1)", 0.05),
        ("assert math.isclose(x, 3, abs_tol=0.5)", 0.5),
        ("np.testing.assert_allclose(x, 3, rtol=0.01)", 0.01),
        ("assert round(x, 2) == 3.14", 0.005),
        ("assert abs(x - 3) <= 0.2", 0.2),
        ("assert x == pytest.approx(3, rel=LIMIT)", float("inf")),
        ("assert x == 3", None),
    ],
)
def test_tolerance(said: str, tolerance: float | None) -> None:
    (held,) = case(said).assertions
    assert held.tolerance == (None if tolerance is None else pytest.approx(tolerance, rel=1e-12))


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("assert x == 1", "@pytest.mark.skip"),
        ("assert x == 1", "@pytest.mark.skipif(True, reason='')"),
        ("assert x == 1", "@pytest.mark.xfail"),
        ("assert x == 1", "@unittest.skip('no')"),
        ("assert x == 1", "@unittest.expectedFailure"),
        ("assert x == 1", "later = pytest.mark.skipif(True)\n@later"),
        ("assert x == 1", "@pytest.fixture(autouse=True)\ndef off():\n    pytest.skip('x')\n"),
        ("pytest.skip('no')\nassert x == 1", ""),
        ("self.skipTest('no')\nassert x == 1", ""),
        ("raise unittest.SkipTest('no')\nassert x == 1", ""),
        ("np = pytest.importorskip('numpy')\nassert x == 1", ""),
        ("return\nassert x == 1", ""),
        ("if x:\n    return\nassert x == 1", ""),
        ("if False:\n    assert x == 1", ""),
        ("if 0:\n    assert x == 1", ""),
        ("if True:\n    pass\nelse:\n    assert x == 1", ""),
        ("while False:\n    assert x == 1", ""),
        ("for _ in []:\n    assert x == 1", ""),
        ("for _ in range(0):\n    assert x == 1", ""),
        ("for i in xs:\n    continue\n    assert x == 1", ""),
        ("if x is not None:\n    assert x == 1", ""),
        ("yield\nassert x == 1", ""),
        ("pass", ""),
        ("'only a docstring'", ""),
        ("sys.exit(0)\nassert x == 1", ""),
    ],
)
def test_off(body: str, head: str) -> None:
    assert case(body, head).off
    assert not case("assert add(1, 2) == 3\nreturn None").off


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("try:\n    assert x == 1\nexcept AssertionError:\n    pass", ""),
        ("try:\n    assert x == 1\nexcept Exception:\n    print('x')", ""),
        ("try:\n    assert x == 1\nexcept:\n    pass", ""),
        ("try:\n    assert x == 1\nexcept (ValueError, BaseException):\n    pass", ""),
        ("try:\n    add(1)\nexcept Exception:\n    return", ""),
        ("try:\n    assert x == 1\nfinally:\n    return", ""),
        ("with contextlib.suppress(AssertionError):\n    assert x == 1", ""),
        ("with suppress(Exception):\n    add(1)", ""),
        ("with ExitStack() as s:\n    s.push(lambda *a: True)\n    assert x == 1", ""),
        ("with pytest.raises(AssertionError):\n    assert x == 1", ""),
        ("with Quiet():\n    assert x == 1", "class Quiet:\n    def __exit__(self, *a):\n        return True\n"),
        (
            "with quiet():\n    assert x == 1",
            "@contextmanager\ndef quiet():\n    try:\n        yield\n    except BaseException:\n        pass\n",
        ),
        ("asyncio.gather(check(), return_exceptions=True)", ""),
    ],
)
def test_swallows(body: str, head: str) -> None:
    assert case(body, head).swallows
    assert not case("try:\n    assert x == 1\nexcept Exception as e:\n    raise AssertionError from e").swallows


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("monkeypatch.setattr(calc, 'add', 1)", ""),
        ("monkeypatch.setitem(calc.TABLE, 'add', 1)", ""),
        ("mocker.patch('calc.add')", ""),
        ("with mock.patch('calc.add', return_value=3):\n    assert add(1, 2) == 3", ""),
        ("with patch.object(calc, 'add'):\n    pass", ""),
        ("assert add(1, 2) == 3", "@patch('calc.add')"),
        ("assert add(1, 2) == 3", "@mock.patch.object(calc, 'add')"),
        ("add = lambda a, b: 3\nassert add(1, 2) == 3", ""),
        ("def add(a, b): return 3\nassert add(1, 2) == 3", ""),
        ("from fake import add\nassert add(1, 2) == 3", ""),
        ("assert add(1, 2) == 3", "def add(a, b): return 3\n"),
        ("assert add(1, 2) == 3", "import calc\ncalc.add = lambda a, b: 3\n"),
        ("calc.add = lambda a, b: 3", "import calc\n"),
        ("sys.modules['calc'] = None", "import sys\n"),
    ],
)
def test_doubles(body: str, head: str) -> None:
    assert case(body, head).doubles
    assert not case("result = add(1, 2)\nassert result == 3").doubles


def test_formatting_comments_docstrings_and_annotations_are_no_part_of_the_shape() -> None:
    one = case('"""Doc."""\nassert add( 1,2 ) == "x"  # why', "")
    two = case("assert (add(1, 2) == 'x'), 'a message'", "")
    assert one.shape == two.shape
    assert [a.text for a in one.assertions] == [a.text for a in two.assertions]


def test_classes_rows_ranges_imports_helpers_and_marks_of_the_file() -> None:
    file = python.read(
        "pkg/tests/test_a.py",
        """
import numpy as np
from ..calc import add as plus
pytestmark = [pytest.mark.slow, pytest.mark.skip]
collect_ignore = ["test_b.py"]
ROWS = [(1, 2), pytest.param(3, 4, id="x", marks=pytest.mark.xfail)]

@pytest.fixture
def three():
    return 3

class TestA(Base):
    def setUp(self): pass
    @pytest.mark.parametrize("a,b", ROWS)
    def test_one(self, a, b): assert a
    @settings(max_examples=50)
    @given(st.integers(min_value=0, max_value=9))
    def test_two(self, n):
        for i in range(100): assert n + i
    def test_two(self): assert 1 < n

class Quiet:
    def test_is_no_test(self): pass

if sys.platform == "win32":
    def test_three(): assert three
""",
    )
    assert [c.name for c in file.cases] == ["TestA::test_one", "TestA::test_two", "TestA::test_two#2", "test_three"]
    assert file.cases[0].rows == ("'a,b': (1, 2)", "'a,b': (3, 4)")
    assert [n.text for n in file.cases[0].off] == ["row 3, 4: pytest.mark.xfail"]
    assert {n.text for n in file.cases[1].ranges} == {
        "settings max_examples=50",
        "range(100)",
        "integers min_value=0",
        "integers max_value=9",
    }
    assert [n.text for n in file.cases[1].off] == ["defined again further down"]
    assert [n.text for n in file.cases[3].off] == ["defined only if sys.platform == 'win32'"]
    assert [n.text for n in file.off] == ["pytest.mark.skip", "collect_ignore = ['test_b.py']"]
    assert file.subjects == {"numpy": (" as np",), "pkg.calc": ("add as plus",)}
    assert set(file.helpers) == {"collect_ignore", "ROWS", "three", "TestA", "TestA::setUp", "Quiet"}


@pytest.mark.parametrize(
    "text",
    ["def test_(:", "\0", "\udc80", "print 'two'", "(" * 5000, "x = " + "-" * 100_000 + "1", "\ufeff" + "é\x0c", "a" * 10_000_000, "if x:\n  y\n z"],
    ids=["syntax", "nul", "surrogate", "python2", "parentheses", "minus", "bom", "long line", "indent"],
)  # fmt: skip
def test_any_text_is_read_or_said_to_be_unreadable(text: str) -> None:
    file = python.read("test_a.py", text)
    assert not file.cases
    assert file.readable == (text[:1] in {"\ufeff", "a"})


def test_deep_nesting_takes_no_exponential_time() -> None:
    deep = "".join(f"{'  ' * n}if x{n}:\n" for n in range(1, 90)) + "  " * 90 + "assert x == 1\n"
    for word in ("if x", "try", "with x"):
        text = deep if word == "if x" else deep.replace("if x", "with x")
        started = time.process_time()
        assert python.read("test_a.py", f"def test_a():\n{text}").cases[0].assertions
        assert time.process_time() - started < 5
