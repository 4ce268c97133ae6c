"""The gate: a change reaches the packages that depend on it, and in doubt everything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.detect.graph import gate
from zwarm_ci.task import Check


def _manifest(name: str, *needs: str) -> str:
    return json.dumps({"name": name, "dependencies": dict.fromkeys(needs, "*")})


def _checks(*folders: str) -> tuple[Check, ...]:
    return tuple(
        Check("tests" if f == "." else f"tests-{f.replace('/', '-')}", "npm test", "junit", workdir=f) for f in folders
    )


NODE = {
    "package.json": json.dumps({"name": "root", "workspaces": ["packages/*"]}),
    "packages/base/package.json": _manifest("@x/base"),
    "packages/mid/package.json": _manifest("@x/mid", "@x/base"),
    "packages/top/package.json": _manifest("@x/top", "@x/mid"),
    "packages/alone/package.json": _manifest("@x/alone", "left-pad"),
}
FOLDERS = ("packages/base", "packages/mid", "packages/top", "packages/alone")


def _gate(tree: Path, checks: Sequence[Check], changed: Iterable[str]) -> set[str] | None:
    found = gate(tree, checks, changed)
    return None if found is None else set(found)


def _reached(tree: Path, changed: Iterable[str], folders: Iterable[str] = FOLDERS) -> set[str] | None:
    found = _gate(tree, _checks(*folders), changed)
    return None if found is None else {name.removeprefix("tests-packages-") for name in found}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["packages/base/src/a.ts"], {"base", "mid", "top"}),
        (["packages/mid/a.ts"], {"mid", "top"}),
        (["packages/alone/a.ts"], {"alone"}),
        (["packages/alone/a.ts", "packages/top/README.md"], {"alone", "top"}),
        (["packages/alone/a.ts", "tsconfig.base.json"], None),
        (["package-lock.json"], None),
        ([".github/workflows/ci.yml"], None),
        (["packages/alone/package.json"], None),
        (["packages/unknown/a.ts"], None),
        (["../outside"], None),
        ([], None),
    ],
)
def test_dependents_of_a_change(tmp_path: Path, changed: list[str], expected: set[str] | None) -> None:
    assert _reached(plant(tmp_path, NODE), changed) == expected


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("packages/alone/src/a.ts", 'import { x } from "../../base/src/a";\n'),
        ("packages/alone/src/a.ts", "const x = await import('@x/base/deep');\n"),
        ("packages/alone/src/a.js", "const x = require('@x/base');\n"),
        ("packages/alone/src/a.ts", 'import x from "~base/a";\n'),
        ("packages/alone/test/a.test.mjs", 'readFileSync(new URL("../../base/data.json", import.meta.url));\n'),
        ("packages/alone/test/a.test.mjs", 'readFileSync("../base/data.json");\n'),
        ("packages/alone/vite.config.ts", 'export default { resolve: { alias: { base: "../base/src" } } };\n'),
        ("packages/alone/project.json", '{"implicitDependencies": ["@x/base"]}'),
    ],
)
def test_what_manifests_leave_out_stands_in_the_sources(tmp_path: Path, file: str, text: str) -> None:
    alias = '{ // aliases\n "compilerOptions": {"paths": {"~base/*": ["./packages/base/src/*"],}} }'
    tree = plant(tmp_path, {**NODE, "tsconfig.base.json": alias})
    assert _reached(tree, ["packages/base/a.ts"]) == {"base", "mid", "top"}
    assert _reached(plant(tree, {file: text}), ["packages/base/a.ts"]) == {"base", "mid", "top", "alone"}


def test_checks_of_the_top_and_of_unknown_folders_always_run(tmp_path: Path) -> None:
    tree = plant(tmp_path, NODE)
    found = _gate(
        tree, (*_checks(".", "scripts", *FOLDERS), Check("eslint", "eslint .", "eslint")), ["packages/alone/a.ts"]
    )
    assert found == {"tests", "tests-scripts", "eslint", "tests-packages-alone"}
    assert gate(tree, _checks("."), ["packages/alone/a.ts"]) is None


def test_a_package_at_the_top_hands_on(tmp_path: Path) -> None:
    root = json.dumps({"name": "root", "workspaces": ["packages/*"], "dependencies": {"@x/alone": "*"}})
    tree = plant(tmp_path, {**NODE, "package.json": root, "packages/top/package.json": _manifest("@x/top", "root")})
    assert _reached(tree, ["packages/alone/a.ts"]) == {"alone", "top"}


def test_nested_packages_count_for_those_around_them(tmp_path: Path) -> None:
    tree = plant(tmp_path, {**NODE, "packages/alone/plugin/package.json": _manifest("@x/plugin")})
    folders = (*FOLDERS, "packages/alone/plugin")
    assert _reached(tree, ["packages/alone/plugin/a.js"], folders) == {"alone", "alone-plugin"}
    assert _reached(tree, ["packages/alone/a.js"], folders) == {"alone", "alone-plugin"}


def test_cargo_go_and_python_by_their_manifests(tmp_path: Path) -> None:
    files = {
        "a/Cargo.toml": '[package]\nname = "a"\n',
        "b/Cargo.toml": '[package]\nname = "b"\n[dependencies]\nrenamed = { package = "a", path = "../a" }\n',
        "c/Cargo.toml": '[package]\nname = "c"\n',
        "c/src/lib.rs": 'const T: &str = include_str!("../../a/text");\n',
        "d/go.mod": "module example.org/d\n",
        "e/go.mod": "module example.org/e\nrequire example.org/d v0.0.0\nreplace example.org/d => ../d\n",
        "f/pyproject.toml": '[project]\nname = "pkg-f"\n',
        "f/src/pkg_f/__init__.py": "",
        "g/pyproject.toml": '[project]\nname = "g"\ndependencies = ["Pkg_F"]\n',
        "h/pyproject.toml": '[project]\nname = "h"\n',
        "h/tests/test_h.py": "from pkg_f import x\n",
    }
    tree = plant(tmp_path, files)
    folders = tuple("abcdefgh")
    expected = {"a": "abc", "b": "b", "d": "de", "e": "e", "f": "fgh", "g": "g"}
    for changed, reached in expected.items():
        assert _gate(tree, _checks(*folders), [f"{changed}/x"]) == {f"tests-{folder}" for folder in reached}


def test_a_large_repository_costs_little(tmp_path: Path) -> None:
    files = {
        f"packages/alone/src/{n // 100}/f{n}.ts": f'import x{n} from "./f{n}";\nimport y from "../0/f{n}";\n' * 20
        for n in range(2000)
    }
    tree = plant(tmp_path, {**NODE, **files})
    began = time.monotonic()
    assert _reached(tree, ["packages/alone/src/0/f0.ts"]) == {"alone"}
    assert time.monotonic() - began < 5
