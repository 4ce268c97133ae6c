"""Workspaces of npm and pnpm with real Vitest and Jest: repaired in a worktree as in place, and nothing of the checkout tested."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.matrix.regressions import CACHE, call, not_believed, npm_install, repaired
from tests.support import Repo
from zwarm_ci.checks import run_check
from zwarm_ci.detect.graph import gate
from zwarm_ci.environment import Environment, discover, link_dependencies
from zwarm_ci.task import Check

pytestmark = pytest.mark.slow
RUNNERS = {
    "vitest": ({"vitest": "^3", "vite": "^5"}, "vitest run", 'import { test, expect } from "vitest";\nimport b from "@x/b";\n', "a.test.mjs"),
    "jest": ({"jest": "^29"}, "jest", 'const b = require("@x/b");\n', "a.test.js"),
}  # fmt: skip
TESTS = (
    'test("adds", () => { expect(b.value(1)).toBe(2); });\ntest("zero", () => { expect(b.value(0)).not.toBe(0); });\n'
)
GOOD, BAD = "exports.value = (n) => n + 1;\n", "exports.value = (n) => n + 2;\n"


def _files(runner: str, **more: object) -> dict[str, str]:
    needs, script, head, test = RUNNERS[runner]
    own = {
        "name": "@x/a",
        "version": "1.0.0",
        "dependencies": {"@x/b": "*"},
        "devDependencies": needs,
        "scripts": {"test": script},
    }
    return {
        "package.json": json.dumps({"name": "r", "private": True, "workspaces": ["packages/*"], "scripts": {"test": "npm test -ws"}}),
        ".gitignore": "node_modules/\n",
        "packages/a/package.json": json.dumps({**own, **more}),
        f"packages/a/{test}": head + TESTS,
        "packages/b/package.json": json.dumps({"name": "@x/b", "version": "1.0.0", "main": "index.js"}),
        "packages/b/index.js": GOOD,
    }  # fmt: skip


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_regression_in_another_package_of_the_workspace(tmp_path: Path, runner: str) -> None:
    repo = Repo.make(tmp_path / "repo", _files(runner))
    npm_install(repo.path)
    repo.commit("lock", {})
    repo.commit("faster", {"packages/b/index.js": BAD})
    outcome = repaired(repo, ("npm", "test"), red={f"packages/a/{RUNNERS[runner][3]}::adds"}, workdir="packages/a")
    assert [c["name"] for c in outcome["checks"]["after"]] == ["tests-packages-a"]


PLUGIN = 'module.exports = (n) => require("@x/b").value(n);\n'


def test_a_package_that_finds_the_checkouts_code_is_not_believed(tmp_path: Path) -> None:
    """HEAD is red and the checkout is not; a package that loads `@x/b` without saying so gets the checkout's."""
    files = _files("jest")
    files["packages/a/a.test.js"] = (
        'const value = require("sneaky");\ntest("adds", () => { expect(value(1)).toBe(2); });\n'
    )
    repo = Repo.make(tmp_path / "repo", {**files, "packages/b/index.js": BAD})
    npm_install(repo.path)
    repo.commit("lock", {})
    repo.write(
        {"packages/b/index.js": GOOD, "node_modules/sneaky/index.js": PLUGIN, "node_modules/sneaky/package.json": "{}"}
    )
    assert call("npm", "test", cwd=repo.path / "packages/a").returncode == 0
    not_believed(repo, "--from", "head", because="original checkout's packages/b/index.js")


def _worktree(repo: Repo, path: Path) -> Environment:
    repo.git("worktree", "add", "-q", "--detach", str(path))
    env = discover(repo.path)
    link_dependencies(env, path)
    return env


def _tarball(folder: Path) -> None:
    """A package of somebody else's that loads `@x/b`, says so, and comes as a file."""
    manifest = {"name": "plugin", "version": "1.0.0", "peerDependencies": {"@x/b": "*"}}
    (folder / "plugin").mkdir(parents=True)
    (folder / "plugin" / "package.json").write_text(json.dumps(manifest))
    (folder / "plugin" / "index.js").write_text(PLUGIN)
    assert call("npm", "pack", "./plugin", cwd=folder).returncode == 0


@pytest.mark.parametrize("manager", ["npm", "pnpm"])
def test_links_programs_and_peers_lead_to_the_worktree(tmp_path: Path, manager: str) -> None:
    needs = {"@x/b": "workspace:*" if manager == "pnpm" else "*", "plugin": "file:../../plugin-1.0.0.tgz"}
    test = (
        'const { execSync } = require("child_process");\nconst test = require("node:test"); const { equal } = require("assert");\n'
        'test("link", () => equal(require("@x/b").value(1), 2));\ntest("peer", () => equal(require("plugin")(1), 2));\n'
        'test("program", () => equal(String(execSync("b")).trim(), "2"));\n'
    )
    program = {"name": "@x/b", "version": "1.0.0", "main": "index.js", "bin": {"b": "cli.js"}}
    files = {
        **_files("jest", dependencies=needs, devDependencies={}, scripts={"test": "node --test"}),
        "packages/a/a.test.js": test,
        "packages/b/package.json": json.dumps(program),
        "packages/b/cli.js": '#!/usr/bin/env node\nconsole.log(require("./index.js").value(1));\n',
        "pnpm-workspace.yaml": "packages: ['packages/*']\n" if manager == "pnpm" else "",
    }
    repo = Repo.make(tmp_path / "repo", files)
    (repo.path / "packages/b/cli.js").chmod(0o755)
    _tarball(repo.path)
    if manager == "npm":
        npm_install(repo.path)
    else:
        tools = CACHE / "pnpm"
        tools.mkdir(parents=True, exist_ok=True)
        (tools / "package.json").write_text('{"dependencies": {"pnpm": "^9"}}')
        npm_install(tools)
        done = call("node", str(tools / "node_modules/pnpm/bin/pnpm.cjs"), "install", cwd=repo.path)
        assert done.returncode == 0, done.stdout
    repo.commit("installed", {})
    tree = tmp_path / "tree" / "repo"
    env = _worktree(repo, tree)
    check = Check("tests", "npm test", "junit", workdir="packages/a")
    good = run_check(check, tree, env=env, scratch=tmp_path / "scratch")
    assert (good.passed, good.trouble) == (tuple(f"packages/a/a.test.js::{n}" for n in ("link", "peer", "program")), "")
    (tree / "packages/b/index.js").write_text(BAD)
    bad = run_check(check, tree, env=env, scratch=tmp_path / "scratch")
    assert (set(bad.failed), bad.foreign, bad.trouble) == (set(good.passed), (), "")
    assert repo.git("status", "--short") == ""


def test_the_gate_reaches_what_turbo_and_nx_reach(tmp_path: Path) -> None:
    needs: dict[str, list[str]] = {"base": [], "mid": ["base"], "top": ["mid"], "alone": []}
    tools = CACHE / "monorepos"
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "package.json").write_text('{"dependencies": {"turbo": "^2", "nx": "^20"}}')
    npm_install(tools)
    files = {
        f"packages/{n}/package.json": json.dumps(
            {
                "name": f"@x/{n}",
                "version": "1.0.0",
                "scripts": {"test": "true"},
                "dependencies": {f"@x/{k}": "*" for k in some},
            }
        )
        for n, some in needs.items()
    }
    root = {"name": "r", "private": True, "packageManager": "npm@10.0.0", "workspaces": ["packages/*"]}
    files |= {
        "package.json": json.dumps(root),
        "turbo.json": '{"tasks": {"test": {}}}',
        "nx.json": "{}",
        ".gitignore": "node_modules\n.nx\n.turbo\n",
    }
    repo = Repo.make(tmp_path / "repo", files)
    npm_install(repo.path)
    (repo.path / "node_modules" / "nx").symlink_to(tools / "node_modules" / "nx")
    checks = [Check(n, "npm test", workdir=f"packages/{n}") for n in needs]
    quiet = {
        "TURBO_TELEMETRY_DISABLED": "1",
        "NX_DAEMON": "false",
        "PATH": f"{tools}/node_modules/.bin{os.pathsep}{os.environ['PATH']}",
    }
    for name in ("base", "mid", "alone"):
        ours = set(gate(repo.path, checks, [f"packages/{name}/a.js"]) or ())
        turbo = call("turbo", "run", "test", f"--filter=...@x/{name}", "--dry=json", cwd=repo.path, **quiet)
        assert ours == {p.removeprefix("@x/") for p in json.loads(turbo.stdout)["packages"]}
        nx = call(
            "nx", "show", "projects", "--affected", f"--files=packages/{name}/a.js", "--json", cwd=repo.path, **quiet
        )
        assert ours == {p.removeprefix("@x/") for p in json.loads(nx.stdout)}, nx.stderr
