"""Requests to look away: which are said, how loud, and which are nothing new."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guards.support import patches_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.suppressions import Suppressions, suppressions

#: (path, line, blanket)
ADDED = [
    ("a.py", "x = 1  # noqa", True),
    ("a.py", "x = 1  # noqa: F401", False),
    ("a.py", "# ruff: noqa", True),
    ("a.py", "# ruff: noqa: E501", True),
    ("a.py", "# flake8: noqa", True),
    ("a.py", "x = 1  # type: ignore", True),
    ("a.py", "x = 1  # type: ignore[attr-defined]", False),
    ("a.py", "# mypy: ignore-errors", True),
    ("a.py", "x = 1  # pyright: ignore", True),
    ("a.py", "# mypy: strict=False", True),
    ("a.py", "# mypy: warn-unreachable, disable-error-code=arg-type", True),
    ("a.py", "# mypy: no-strict-optional", True),
    ("a.py", "# mypy: disallow-untyped-defs, warn-unreachable", None),
    ("a.py", "# pyright: basic", True),
    ("a.py", "x = 1  # pragma: no cover", False),
    ("a.py", "x = 1  # pylint: disable=no-member", False),
    ("a.py", "# pylint: skip-file", True),
    ("a.py", "x = 1  # nosec", True),
    ("a.py", "x = 1  # nosec B101", False),
    ("a.py", "x = 1  #noqa:E501 # why", False),
    ("a.py", "@typing.no_type_check", False),
    ("a.py", "from typing import no_type_check as untyped", False),
    ("a.py", "untyped = typing.no_type_check", False),
    ("a.py", "from typing import no_type_check", None),
    ("a.ts", "// eslint-disable-next-line", True),
    ("a.ts", "x() // eslint-disable-line no-console", False),
    ("a.ts", "/* eslint-disable */", True),
    ("a.ts", "/* eslint-disable no-console */", True),
    ("a.tsx", "{/* eslint-disable-next-line */}", True),
    ("a.ts", "/* eslint no-console: 0 */", True),
    ("a.ts", "// @ts-ignore", True),
    ("a.ts", "// @ts-nocheck", True),
    ("a.ts", "// @ts-expect-error", False),
    ("a.ts", "// @ts-ignore the types of x are wrong", False),
    ("a.ts", "// biome-ignore lint/x: y", False),
    ("a.js", "/* istanbul ignore next */", False),
    ("a.js", "/* c8 ignore file */", True),
    ("a.js", "/* v8 ignore start */", False),
    ("a.js", "// tslint:disable-next-line", True),
    ("a.js", "// prettier-ignore", None),
    ("a.go", "x() //nolint", True),
    ("a.go", "x() //nolint:errcheck", False),
    ("a.go", "//lint:ignore SA1000 x", False),
    ("a.go", "//lint:file-ignore SA1000 x", True),
    ("a.rs", "#[allow(dead_code)]", False),
    ("a.rs", "#![allow(warnings)]", True),
    ("a.rs", "#![allow(dead_code)]", True),
    ("a.rs", "#[allow(clippy::all)]", True),
    ("a.rs", "#[cfg_attr(test, allow(unused))]", True),
    ("a.sh", "# shellcheck disable=SC2086", False),
    ("a.sh", "# shellcheck shell=bash disable=SC2086", False),
    ("a.sh", "# shellcheck source=/dev/null", True),
    ("a.sh", "# shellcheck source=lib.sh", None),
    ("a.sh", "# shellcheck shell=bash", None),
    ("a.rb", "# rubocop:disable Style/X", False),
    ("a.cpp", "// NOLINT", True),
    ("a.md", "<!-- markdownlint-disable MD013 -->", False),
    ("a.md", "<!-- vale off -->", False),
    ("a.rst", ".. vale off", False),
    ("a.yml", "# yamllint disable-line rule:line-length", False),
    ("a.sql", "-- sqlfluff:off", False),
    ("Dockerfile", "# hadolint ignore=DL3008", False),
    ("a.kt", '@Suppress("unused")', False),
    ("a.java", "int x; // NOSONAR", False),
    ("a.md", "The lint is off today -- and markdownlint is fine.", None),
    ("a.py", "x = '# noqa'", None),
    ("a.ts", "x = '// @ts-ignore'", None),
    ("a.ts", "x = `/* eslint-disable */`", None),
    ("a.go", 'x = "//nolint"', None),
    ("a.rs", 'let x = "#[allow(a)]";', None),
    ("a.py", "# the word noqabc", None),
    ("a.js", "/* eslint-enable */", None),
    ("a.md", "# noqa", None),
    ("a.py", "# fmt: off", None),
    ("a.rs", "#[derive(Debug)]", None),
    ("a.py", "def broken(:  # noqa", True),
]
_START = {"a.py": "import os\n", "a.rs": "fn f() {}\n"}


def test_what_is_a_suppression() -> None:
    wrong = [
        (path, line)
        for path, line, blanket in ADDED
        if [s.blanket for s in suppressions(path, line + "\n")][:1] != ([] if blanket is None else [blanket])
    ]
    assert not wrong


def test_levels(tmp_path: Path) -> None:
    steps = [
        ({path: _START.get(path, "x\n")}, {path: _START.get(path, "x\n") + line + "\n"}) for path, line, _ in ADDED
    ]
    guard = Suppressions()
    for patch, (path, line, blanket) in zip(patches_of(tmp_path, steps), ADDED, strict=True):
        found = list(guard.look(patch))
        assert bool(found) == (blanket is not None), (path, line)
        refused = blanket or bool(
            re.search(r"no cover|istanbul|[cv]8 ignore", line)
        )  # what nobody looks at, nobody tests
        assert all((f.level == "refuse") == refused and f.line for f in found[:1]), (path, line)
        asked = replace(patch, targets=(f"{path}::F401[x]",))
        assert all(f.level == "refuse" for f in guard.look(asked)), (path, line)
        people = replace(patch, rules=Rules(strict=False))
        if blanket is False:
            assert not list(guard.look(people)), (path, line)


NOTHING_NEW = [
    ({"a.py": "x = 1  # noqa\ny = 1  # noqa: F401\n"}, {"a.py": "y = 2  # noqa: F401\nx = 2  # noqa\n"}),
    ({"a.py": "x = 1  # noqa\n"}, {"a.py": "x = 2  # noqa\n"}),
    ({"a.py": "x = 1  # noqa\n", "b.py": ""}, {"a.py": "", "b.py": "x = 1  # noqa\n"}),
    ({"a.py": "x = 1  # noqa\n"}, {"a.py": "x = 1  # noqa: F401\n"}),
    ({"a.py": "x = 1  # noqa: F401, E501\n"}, {"a.py": "x = 1  # noqa: E501\n"}),
    ({"a.py": "x = 1  # noqa\n"}, {"a.py": "y = 1\n\n\nx = 1  # noqa\n"}),
    ({"a.py": "x = 1  # noqa\n"}, {"a.py": "x = 1\n"}),
    ({"a.rs": "#![allow(a)]\n"}, {"a.rs": "// x\n#[allow(a)]\nfn f() {}\n"}),
    ({"a.ts": "// @ts-ignore\nx()\n"}, {"a.ts": "// @ts-expect-error\nx()\n"}),
]
NEW = [
    ({"a.py": "x = 1  # noqa: F401\n"}, {"a.py": "x = 1  # noqa\n"}),
    ({"a.py": "x = 1  # noqa: F401\n"}, {"a.py": "x = 1  # noqa: F401, E501\n"}),
    ({"a.py": "x = 1  # noqa\n"}, {"a.py": "x = 1  # noqa\ny = 2  # noqa\n"}),
    ({"a.rs": "#[allow(a)]\nfn f() {}\n"}, {"a.rs": "#![allow(a)]\nfn f() {}\n"}),
    ({"a.py": "x = 1  # noqa\n"}, {"a.py": "x = 1  # type: ignore\n"}),
    ({}, {"a.py": "x = 1  # noqa\n"}),
    ({"a.ts": "x()\n"}, {"a.ts": "/* why\n eslint-disable */\n/* eslint-disable */\nx()\n"}),
]


def test_moved_and_narrowed_is_nothing(tmp_path: Path) -> None:
    assert [n for n, p in enumerate(patches_of(tmp_path, NOTHING_NEW)) if list(Suppressions().look(p))] == []
    assert [n for n, p in enumerate(patches_of(tmp_path, NEW)) if not list(Suppressions().look(p))] == []


@pytest.mark.parametrize(
    "text", ["\0# noqa", "(" * 999, "'''", "# noqa" * 5000, "\ud800 # noqa", "/*" * 5000, "#[" * 5000, "`${" * 500]
)
def test_nothing_raises(text: str) -> None:
    for path in ("a.py", "a.ts", "a.go", "a.rs", "a.sh"):
        assert isinstance(suppressions(path, text), list)
