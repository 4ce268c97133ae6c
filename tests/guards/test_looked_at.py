"""Patches that are about a linter's or type checker's findings: what keeps the tool from looking, without a word to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import patch_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.suppressions import Suppressions

ADD = "def add(a: int, b: int) -> int:\n    return a + b\n\n\n"
TOTAL = "def total(xs: list[int]) -> int:\n    n: int = 0\n    for x in xs:\n        n = add(n, str(x))\n    return n\n"
PY = ADD + TOTAL
TS = 'export function add(a: number, b: number): number {\n  return a + b;\n}\n\nexport const total = add(1, "2");\n'
JS = "export function f() {\n  const unused = 1;\n  return 2;\n}\n"
IMPORTS = "import os\nimport sys\n\n\ndef main() -> None:\n    print(sys.argv)\n"
MYPY = 'p/a.py::arg-type[Argument 2 to "add" has incompatible type "str"; expected "int"]'
RUFF = "p/a.py::F401[`os` imported but unused]"
TSC = "p/a.ts::TS2345[Argument of type 'string' is not assignable]"
ESLINT = "p/a.js::no-unused-vars['unused' is never used]"


def levels(
    tmp_path: Path, before: dict[str, str], after: dict[str, str | None], target: str, *, strict: bool = True
) -> set[str]:
    rules = Rules(strict=strict, commands=("mypy p",) if target.endswith("::exit") else ())
    patch = patch_of(tmp_path, before, {**before, **after}, rules, (target,))
    return {f.level for f in Suppressions().look(patch)}


def swap(text: str, old: str, new: str, head: str = "") -> str:
    assert old in text
    return head + text.replace(old, new)


@pytest.mark.parametrize("new", [
    swap(PY, "str(x)", "cast(Any, str(x))", "from typing import Any, cast\n"),
    swap(PY, "str(x)", 't.cast("t.Any", str(x))', "import typing as t\n"),
    swap(PY, "str(x)", "trust(Loose, str(x))", "from typing import Any as Loose, cast as trust\n"),
    swap(PY, "        n = add", "        if not TYPE_CHECKING:\n            n = add", "from typing import TYPE_CHECKING\n"),
    swap(PY, "        n = add", "        if MYPY:\n            pass\n        else:\n            n = add", "MYPY = False\n"),
    swap(PY, "def total", "@untyped\ndef total", "from typing import no_type_check as untyped\n"),
    swap(PY, TOTAL.split(":\n", maxsplit=1)[0], "def total(xs)"),
])  # fmt: skip
def test_what_hides_python_from_a_type_checker_is_refused(new: str, tmp_path: Path) -> None:
    assert "refuse" in levels(tmp_path, {"p/a.py": PY}, {"p/a.py": new}, MYPY)
    assert "refuse" in levels(tmp_path, {"p/a.py": PY}, {"p/a.py": new}, "types::exit")
    if "no_type_check" not in new:
        assert levels(tmp_path, {"p/a.py": PY}, {"p/a.py": new}, "tests/test_a.py::test_total") == set()
        assert levels(tmp_path, {"p/a.py": PY}, {"p/a.py": new}, MYPY, strict=False) == set()


@pytest.mark.parametrize("new", [
    swap(PY, "str(x)", "cast(int, str(x))", "from typing import cast\n"),
    swap(PY, "b: int", "b: Any", "from typing import Any\n"),
    swap(PY, "b: int", "b: Loose", "from typing import Any as Loose\n"),
    swap(PY, "add(n, str(x))", 'globals()["add"](n, str(x))'),
    swap(PY, "        n = add", '        if sys.platform == "win32":\n            n = add', "import sys\n"),
    swap(PY, "b: int", "b"),
    swap(PY, "        n = add", "        if 0:\n            n = add"),
])  # fmt: skip
def test_what_says_less_of_its_types_is_shown(new: str, tmp_path: Path) -> None:
    assert levels(tmp_path, {"p/a.py": PY}, {"p/a.py": new}, MYPY) == {"review"}


@pytest.mark.parametrize(("line", "level"), [
    ('add(1, "2" as any)', {"refuse"}),
    ('add(1, "2" as unknown as number)', {"refuse", "review"}),
    ('add(1, "2" as never)', {"refuse"}),
    ('add(1, <any>"2")', {"refuse", "review"}),
    ('(add as Function)(1, "2")', {"review"}),
    ('add(1, JSON.parse("2"))', {"review"}),
    ('add(1, Number("2"))', set()),
    ("add(1, 2) // as any other", set()),
])  # fmt: skip
def test_casts_of_typescript(line: str, level: set[str], tmp_path: Path) -> None:
    assert levels(tmp_path, {"p/a.ts": TS}, {"p/a.ts": swap(TS, 'add(1, "2")', line)}, TSC) == level


@pytest.mark.parametrize(("path", "before", "after", "target"), [
    ("p/a.py", IMPORTS, swap(IMPORTS, "import sys\n", "import sys\n\n_ = os\n"), RUFF),
    ("p/a.py", IMPORTS, swap(IMPORTS, "import sys\n", "import sys\n\nos\n"), RUFF),
    ("p/a.py", IMPORTS, swap(IMPORTS, "import sys\n", 'import sys\n\n__all__ = ["os", "main"]\n'), RUFF),
    ("p/a.js", JS, swap(JS, "return", "void unused;\n  return"), ESLINT),
    ("p/a.go", "package a\n\nvar x = 1\n", "package a\n\nvar x = 1\nvar _ = x\n", "p/a.go::U1000[x is unused]"),
    ("p/a.rs", "fn f() { let x = 1; }\n", "fn f() {\n    let x = 1;\n    let _ = x;\n}\n", "p/a.rs::unused-variables[x]"),
])  # fmt: skip
def test_a_use_that_does_nothing_is_shown(path: str, before: str, after: str, target: str, tmp_path: Path) -> None:
    assert levels(tmp_path, {path: before}, {path: after}, target) == {"review"}


@pytest.mark.parametrize(("path", "line"), [
    ("p/a.py", "# fmt: off"), ("p/a.py", "x = {1:2}  # fmt: skip"), ("p/a.py", "# isort: skip_file"), ("p/a.js", "// prettier-ignore"),
    ("p/a.go", "// Code generated by x. DO NOT EDIT."), ("p/a.go", "//go:build ignore"), ("p/a.py", "# @generated"),
])  # fmt: skip
def test_what_leaves_code_out_of_a_check_is_refused(path: str, line: str, tmp_path: Path) -> None:
    after = f"{line}\n\nx\n"
    assert levels(tmp_path, {path: "x\n"}, {path: after}, f"{path}::I001[Import block is un-sorted]") == {"refuse"}
    assert (
        levels(tmp_path, {path: after}, {path: after + "y = 1\n"}, f"{path}::I001[Import block is un-sorted]") == set()
    )
    assert levels(tmp_path, {path: "x\n"}, {path: after}, "tests/test_a.py::test_x") == set()


@pytest.mark.parametrize(("after", "target", "level"), [
    ({"p/py.typed": ""}, MYPY, "review"),
    ({"p/a.pyi": "def add(a: int, b: int) -> int: ...\n"}, MYPY, "refuse"),
    ({"p/a.py": "", "venv/a.py": PY}, MYPY, "refuse"),
    ({"p/a.py": None, "p/a.txt": PY}, RUFF, "refuse"),
    ({"p/a.py": None, "p/a.pyx": PY}, RUFF, "review"),
    ({"p/a.py": None, "p/b.py": PY}, MYPY, "review"),
    ({"p/a.py": None}, RUFF, "review"),
    ({"p/a.py": ""}, RUFF, "review"),
    ({"README.md": None}, "docs::exit", "review"),
])  # fmt: skip
def test_files_that_are_taken_out_of_sight(
    after: dict[str, str | None], target: str, level: str, tmp_path: Path
) -> None:
    before = {"p/a.py": PY, "README.md": "What is to be done?\n"}
    assert level in levels(tmp_path, before, after, target)
    assert levels(tmp_path, before, after, "tests/test_a.py::test_total") == set()


@pytest.mark.parametrize(("path", "before", "after", "target"), [
    ("p/a.py", PY, swap(PY, "str(x)", "x"), MYPY),
    ("p/a.py", PY, swap(PY, "-> int:\n    return", "-> float:\n    return"), MYPY),
    ("p/a.py", PY, swap(PY, "def total", "if TYPE_CHECKING:\n    from b import c\n\n\ndef total"), MYPY),
    ("p/a.py", PY, swap(PY, "str(x)", "x") + "\n\ndef fresh(a):\n    return a\n", "types::exit"),
    ("p/a.py", IMPORTS, swap(IMPORTS, "import os\n", ""), RUFF),
    ("p/__init__.py", "from p.a import x\n", 'from p.a import x\n\n__all__ = ["x"]\n', "p/__init__.py::F401[x]"),
    ("p/a.js", JS, swap(JS, "  const unused = 1;\n", ""), ESLINT),
    ("p/a.js", JS, swap(JS, "  const unused = 1;\n", "  if (!f) {\n    return;\n  }\n"), ESLINT),
    ("p/a.ts", TS, swap(TS, '"2"', "2"), TSC),
])  # fmt: skip
def test_honest_repairs_are_nothing(path: str, before: str, after: str, target: str, tmp_path: Path) -> None:
    assert levels(tmp_path, {path: before}, {path: after}, target) == set()


@pytest.mark.parametrize(
    "text",
    [
        "f(" + "a" + ".b" * 900 + ".cast(1))\n",
        "(" * 999,
        "# " + " " * 50_000 + "x\n",
        "\n" * 20_000 + "x",
        "\0",
        "assert " + "-" * 900 + "a\n",
    ],
)
def test_nothing_raises_and_nothing_is_slow(text: str, tmp_path: Path) -> None:
    for path, target in (("p/a.py", MYPY), ("p/a.py", RUFF), ("p/a.js", ESLINT), ("p/a.ts", TSC)):
        assert isinstance(levels(tmp_path, {path: "x = 1\n"}, {path: text}, target), set)
