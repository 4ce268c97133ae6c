"""JavaScript's runners: what their reporters told, read back; Node's own runner and the watch over its processes, really run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.checks.running import believed, plant
from tests.conformance.parser import Sample, conforms, green
from zwarm_ci.checks import javascript, run_check
from zwarm_ci.checks.base import Parsed
from zwarm_ci.environment import Environment
from zwarm_ci.proc import Exit
from zwarm_ci.task import Check, Place
from zwarm_ci.verdict import CheckResult

DATA = Path(__file__).parent.parent / "data" / "checks" / "javascript"
CHECK = Check("tests", "npm test", "junit")


def _read(data: bytes, code: int | None, tree: Path, text: str = "") -> Parsed:
    ended = Exit(("npm", "test"), tree, code, b"", b"", timed_out=code is None, seconds=3.0)
    return javascript.parse(data, text, check=CHECK, ended=ended, cwd=tree, tree=tree)


def _sample(
    name: str, failed: set[str], passed: set[str], skipped: set[str], files: set[str], places: set[str]
) -> Sample:
    return Sample(
        name, _read, (DATA / name).read_bytes(), 1, frozenset(failed), frozenset(passed), frozenset(skipped),
        files=tuple(files), places=frozenset(places),
    )  # fmt: skip


TS, JS = "test/calc.test.ts", "test/calc.test.js"
SAMPLES = [
    _sample(
        "vitest.jsonl",
        {f"{TS}::add > adds one", f"{TS}::add > deep (x) > a > b [c].*", f"{TS}::hooked", "test/gone.test.ts"},
        {f"{TS}::add > adds zero", f"{TS}::top"},
        {f"{TS}::add > deep (x) > later", f"{TS}::add > deep (x) > some day", f"{TS}::hooked > never"},
        {TS, "src/calc.ts", "test/gone.test.ts"},
        {f"{TS}:4", f"{TS}:8", "src/calc.ts:2", "test/gone.test.ts:2"},
    ),
    _sample(
        "jest.jsonl",
        {f"{JS}::add > adds one", f"{JS}::add > deep (x) > a > b [c].*", f"{JS}::hooked > never", "test/gone.test.js"},
        {f"{JS}::add > adds zero", f"{JS}::top"},
        {f"{JS}::add > deep (x) > later"},
        {JS, "src/calc.js", "test/gone.test.js"},
        {f"{JS}:4", f"{JS}:8", "src/calc.js:2", "test/gone.test.js:1"},
    ),
    _sample(
        "mocha.jsonl",
        {f"{JS}::add > adds one", f"{JS}::add > deep (x) > a > b [c].*", f"{JS}::hooked > (before all)"},
        {f"{JS}::add > adds zero", f"{JS}::top"},
        {f"{JS}::add > deep (x) > later"},
        {JS, "src/calc.js"},
        {f"{JS}:4", f"{JS}:8", "src/calc.js:2"},
    ),
    _sample(
        "node.jsonl",
        {
            *(f"a.test.mjs::{n}" for n in ("d > e > two", "parent > bad kid", "parent", "h > never", "h")),
            *("y.test.cjs", "z.test.cjs", "x.test.cjs"),
        },
        {"a.test.mjs::d > one", "a.test.mjs::parent > kid", "x.test.cjs::a"},
        {"a.test.mjs::d > e > three", "a.test.mjs::d > e > four"},
        {"a.test.mjs", "z.test.cjs"},
        {"a.test.mjs:2", "a.test.mjs:3", "a.test.mjs:4", "z.test.cjs:1"},
    ),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_every_reporter_conforms(sample: Sample, tmp_path: Path) -> None:
    conforms(sample, tmp_path)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_witnesses_that_contradict_each_other_are_not_believed(sample: Sample, tmp_path: Path) -> None:
    assert sample.read(sample.data, 0, tmp_path).trouble.startswith("runner: the command ended with 0")
    lines = sample.data.splitlines(keepends=True)
    unfinished = b"".join(line for line in lines if b'"event":"finish"' not in line)
    assert "before it had a result" in sample.read(unfinished, 1, tmp_path).trouble
    one_less = b"".join(line for line in lines if b'"outcome":"passed"' not in line)
    assert "disagree" in sample.read(one_less, 1, tmp_path).trouble
    assert not sample.read(sample.data, None, tmp_path).trouble


def _events(*events: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps({"pid": 1, "at": 1.0, **event}).encode() + b"\n" for event in events)


BEGUN = {"event": "session", "runner": "vitest"}
PASSED = {"event": "report", "id": "a.js::x", "when": "call", "outcome": "passed"}
FINISH: dict[str, object] = {"event": "finish", "total": 1, "failed": 0, "good": True, "unhandled": 0}


def test_a_command_that_fails_though_no_test_does(tmp_path: Path) -> None:
    good = _events(BEGUN, PASSED, FINISH)
    assert green(_read(good, 0, tmp_path), 0)
    failing = _read(good, 1, tmp_path, "ok\nERROR: Coverage for lines (3%) does not meet global threshold (90%)\n")
    assert (failing.failed, failing.trouble) == (("tests::exit",), "")
    assert "threshold" in failing.failures[0].message
    loud = {**FINISH, "good": False, "unhandled": 1, "text": "Error: lost", "exc": {"type": "Error", "message": "lost"}}
    assert _read(_events(BEGUN, PASSED, loud), 1, tmp_path).failures[0].message == "outside any test: Error: lost"


def test_two_runners_in_one_command_both_count(tmp_path: Path) -> None:
    other = [{**e, "pid": 2, "id": "b.js::y"} for e in (BEGUN, PASSED, FINISH)]
    assert green(_read(_events(BEGUN, PASSED, FINISH, *other), 0, tmp_path), 0)
    assert "before it had a result" in _read(_events(BEGUN, PASSED, FINISH, *other[:2]), 0, tmp_path).trouble


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("sh: 1: vitest: not found", 127, "environment: "),
        ("Error: Cannot find package 'left-pad' imported from x.js", 1, "environment: "),
        ("No test files found, exiting with code 1", 1, "check: no tests ran"),
        ("", 0, "check: no tests ran"),
        ("node: --test-reporter= is not allowed in NODE_OPTIONS", 9, "environment: this Node"),
    ],
)
def test_a_runner_that_never_came_up_is_trouble(tmp_path: Path, text: str, code: int, said: str) -> None:
    assert _read(b"", code, tmp_path, text).trouble.startswith(said)


def test_a_step_before_the_runner_that_fails_is_a_failure(tmp_path: Path) -> None:
    plant(tmp_path, {"src/a.js": "\n\n"})
    parsed = _read(b"", 1, tmp_path, f"x\nSyntaxError: Unexpected end of input\n    at f ({tmp_path}/src/a.js:2:1)\n")
    assert (parsed.failed, parsed.failures[0].place, parsed.failures[0].shape) == (
        ("tests::startup",),
        Place("src/a.js", 2),
        "SyntaxError",
    )


def run_node(tree: Path, files: Mapping[str, str], *, top: Path | None = None, **options: object) -> CheckResult:
    """A package whose test script is `node --test`, run as a check."""
    plant(tree, {"package.json": '{"scripts": {"test": "node --test"}}', **files})
    env = Environment(top or tree, "", (), (), "")
    timeout = 60.0 if "timeout" not in options else float(str(options.pop("timeout")))
    check = Check(
        "tests", str(options.pop("run", "npm test")), "junit", workdir=str(options.pop("workdir", ".")), timeout=timeout
    )
    return run_check(check, tree, env=env, scratch=tree.parent / "scratch", **options)  # type: ignore[arg-type]


HEAD = 'const { test, describe, before } = require("node:test"); const assert = require("node:assert");\n'
#: Whether Node is here; where it is not, its tests say so and look no further.
HERE = shutil.which("node") is not None


def test_nodes_own_runner_without_anything_installed(tmp_path: Path) -> None:
    body = 'test("one", () => {}); describe("d", () => { test("two", () => { assert.equal(1, 2); }); test.skip("three"); });\n'
    result = run_node(tmp_path / "tree", {"pkg/a.test.cjs": HEAD + body})
    if not HERE:
        assert result.trouble.startswith("environment: npm: not found")
        return
    believed(result)
    assert (result.passed, result.failed) == (("pkg/a.test.cjs::one",), ("pkg/a.test.cjs::d > two",))
    assert (result.skipped, result.failures[0].place) == (("pkg/a.test.cjs::d > three",), Place("pkg/a.test.cjs", 2))
    red = run_node(tmp_path / "tree", {"pkg/a.test.cjs": HEAD + body.replace("1, 2", "1, 1")})
    assert believed(red).green


ENDINGS = {
    "in a test": 'test("a", () => {}); test("b", () => { process.exit(0); }); test("c", () => { throw 1; });',
    "between the tests": """test("a", () => {}); setImmediate(() => process.exit(0));
        test("b", () => new Promise((r) => setTimeout(r, 500))); test("c", () => { throw 1; });""",
    "beside the tests": 'setImmediate(() => process.exit(0)); test("b", () => new Promise((r) => setTimeout(r, 500)));',
    "before the tests": 'process.exit(0); test("b", () => { throw 1; });',
}


@pytest.mark.parametrize("body", ENDINGS.values(), ids=ENDINGS)
def test_a_file_that_ends_its_process_is_not_green(tmp_path: Path, body: str) -> None:
    result = run_node(tmp_path / "tree", {"a.test.cjs": HEAD + body})
    assert not result.green
    assert not HERE or result.trouble.startswith("runner: the command ended with 0 though a.test.cjs failed")


def test_a_test_that_hangs_is_named_by_its_file(tmp_path: Path) -> None:
    result = run_node(tmp_path / "tree", {"a.test.cjs": HEAD + 'test("a", () => { for (;;); });'}, timeout=8)
    assert not HERE or (result.failed, result.failures[0].message) == (("a.test.cjs",), "timed out")


@pytest.mark.parametrize(
    "flag", ["", " --test-reporter=spec", " --test-reporter=tap --test-reporter-destination=stderr"]
)
def test_reporters_of_the_script_stay(tmp_path: Path, flag: str) -> None:
    files = {
        "a.test.cjs": HEAD + 'test("a", () => {});',
        "package.json": json.dumps({"scripts": {"test": f"node --test{flag}"}}),
    }
    assert not HERE or believed(run_node(tmp_path / "tree", files)).passed == ("a.test.cjs::a",)


LOADS: dict[str, Callable[[str], str]] = {
    "require": lambda path: f'require("{path}");',
    "import": lambda path: f'test("i", async () => {{ await import("{path}"); }});',
    "a worker": lambda path: (
        f"""test("w", (t, done) => {{
        new (require("worker_threads").Worker)('require("{path}")', {{ eval: true }}).on("exit", () => done()); }});"""
    ),
    "a process": lambda path: f'require("child_process").execFileSync(process.execPath, ["-e", `require("{path}")`]);',
    "a process with options of its own": lambda path: (
        f'test("p", (t, done) => {{ require("child_process").execFile(process.execPath, ["-e", `require("{path}")`], '
        '{ env: { ...process.env, NODE_OPTIONS: "--no-warnings" } }, done); });'
    ),
    "its text": lambda path: f'require("fs").readFileSync("{path}", "utf8");',
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_sources_of_the_original_checkout_are_seen(tmp_path: Path, load: Callable[[str], str]) -> None:
    top = plant(tmp_path / "top", {"src/lib.cjs": "module.exports = 1;\n", "node_modules/dep/i.cjs": ""})
    tree = plant(tmp_path / "tree", {"src/lib.cjs": "module.exports = 2;\n"})
    (tree / "node_modules").mkdir()
    (tree / "node_modules" / "lib").symlink_to(top / "src")
    (tree / "node_modules" / "dep").symlink_to(top / "node_modules" / "dep")
    for path, foreign in (
        (f"{tree}/src/lib.cjs", ()),
        (f"{top}/node_modules/dep/i.cjs", ()),
        ("lib/lib.cjs", ("src/lib.cjs",)),
    ):
        named = path if path.startswith("/") or load is not LOADS["its text"] else f"{tree}/node_modules/{path}"
        body = HEAD + 'test("a", () => {});' + load(named)
        result = run_node(tree, {"a.test.cjs": body}, top=top)
        assert result.foreign == (foreign if HERE else ())
    assert not result.green
    assert not HERE or "original checkout's src/lib.cjs" in result.trouble


def test_a_shells_own_options_keep_the_watch(tmp_path: Path) -> None:
    script = "NODE_OPTIONS=--no-warnings node a.cjs && NODE_OPTIONS='--no-warnings' node --test"
    files = {
        "a.cjs": f'require("{tmp_path}/top/lib.cjs");\n',
        "a.test.cjs": HEAD + 'test("a", () => {});',
        "package.json": json.dumps({"scripts": {"test": script}}),
    }
    plant(tmp_path / "top", {"lib.cjs": ""})
    assert run_node(tmp_path / "tree", files, top=tmp_path / "top").foreign == (("lib.cjs",) if HERE else ())


def test_a_package_in_a_folder_has_ids_from_the_top(tmp_path: Path) -> None:
    files = {
        "pkg/package.json": '{"scripts": {"test": "node --test"}}',
        "pkg/a.test.cjs": HEAD + 'test("a", () => {});',
    }
    result = run_node(tmp_path / "tree", files, workdir="pkg")
    assert not HERE or believed(result).passed == ("pkg/a.test.cjs::a",)


def test_the_script_before_and_after_run_too(tmp_path: Path) -> None:
    files = {"a.test.cjs": HEAD + 'test("a", () => {});'}
    scripts = {"test": "node --test", "pretest": "node -e process.exit(3)"}
    before = run_node(tmp_path / "tree", {**files, "package.json": json.dumps({"scripts": scripts})})
    assert not HERE or before.failed == ("tests::startup",)
    scripts = {"test": "node --test", "posttest": "node -e process.exit(3)"}
    after = run_node(tmp_path / "tree", {**files, "package.json": json.dumps({"scripts": scripts})})
    assert not HERE or (after.failed, after.passed) == (("tests::exit",), ("a.test.cjs::a",))


def test_a_folder_with_a_space_is_no_hindrance(tmp_path: Path) -> None:
    result = run_node(tmp_path / "a tree", {"a.test.cjs": HEAD + 'test("a", () => {});'})
    assert not HERE or believed(result).passed == ("a.test.cjs::a",)
    assert os.listdir(tmp_path / "a tree") == ["package.json", "a.test.cjs"] or not HERE  # noqa: PTH208
