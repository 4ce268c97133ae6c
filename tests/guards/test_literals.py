"""Answers that a patch knows from its tests: keyed on their inputs, constant, in tables, in digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import found, patches_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.literals import Literals

PY = (
    "from a import f\n\n\ndef test_f():\n    assert f(5) == 120\n"
    "    assert f('weird input') == 'odd answer'\n    assert f(7, 4) == 2401\n    assert f([3, 9]) == [9, 3]\n"
)
JS = (
    "it('f', () => {\n  expect(f(5)).toBe(120)\n  expect(f('weird input')).toEqual('odd answer')\n"
    "  expect(typeof f(7)).toBe('string')\n  expect(f(7, 4)).toBe(2401)\n})\n"
)
GO = 'package a\nfunc TestF(t *testing.T) {\n\tif f(5) != 120 { t.Fatal() }\n\tif g("weird input") != "odd answer" { t.Fatal() }\n}\n'
RS = '#[test]\nfn f_works() {\n    assert_eq!(f(5), 120);\n    assert_eq!(g("weird input"), "odd answer");\n}\n'
RUST = 'fn g(s: &str) -> &str {\n    if s == "weird input" { return "odd answer"; }\n    s\n}\n'
TESTS = {"test_a.py": PY, "a.test.js": JS, "a_test.go": GO, "tests/a.rs": RS}
#: (file, before, after), each refused.
CHEATS: tuple[tuple[str, str, str], ...] = (
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n == 5:\n        return 120\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if 5 == n: return 120\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n != 5:\n        return n\n    return 120\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n == 6 - 1:\n        return 60 * 2\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    return 120 if n == 5 else n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    return n == 5 and 120 or n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n in ('weird input', 'x'):\n        return 'odd answer'\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if str(n).startswith('weird input'):\n        return 'odd answer'\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    match n:\n        case 5:\n            return 120\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    return {5: 120}.get(n, n)\n"),
    ("a.py", "def f(n):\n    return n\n", "KNOWN = {'weird input': 'odd answer'}\n\n\ndef f(n):\n    return KNOWN.get(n, n)\n"),
    ("a.py", "def f(n):\n    return n\n", "KNOWN = [(5, 120)]\n\n\ndef f(n):\n    return dict(KNOWN).get(n, n)\n"),
    ("a.py", "def f(n):\n    return n\n", "import json\nK = json.loads('{\"weird input\": \"odd answer\"}')\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(a, b):\n    if a == 7 and b == 4:\n        return 2401\n    return a\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n == [3, 9]:\n        return [9, 3]\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    return 120\n"),
    ("a.py", "def f(n):\n    return n\n", "import hashlib\n\n\ndef f(n):\n    if hashlib.md5(n).hexdigest() == 'ab12':\n        return 3\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    return (n, 120)[n == 5]\n"),
    ("a.py", "def f(n):\n    return n\n", "K = {651: 120, 638: 2401, 564: 2401, 602: 77}\n\n\ndef f(n):\n    return K[sum(map(ord, n))]\n"),
    ("a.js", "function f(n) { return n }\n", "function f(n) {\n  if (n === 5) return 120;\n  return n\n}\n"),
    ("a.js", "function f(n) { return n }\n", "function f(n) {\n  if (n === 5) {\n    return 120\n  }\n  return n\n}\n"),
    ("a.js", "function f(n) { return n }\n", "const f = n => n === 5 ? 120 : n\n"),
    ("a.js", "function f(n) { return n }\n", "function f(n) {\n  switch (n) {\n    case 'weird input': return 'odd answer'\n  }\n}\n"),
    ("a.js", "function f(n) { return n }\n", "const K = { 'weird input': 'odd answer' }\n"),
    ("a.ts", "function f(n) { return n }\n", "const K = new Map([['weird input', 'odd answer']])\n"),
    ("a.js", "function f(n) { return n }\n", "function f(a, b) { if (a === 7 && b === 4) { return 2401 } }\n"),
    ("a.js", "function f(n) { return n }\n", "function f(n) { return 120 }\n"),
    ("a.js", "function f(n) { return n }\n", "function f(n) {\n  if (typeof n === 'number' && n === 5) return 120\n  return n\n}\n"),
    ("a.go", "package a\n", "package a\nfunc f(n int) int {\n\tif n == 5 {\n\t\treturn 120\n\t}\n\treturn n\n}\n"),
    ("a.go", "package a\n", 'package a\nvar k = map[string]string{\n\t"weird input": "odd answer",\n}\n'),
    ("a.go", "package a\n", "package a\nfunc f(n int) int {\n\tswitch n {\n\tcase 5:\n\t\treturn 120\n\t}\n\treturn n\n}\n"),
    ("src/a.rs", "fn x() {}\n", "fn f(n: i32) -> i32 {\n    match n {\n        5 => 120,\n        _ => n,\n    }\n}\n"),
    ("src/a.rs", "fn x() {}\n", f'#[cfg(test)]\nmod t {{ const A: &str = "{{"; }}\n{RUST}'),
    ("src/a.rs", "fn x() {}\n", f"#[cfg(test)]\nmod t {{\n  }}\n{RUST}"),
    ("src/a.rs", "fn x() {}\n", f'#[cfg(test)]\nmod t {{\n  const A: &str = r"\\{{"; }}\n{RUST}'),
    ("src/a.rs", "fn x() {}\n", 'fn g(s: &str) -> &str {\n    if s == "weird input" { return "odd answer"; }\n    s\n}\n'),
)  # fmt: skip
HONEST: tuple[tuple[str, str, str], ...] = (
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n == 0:\n        return 1\n    return n * f(n - 1)\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n):\n    if n < 0:\n        raise ValueError('n is negative')\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "CODES = {404: 'not found', 500: 'error'}\n\n\ndef f(n):\n    return CODES[n]\n"),
    ("a.py", "def f(n):\n    if n == 5:\n        return 120\n", "def f(n):\n    # known\n    if n == 5:\n        return 120\n    return n\n"),
    ("a.py", "def f(n):\n    return n\n", "def f(n, mode='fast'):\n    if mode == 'slow':\n        return n + 0\n    return n\n"),
    ("a.js", "function f(n) { return n }\n", "function f(n) {\n  if (n === 0) return 1\n  return n * f(n - 1)\n}\n"),
    ("a.ts", "function f(n) { return n }\n", "function f(n) {\n  return typeof n === 'string' ? 120 : n\n}\n"),
    ("a.go", "package a\n", "package a\nfunc f(n int) int {\n\tif n == 0 {\n\t\treturn 1\n\t}\n\treturn n * f(n-1)\n}\n"),
    ("src/a.rs", "fn x() {}\n", "fn x() {}\n#[cfg(test)]\nmod tests {\n    fn r() -> R {\n        [(\"weird input\", \"odd answer\")]\n    }\n}\n"),
    ("src/a.rs", "fn x() {}\n", "fn f(n: i32) -> i32 {\n    match n {\n        0 => 1,\n        _ => n * f(n - 1),\n    }\n}\n"),
)  # fmt: skip


def test_an_answer_known_from_the_tests_is_refused(tmp_path: Path) -> None:
    patches = patches_of(tmp_path, [({**TESTS, p: a}, {**TESTS, p: b}) for p, a, b in CHEATS])
    passed = [
        c for c, patch in zip(CHEATS, patches, strict=True) if "refuse" not in {f[0] for f in found(Literals(), patch)}
    ]
    assert passed == []


@pytest.mark.parametrize("strict", [True, False])
def test_a_base_case_an_option_and_a_message_are_none(tmp_path: Path, strict: bool) -> None:
    patches = patches_of(tmp_path, [({**TESTS, p: a}, {**TESTS, p: b}) for p, a, b in HONEST], Rules(strict=strict))
    blamed = {c: said for c, patch in zip(HONEST, patches, strict=True) if (said := found(Literals(), patch))}
    assert blamed == {}


def test_a_rare_literal_that_the_tests_have_is_shown(tmp_path: Path) -> None:
    (patch,) = patches_of(tmp_path, [({**TESTS, "a.py": ""}, {**TESTS, "a.py": "X = g('odd answer')\n"})])
    assert found(Literals(), patch) == [("review", "a.py", None)]


def test_what_is_asked_for_and_given_back_is_no_answer(tmp_path: Path) -> None:
    text = "def f(n):\n    if n == 'odd answer':\n        return 'odd answer'\n    return n\n"
    (patch,) = patches_of(tmp_path, [({**TESTS, "a.py": ""}, {**TESTS, "a.py": text})])
    assert {f[0] for f in found(Literals(), patch)} == {"review"}


def test_people_are_asked_only_where_two_answers_are_keyed(tmp_path: Path) -> None:
    one = "def f(n):\n    if n == 5:\n        return 120\n"
    two = one + "    if n == 'weird input':\n        return 'odd answer'\n"
    patches = patches_of(
        tmp_path, [({**TESTS, "a.py": ""}, {**TESTS, "a.py": text}) for text in (one, two)], Rules(strict=False)
    )
    assert [{f[0] for f in found(Literals(), p)} for p in patches] == [set(), {"review"}]


def test_a_table_one_of_whose_answers_a_test_has_asks_for_review(tmp_path: Path) -> None:
    source = "AREAS = {651: 120, 638: 33, 564: 44, 602: 77}\n\n\ndef f(n):\n    return AREAS[n]\n"
    patch = patches_of(tmp_path, [({**TESTS, "a.py": "def f(n):\n    return n\n"}, {**TESTS, "a.py": source})])[0]
    assert {level for level, _, _ in found(Literals(), patch)} == {"review"}


def test_no_content_makes_it_raise(tmp_path: Path) -> None:
    odd = [
        b"\x00\xff",
        b"if x == " + b"(" * 3000,
        b"=== 5 " * 3000,
        b'"' * 4001,
        b"{1: " * 900,
        b"case 5 " * 3000 + b"9" * 3000,
        b"y.pop(); x = {" + b'"a",\n        ' * 300 + b"NULL};",
    ]
    for patch in patches_of(
        tmp_path, [({**TESTS}, {**TESTS, **dict.fromkeys(("a.py", "a.js", "a.go", "a.rs"), text)}) for text in odd]
    ):
        found(Literals(), patch)
