"""Which scripts of a package.json are checks, in one package and in workspaces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.detect import detect
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check


def _found(tree: Path, top: Path | None = None) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    env = Environment(top or tree, "", (), (), "no Python")
    return detect(tree, lambda _: env)


def _chosen(tree: Path, top: Path | None = None) -> dict[str, str]:
    return {c.name: f"{c.workdir}: {c.kind}: {c.run}" for c in _found(tree, top)[0]}


def _bins(*names: str) -> dict[str, str]:
    return {f"node_modules/.bin/{name}": "" for name in ("x", *names)}


def _package(**scripts: str) -> str:
    return json.dumps({"name": "p", "scripts": scripts})


@pytest.mark.parametrize(
    ("scripts", "bins", "expected"),
    [
        ({"test": "vitest"}, ("vitest",), "junit: npm test"),
        ({"test": "jest --coverage"}, ("jest",), "junit: npm test"),
        ({"test": "jest"}, (), "generic: npm test"),
        ({"test": "NODE_OPTIONS='--a --b' mocha 'test/**/*.js'"}, ("mocha",), "junit: npm test"),
        ({"test": "mocha | tap"}, ("mocha",), "generic: npm test"),
        ({"test": "npm run build && mocha dist"}, ("mocha",), "junit: npm test"),
        ({"test": "ava"}, ("ava",), "generic: npm test"),
        ({"test": "node --test"}, (), "junit: npm test"),
        ({"test": "node --import tsx --test test/*.ts"}, (), "junit: npm test"),
        ({"test": "node test.js"}, (), "generic: npm test"),
        ({"test": "eslint . && npm run unit", "unit": "vitest run"}, ("vitest",), "junit: npm run unit"),
        (
            {"test": "npm run lint && npm run unit", "lint": "xo", "unit": "vitest run"},
            ("vitest",),
            "junit: npm run unit",
        ),
        ({"test": "npm run lint && vitest", "lint": "xo"}, ("vitest",), "junit: npm test"),
        ({"test": "npm run unit", "unit": "jest"}, ("jest",), "junit: npm test"),
        ({"test:unit": "jest", "test:e2e": "playwright test"}, ("jest",), "junit: npm run test:unit"),
        ({"test": "react-scripts test"}, ("react-scripts",), "junit: npm test"),
        ({"test": "react-scripts build"}, ("react-scripts",), "generic: npm test"),
    ],
)
def test_the_test_script_of_a_package(
    tmp_path: Path, scripts: dict[str, str], bins: tuple[str, ...], expected: str
) -> None:
    tree = plant(tmp_path, {"package.json": _package(**scripts), **_bins(*bins)})
    assert _chosen(tree) == {"tests": f".: {expected}"}


@pytest.mark.parametrize("script", ['echo "Error: no test specified" && exit 1', "echo later", "true", ""])
def test_a_script_that_tests_nothing_is_no_check(tmp_path: Path, script: str) -> None:
    assert _found(plant(tmp_path, {"package.json": _package(test=script), **_bins()})) == ((), ())


def test_nodes_own_runner_needs_no_node_modules(tmp_path: Path) -> None:
    assert _chosen(plant(tmp_path, {"package.json": _package(test="node --test")})) == {"tests": ".: junit: npm test"}


def test_a_package_without_its_modules_is_a_note(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"package.json": _package(test="jest"), "package-lock.json": "{}", "tsconfig.json": "{}"})
    checks, notes = _found(tree)
    assert (checks, len(notes)) == ((), 1)
    assert "npm ci" in notes[0]


def test_typescript_and_eslint_where_they_are_installed(tmp_path: Path) -> None:
    tree = plant(
        tmp_path, {"package.json": "{}", **_bins("tsc", "eslint"), "tsconfig.json": "{}", "eslint.config.mjs": ""}
    )
    assert _chosen(tree) == {
        "tsc": ".: tsc: npx --no-install tsc --noEmit",
        "eslint": ".: eslint: npx --no-install eslint .",
    }
    (tree / "eslint.config.mjs").rename(tree / ".eslintrc.json")
    assert "eslint" in _chosen(tree)
    (tree / ".eslintrc.json").unlink()
    assert set(_chosen(tree)) == {"tsc"}


@pytest.mark.parametrize(("version", "words"), [("5.6.2", "--build --noEmit"), ("5.4.0", "--build")])
def test_a_tsconfig_that_only_names_others_is_built(tmp_path: Path, version: str, words: str) -> None:
    files = {
        "tsconfig.json": '{"files": [], "references": [{"path": "a"}]}',
        "node_modules/typescript/package.json": json.dumps({"version": version}),
    }
    assert _chosen(plant(tmp_path, {"package.json": "{}", **_bins("tsc"), **files}))["tsc"].endswith(f"tsc {words}")


def _workspace(root_script: str) -> dict[str, str]:
    return {
        "package.json": json.dumps({"name": "r", "workspaces": ["packages/*"], "scripts": {"test": root_script}}),
        "packages/a/package.json": _package(test="vitest run"),
        "packages/b/package.json": _package(test="jest", build="tsc"),
        "packages/c/package.json": _package(build="tsc"),
        **_bins("vitest"),
        "packages/b/node_modules/.bin/jest": "",
    }


@pytest.mark.parametrize(
    "script",
    ["npm test -ws --if-present", "turbo run test", "nx run-many -t test", "lerna run test", "npm run all", ""],
)
def test_packages_are_checks_of_their_own(tmp_path: Path, script: str) -> None:
    files = _workspace(script)
    if script == "npm run all":
        files["package.json"] = files["package.json"].replace('"scripts": {', '"scripts": {"all": "pnpm -r test", ')
    checks, notes = _found(plant(tmp_path, files))
    assert {c.name: (c.workdir, c.kind, c.run) for c in checks} == {
        "tests-packages-a": ("packages/a", "junit", "npm test"),
        "tests-packages-b": ("packages/b", "junit", "npm test"),
    }
    assert bool([n for n in notes if "check of its own" in n]) == bool(script)


def test_a_runner_at_the_top_is_taken_for_all(tmp_path: Path) -> None:
    checks, notes = _found(plant(tmp_path, _workspace("vitest run")))
    assert [(c.name, c.workdir) for c in checks] == [("tests", ".")]
    assert any("packages/a, packages/b" in note for note in notes)


def test_packages_that_lie_side_by_side(tmp_path: Path) -> None:
    files = {
        "web/package.json": _package(test="vitest"),
        "web/node_modules/.bin/vitest": "",
        "server/package.json": _package(test="node --test"),
        "old/package.json": _package(test="mocha"),
        "examples/x/package.json": _package(test="node --test"),
    }
    checks, notes = _found(plant(tmp_path, files))
    assert {c.name: c.kind for c in checks} == {"tests-server": "junit", "tests-web": "junit"}
    assert [n for n in notes if "old/package.json" in n]


def test_the_managers_own_words_where_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = plant(tmp_path / "tree", {"package.json": _package(test="vitest"), "pnpm-lock.yaml": "", **_bins("vitest")})
    bins = plant(tmp_path / "bin", {"pnpm": "#!/bin/sh\n"})
    monkeypatch.setenv("PATH", str(bins))
    assert _chosen(tree)["tests"] == ".: junit: npm test"
    (bins / "pnpm").chmod(0o755)
    assert _chosen(tree)["tests"] == ".: junit: pnpm test"


def test_yarn_without_node_modules_is_set_up_in_each_tree(tmp_path: Path) -> None:
    files = {"package.json": _package(test="jest"), ".yarnrc.yml": "", "yarn.lock": "__metadata:\n"}
    (check,) = _found(plant(tmp_path, files))[0]
    assert (check.run, check.kind, check.setup) == ("yarn test", "junit", "yarn install --immutable")


def test_bun_writes_the_report_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = plant(tmp_path / "tree", {"package.json": _package(test="bun test"), "bun.lock": ""})
    bins = plant(tmp_path / "bin", {"bun": "#!/bin/sh\n"})
    (bins / "bun").chmod(0o755)
    monkeypatch.setenv("PATH", str(bins))
    assert _chosen(tree)["tests"] == ".: junit: bun test --reporter=junit --reporter-outfile={junit}"
