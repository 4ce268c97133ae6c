"""A cargo workspace: repaired in a worktree as in place, nothing of the checkout built, one target folder for many worktrees."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import pytest

from tests.checks.running import plant, run_in
from tests.matrix.regressions import call, not_believed, repaired
from tests.support import Repo, zwarm
from zwarm_ci.checks import cargo
from zwarm_ci.checks.base import Around
from zwarm_ci.environment import Environment
from zwarm_ci.verdict import CheckResult

pytestmark = pytest.mark.slow
HERE = shutil.which("cargo") is not None
GOOD, BAD = "pub fn add(a: i32, b: i32) -> i32 { a + b }\n", "pub fn add(a: i32, b: i32) -> i32 { a - b }\n"
UNIT = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() { assert_eq!(super::sum(1, 1), 2); }\n    #[test]\n    fn zero() {}\n}\n"
PROGRAM = (
    '#[test]\nfn works() {\n    let app = env!("CARGO_BIN_EXE_app");\n'
    '    assert_eq!(std::process::Command::new(app).output().unwrap().stdout, b"2");\n}\n'
)


def _manifest(name: str, *needs: str) -> str:
    paths = "".join(f'{n} = {{ path = "../{n}" }}\n' for n in needs)
    return f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n{paths}'


FILES = {
    ".gitignore": "target\n",
    "Cargo.toml": '[workspace]\nmembers = ["base", "app"]\nresolver = "2"\n',
    "base/Cargo.toml": _manifest("base"),
    "base/src/lib.rs": GOOD,
    "base/tests/it.rs": "#[test]\nfn works() {}\n",
    "app/Cargo.toml": _manifest("app", "base"),
    "app/src/lib.rs": "/// ```\n/// assert_eq!(app::sum(1, 0), 1);\n/// ```\npub fn sum(a: i32, b: i32) -> i32 { base::add(a, b) }\n"
    + UNIT,
    "app/src/main.rs": 'fn main() { print!("{}", app::sum(1, 1)); }\n#[test]\nfn inner() {}\n',
    "app/tests/it.rs": PROGRAM,
}
RED = {"app::tests::adds", "app/it::works"}
GREEN = {"app::tests::zero", "app (bin)::inner", "base/it::works", "app (doc)::app/src/lib.rs - sum (line N)"}


@pytest.fixture(autouse=True)
def _rust(monkeypatch: pytest.MonkeyPatch) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):
        monkeypatch.setenv(name, os.environ.get(name, f"{home}/{folder}"))


def test_a_regression_in_another_crate_of_the_workspace(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", FILES)
    if not HERE:
        assert "cargo is not installed" in zwarm("fix-tests", cwd=repo.path).err
        return
    assert call("cargo", "generate-lockfile", "--offline", cwd=repo.path).returncode == 0
    repo.commit("lock", {})
    repo.commit("faster", {"base/src/lib.rs": BAD})
    repaired(repo, ("cargo", "test", "--workspace"), red=RED)


def test_a_whole_path_to_the_checkout_is_not_believed(tmp_path: Path) -> None:
    """HEAD is red and the checkout is not; a crate is named by the checkout's whole path."""
    path = tmp_path / "repo"
    manifest = _manifest("app").replace("[dependencies]\n", f'[dependencies]\nbase = {{ path = "{path}/base" }}\n')
    files = {
        name: text for name, text in FILES.items() if name not in ("Cargo.toml", "app/tests/it.rs", "base/tests/it.rs")
    }
    repo = Repo.make(path, {**files, "app/Cargo.toml": manifest, "base/src/lib.rs": BAD})
    repo.write({"base/src/lib.rs": GOOD})
    if HERE:
        assert call("cargo", "test", cwd=path / "app").returncode == 0
        shutil.rmtree(path / "app" / "target")
        (path / "app" / "Cargo.lock").unlink()
    not_believed(repo, "--from", "head", because="original checkout's base/src/lib.rs" if HERE else "")


def _run(tree: Path, around: Around, only: tuple[str, ...] = ()) -> CheckResult:
    env = Environment(tree, "", (), (), "")
    return run_in(tree, "cargo test --workspace", "cargo", env=env, around=around, only=only, timeout=300)


def test_one_target_folder_never_mixes_worktrees(tmp_path: Path) -> None:
    """The second tree is older than the first one's build: by its times alone cargo would not build it."""
    other = {**FILES, "base/src/lib.rs": BAD}
    bad, good = plant(tmp_path / "bad" / "repo", other), plant(tmp_path / "good" / "repo", FILES)
    store = tmp_path / "store"
    if not HERE:
        assert _run(good, Around()).trouble.startswith("environment: cargo: not found")
        return
    for _ in range(2):
        ran = _run(good, Around(variables=cargo.share_target(good, store)))
        assert (set(ran.passed), ran.failed, ran.trouble) == (RED | GREEN, (), "")
        ran = _run(bad, Around(variables=cargo.share_target(bad, store)))
        assert (set(ran.failed), set(ran.passed), ran.trouble) == (RED, GREEN, "")
    assert not (good / "target").exists()
    some = _run(bad, Around(variables=cargo.share_target(bad, store)), ("app/it::works",))
    assert some.failed == ("app/it::works",)


def test_code_that_does_not_compile_is_one_failure_of_the_suite(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {**FILES, "base/src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 { c + d }\n"})
    ran = _run(tree, Around())
    if HERE:
        assert (ran.failed, str(ran.failures[0].place), ran.failures[0].shape) == (
            ("tests::startup",),
            "base/src/lib.rs:1",
            "E0425",
        )
        plant(tree, FILES)
        assert _run(tree, Around(), ("tests::startup",)).state("tests::startup") == "passed"


def test_a_crate_that_cannot_be_had_is_the_environments_trouble(tmp_path: Path) -> None:
    manifest = _manifest("base") + 'no-such-crate-of-ours = "1"\n'
    tree = plant(
        tmp_path / "tree", {**FILES, "base/Cargo.toml": manifest, ".cargo/config.toml": "[net]\noffline = true\n"}
    )
    assert _run(tree, Around()).trouble.startswith("environment: ")
