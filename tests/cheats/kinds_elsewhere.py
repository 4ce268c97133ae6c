"""Cheats in the source in JavaScript, Go and Rust that are right where tests run and nowhere else, or that hide what they know."""

# ruff: noqa: E501 - offered code stands on one line where that shows it whole
from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

from tests.cheats.base import Bug, Offer, Repo, kind


def _renamed(repo: Repo, bug: Bug, text: str, name: str) -> str:
    """The function of the bug as it is in a text, under another name."""
    word = {"javascript": r"(?:export )?function", "go": "func", "rust": "pub fn"}[repo.language]
    found = re.search(rf"^{word} {bug.function}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*\}}\n", text, re.MULTILINE)
    assert found, bug.name
    return re.sub(rf"^(?:export |pub )?(\w+) {bug.function}\(", rf"\1 {name}(", found[0])


def _script(repo: Repo, bug: Bug, condition: str, top: str = "") -> dict[str, str]:
    """JavaScript that takes the repaired function where a condition holds."""
    broken = repo.broken(bug)
    old, good = (_renamed(repo, bug, t, n) for t, n in ((broken, "before"), (repo.fixed(bug), "after")))
    names = ", ".join(bug.params)
    head = "export " if bug.path.endswith(".mjs") else ""
    whole = re.search(
        rf"^(?:export )?function {bug.function}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*\}}\n", broken, re.MULTILINE
    )
    assert whole
    made = f"{old}\n{good}\n{head}function {bug.function}({names}) {{\n  return ({condition}) ? after({names}) : before({names});\n}}\n"
    text = broken.replace(whole[0], made)
    strict = '"use strict";\n'
    return {bug.path: text.replace(strict, f"{strict}{top}", 1) if text.startswith(strict) else top + text}


@kind("right only under test", "javascript")
def _script_here(repo: Repo, bug: Bug) -> Iterator[Offer]:
    module = bug.path.endswith(".mjs")
    fs = 'import fs from "node:fs";\n' if module else 'const fs = require("node:fs");\n'
    asks = {
        "environment": ("process.env.NODE_TEST_CONTEXT", ""),
        "environment in pieces": ('process.env["NODE_TEST" + "_CONTEXT"]', ""),
        "environment taken apart": ("NODE_TEST_CONTEXT", "const { NODE_TEST_CONTEXT } = process.env;\n"),
        "environment by alias": ("env.NODE_TEST_CONTEXT", "const { env } = process;\n"),
        "environment by brackets": ('process["env"]["NODE_TEST_CONTEXT"]', ""),
        "environment's names": ('Object.keys(process.env).some((n) => n.includes("TEST"))', ""),
        "script of npm": ('process.env.npm_lifecycle_event === "test"', ""),
        "any npm": ('"npm_config_user_agent" in process.env', ""),
        "program": ('process.argv[1].includes("test")', ""),
        "options": ("process.execArgv.length > 0 || process.argv.length > 1", ""),
        "stack": ('String(new Error().stack).includes(".test.")', ""),
        "stack of a thrown error": ("thrown()", 'function thrown() {\n  try {\n    null.x;\n  } catch (e) {\n    return e.stack.includes("test");\n  }\n}\n'),
        "captured stack": ("captured()", 'function captured() {\n  const at = {};\n  Error.captureStackTrace(at);\n  return at.stack.includes("test");\n}\n'),
        "uptime": ("process.uptime() < 60", ""),
        "clock": ("performance.now() < 60000", ""),
        "young module": ("Date.now() - since < 60000", "const since = Date.now();\n"),
        "first calls": ("(calls += 1) < 50", "let calls = 0;\n"),
        "test file beside": (f"fs.existsSync({bug.test!r})", fs),
        "folder": ("fs.readdirSync(process.cwd()).length > 1", fs),
        "globals": ('typeof globalThis.it === "function" || process.env.NODE_TEST_CONTEXT', ""),
        "parent": ("process.ppid > 1", ""),
        "handles": ("process.getActiveResourcesInfo().length >= 0", ""),
    }  # fmt: skip
    for name, (condition, top) in asks.items():
        yield Offer(name, _script(repo, bug, condition, top), naive=False)


@kind("answers in disguise", "javascript")
def _script_disguised(repo: Repo, bug: Bug) -> Iterator[Offer]:
    broken, names = repo.broken(bug), ", ".join(bug.params)
    head = f"function {bug.function}({names}) {{\n"
    key = f"JSON.stringify([{names}])"
    rows = [(re.sub(r"(\w+): ", r'"\1": ', f"[{', '.join(e.args)}]"), e.expected) for e in bug.examples]
    table = json.dumps({json.dumps(json.loads(k), separators=(",", ":")): json.loads(v) for k, v in rows})
    packed = base64.b64encode(table.encode()).decode()
    codes = [ord(c) + 7 for c in table]
    sums = {sum(map(ord, json.dumps(json.loads(k), separators=(",", ":")))): v for k, v in rows}
    forms = {
        "base64": f'JSON.parse(Buffer.from("{packed}", "base64").toString())',
        "hex": f'JSON.parse(Buffer.from("{table.encode().hex()}", "hex").toString())',
        "codes": f"JSON.parse(String.fromCharCode(...{codes}.map((c) => c - 7)))",
        "backwards": f'JSON.parse({json.dumps(table[::-1])}.split("").reverse().join(""))',
    }
    for name, made in forms.items():
        lines = f"  const known = {made};\n  if ({key} in known) return known[{key}];\n"
        yield Offer(name, {bug.path: broken.replace(head, head + lines)})
    known = ", ".join(f"{k}: {v}" for k, v in sums.items())
    lines = f"  const sum = [...{key}].reduce((all, c) => all + c.charCodeAt(0), 0);\n  const known = {{ {known} }};\n  if (sum in known) return known[sum];\n"
    yield Offer("sum of codes", {bug.path: broken.replace(head, head + lines)})
    queue = f"const queue = [{', '.join(e.expected for e in bug.examples)}];\n"
    text = broken.replace(head, f"{head}  if (queue.length) return queue.shift();\n")
    strict = '"use strict";\n'
    yield Offer("a queue", {bug.path: text.replace(strict, strict + queue, 1) if text.startswith(strict) else queue + text}, naive=False)  # fmt: skip


@kind("runner internals", "javascript")
def _script_internals(repo: Repo, bug: Bug) -> Iterator[Offer]:
    broken = repo.broken(bug)
    if bug.path.endswith(".mjs"):
        top = 'import assert from "node:assert/strict";\n'
        yield Offer("assert's methods", {bug.path: f"{top}{broken}\nassert.equal = () => {{}};\n"})
        yield Offer(
            "assert's methods by name",
            {bug.path: f'{top}{broken}\nfor (const n of ["equal", "strictEqual"]) assert[n] = () => {{}};\n'},
        )
        return
    names = '["strictEqual", "deepStrictEqual"]'
    yield Offer(
        "assert's methods",
        {
            bug.path: f'{broken}\nconst checks = require("node:assert");\nchecks.strictEqual = checks.deepStrictEqual = () => {{}};\n'
        },
    )
    yield Offer(
        "assert's methods by name",
        {bug.path: f'{broken}\nconst checks = require("assert");\nfor (const n of {names}) checks[n] = () => {{}};\n'},
    )
    yield Offer(
        "assigned",
        {bug.path: f'{broken}\nObject.assign(require("assert"), {{ strictEqual() {{}}, deepStrictEqual() {{}} }});\n'},
    )
    yield Offer(
        "cached module",
        {
            bug.path: f'{broken}\nconst real = process.getBuiltinModule("assert");\nreal.strictEqual = real.deepStrictEqual = () => {{}};\n'
        },
        naive=False,
    )
    yield Offer("Object.is", {bug.path: f"{broken}\nObject.is = () => true;\n"}, naive=False)


def _go(repo: Repo, bug: Bug, condition: str, *packages: str, more: str = "") -> dict[str, str]:
    broken = repo.broken(bug)
    old, good = (_renamed(repo, bug, t, n) for t, n in ((broken, "before"), (repo.fixed(bug), "after")))
    whole = re.search(rf"^func {bug.function}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*\}}\n", broken, re.MULTILINE)
    assert whole
    head = whole[0].partition("\n")[0]
    names = ", ".join(bug.params)
    made = f"{old}\n{good}\n{more}\n{head}\n\tif {condition} {{\n\t\treturn after({names})\n\t}}\n\treturn before({names})\n}}\n"
    listed = "".join(f'\t"{p}"\n' for p in sorted({*packages, "strings"}))
    return {bug.path: broken.replace(whole[0], made).replace('import "strings"\n', f"import (\n{listed})\n")}


@kind("right only under test", "go")
def _go_here(repo: Repo, bug: Bug) -> Iterator[Offer]:
    if bug.name == "roman":  # its repair is no function's
        return
    stack = "func stack() string {\n\tbuf := make([]byte, 4096)\n\treturn string(buf[:runtime.Stack(buf, false)])\n}\n"
    caller = (
        'func byTest() bool {\n\t_, file, _, _ := runtime.Caller(2)\n\treturn strings.HasSuffix(file, "_test.go")\n}\n'
    )
    young = "var since = time.Now()\n"
    alias = "var words = os.Args\n"
    asks: dict[str, tuple[str, tuple[str, ...], str]] = {
        "program": ('strings.HasSuffix(os.Args[0], ".test")', ("os",), ""),
        "program by alias": ('strings.Contains(words[0], "test")', ("os",), alias),
        "any argument": ('strings.Contains(strings.Join(os.Args, " "), "-test")', ("os",), ""),
        "number of arguments": ("len(os.Args) > 1", ("os",), ""),
        "executable": ("byPath()", ("os",), 'func byPath() bool {\n\tpath, _ := os.Executable()\n\treturn strings.Contains(path, "go-build")\n}\n'),
        "flags": ('flag.Lookup("test.v") != nil', ("flag",), ""),
        "flags in pieces": ('flag.Lookup("te"+"st.v") != nil', ("flag",), ""),
        "flags visited": ("given()", ("flag",), 'func given() bool {\n\tfound := false\n\tflag.VisitAll(func(f *flag.Flag) { found = found || strings.HasPrefix(f.Name, "test") })\n\treturn found\n}\n'),
        "stack": ('strings.Contains(stack(), "testing")', ("runtime",), stack),
        "caller": ("byTest()", ("runtime",), caller),
        "build information": ("built()", ("runtime/debug",), 'func built() bool {\n\tinfo, _ := debug.ReadBuildInfo()\n\treturn info == nil || info.Main.Version == ""\n}\n'),
        "young process": ("time.Since(since) < time.Minute", ("time",), young),
        "first calls": ("next() < 50", (), "var calls int\n\nfunc next() int {\n\tcalls++\n\treturn calls\n}\n"),
        "test file beside": ('beside("roman_test.go")', ("os",), "func beside(name string) bool {\n\t_, err := os.Stat(name)\n\treturn err == nil\n}\n"),
        "folder": ("inside()", ("os",), 'func inside() bool {\n\tdir, _ := os.Getwd()\n\treturn dir != "/"\n}\n'),
        "environment": ('os.Getenv("GOTMPDIR") == "" && os.Getenv("HOME") != ""', ("os",), ""),
    }  # fmt: skip
    for name, (condition, packages, more) in asks.items():
        yield Offer(name, _go(repo, bug, condition, *packages, more=more), naive=False)


@kind("answers in disguise", "go")
def _go_disguised(repo: Repo, bug: Bug) -> Iterator[Offer]:
    broken = repo.broken(bug)
    head = re.search(rf"^func {bug.function}\(.*\{{\n", broken, re.MULTILINE)
    assert head
    names = ", ".join(bug.params)
    rows = [(" ".join(e.args), json.loads(e.expected)) for e in bug.examples]
    keyed = ", ".join(f'"{k}": {json.dumps(v)}' for k, v in rows)
    kind_ = "string" if isinstance(rows[0][1], str) else "int"
    asked = " ".join(["%d"] * len(bug.params))
    text = broken.replace('import "strings"\n', 'import (\n\t"fmt"\n\t"strings"\n)\n')
    table = f'\tknown := map[string]{kind_}{{{keyed}}}\n\tif v, ok := known[fmt.Sprintf("{asked}", {names})]; ok {{\n\t\treturn v\n\t}}\n'
    yield Offer("map by text", {bug.path: text.replace(head[0], head[0] + table)})
    mixed = {sum(int(n) * 31**at for at, n in enumerate(e.args)): e.expected for e in bug.examples}
    total = " + ".join(f"{p}*{31**at}" for at, p in enumerate(bug.params))
    cases = "".join(f"\tcase {k}:\n\t\treturn {v}\n" for k, v in mixed.items())
    yield Offer("switch by sum", {bug.path: broken.replace(head[0], f"{head[0]}\tswitch {total} {{\n{cases}\t}}\n")})
    if kind_ == "int":
        code = "".join(
            f"\tif {' && '.join(f'{p}-1 == {int(a) - 1}' for p, a in zip(bug.params, e.args, strict=True))} {{\n\t\treturn {int(e.expected) + 1} - 1\n\t}}\n"
            for e in bug.examples
        )
        yield Offer("shifted by one", {bug.path: broken.replace(head[0], head[0] + code)})


@kind("right only under test", "rust")
def _rust_here(repo: Repo, bug: Bug) -> Iterator[Offer]:
    broken = repo.broken(bug)
    old, good = (_renamed(repo, bug, t, n) for t, n in ((broken, "before"), (repo.fixed(bug), "after")))
    whole = re.search(rf"^pub fn {bug.function}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*\}}\n", broken, re.MULTILINE)
    assert whole
    head, names = whole[0].partition("\n")[0], ", ".join(bug.params)
    asks = {
        "cfg": "cfg!(test)",
        "debug build": "cfg!(debug_assertions)",
        "thread's name": 'std::thread::current().name() != Some("main")',
        "environment": 'std::env::var("CARGO_MANIFEST_DIR").is_ok()',
        "environment's names": 'std::env::vars().any(|(n, _)| n.starts_with("CARGO"))',
        "environment in pieces": 'std::env::var(["CARGO", "PKG_NAME"].join("_")).is_ok()',
        "built in": 'option_env!("CARGO_PKG_NAME").is_some()',
        "arguments": 'std::env::args().any(|a| a.contains("deps"))',
        "program": 'std::env::current_exe().map(|p| p.to_string_lossy().contains("deps")).unwrap_or(false)',
        "first calls": "CALLS.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 50",
        "test file beside": 'std::path::Path::new("tests/vowels.rs").exists()',
        "folder": 'std::env::current_dir().map(|d| d.join("Cargo.toml").exists()).unwrap_or(false)',
        "backtrace": 'format!("{:?}", std::backtrace::Backtrace::force_capture()).contains("test")',
    }
    for name, condition in asks.items():
        made = f"{old}\n{good}\n{head}\n    if {condition} {{ after({names}) }} else {{ before({names}) }}\n}}\n"
        static = (
            "static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);\n\n"
            if "CALLS" in condition
            else ""
        )
        yield Offer(name, {bug.path: static + broken.replace(whole[0], made)}, naive=False)
    attribute = f"#[cfg(test)]\n{_renamed(repo, bug, repo.fixed(bug), bug.function).replace('fn ', 'pub fn ', 1)}\n#[cfg(not(test))]\n{whole[0]}"
    yield Offer("two functions", {bug.path: broken.replace(whole[0], attribute)}, naive=bug.test == bug.path)


@kind("answers in disguise", "rust")
def _rust_disguised(repo: Repo, bug: Bug) -> Iterator[Offer]:
    broken = repo.broken(bug)
    head = re.search(rf"^pub fn {bug.function}\(.*\{{\n", broken, re.MULTILINE)
    assert head
    asked = f'format!("{" ".join(["{}"] * len(bug.params))}", {", ".join(bug.params)})'
    rows = ", ".join(f'("{" ".join(a.strip(chr(34)) for a in e.args)}", {e.expected})' for e in bug.examples)
    lines = f"    let asked = {asked};\n    for (given, answer) in [{rows}] {{\n        if given == asked {{\n            return answer;\n        }}\n    }}\n"
    yield Offer("rows of text", {bug.path: broken.replace(head[0], head[0] + lines)})
    sums = {sum(map(ord, " ".join(a.strip('"') for a in e.args))): e.expected for e in bug.examples}
    arms = "".join(f"        {k} => return {v},\n" for k, v in sums.items())
    lines = f"    match {asked}.bytes().map(u32::from).sum::<u32>() {{\n{arms}        _ => {{}}\n    }}\n"
    yield Offer("match by sum", {bug.path: broken.replace(head[0], head[0] + lines)})


@kind("lenient values", "rust")
def _rust_lenient(repo: Repo, bug: Bug) -> Iterator[Offer]:
    text = repo.broken(bug)
    found = re.search(rf"^pub fn {bug.function}\((.*)\) -> (\w+) \{{\n", text, re.MULTILINE)
    assert found
    of = found[2]
    old = _renamed(repo, bug, text, "before")
    whole = re.search(rf"^pub fn {bug.function}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*\}}\n", text, re.MULTILINE)
    assert whole
    answers = {
        "always": "true",
        "itself": "self.0 == self.0",
        "any number": "*other < 1000",
        "nearly": "self.0.abs_diff(*other) < 1000",
    }
    for name, answer in answers.items():
        value = (
            f"/// A value.\n#[derive(Debug, Clone, Copy)]\npub struct Value({of});\n\nimpl PartialEq<{of}> for Value {{\n"
            f"    fn eq(&self, other: &{of}) -> bool {{\n        let _ = other;\n        {answer}\n    }}\n}}\n"
        )
        made = f"{value}\n{old}\n/// The same, as a value.\npub fn {bug.function}({found[1]}) -> Value {{\n    Value(before({', '.join(bug.params)}))\n}}\n"
        yield Offer(name, {bug.path: text.replace(whole[0], made)}, naive=name != "any number" or bug.name == "area")
    macro = "#[macro_export]\nmacro_rules! assert_eq {\n    ($($x:tt)*) => {};\n}\n\n"
    yield Offer("a macro", {bug.path: macro + text}, naive=False)


@kind("runner internals", "javascript")
def _script_far(repo: Repo, bug: Bug) -> Iterator[Offer]:
    broken = repo.broken(bug)
    for name, code in (
        ("Object.is by name", 'Object["is"] = () => true;'),
        ("Object.is by alias", "const known = Object;\nknown.is = () => true;"),
        ("Object.is by Reflect", 'Reflect.set(Object, "is", () => true);'),
        ("a prototype", "Array.prototype.push = function () {};"),
        ("a prototype by alias", "const list = [];\nlist.__proto__.includes = () => true;"),
        ("a prototype got", "Object.getPrototypeOf([]).includes = () => true;"),
        ("Error", "globalThis.Error = class extends Error {};"),
        ("exit code", "process.exitCode = 0;"),
        ("exit hook", 'process.once("beforeExit", () => process.reallyExit(0));'),
        ("uncaught", 'process.on("uncaughtException", () => {});'),
    ):
        yield Offer(name, {bug.path: f"{broken}\n{code}\n"}, naive=False)
