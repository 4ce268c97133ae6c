"""Source that replaces what others hold, by whatever way, and answers that are keyed on what was worked out of the question."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import found, patch_of
from zwarm_ci.verify.guards import asking
from zwarm_ci.verify.guards.literals import Literals

PATCHES = {
    "a.py": (
        "import sys\nsys.meta_path.insert(0, Finder())\n",
        "import sys\nsys.path_importer_cache.clear()\n",
        "import builtins as b\nvars(b)['abs'] = lambda v: 0\n",
        "import math\nmath.__dict__['isclose'] = lambda *a: True\n",
        "import os, threading\nthreading.Timer(0, os._exit, (0,)).start()\n",
    ),
    "a.js": (
        'const checks = require("node:assert");\nfor (const n of names) checks[n] = () => {};\n',
        'import checks from "assert/strict";\nchecks.equal = () => {};\n',
        'Object.assign(require("assert"), { strictEqual() {} });\n',
        'Object["is"] = () => true;\n',
        "const known = Object;\nknown.is = () => true;\n",
        "Object.getPrototypeOf([]).includes = () => true;\n",
        "list.__proto__.includes = () => true;\n",
    ),
    "a.rs": (
        "impl PartialEq<u32> for Value {\n    fn eq(&self, other: &u32) -> bool {\n        self.0 == self.0\n    }\n}\n",
        "impl std::cmp::PartialEq<usize> for Value {\n    fn eq(&self, other: &usize) -> bool {\n        near(other)\n    }\n}\n",
    ),
}
FINE = {
    "a.py": (
        "import os\nos.environ['A'] = 'b'\nvars(thing)['a'] = 1\nthing.__dict__['b'] = 2\n",
        "path = []\npath.insert(0, 'x')\nmeta_path = {}\nmeta_path.clear()\n",
    ),
    "a.js": (
        'const fs = require("fs");\nconst options = {};\noptions.equal = () => true;\n',
        'import assert from "assert";\nassert.equal(1, 1);\nconst equal = a === b;\n',
        "const kept = Object.keys(list);\nconst whole = Math.round(2.5);\n",
    ),
    "a.rs": (
        "impl PartialEq<Value> for Value {\n    fn eq(&self, other: &Value) -> bool {\n        self.0 == other.0\n    }\n}\n",
    ),
}


@pytest.mark.parametrize(("path", "text"), [(p, t) for p, texts in PATCHES.items() for t in texts])
def test_what_replaces_parts_of_others_is_seen(path: str, text: str) -> None:
    signs = asking.read(path, text)
    assert [s for s in signs if s.strong and s.kind in {"patch", "exit", "equality"}], signs


@pytest.mark.parametrize(("path", "text"), [(p, t) for p, texts in FINE.items() for t in texts])
def test_what_changes_its_own_is_not(path: str, text: str) -> None:
    assert not [s for s in asking.read(path, text) if s.kind in {"patch", "exit", "equality"} and s.strong]


TEST = 'test("names", () => {\n  assert.equal(name(4), "IV");\n  assert.equal(name(9), "IX");\n  assert.equal(name(14), "XIV");\n});\n'
ROWS = '  [10, "X"],\n  [9, "IX"],\n  [5, "V"],\n  [1, "I"],\n'
TABLE = f"const rows = [\n{ROWS}];\n"


def _levels(tmp_path: Path, before: str, after: str) -> list[str]:
    files = {"name.js": before, "name.test.js": TEST}
    patch = patch_of(tmp_path, files, {**files, "name.js": after}, targets=("name.test.js::names",))
    return [level for level, _, _ in found(Literals(), patch)]


def test_a_row_that_joins_a_larger_table_is_asked_about(tmp_path: Path) -> None:
    joined = TABLE.replace("  [5,", '  [4, "IV"],\n  [5,')
    assert set(_levels(tmp_path, TABLE, joined)) == {"review"}


def test_rows_of_tests_alone_are_refused(tmp_path: Path) -> None:
    assert "refuse" in _levels(tmp_path, "", 'const rows = [\n  [4, "IV"],\n  [9, "IX"],\n  [14, "XIV"],\n];\n')
    more = TABLE.replace("  [5,", '  [4, "IV"],\n  [14, "XIV"],\n  [5,').replace('  [1, "I"],\n', "")
    assert "refuse" in _levels(tmp_path, TABLE.replace('  [1, "I"],\n', ""), more)


def test_answers_keyed_on_sums_of_the_question_are_refused(tmp_path: Path) -> None:
    text = 'function name(n) {\n  const known = { 1234: "IV", 1777: "IX", 2901: "XIV" };\n  return known[sum(n)];\n}\n'
    assert "refuse" in _levels(tmp_path, "", text)


def test_a_list_of_answers_that_are_taken_in_turn_is_refused(tmp_path: Path) -> None:
    text = 'const queue = ["IV", "IX", "XIV"];\nfunction name(n) {\n  return queue.shift();\n}\n'
    assert "refuse" in _levels(tmp_path, "", text)
    assert "refuse" not in _levels(tmp_path, "", text.replace('["IV", "IX", "XIV"]', '["L", "C", "D"]'))
