"""Single edits: the right one is among them, they change their own characters only, and what they must not touch they do not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.repair.bugs import BUGS, Bug
from zwarm_ci.repair.source import Edit, Source, read_source
from zwarm_ci.repair.templates import LEVELS, edits


def _source(text: str | bytes) -> Source:
    source = read_source("m.py", text if isinstance(text, bytes) else text.encode())
    assert source is not None
    return source


def _all(source: Source) -> Iterator[Edit]:
    lines = range(1, source.content.count(b"\n") + 2)
    for level in LEVELS:
        yield from edits(source, lines, level)


def _texts(text: str | bytes) -> set[str]:
    source = _source(text)
    return {edit.applied(source.content).decode() for edit in _all(source)}


@pytest.mark.parametrize("bug", BUGS, ids=lambda b: b.name)
def test_the_right_edit_is_among_them(bug: Bug) -> None:
    tried = list(_all(source := _source(bug.broken)))
    assert bug.module in {edit.applied(source.content).decode() for edit in tried}
    assert len(tried) < 1500


@pytest.mark.parametrize("bug", BUGS, ids=lambda b: b.name)
def test_every_edit_parses_and_is_a_single_one(bug: Bug) -> None:
    source = _source(bug.broken)
    for edit in _all(source):
        after = edit.applied(source.content)
        ast.parse(after)
        assert after != source.content
        assert after.count(b"\n") == source.content.count(b"\n")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("def f(a, b):\n    return a - b\n", "def f(a, b):\n    return b - a\n"),
        ("def f(a, b):\n    return g(b, a)\n", "def f(a, b):\n    return g(a, b)\n"),
        ("def f(n):\n    return range(n)\n", "def f(n):\n    return range(n + 1)\n"),
        ("def f(n):\n    return range(n)\n", "def f(n):\n    return range(1, n)\n"),
        ("def f(a):\n    if a:\n        return a\n", "def f(a):\n    if a is not None:\n        return a\n"),
        ("def f(a):\n    if not a:\n        return 1\n", "def f(a):\n    if a is None:\n        return 1\n"),
        ("def f(a):\n    b = a or 3\n", "def f(a):\n    b = a if a is not None else 3\n"),
        ("def f(a, b):\n    if a and b:\n        pass\n", "def f(a, b):\n    if a:\n        pass\n"),
        (
            "def f(a):\n    while a.next.value:\n        pass\n",
            "def f(a):\n    while a.next is not None and a.next.value:\n        pass\n",
        ),
        ("def f(a):\n    return a\n", "def f(a):\n    return not a\n"),
        ("def f(xs, i):\n    return xs[i]\n", "def f(xs, i):\n    return xs[i - 1]\n"),
        ("def f(a, b):\n    return a, b\n", "def f(a, b):\n    return b, a\n"),
        ("def f(a, n=1):\n    return a * n\n", "def f(a, n=2):\n    return a * n\n"),
        ("def f(a):\n    return [x for x in a if x]\n", "def f(a):\n    return [x for x in a if not x]\n"),
        ("def f(a):\n    return 1 if a else 2\n", "def f(a):\n    return 2 if a else 1\n"),
        ("def f(a):\n    return any(a)\n", "def f(a):\n    return all(a)\n"),
        ("def f(n):\n    n ^= n - 1\n", "def f(n):\n    n &= n - 1\n"),
        (
            "def f(queue):\n    while True:\n        queue.pop()\n",
            "def f(queue):\n    while queue:\n        queue.pop()\n",
        ),
        ("x = True\n", "x = False\n"),
        (
            "def f(a, b):\n    return (a  # one\n            < b)\n",
            "def f(a, b):\n    return (a  # one\n            <= b)\n",
        ),
        ("def f(a):\n    return a is  not None\n", "def f(a):\n    return a is None\n"),
        ("s = 'ä'; t = 'ö' < s\n", "s = 'ä'; t = 'ö' <= s\n"),
    ],
)
def test_templates(wrong: str, right: str) -> None:
    assert right in _texts(wrong)


def test_line_ends_and_tabs_stay() -> None:
    assert b"if a:\r\n\tb = 1 <= 2\r\n" in {t.encode() for t in _texts(b"if a:\r\n\tb = 1 < 2\r\n")}


def test_what_an_except_catches_and_type_hints_are_left_alone() -> None:
    source = _source(
        "def f(a: int) -> int:\n    b: int = 1\n    try:\n        pass\n    except (KeyError, ValueError):\n        pass\n"
    )
    for edit in _all(source):
        after = edit.applied(source.content)
        assert b"except (KeyError, ValueError)" in after
        assert b"def f(a: int) -> int" in after


def test_docstrings_are_left_alone() -> None:
    assert not list(_all(_source("'''One.'''\n\n\ndef f():\n    '''Two.'''\n")))


@pytest.mark.parametrize("content", [b"def f(:\n", b"x = '\xe9'\n", b"\xef\xbb\xbfx = 1\n", b"x = 1\0\n"])
def test_files_that_cannot_be_edited_by_position_are_none(content: bytes) -> None:
    assert read_source("m.py", content) is None


def test_the_function_that_a_swap_replaces() -> None:
    text = "@deco\ndef outer(a=1):\n    def inner():\n        return a < 2\n    return inner\n\n\n"
    text += "class C:\n    n = 1\n\n    def m(self):\n        return 3 < 4\n"
    found = {(edit.line, edit.function) for edit in _all(_source(text))}
    assert (4, (1, "outer")) in found
    assert (2, None) in found  # the default of an argument is there before any call
    assert (9, None) in found
    assert (12, (11, "m")) in found
