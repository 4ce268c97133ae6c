"""Globs of `checks.*.files`: what they mean, and what can mean nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci import globs


@pytest.mark.parametrize(
    ("path", "glob"),
    [
        ("a.py", "**/*.py"), ("x/y/a.py", "**/*.py"), ("x/y", "x/**"), ("x/y/z", "**"), ("src/b.go", "src/**/b.go"), ("src/a/c/b.go", "src/**/b.go"),
        ("a.tsx", "**/*.[jt]sx"), ("c", "[a-d]"), ("b", "[!a]"), ("a-b", "a[-x]b"), ("ab", "??"), ("a]", "a[]]"), ("a*b", "a*b"), ("éa", "?a"),
    ],
)  # fmt: skip
def test_means(path: str, glob: str) -> None:
    assert globs.matches(path, glob)


@pytest.mark.parametrize(
    ("path", "glob"),
    [
        ("a.pyc", "**/*.py"), ("x/a.py", "*.py"), ("x/y/a.py", "x/*.py"), ("a", "[!a]"), ("e", "[a-d]"), ("abc", "??"), ("src/b.go", "src/*/b.go"),
        ("tests.py", "tests/**"), ("mytests/a", "**/tests/**"), ("a.py", ""),
    ],
)  # fmt: skip
def test_does_not_mean(path: str, glob: str) -> None:
    assert not globs.matches(path, glob)


@pytest.mark.parametrize(("glob", "said"), [("*.{a,b}", "braces"), ("a[b", "without its ]"), ("a**/b", "whole folder")])
def test_a_glob_that_would_mean_nothing_is_told(glob: str, said: str) -> None:
    assert said in globs.wrong_with(glob)


def test_our_own_are_right_and_cover_each_other() -> None:
    assert not [glob for glob in globs.SOURCES if globs.wrong_with(glob)]
    assert globs.meant(["x/app.py"], globs.SOURCES)
    assert not globs.meant(["README.md", "docs/a.rst", "LICENSE"], globs.SOURCES)


def expression(glob: str) -> str:
    """The same as a regular expression; another way to the same answer."""
    parts = []
    names = glob.split("/")
    for number, name in enumerate(names):
        last = number == len(names) - 1
        if name == "**":
            parts.append(".*" if last else "(?:[^/]*/)*")
        else:
            inner = "".join("[^/]*" if c == "*" else "[^/]" if c == "?" else re.escape(c) for c in name)
            parts.append(inner + ("" if last else "/"))
    text = "".join(parts)
    return re.sub(r"/\.\*$", "(?:/.*)?", text)  # `a/**` means `a` too


NAMES = st.text("ab*?", min_size=1, max_size=4).filter(lambda n: "**" not in n)


@given(
    path=st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join),
    glob=st.lists(st.one_of(NAMES, st.just("**")), min_size=1, max_size=4).map("/".join),
)
def test_it_is_what_a_regular_expression_says(path: str, glob: str) -> None:
    if "**/**" not in glob:
        assert globs.matches(path, glob) == bool(re.fullmatch(expression(glob), path))
