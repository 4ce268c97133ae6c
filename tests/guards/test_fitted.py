"""Numbers that nobody knows, as many as there are examples: the formula may be made to go through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import patch_of
from zwarm_ci.verify.guards import fitted
from zwarm_ci.verify.guards.base import Patch, Rules

RED = "def area(a, b):\n    return a - b\n"
TEST = "from shop import area\n\n\ndef test_area():\n    assert area(30, 4) == 120\n"
BASE = {"shop.py": RED, "tests/test_shop.py": TEST, "rates.py": "VAT = 41\n", "README.md": "Boxes hold 83.\n"}
TARGET = ("tests/test_shop.py::test_area",)


def made(tmp_path: Path, after: str, before: str = RED, path: str = "shop.py") -> Patch:
    base = {**BASE, path: before}
    return patch_of(tmp_path, base, {**base, path: after}, Rules(), TARGET)


def levels(patch: Patch, examples: int = 1) -> list[str]:
    return [f.level for f in fitted.findings(patch, examples)]


@pytest.mark.parametrize("after", [
    RED.replace("a - b", "a - b + 94"),
    RED.replace("a - b", "94 + a - b"),
    RED.replace("a - b", "a - b - -94"),
    RED.replace("a - b", "a * 37 // b - 157"),
    RED.replace("    return", "    a += 94\n    return"),
    f"_C = 94\n\n\n{RED}".replace("a - b", "a - b + _C"),
    RED.replace("(a, b)", "(a, b, c=94)").replace("a - b", "a - b + c"),
    RED.replace("return a - b", "return sum(c * a**n for n, c in enumerate([3.77, 0.0129]))"),
    RED.replace("    return a - b", "    t = 0\n    for c in (3.77, 41.3):\n        t = t * a + c\n    return t"),
])  # fmt: skip
def test_as_many_numbers_as_examples_are_refused(after: str, tmp_path: Path) -> None:
    assert levels(made(tmp_path, after)) == ["refuse"]


@pytest.mark.parametrize("after", [
    RED.replace("a - b", "a * b"),
    RED.replace("a - b", "a - b + 1"),
    RED.replace("a - b", "a * 60 + b"),
    RED.replace("a - b", "(a - 32) * 5 / 9"),
    RED.replace("a - b", "a + 1900"),
    RED.replace("a - b", "a * 0.5 + 0.25 * b"),
    RED.replace("a - b", "a[b + 14 :]"),
    RED.replace("a - b", "a * 1_000_000 + b % 4096"),
    RED.replace("a - b", "'%s of 94' % a"),
    RED.replace("a - b", "{94: a, 95: b}[a]"),
    RED.replace("a - b", "a * b  # 94"),
    RED.replace("a - b", "a + 41"),
    RED.replace("a - b", "a + 83"),
])  # fmt: skip
def test_what_people_know_and_what_the_repository_has_is_not_fitted(after: str, tmp_path: Path) -> None:
    assert levels(made(tmp_path, after)) == []


def test_more_examples_than_numbers_tell(tmp_path: Path) -> None:
    patch = made(tmp_path, RED.replace("a - b", "a - b + 94"))
    assert (levels(patch, 1), levels(patch, 2)) == (["refuse"], [])
    two = made(tmp_path, RED.replace("a - b", "a * 37 - b * 71"))
    assert (levels(two, 2), levels(two, 3)) == (["refuse"], [])


def test_a_number_in_the_place_of_another_and_what_no_example_can_be_counted_for_ask_for_review(tmp_path: Path) -> None:
    red = RED.replace("a - b", "a * 38")
    assert levels(made(tmp_path, red.replace("38", "37"), red)) == ["review"]
    assert levels(made(tmp_path, RED.replace("a - b", "a - b + 94")), 0) == ["review"]


def test_what_the_history_of_the_file_has_is_not_fitted(tmp_path: Path) -> None:
    patch = made(tmp_path, RED.replace("a - b", "a - b + 94"))
    repo = patch.repo
    green = repo.commit(patch.tree, [], "green")
    red = repo.commit(patch.base, [green], "red")
    assert list(fitted.findings(patch, 1, red)) == []
    alone = repo.commit(patch.base, [], "red")
    assert len(list(fitted.findings(patch, 1, alone))) == 1


@pytest.mark.parametrize(("path", "before", "after"), [
    ("a.js", "export const f = (a, b) => a - b;\n", "export const f = (a, b) => a - b + 94;\n"),
    ("a.go", "package a\n\nfunc F(a int) int { return a }\n", "package a\n\nfunc F(a int) int { return a*37 + 1 }\n"),
    ("src/a.rs", "pub fn f(a: u32) -> u32 { a }\n", "pub fn f(a: u32) -> u32 { a + 94 }\n"),
    ("a.sh", "echo $(($1 - $2))\n", "echo $(($1 - $2 + 94))\n"),
])  # fmt: skip
def test_so_it_is_in_other_languages(path: str, before: str, after: str, tmp_path: Path) -> None:
    assert levels(made(tmp_path, after, before, path)) == ["refuse"]


@pytest.mark.parametrize(("test", "count"), [
    (TEST, 1),
    (TEST + "    assert area(2, 2) == 4\n    assert area(1, 2)\n", 2),
    (TEST.replace("    assert", "    for a in range(4):\n        assert"), 5),
    (TEST.replace("def test_area()", "@pytest.mark.parametrize('a', [1, 2, 3])\ndef test_area(a)"), 3),
    ("def test_other():\n    assert area(1, 1) == 1\n", 0),
])  # fmt: skip
def test_examples_are_the_exact_assertions_of_the_targets(test: str, count: int, tmp_path: Path) -> None:
    base = {**BASE, "tests/test_shop.py": test}
    patch = patch_of(tmp_path, base, {**base, "shop.py": RED.replace("-", "*")}, Rules(), TARGET)
    assert fitted.examples_of(patch) == count
