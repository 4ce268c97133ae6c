"""Real ruff, mypy, unittest and (where it is installed) cargo and node, end to end."""

from __future__ import annotations

import shutil
import venv
from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci.task import Place


def test_ruff_whatever_its_settings_say_about_output(tmp_path: Path) -> None:
    files = {
        "ruff.toml": 'output-format = "grouped"\n[lint]\nselect = ["F"]\n',
        "sub/a.py": "import os\n\nprint(undefined)\n",
    }
    tree = plant(tmp_path / "tree", files)
    for command in ("ruff check .", "ruff check --output-format=concise -o out.txt", "python -m ruff check sub"):
        result = believed(run_in(tree, command, "ruff"))
        assert set(result.failed) == {
            "sub/a.py::F401[`os` imported but unused]",
            "sub/a.py::F821[Undefined name `undefined`]",
        }
        assert [(f.place, f.fixable) for f in result.failures] == [
            (Place("sub/a.py", 1), True),
            (Place("sub/a.py", 3), False),
        ]
    assert {p.name for p in tree.rglob("*") if p.is_file()} == {"ruff.toml", "a.py"}
    plant(tree, {"sub/a.py": "print()\n"})
    assert believed(run_in(tree, "ruff check .", "ruff")).green


@pytest.mark.parametrize("text", ["select = 3\n", "[lint]\nselect = ['NOSUCHRULE']\n"])
def test_ruff_that_cannot_run_is_trouble(tmp_path: Path, text: str) -> None:
    result = run_in(plant(tmp_path / "tree", {"ruff.toml": text, "a.py": ""}), "ruff check .", "ruff")
    assert result.trouble.startswith(("check: ", "runner: "))
    assert not result.green


def test_ruff_that_is_told_to_say_zero_is_not_believed(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"a.py": "import os\n"})
    assert run_in(tree, "ruff check --exit-zero .", "ruff").trouble.startswith("runner: the command ended with 0")


def test_mypy_with_notes_and_without_a_cache_in_the_tree(tmp_path: Path) -> None:
    code = "def f(x: int) -> str:\n    return x\n\n\nf('a')\n"
    tree = plant(
        tmp_path / "tree", {"mypy.ini": "[mypy]\npretty = True\nshow_column_numbers = True\n", "pkg/a.py": code}
    )
    result = believed(run_in(tree, "python -m mypy pkg", "mypy"))
    assert set(result.failed) == {
        'pkg/a.py::return-value[Incompatible return value type (got "int", expected "str")]',
        'pkg/a.py::arg-type[Argument 1 to "f" has incompatible type "str"; expected "int"]',
    }
    assert result.failures[0].place == Place("pkg/a.py", 2)
    assert not (tree / ".mypy_cache").exists()


UNITTEST = """
import unittest
from calc import add

class TestAdd(unittest.TestCase):
    def test_red(self):
        self.assertEqual(add(1, 1), 2)
    def test_green(self):
        self.assertEqual(add(1, 0), 1)
    def test_each(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertLess(n, 2)
    @unittest.skip("later")
    def test_skipped(self):
        pass
    @unittest.expectedFailure
    def test_expected(self):
        self.fail()
    @unittest.expectedFailure
    def test_unexpected(self):
        pass

class TestSetUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("no server")
    def test_never(self):
        pass
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A tree whose own interpreter has no pytest."""
    files = {
        "calc.py": "def add(a, b):\n    return a - b\n",
        "test_add.py": UNITTEST,
        "test_gone.py": "from calc import gone\n",
    }
    tree = plant(tmp_path / "tree", files)
    venv.create(tree / ".venv", with_pip=False, symlinks=True)
    return tree


def test_unittest_has_ids_places_and_a_canary(bare: Path) -> None:
    result = believed(run_in(bare, "python -m unittest", "junit"))
    name = "test_add.TestAdd."
    assert set(result.failed) == {
        f"{name}test_red",
        f"{name}test_each",
        f"{name}test_unexpected",
        "test_add.TestSetUp",
        "test_gone",
    }
    assert set(result.passed) == {f"{name}test_green"}
    assert set(result.skipped) == {f"{name}test_skipped", f"{name}test_expected"}
    assert (result.exit_code, result.canary) == (1, True)
    red = result.failure(f"{name}test_red")
    assert red is not None
    assert (red.place, red.shape) == (Place("test_add.py", 7), "AssertionError")
    some = believed(run_in(bare, "python -m unittest discover -v", "junit", only=[f"{name}test_green", "test_gone"]))
    assert (some.passed, some.failed) == ((f"{name}test_green",), ("test_gone",))


def test_unittest_mended_forged_hanging_and_empty(bare: Path) -> None:
    plant(bare, {"test_add.py": UNITTEST.replace('raise RuntimeError("no server")', "pass"), "test_gone.py": ""})
    mended = believed(run_in(bare, "python -m unittest", "junit"))
    assert mended.state("test_add.TestSetUp") == "passed"
    plant(
        bare, {"test_add.py": "import os, unittest\nclass T(unittest.TestCase):\n    def test_a(self): os._exit(0)\n"}
    )
    assert run_in(bare, "python -m unittest", "junit").trouble.startswith("runner: ")
    plant(
        bare,
        {
            "test_add.py": "import time, unittest\nclass T(unittest.TestCase):\n    def test_a(self): time.sleep(600)\n    def test_b(self): pass\n"
        },
    )
    hang = believed(run_in(bare, "python -m unittest", "junit", timeout=4))
    assert (hang.failed, hang.failures[0].place) == (("test_add.T.test_a",), Place("test_add.py", 3))
    assert hang.state("test_add.T.test_b") == "absent"
    plant(bare, {"test_add.py": ""})
    assert run_in(bare, "python -m unittest", "junit").trouble.startswith("check: no tests ran")


def test_a_command_that_writes_junit_where_it_is_told(tmp_path: Path) -> None:
    script = """
import os, sys
path = sys.argv[1] if len(sys.argv) > 1 else os.environ["ZWARM_JUNIT"]
open(path, "w").write('<testsuite><testcase classname="m.C" name="a"/><testcase classname="m.C" name="b">'
    '<failure type="X.YError" message="1 != 2">File "src/m.py", line 3</failure></testcase></testsuite>')
sys.exit(1)
"""
    tree = plant(tmp_path / "tree", {"w.py": script, "src/m.py": "\n\n\n"})
    for command in ("python w.py {junit}", "python w.py"):
        result = believed(run_in(tree, command, "junit"))
        assert (result.passed, result.failed) == (("m.C::a",), ("m.C::b",))
        assert (result.failures[0].place, result.failures[0].shape) == (Place("src/m.py", 3), "YError")
    assert run_in(tree, "python -c pass", "junit").trouble.startswith("check: `python -c pass` wrote no JUnit report")


@pytest.mark.slow
def test_cargo_test_compiles_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import pwd

    home = pwd.getpwuid(os.getuid()).pw_dir
    for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):
        monkeypatch.setenv(name, os.environ.get(name, f"{home}/{folder}"))
    library = (
        "pub fn add(a: i32, b: i32) -> i32 { a - b }\n#[cfg(test)]\nmod tests {\n"
        "    #[test]\n    fn adds() { assert_eq!(super::add(1, 1), 2); }\n}\n"
    )
    tree = plant(
        tmp_path / "tree",
        {"Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n', "src/lib.rs": library},
    )
    if shutil.which("cargo") is None:
        assert run_in(tree, "cargo test", "cargo").trouble.startswith("environment: cargo: not found")
        return
    result = believed(run_in(tree, "cargo test", "cargo", timeout=300))
    assert (result.failed, result.failures[0].place) == (("calc::tests::adds",), Place("src/lib.rs", 5))
    plant(tree, {"src/lib.rs": library.replace("a - b", "a + b")})
    assert believed(run_in(tree, "cargo test", "cargo", timeout=300, only=["calc::tests::adds"])).green


def test_node_runs_its_own_tests_where_node_is_installed(tmp_path: Path) -> None:
    tests = 'import test from "node:test";\nimport assert from "node:assert";\ntest("ok", () => {});\ntest("bad", () => { assert.equal(1, 2); });\n'
    tree = plant(tmp_path / "tree", {"a.test.mjs": tests})
    command = "node --test --test-reporter=junit --test-reporter-destination={junit}"
    result = run_in(tree, command, "junit")
    if shutil.which("node") is None:
        assert result.trouble.startswith("environment: node: not found")
    else:
        assert (result.passed, result.failed) == (("ok",), ("bad",)), result.trouble
