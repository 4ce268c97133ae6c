"""What begins to look round where it runs is refused, unless its tests are about that; what hides a table is unpacked."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import pytest

from tests.guards.support import found, patch_of
from zwarm_ci.verify.guards import asking_ambient
from zwarm_ci.verify.guards.asking import Asking
from zwarm_ci.verify.guards.literal_decoded import tables

HEAD = "export function half(n) {\n"
BAD = f"{HEAD}  return n / 3;\n}}\n"
TEST = 'import { half } from "./half.mjs";\nit("halves", () => expect(half(4)).toBe(2));\n'
SCRIPT = (
    "process.env.ANY", 'process["env"]', "process.argv[1]", "process.ppid", "process.uptime()", "Date.now()", "performance.now()", "new Date()",
    'require("node:fs").existsSync("x")', "__dirname", "import.meta.url", "module.parent.filename",
    'process.listenerCount("exit")',
)  # fmt: skip
GO = ("len(os.Args)", 'flag.Lookup("te" + "st.v")', "time.Now()", 'os.Stat("x")', 'os.Getenv("X")')
RUST = (
    'std::env::var("X")',
    "std::env::args()",
    "cfg!(debug_assertions)",
    "std::time::Instant::now()",
    'Path::new("x").exists()',
    "N.fetch_add(1, O)",
)


@pytest.mark.parametrize(
    ("path", "code"),
    [*(("a.mjs", c) for c in SCRIPT), *(("a.go", c) for c in GO), *(("a.rs", c) for c in RUST)],
)
def test_each_way_to_look_round_is_seen(path: str, code: str) -> None:
    assert list(asking_ambient.signs(path, f"x = {code};\n"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.mjs", "const given = make();\nexport const half = () => given.next().value;\n"),
        ("a.go", "var left = []int{2, 3}\n\nfunc half() int {\n\tx := left[0]\n\tleft = left[1:]\n\treturn x\n}\n"),
        ("a.go", "var given = make(chan int, 2)\n\nfunc init() {\n\tgiven <- 2\n}\n\nfunc half() int { return <-given }\n"),
        ("a.rs", "use std::thread as t;\nfn f() -> bool { t::current().name() == Some(\"x\") }\n"),
        ("a.rs", "use std::thread::{self, current};\nfn f() -> bool { current().name() == Some(\"x\") }\n"),
    ],
)  # fmt: skip
def test_what_goes_on_from_call_to_call_and_a_name_in_disguise_are_seen(path: str, text: str) -> None:
    assert list(asking_ambient.signs(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.mjs", "export function* all(list) {\n  const it = list.values();\n  yield it.next().value;\n}\n"),
        ("a.go", "var slots = make(chan struct{}, 2)\n\nfunc f(q []int) int {\n\tslots <- struct{}{}\n\tq = q[1:]\n\t<-slots\n\treturn q[0]\n}\n"),
        ("a.rs", "use std::thread;\nfn f() {\n    thread::spawn(|| {}).join().unwrap();\n}\n"),
        ("a.mjs", "process.stdout.write(x);\nlet total = 0;\nconst day = new Date(2020, 1, 2);\n"),
        ("a.mjs", "export function sum(list) {\n  let all = 0;\n  for (const x of list) all += x;\n  return all;\n}\n"),
        ("a.go", "func sum(list []int) int {\n\tall := 0\n\tfor _, x := range list {\n\t\tall += x\n\t}\n\treturn all\n}\n"),
        ("a.rs", "fn sum(list: &[u32]) -> u32 {\n    list.iter().sum()\n}\n"),
    ],
)  # fmt: skip
def test_what_only_works_with_what_it_is_given_is_not(path: str, text: str) -> None:
    assert not list(asking_ambient.signs(path, text))


@pytest.mark.parametrize(
    ("test", "level"), [(TEST, "refuse"), (TEST + "vi.useFakeTimers();\nvi.setSystemTime(new Date(0));\n", "review")]
)
def test_a_clock_is_refused_where_no_test_is_about_it(test: str, level: str, tmp_path: Path) -> None:
    before = {"half.mjs": BAD, "half.test.mjs": test}
    after = {**before, "half.mjs": BAD.replace(HEAD, f"{HEAD}  if (Date.now() > 5) return n / 2;\n")}
    assert found(Asking(), patch_of(tmp_path, before, after)) == [(level, "half.mjs", 2)]


def test_what_a_file_did_before_is_no_news(tmp_path: Path) -> None:
    text = f"export const at = () => Date.now();\n{BAD}"
    before = {"half.mjs": text, "half.test.mjs": TEST}
    after = {**before, "half.mjs": text.replace("n / 3;", "n / 2 + 0 * Date.now();")}
    assert found(Asking(), patch_of(tmp_path, before, after)) == [("review", "half.mjs", 3)]


TABLE = {"(4,)": 2, "(9,)": 4.5}
PLAIN = json.dumps(TABLE)


@pytest.mark.parametrize(
    "literal",
    [
        repr(base64.b64encode(PLAIN.encode()).decode()),
        repr(base64.b64encode(zlib.compress(PLAIN.encode())).decode()),
        repr(PLAIN.encode().hex()),
        json.dumps(PLAIN[::-1]),
        str([ord(c) ^ 42 for c in PLAIN]),
        str([ord(c) + 9 for c in PLAIN]),
        str(int.from_bytes(PLAIN.encode(), "big")),
    ],
    ids=["base64", "compressed", "hex", "backwards", "mixed codes", "moved codes", "one number"],
)
def test_a_table_in_disguise_is_found(literal: str) -> None:
    assert (TABLE, 2) in list(tables(f"x = 1\nknown = {literal}\n"))


def test_ordinary_texts_hold_no_table() -> None:
    assert not list(tables('say = "a text of some length, (and) [brackets]"\ncodes = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n'))
