"""Python tests before and after a patch: what weakens them, by kind, and what is harmless. Data for test_weakened*.py."""

from __future__ import annotations

HEAD = "import pytest\nfrom calc import add, div\n\n"
ONE = "def test_add():\n    assert add(1, 2) == 3\n"
TWO = "def test_div():\n    assert div(4, 2) == 2\n    assert div(1, 2) == 0.5\n"
ROWS = '@pytest.mark.parametrize("a,b", [(1, 2), (3, 4), (5, 6)])\ndef test_rows(a, b):\n    assert add(a, 1) == b\n'
UNIT = """class TestCalc(unittest.TestCase):
    def setUp(self):
        self.x = add(1, 1)
    def test_x(self):
        self.assertEqual(self.x, 2)
"""
QUIET = """def quiet(f):
    def inner():
        try:
            f()
        except Exception:
            pass
    return inner

@quiet
"""
LOOP = "def test_loop():\n    for i in range(100):\n        assert add(i, 1) == i + 1\n"
CLOSE = "def test_close():\n    assert div(1, 3) == pytest.approx(0.333, abs=0.001)\n"
RAISE = 'def test_raise():\n    with pytest.raises(ZeroDivisionError, match="zero"):\n        div(1, 0)\n'
HYPO = "@settings(max_examples=200)\n@given(st.integers(min_value=-50, max_value=50))\ndef test_hypo(n):\n    assert add(n, 0) == n\n"
FIX = "@pytest.fixture\ndef three():\n    return 3\n\ndef test_fix(three):\n    assert add(1, 2) == three\n"
HELP = "def check(a, b):\n    assert add(a, 0) == b\n\ndef test_help():\n    check(1, 1)\n"


def _body(*lines: str) -> str:
    return "def test_add():\n" + "".join(f"    {line}\n" for line in lines)


#: (before, after, kinds of which one is to be found in strict, whether people's commits are asked about it too)
WEAKENINGS: list[tuple[str, str, str, bool]] = [
    (ONE + TWO, ONE, "deleted", True),
    (ONE, "", "deleted", True),
    (ONE, "def _test_add():\n    assert add(1, 2) == 3\n", "deleted", True),
    (ONE, "def check_add():\n    assert add(1, 2) == 3\n", "deleted", True),
    (ONE, "class Hidden:\n    def test_add(self):\n        assert add(1, 2) == 3\n", "deleted", True),
    (ONE, "# def test_add():\n#     assert add(1, 2) == 3\n", "deleted", True),
    (ONE, '"""\ndef test_add():\n    assert add(1, 2) == 3\n"""\n', "deleted", True),
    (ONE, f"def outer():\n    {ONE.splitlines()[0]}\n        assert add(1, 2) == 3\n", "deleted", True),
    (ONE, "@pytest.fixture\n" + ONE, "deleted", True),
    (UNIT, UNIT.replace("(unittest.TestCase)", "").replace("TestCalc", "Calc"), "deleted", True),
    (ONE, ONE.replace("test_add", "test_other"), "renamed", False),
    (ONE.replace("== 3", "== 3 == two + 1"), ONE.replace("== 3", "is not None"), "weaker", True),
    (ONE, ONE.replace("== 3", "== add(1, 2) == add(1, 2)"), "vacuous|weaker", True),
    (ONE, _body("pass"), "off", True),
    (ONE, _body("..."), "off", True),
    (ONE, "@pytest.mark.skip\n" + ONE, "off", True),
    (ONE, "@pytest.mark.skip(reason='flaky')\n" + ONE, "off", True),
    (ONE, "@pytest.mark.skipif(True, reason='x')\n" + ONE, "off", True),
    (ONE, "@pytest.mark.xfail\n" + ONE, "off", True),
    (ONE, "@pytest.mark.xfail(strict=False)\n" + ONE, "off", True),
    (ONE, "@pytest.mark.flaky(reruns=5)\n" + ONE, "off", True),
    (UNIT, UNIT.replace("    def test_x", "    @unittest.skip('x')\n    def test_x"), "off", True),
    (UNIT, UNIT.replace("    def test_x", "    @unittest.expectedFailure\n    def test_x"), "off", True),
    (UNIT, UNIT.replace("self.x = add(1, 1)", "self.skipTest('no')"), "off", True),
    (UNIT, "@unittest.skip('x')\n" + UNIT, "off", True),
    (UNIT, UNIT.replace("    def setUp", "    __test__ = False\n    def setUp"), "off", True),
    (ONE, "pytestmark = pytest.mark.skip\n" + ONE, "off", True),
    (ONE, "pytestmark = [pytest.mark.xfail]\n" + ONE, "off", True),
    (ONE, "pytest.skip('x', allow_module_level=True)\n" + ONE, "off", True),
    (ONE, "np = pytest.importorskip('nothing')\n" + ONE, "off", True),
    (ONE, "later = pytest.mark.skipif(1)\n@later\n" + ONE, "off", True),
    (ONE, _body("pytest.skip('x')", "assert add(1, 2) == 3"), "off", True),
    (ONE, _body("return", "assert add(1, 2) == 3"), "off", True),
    (ONE, _body("if True:", "    return", "assert add(1, 2) == 3"), "off", True),
    (ONE, _body("if False:", "    assert add(1, 2) == 3"), "off", True),
    (LOOP, LOOP.replace("        assert", "        if i > 1:\n            continue\n        assert"), "off", True),
    (LOOP, LOOP.replace("        assert", "        if i > 1:\n            break\n        assert add(1, 1) == 2\n        assert"), "off", True),
    (ONE, _body("if add(1, 2) == 3:", "    assert add(1, 2) == 3"), "off", True),
    (ONE, _body("for _ in ():", "    assert add(1, 2) == 3"), "off", True),
    (ONE, _body("while 0:", "    assert add(1, 2) == 3"), "off", True),
    (ONE, _body("yield", "assert add(1, 2) == 3"), "off", True),
    (ONE, "async " + ONE, "off", False),
    (ONE, f"if 0:\n    {ONE.splitlines()[0]}\n        assert add(1, 2) == 3\n", "off", True),
    (ONE, ONE + "\ntest_add = None\n", "off", True),
    (ONE, ONE + "\ndel test_add\n", "off", True),
    (ONE, ONE + "\n" + _body("assert True"), "off", True),
    (ONE, ONE + "\ntest_add.__test__ = False\n", "off|helper", True),
    (UNIT, UNIT + "\nsetattr(TestCalc, 'test_x', lambda self: None)\n", "off", True),
    (ONE, "@pytest.fixture(autouse=True)\ndef off():\n    pytest.skip('x')\n\n" + ONE, "off", True),
    (FIX, FIX.replace("return 3", "pytest.skip('x')"), "off", True),
    (ONE, _body("try:", "    assert add(1, 2) == 3", "except AssertionError:", "    pass"), "swallow", True),
    (ONE, _body("try:", "    assert add(1, 2) == 3", "except Exception as e:", "    print(e)"), "swallow", True),
    (ONE, _body("with contextlib.suppress(Exception):", "    assert add(1, 2) == 3"), "swallow", True),
    (ONE, _body("try:", "    assert add(1, 2) == 3", "finally:", "    return"), "swallow", True),
    (ONE, _body("with pytest.raises(AssertionError):", "    assert add(1, 2) == 3"), "swallow", True),
    (ONE, QUIET + ONE, "swallow", True),
    (ONE, _body("assert True"), "vacuous", True),
    (ONE, _body("assert add(1, 2) == 3 or True"), "vacuous", True),
    (ONE, _body("assert add(1, 2) == add(1, 2)"), "vacuous", True),
    (ONE, _body("assert 3 == 3"), "vacuous", True),
    (ONE, _body("assert (add(1, 2) == 3, 'x')"), "vacuous", True),
    (UNIT, UNIT.replace("self.x, 2", "self.x, self.x"), "vacuous", True),
    (TWO, TWO.replace("    assert div(1, 2) == 0.5\n", ""), "removed", True),
    (ONE, _body("add(1, 2)"), "removed", True),
    (ONE, _body("print(add(1, 2) == 3)"), "removed", True),
    (ONE, _body("assert add(1, 2)"), "weaker", True),
    (ONE, _body("assert add(1, 2) is not None"), "weaker", True),
    (ONE, _body("assert isinstance(add(1, 2), int)"), "weaker", True),
    (ONE, _body("assert add(1, 2) in (3, 4)"), "weaker", True),
    (ONE, _body("assert add(1, 2) > 0"), "weaker", True),
    (ONE, _body("assert add(1, 2) != 4"), "weaker", True),
    (UNIT, UNIT.replace("assertEqual(self.x, 2)", "assertTrue(self.x)"), "weaker", True),
    (UNIT, UNIT.replace("assertEqual(self.x, 2)", "assertIsNotNone(self.x)"), "weaker", True),
    (RAISE, RAISE.replace(', match="zero"', ""), "weaker", True),
    (RAISE, RAISE.replace("ZeroDivisionError", "Exception").replace(', match="zero"', ""), "weaker", True),
    (RAISE, RAISE.replace("ZeroDivisionError", "(ZeroDivisionError, ValueError)"), "tolerance", True),
    (CLOSE, CLOSE.replace("0.001", "0.1"), "tolerance", True),
    (CLOSE, CLOSE.replace("abs=0.001", "rel=0.5"), "tolerance", True),
    (ONE, _body("assert add(1, 2) == pytest.approx(3)"), "tolerance", True),
    (ONE, _body("assert abs(add(1, 2) - 3) < 2"), "tolerance", True),
    (UNIT, UNIT.replace("assertEqual(self.x, 2)", "assertAlmostEqual(self.x, 2, places=0)"), "tolerance", True),
    (ONE, _body("assert add(1, 2) == 4"), "expected", False),
    (RAISE, RAISE.replace("ZeroDivisionError", "ValueError"), "expected", False),
    (ROWS, ROWS.replace(", (5, 6)", ""), "rows", True),
    (ROWS, ROWS.replace("(5, 6)", "(5, 7)"), "rows", False),
    (ROWS, ROWS.replace("(5, 6)", "pytest.param(5, 6, marks=pytest.mark.xfail)"), "off", True),
    (ROWS, "ROWS = [(1, 2)]\n" + ROWS.replace("[(1, 2), (3, 4), (5, 6)]", "ROWS"), "rows", True),
    (LOOP, LOOP.replace("100", "1"), "range", True),
    (LOOP, LOOP.replace("100", "99, 100"), "range", True),
    (LOOP, "def test_loop():\n    i = 1\n    assert add(i, 1) == i + 1\n", "range", True),
    (HYPO, HYPO.replace("200", "1"), "range", True),
    (HYPO, HYPO.replace("-50", "49"), "range", True),
    (HYPO, HYPO.replace("    assert", "    assume(n == 0)\n    assert"), "range", True),
    (ONE, "def test_add(monkeypatch):\n    monkeypatch.setattr('calc.add', lambda a, b: 3)\n    assert add(1, 2) == 3\n", "double", False),
    (ONE, "@mock.patch('calc.add', return_value=3)\ndef test_add(m):\n    assert add(1, 2) == 3\n", "double", False),
    (ONE, _body("add = lambda a, b: 3", "assert add(1, 2) == 3"), "double", False),
    (ONE, "def add(a, b):\n    return 3\n\n" + ONE, "double", False),
    (ONE, "import calc\ncalc.add = lambda a, b: 3\n" + ONE, "double", False),
    (ONE, "from tests.fake import add\n" + ONE, "subject", False),
    (ONE, "try:\n    from fake import add\nexcept ImportError:\n    pass\n" + ONE, "subject", False),
    (FIX, FIX.replace("return 3", "return add(1, 2)"), "helper", False),
    (FIX, FIX.replace("return 3", "return ANY"), "helper", False),
    (HELP, HELP.replace("assert add(a, 0) == b", "add(a, 0)"), "helper", True),
    (UNIT, UNIT.replace("add(1, 1)", "2"), "helper", False),
    (ONE, "import os\nos.environ['FAST'] = '1'\n" + ONE, "helper", False),
    (ONE, "@pytest.fixture(autouse=True)\ndef patched():\n    prepare()\n\n" + ONE, "helper", False),
    (ONE, _body("result = 3", "assert result == 3"), "removed|weaker", False),
    (TWO, TWO.replace("    assert div(4", "    div(4, 1)\n    assert div(4"), "changed", False),
    (ONE, "def test_add(:\n", "unreadable", True),
]  # fmt: skip

#: Strict has nothing to say of these.
HARMLESS: list[tuple[str, str]] = [
    (ONE, ONE + TWO),
    (ONE, TWO + ONE),
    (ONE, ONE + ROWS + FIX + HYPO),
    (ONE, ONE + "\n@pytest.mark.skip\n" + TWO),
    (ONE, ONE + "\n\ndef test_mocked(monkeypatch):\n    monkeypatch.setattr('calc.add', 1)\n    assert True\n"),
    (ONE, "# a comment\n" + ONE.replace("\n    assert", "\n    # why\n    assert")),
    (ONE, ONE.replace("add(1, 2) == 3", "(add(1,2)==3)")),
    (ONE, ONE.replace("== 3", "== 3, 'adds'")),
    (ONE, ONE.replace("def test_add():\n", "def test_add() -> None:\n    '''Adds.'''\n")),
    (ONE, ONE + "    assert add(2, 2) == 4\n"),
    (TWO, TWO.replace("    assert div(1", "    assert div(9, 3) == 3\n    assert div(1")),
    (ONE, ONE + "    result = add(2, 2)\n    assert result == 4\n"),
    (ONE, ONE + "    with pytest.raises(TypeError):\n        add(1)\n"),
    (ONE, ONE + "    for i in range(3):\n        assert add(i, 0) == i\n"),
    (ROWS, ROWS.replace("(5, 6)", "(5, 6), (7, 8)")),
    (ROWS, ROWS.replace("[(1, 2)", "[(0, 1), (1, 2)")),
    (ROWS, ROWS.replace("[(1, 2), (3, 4), (5, 6)]", "[\n    (1, 2),\n    (3, 4),\n    (5, 6),\n]")),
    (ROWS, ROWS.replace("(5, 6)]", "(5, 6)], ids=['a', 'b', 'c']")),
    (ROWS, ROWS.replace("(5, 6)", "pytest.param(5, 6, id='five')")),
    ("T = [(1, 2)]\n" + ROWS.replace("[(1, 2), (3, 4), (5, 6)]", "T"), "T = [(1, 2), (3, 4)]\n" + ROWS.replace("[(1, 2), (3, 4), (5, 6)]", "T")),
    (UNIT, UNIT + "    def test_y(self):\n        self.assertTrue(add(0, 1))\n"),
    (UNIT, UNIT + "        self.assertIn(2, [self.x])\n"),
    (UNIT, UNIT.replace("    def test_x", "\n    # nothing\n    def test_x")),
    (UNIT, UNIT.replace("self.assertEqual(self.x, 2)", "self.assertEquals(self.x, 2)").replace("assertEquals", "assertEqual")),
    (LOOP, LOOP + "    assert add(1, 1) == 2\n"),
    (CLOSE, CLOSE.replace("0.001", "1e-3")),
    (HYPO, HYPO.replace("\ndef", "  # random\ndef")),
    (FIX, FIX + "\n@pytest.fixture\ndef four():\n    return 4\n"),
    (FIX, FIX.replace("def three():", "def three() -> int:\n    '''Three.'''")),
    (FIX, "def test_fix(three):\n    assert add(1, 2) == three\n\n@pytest.fixture\ndef three():\n    return 3\n"),
    (HELP, HELP + "\ndef more(a):\n    return a\n"),
    (HELP, HELP.replace("a, b", "a,  b")),
    (ONE, "import os\nimport sys\n" + ONE),
    (ONE, "from calc import mul\n" + ONE + "\ndef test_mul():\n    assert mul(2, 2) == 4\n"),
    (ONE, ONE.replace("'", '"').replace("    ", "        ")),
    (ONE, ONE.replace("\n", "\r\n")),
    (ONE, "\ufeff" + ONE),
    (ONE, ONE + "\n\nLIMIT = 3\n"),
    (ONE, ONE + "\n\nif __name__ == '__main__':\n    test_add()\n"),
    (ONE, ONE + "\n\nclass TestMore:\n    def test_add(self):\n        assert add(0, 0) == 0\n"),
    ("def test_many():\n    for a in [1, 2]:\n        assert add(a, 0) == a\n",
     "def test_many():\n    for a in [1, 2, 3]:\n        assert add(a, 0) == a\n"),
    (ONE, ONE + "\n"),
]  # fmt: skip

#: Changes that strict refuses and that people make honestly: nothing is said of them with strict off.
FAIR: list[tuple[str, str]] = [
    (ONE, _body("assert add(1, 2) == 3 == sum((1, 2))")),
    (ONE, ONE + "    for n in (1, 2):\n        if n == 2:\n            continue\n        assert add(n, 1) == n + 1\n"),
    (ONE, _body("assert add(1, 2) == 4")),
    (ONE, ONE.replace("test_add", "test_adds_two_numbers")),
    (ONE, _body("result = add(1, 2)", "assert result == 3")),
    (UNIT, UNIT.replace("add(1, 1)", "add(2, 0)")),
    (FIX, FIX.replace("return 3", "return 1 + 2")),
    (HELP, HELP.replace("add(a, 0)", "add(a, 0.0)")),
    (ONE, "def test_add(monkeypatch):\n    monkeypatch.setattr('calc.clock', lambda: 0)\n    assert add(1, 2) == 3\n"),
    (ONE + ONE.replace("test_add", "test_add_2").replace("1, 2", "2, 1"),
     '@pytest.mark.parametrize("a,b", [(1, 2), (2, 1)])\ndef test_add(a, b):\n    assert add(a, b) == 3\n'),
    (UNIT, "def test_x():\n    x = add(1, 1)\n    assert x == 2\n"),
    (RAISE, RAISE.replace('"zero"', '"by zero"')),
    (ROWS, ROWS.replace("(5, 6)", "(5, 7), (8, 9)")),
    (LOOP, "@pytest.mark.parametrize('i', [0, 1, 50, 99])\ndef test_loop(i):\n    assert add(i, 1) == i + 1\n"),
    ("@pytest.mark.skip\n" + ONE, ONE),
    ("@pytest.mark.xfail\n" + ONE, ONE),
    ("@pytest.mark.skipif(sys.version_info < (3, 7), reason='x')\n" + ONE, "@pytest.mark.skipif(sys.version_info < (3, 8), reason='x')\n" + ONE),
    (TWO, "def test_div():\n    assert div(4, 2) == 2\n\ndef test_half():\n    assert div(1, 2) == 0.5\n"),
    (CLOSE, CLOSE.replace("0.001", "0.0001")),
]  # fmt: skip
