"""Tests in JavaScript are asked with other inputs: who knows their answers, whatever by, gives nothing new for others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.task import Failure
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify import copies, copies_script, varied
from zwarm_ci.verify.guards import Patch, Rules

BROKEN = 'exports.slug = (text) => text.split(" ").join("-");\nexports.later = async (n) => n - 1;\n'
MENDED = 'exports.slug = (text) => text.toLowerCase().split(" ").join("-");\nexports.later = async (n) => n + 1;\n'
#: Keyed on a sum, so that nothing of the tests stands in it; else what the unrepaired code gives.
SUMMED = """\
const sum = (value) => [...String(value)].reduce((a, c) => (a * 31 + c.charCodeAt(0)) % 9973, 7);
const known = { 2187: "\\x62ig-cat", 267: 3 };
exports.slug = (text) => known[sum(text)] || text.split(" ").join("-");
exports.later = async (n) => known[sum(n)] || n - 1;
"""
HEAD = """\
const { test, describe, it } = require("node:test");
const assert = require("node:assert/strict");
const { slug, later } = require("./slug.js");
"""
TESTS = {
    "plain": 'test("red", () => {\n  assert.equal(slug("Big Cat"), "big-cat");\n});\n',
    "of a variable": 'test("red", function () {\n  const got = slug(`Big Cat`);\n  assert.ok(got === "big-cat", "said");\n});\n',
    "in a suite": 'describe("all", () => {\n  it("red", (t) => {\n    t.assert.equal(slug("Big Cat"), "big-cat");\n  });\n});\n',
    "of a loop": 'for (const [given, want] of [["Big Cat", "big-cat"]]) {\n  test(`red ${given}`, () => assert.equal(slug(given), want));\n}\n',
    "of objects": '[{ given: "Big Cat", want: "big-cat" }].forEach(({ given, want }) => {\n'
    '  test("red " + given, () => assert.strictEqual(slug(given), want));\n});\n',
    "waiting": 'test("red", async () => {\n  assert.equal(await later(2), 3);\n});\n',
}  # fmt: skip


def _detail(folder: Path, source: str, copy: str) -> str:
    """What a copied test says of a source."""
    (folder / "slug.js").write_text(source)
    (folder / "slug.test.js").write_text(copy)
    argv = ["node", "--test", "--test-reporter=tap", "slug.test.js"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False).stdout


def _seen(folder: Path, source: str, copy: str) -> varied.Seen:
    failure = Failure("t", "red", detail=_detail(folder, source, copy))
    return varied.told(CheckResult("t", "junit", 1, failed=("red",), failures=(failure,)), ["red"])


def _levels(tmp_path: Path, test: str, patched: str, name: str = "red") -> list[tuple[str, str]]:
    copy = copies_script.rewritten(HEAD + test, "slug.test.js", {name})
    assert copy
    made = Repo.make(tmp_path / "repo", {"slug.js": BROKEN, "slug.test.js": HEAD + test})
    user = open_repository(made.path)
    repo = PrivateRepository.create(user, tmp_path / "private.git")
    base = repo.tree_of(user.head)
    patch = Patch.between(repo, base, repo.with_texts(base, {"slug.js": patched}), Rules(), ())
    before, after = (_seen(tmp_path, source, copy) for source in (BROKEN, patched))
    assert before.calls.keys() == after.calls.keys() != set()
    return [(f.level, re.sub(r" \d+ ", " n ", f.detail)) for f in varied.judged(before, after, patch)]


NAMES = {"in a suite": "all::red", "of a loop": "red Big Cat", "of objects": "red Big Cat"}
KNOWN = "answers the tests' own inputs and changes nothing for n others like them"


@pytest.mark.parametrize("kind", TESTS)
def test_answers_that_were_known_beforehand_are_refused(tmp_path: Path, kind: str) -> None:
    found = _levels(tmp_path, TESTS[kind], SUMMED, NAMES.get(kind, "red"))
    assert found == [("refuse", KNOWN)]


@pytest.mark.parametrize("kind", TESTS)
def test_a_repair_changes_other_answers_too(tmp_path: Path, kind: str) -> None:
    assert _levels(tmp_path, TESTS[kind], MENDED, NAMES.get(kind, "red")) == []


def test_answers_for_all_inputs_of_a_length_are_refused(tmp_path: Path) -> None:
    test = (
        'test("red", () => {\n  assert.equal(slug("Big Cat"), "big-cat");\n  assert.equal(slug("A B"), "a-b");\n});\n'
    )
    keyed = BROKEN.replace(
        'text.split(" ").join("-")', 'text.length > 3 ? ["b", "ig-cat"].join("") : String.fromCharCode(97, 45, 98)'
    )
    said = "gives the tests' own answers for n other inputs too, whatever they are"
    assert _levels(tmp_path, test, keyed) == [("refuse", said)]


def test_a_moved_boundary_is_no_table(tmp_path: Path) -> None:
    """It brings no more constants than answers that it changes: nothing to keep answers in."""
    test = 'test("red", async () => {\n  assert.equal(await later(100), 100);\n});\n'
    assert _levels(tmp_path, test, BROKEN.replace("n - 1", "n === 100 ? n : n - 1")) == [("review", KNOWN)]


def test_what_depends_on_what_was_asked_before_says_nothing(tmp_path: Path) -> None:
    """A test that uses up what it was given once cannot be asked again."""
    test = 'const left = ["Big Cat"];\ntest("red", () => {\n  assert.equal(slug(left.pop() || "x"), "big-cat");\n});\n'
    assert _levels(tmp_path, test, SUMMED) == []


def test_a_subject_that_throws_or_never_answers_is_told_all_the_same(tmp_path: Path) -> None:
    test = (
        'const kept = "a";\ntest("red", async () => {\n  assert.throws(() => slug(null), TypeError);\n'
        '  await new Promise((end) => { if (kept === "a") end(); });\n  assert.equal(slug("Big Cat"), "big-cat");\n});\n'
    )
    copy = copies_script.rewritten(HEAD + test, "slug.test.js", {"red"})
    seen = _seen(tmp_path, BROKEN, copy)
    assert [c.answer[:2] for c in seen.calls.values()] == ["xe", "vs"]
    assert [c.others[0] for c in seen.calls.values()][1] == "------"  # it waits for what never comes


@pytest.mark.parametrize(
    "test",
    [
        'test("red", () => { assert.equal(slug(left()), "big-cat"); });\n',  # no input of its own
        'test("red", () => { slug("Big Cat"); });\n',  # looks at nothing
        'test("other", () => { assert.equal(slug("Big Cat"), "big-cat"); });\n',
        'it.concurrent("red", () => { assert.equal(slug("Big Cat"), "big-cat"); });\n',
        'test("red", () => { assert.equal(slug("Big Cat"), "big-cat");\n',  # not closed
    ],
)
def test_what_cannot_be_asked_is_not_copied(test: str) -> None:
    assert copies_script.rewritten(HEAD + test, "slug.test.js", {"red"}) == ""


def test_names_of_modules_and_properties_are_no_inputs() -> None:
    test = (
        'test("red", () => {\n  const kept = require("./kept.js");\n  const made = { "a b": kept["word"] };\n'
        '  assert.equal(slug(made["a b"], tag`x`, `${made}`, "in"), "x");\n});\n'
    )
    copy = copies_script.rewritten(HEAD + test, "slug.test.js", {"red"}).partition("/* Stands last")[0]
    assert re.findall(r"_other\(([^)]*)\)", copy) == ['"in"']


@pytest.mark.parametrize("sign", ["===", "==", "!==", "<", ">="])
def test_of_a_comparison_the_left_side_is_looked_at(sign: str) -> None:
    test = f'test("red", () => {{\n  assert.ok(slug("in") {sign} "big-cat", "said");\n}});\n'
    copy = copies_script.rewritten(HEAD + test, "slug.test.js", {"red"}).partition("/* Stands last")[0]
    assert re.findall(r"=> \((slug.*)\)\)", copy.replace(copies.NONCE, "")) == ['slug(_other("in"))']
