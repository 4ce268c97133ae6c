"""Set-ups that make an environment: made once for what they read, kept, mapped onto every worktree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Repo, zwarm
from zwarm_ci import environment, setups
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.task import Check

LOCK = """{
  "name": "top", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "top", "version": "1.0.0", "dependencies": {"left": "file:vendor/left"}},
    "node_modules/left": {"resolved": "vendor/left", "link": true},
    "vendor/left": {"version": "1.0.0"}
  }
}
"""
FILES = {
    "package.json": '{"name": "top", "version": "1.0.0", "dependencies": {"left": "file:vendor/left"}}\n',
    "package-lock.json": LOCK,
    "vendor/left/package.json": '{"name": "left", "version": "1.0.0", "main": "index.js"}\n',
    "vendor/left/index.js": "module.exports = (a) => a + 1;\n",
    "top.js": "const left = require('left');\nmodule.exports = (a) => left(a) * 2;\n",
    "test/top.test.js": "const {test} = require('node:test');\nconst assert = require('node:assert');\nconst top = require('../top.js');\n"
    "test('top', () => assert.strictEqual(top(1), 4));\n",
    ".gitignore": "node_modules/\n",
    ".zwarm/config.toml": '[checks.tests]\nrun = "node --test"\nsetup = "npm ci --offline"\n',
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "zwarm-ci" / "setups"


def made(cache: Path) -> dict[str, float]:
    """The set-ups that are ready, and when each was made."""
    return {p.parent.name: p.stat().st_mtime for p in cache.glob("*/ready.json")}


def test_a_set_up_is_made_once_and_made_again_when_what_it_reads_changes(tmp_path: Path, cache: Path) -> None:
    repo = Repo.make(tmp_path / "top", FILES)
    repo.commit("wrong", {"top.js": FILES["top.js"].replace("* 2", "* 3")})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert [t["status"] for t in said.json["tasks"]] == ["fixed"]
    assert not (repo.path / "node_modules").exists()
    first = made(cache)
    assert len(first) == 1
    assert zwarm("fix-tests", "--json", cwd=repo.path).code == 0
    assert made(cache) == first
    repo.commit("another lock", {"package-lock.json": LOCK.replace('"1.0.0", "lock', '"1.0.1", "lock')})
    assert zwarm("fix-tests", "--json", cwd=repo.path).code == 0
    assert len(made(cache)) == 2


def test_a_set_up_that_fails_is_said_and_not_kept(tmp_path: Path, cache: Path) -> None:
    repo = Repo.make(tmp_path / "top", {**FILES, "package-lock.json": "{}"})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 4
    assert "setup `npm ci --offline` ended with" in said.json["reason"]
    assert made(cache) == {}
    assert [p for p in cache.iterdir() if p.is_dir()] == []


def test_what_was_cut_off_half_way_is_made_again(tmp_path: Path, cache: Path) -> None:
    repo = Repo.make(tmp_path / "top", FILES)
    assert zwarm("fix-tests", cwd=repo.path).code == 0
    (ready,) = cache.glob("*/ready.json")
    ready.unlink()
    (ready.parent / "top" / "node_modules" / "left").unlink()
    assert zwarm("fix-tests", cwd=repo.path).code == 0
    assert ready.is_file()


def test_the_key_is_of_what_a_set_up_reads(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"uv.lock": "1", "pkg/core.c": "int x;", "pkg/a.py": "", "README.md": ""})
    private = PrivateRepository.create(open_repository(repo.path), tmp_path / "p.git")
    env = environment.discover(repo.path)
    check = Check("t", "pytest", "pytest", setup="uv sync")

    def key(check: Check = check) -> str:
        return setups.key_of(private, check, repo.git("rev-parse", "HEAD"), env)

    first = key()
    repo.commit("source", {"pkg/a.py": "x = 1", "README.md": "y"})
    assert key() == first
    repo.commit("lock", {"uv.lock": "2"})
    second = key()
    repo.commit("native", {"pkg/core.c": "long x;"})
    third = key()
    assert len({first, second, third, key(Check("t", "pytest", "pytest", setup="uv sync --frozen"))}) == 4


@pytest.mark.parametrize(
    ("command", "whole"),
    [("uv sync --frozen", True), ("poetry install", True), ("npm ci", True), ("yarn", True), ("micromamba create -f e.yml", True),
     ("make generate", False), ("python setup.py build_ext --inplace", False), ("npm run build", False), ("uv run x", False)],
)  # fmt: skip
def test_which_set_ups_make_an_environment(tmp_path: Path, command: str, whole: bool) -> None:
    env = environment.discover(tmp_path)
    assert setups.makes_environment(Check("t", "x", setup=command), env) is whole
