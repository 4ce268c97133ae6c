"""Which checks cargo, Go and Bazel have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.detect import detect, native
from zwarm_ci.detect.base import Tree
from zwarm_ci.environment import Environment

TESTS = {
    "src/lib.rs": "#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() {}\n}\n",
    "x_test.go": "package x\n\nfunc TestX(t *testing.T) {}\n",
}


@pytest.fixture
def bins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = plant(tmp_path / "bin", dict.fromkeys(("cargo", "go", "bazelisk"), "#!/bin/sh\n"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _chosen(tree: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    env = Environment(tree, "", (), (), "no Python")
    checks, notes = detect(tree, lambda _: env)
    return {c.name: f"{c.workdir}: {c.kind}: {c.run}" for c in checks}, notes


def test_cargo_and_go_by_what_is_on_path(tmp_path: Path, bins: Path) -> None:
    tree = plant(tmp_path / "tree", {"Cargo.toml": '[package]\nname = "x"\n', "go.mod": "module x\n", **TESTS})
    chosen, notes = _chosen(tree)
    assert (chosen, len(notes)) == ({}, 2)
    for program in bins.iterdir():
        program.chmod(0o755)
    assert _chosen(tree)[0] == {"cargo": ".: cargo: cargo test", "go": ".: go: go test ./..."}


def test_one_check_a_workspace_and_one_a_module(tmp_path: Path, bins: Path) -> None:
    files = {
        "rust/Cargo.toml": '[workspace]\nmembers = ["a"]\nexclude = ["fuzz"]\n',
        "rust/a/Cargo.toml": '[package]\nname = "a"\n',
        "rust/fuzz/Cargo.toml": '[package]\nname = "fuzz"\n',
        "go.work": "use (\n\t./svc\n\t./lib\n)\n",
        "svc/go.mod": "module svc\n",
        "lib/go.mod": "module lib\n",
        "vendor/x/go.mod": "module vendored\n",
        **{
            f"{folder}/{name}": text
            for folder in ("rust/a", "rust/fuzz", "svc", "lib", "vendor/x")
            for name, text in TESTS.items()
        },
        "none/go.mod": "module none\n",
        "none/inner/go.mod": "module inner\n",
        "none/inner/x_test.go": TESTS["x_test.go"],
        "empty/Cargo.toml": '[package]\nname = "empty"\n',
        "empty/src/lib.rs": "// no test\n",
    }
    for program in bins.iterdir():
        program.chmod(0o755)
    assert _chosen(plant(tmp_path / "tree", files))[0] == {
        "cargo-rust": "rust: cargo: cargo test --workspace",
        "cargo-rust-fuzz": "rust/fuzz: cargo: cargo test",
        "go-none-inner": "none/inner: go: go test ./...",
        "go-lib": "lib: go: go test ./...",
        "go-svc": "svc: go: go test ./...",
    }


def test_bazel_by_its_workspace_file(tmp_path: Path, bins: Path) -> None:
    tree = Tree(plant(tmp_path / "tree", {"MODULE.bazel": ""}))
    env = Environment(tree.top, "", (), (), "no Python")
    assert [check for check, _ in native.bazel(tree, lambda _: env)] == [None]
    (bins / "bazelisk").chmod(0o755)
    ((check, why),) = native.bazel(tree, lambda _: env)
    assert check is not None
    assert (check.run, check.kind, why) == ("bazelisk test //...", "junit", "of MODULE.bazel")
    assert list(native.bazel(Tree(tmp_path), lambda _: env)) == []
