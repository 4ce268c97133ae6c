"""The checks of cargo, Go and Bazel."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from zwarm_ci.detect.base import NOT_SOURCES, EnvOf, Found, Tree
from zwarm_ci.detect.workspaces import Package, packages, slug
from zwarm_ci.task import Check

_GO_TEST = re.compile(r"^func (Test|Example|Fuzz)", re.MULTILINE)
#: Attributes and macros that make tests, and examples in documentation, which are tests too.
_RUST_TEST = re.compile(
    r"#\[(\w+::)*(test|rstest|test_case|quickcheck)\b|^[^\S\n]*//[/!] *```|\b(proptest|quickcheck|rusty_fork_test)!",
    re.MULTILINE,
)


def cargo(tree: Tree, env_of: EnvOf) -> Found:
    """One check a workspace, and one for each package outside of any."""
    del env_of
    found = [p for p in packages(tree) if p.family == "cargo"]
    roots = [p for p in found if not p.member or "workspace" in tree.at(p.folder).toml_of("Cargo.toml")]
    for package in roots:
        manifest = _below(package.folder, "Cargo.toml")
        if not _has_tests(tree.top / package.folder, ".rs", _RUST_TEST):
            continue
        if not shutil.which("cargo"):
            yield None, f"{manifest} is there, but cargo is not installed (install Rust)"
            return
        words = " --workspace" if package.member else ""
        why = f"of {manifest}"
        yield Check(_name("cargo", package), f"cargo test{words}", "cargo", workdir=package.folder, why=why), why


def go(tree: Tree, env_of: EnvOf) -> Found:
    """One check a module."""
    del env_of
    for package in (p for p in packages(tree) if p.family == "go"):
        manifest = _below(package.folder, "go.mod")
        if not _has_tests(tree.top / package.folder, "_test.go", _GO_TEST, but="go.mod"):
            continue
        if not shutil.which("go"):
            yield None, f"{manifest} is there, but go is not installed (install Go)"
            return
        why = f"of {manifest}"
        yield Check(_name("go", package), "go test ./...", "go", workdir=package.folder, why=why), why


def bazel(tree: Tree, env_of: EnvOf) -> Found:
    """All tests of a Bazel workspace."""
    del env_of
    root = tree.has("MODULE.bazel", "WORKSPACE.bazel", "WORKSPACE")
    if not root:
        return
    program = next((name for name in ("bazelisk", "bazel") if shutil.which(name)), "")
    if not program:
        yield None, f"{root} is there, but bazel is not installed (install bazelisk)"
        return
    yield Check("bazel", f"{program} test //...", "junit", why=f"of {root}"), f"of {root}"


def _has_tests(folder: Path, ending: str, test: re.Pattern[str], *, but: str = "") -> bool:
    """Whether a file of that ending holds a test; folders with a file `but` are packages of their own. Without one a run tells nothing."""
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f not in NOT_SOURCES and not (but and (Path(root, f) / but).is_file())]
        for name in files:
            if name.endswith(ending) and test.search(Path(root, name).read_text(encoding="utf-8", errors="replace")):
                return True
    return False


def _name(tool: str, package: Package) -> str:
    return tool if package.folder == "." else f"{tool}-{slug(package.folder)}"


def _below(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"
