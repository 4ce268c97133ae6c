"""Packages of workspaces: which there are, what they need, and who installs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.detect import packagers
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.workspaces import packages, slug


def _manifest(name: str, **more: object) -> str:
    return json.dumps({"name": name, **more})


def _folders(tree: Path, *, members: bool = True) -> list[str]:
    return [p.folder for p in packages(Tree(tree)) if p.member or not members]


MEMBERS = {
    "packages/a/package.json": _manifest("@x/a", dependencies={"@x/b": "*", "left-pad": "1"}),
    "packages/b/package.json": _manifest("@x/b"),
    "packages/deep/c/package.json": _manifest("c"),
    "packages/a/node_modules/d/package.json": _manifest("d"),
    "examples/e/package.json": _manifest("e"),
    "site/package.json": _manifest("site"),
}


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ({"package.json": _manifest("r", workspaces=["packages/*"])}, ["packages/a", "packages/b"]),
        ({"package.json": _manifest("r", workspaces={"packages": ["./packages/**", "!packages/b"]})}, ["packages/a", "packages/deep/c"]),
        ({"package.json": _manifest("r", workspaces=["{site,examples}/"])}, ["site"]),
        ({"package.json": _manifest("r", workspaces=["site", "examples/*"])}, ["examples/e", "site"]),
        ({"package.json": _manifest("r"), "pnpm-workspace.yaml": "packages:\n  - 'packages/*'\n  - '!**/b'\n"}, ["packages/a"]),
        ({"package.json": _manifest("r"), "lerna.json": "{}"}, ["packages/a", "packages/b"]),
        ({"package.json": _manifest("r"), "pnpm-workspace.yaml": "packages: [\n"}, []),
        ({"package.json": "{"}, []),
    ],
)  # fmt: skip
def test_members_of_a_node_workspace(tmp_path: Path, root: dict[str, str], expected: list[str]) -> None:
    found = _folders(plant(tmp_path, {**MEMBERS, **root}))
    assert [f for f in found if f != "."] == expected
    assert ("." in found) == bool(expected)


def test_what_a_package_needs_and_what_lies_beside(tmp_path: Path) -> None:
    tree = plant(tmp_path, {**MEMBERS, "package.json": _manifest("r", workspaces=["packages/*"])})
    found = {p.folder: p for p in packages(Tree(tree))}
    assert found["packages/a"].needs == {"@x/b", "left-pad"}
    assert (found["site"].member, "examples/e" in found) == (False, False)
    assert slug("packages/@x y/a") == "packages-@x-y-a"


def test_cargo_members_exclusions_and_renamed_dependencies(tmp_path: Path) -> None:
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["crates/*"]\nexclude = ["crates/out"]\n[workspace.dependencies]\nalias = { package = "b" }\n',
        "crates/a/Cargo.toml": '[package]\nname = "a"\n[dependencies]\nalias = { workspace = true }\n'
        '[target."cfg(unix)".dev-dependencies]\nx = { package = "c", path = "../c" }\n',
        "crates/b/Cargo.toml": '[package]\nname = "b"\n[build-dependencies]\ncc = "1"\n',
        "crates/out/Cargo.toml": '[package]\nname = "out"\n',
    }  # fmt: skip
    found = {p.folder: p for p in packages(Tree(plant(tmp_path, files)))}
    assert {f for f, p in found.items() if p.member} == {".", "crates/a", "crates/b"}
    assert (set(found["crates/a"].needs), set(found["crates/b"].needs)) == ({"b", "c"}, {"cc"})


def test_go_and_python_packages(tmp_path: Path) -> None:
    files = {
        "go.work": "go 1.22\nuse (\n\t./svc\n\t./lib\n)\n",
        "svc/go.mod": "module example.org/svc\n\ngo 1.22\n\nrequire (\n\texample.org/lib v0.0.0 // here\n\tx.y/z v1.0.0\n)\n",
        "lib/go.mod": 'module "example.org/lib"\nrequire a.b/c v1.0.0\n',
        "alone/go.mod": "module alone\n",
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["py/*"]\n[project]\nname = "root"\n',
        "py/One/pyproject.toml": '[project]\nname = "One_x"\ndependencies = ["Two.y>=1", "attrs"]\n'
        "[dependency-groups]\ndev = [\"three ; python_version > '3'\"]\n",
        "py/two/pyproject.toml": '[tool.poetry]\nname = "two-y"\n[tool.poetry.group.dev.dependencies]\nfour = "*"\n',
    }
    found = {p.folder: p for p in packages(Tree(plant(tmp_path, files))) if p.folder != "."}
    assert {f for f, p in found.items() if p.member} == {"svc", "lib", "py/One", "py/two"}
    assert (found["svc"].name, set(found["svc"].needs)) == ("example.org/svc", {"example.org/lib", "x.y/z"})
    assert (found["lib"].name, set(found["lib"].needs)) == ("example.org/lib", {"a.b/c"})
    assert (found["py/One"].name, set(found["py/One"].needs)) == ("one-x", {"two-y", "attrs", "three"})
    assert (found["py/two"].name, set(found["py/two"].needs)) == ("two-y", {"four"})


@pytest.mark.parametrize(
    ("files", "name", "lock", "install"),
    [
        ({"package-lock.json": "{}"}, "npm", "package-lock.json", "npm ci"),
        ({}, "npm", "", "npm install --no-package-lock"),
        ({"pnpm-lock.yaml": "", "package-lock.json": "{}"}, "pnpm", "pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
        ({"yarn.lock": "# yarn lockfile v1\n"}, "yarn", "yarn.lock", "yarn install --frozen-lockfile"),
        ({"yarn.lock": "__metadata:\n  version: 8\n"}, "yarn", "yarn.lock", "yarn install --immutable"),
        ({"bun.lock": ""}, "bun", "bun.lock", "bun install --frozen-lockfile"),
        ({"package.json": '{"packageManager": "yarn@4.1.0", "workspaces": ["p"]}', "package-lock.json": "{}"}, "yarn", "",
         "yarn install --immutable"),
    ],
)  # fmt: skip
def test_who_installs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], name: str, lock: str, install: str
) -> None:
    tree = plant(
        tmp_path / "tree", {"package.json": '{"workspaces": ["p"]}', "p/package.json": "{}", ".npmrc": "", **files}
    )
    bins = plant(tmp_path / "bin", dict.fromkeys(("npm", "pnpm", "yarn", "bun"), "#!/bin/sh\n"))
    for tool in bins.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(bins))
    for workdir in (".", "p"):
        found = packagers.of(Tree(tree), workdir)
        assert found is not None
        assert (found.name, found.root, found.lock, found.install) == (name, ".", lock, install)
        assert {"package.json", "p/package.json", ".npmrc", *filter(None, [lock])} == set(found.files)
    (bins / name).unlink()
    gone = packagers.of(Tree(tree), ".")
    assert gone is not None
    assert (gone.install, "not installed here" in gone.why) == ("", True)


def test_a_package_beside_a_workspace_is_installed_by_itself(tmp_path: Path) -> None:
    files = {
        "package.json": '{"workspaces": ["p/*"]}',
        "p/a/package.json": "{}",
        "site/package.json": "{}",
        "site/yarn.lock": "",
    }
    tree = Tree(plant(tmp_path, files))
    found = {folder: packagers.of(tree, folder) for folder in (".", "p/a", "site", "p")}
    assert {f: m.root if m else None for f, m in found.items()} == {".": ".", "p/a": ".", "site": "site", "p": None}
    assert found["site"] is not None
    assert found["site"].lock == "site/yarn.lock"


def test_yarn_without_node_modules_is_told_apart(tmp_path: Path) -> None:
    tree = Tree(plant(tmp_path, {"package.json": "{}", ".yarnrc.yml": "enableTelemetry: false\n"}))
    assert packagers.uses_pnp(tree)
    plant(tmp_path, {".yarnrc.yml": "nodeLinker: node-modules\n"})
    assert not packagers.uses_pnp(tree)
    (tmp_path / ".yarnrc.yml").unlink()
    assert not packagers.uses_pnp(tree)


def test_who_fetches_crates_and_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["a"]\n',
        "a/Cargo.toml": '[package]\nname = "a"\n',
        "Cargo.lock": "",
        "svc/go.mod": "module m\n",
    }
    tree = Tree(plant(tmp_path / "tree", files))
    bins = plant(tmp_path / "bin", dict.fromkeys(("cargo", "go"), "#!/bin/sh\n"))
    for tool in bins.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(bins))
    found = {p.folder: p for p in packages(tree)}
    crates, modules = packagers.cargo(tree, found["."]), packagers.go(tree, found["svc"])
    assert (crates.install, crates.files) == ("cargo fetch --locked", ("Cargo.lock", "Cargo.toml", "a/Cargo.toml"))
    assert (modules.install, modules.files, modules.lock) == ("go mod download", ("svc/go.mod",), "")
