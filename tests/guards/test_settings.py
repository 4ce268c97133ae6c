"""Settings of the checks, and conftest.py: what lets less count is refused, what a person changes every day is not asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import Tree, found, patches_of
from zwarm_ci.protected import is_protected
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.conftest import Conftest
from zwarm_ci.verify.guards.settings import Settings

PROJECT = (
    '[project]\nname = "a"\nversion = "1.0"\ndependencies = ["x>=1"]\n'
    '[tool.pytest.ini_options]\naddopts = "--strict-markers"\ntestpaths = ["tests", "more"]\nfilterwarnings = ["error"]\n'
)
PACKAGE = '{"version": "1.0.0", "scripts": {"test": "jest", "lint": "eslint ."}, "dependencies": {"x": "1"}}\n'
CI = ".github/workflows/ci.yml"
WORKFLOW = "jobs:\n  t:\n    steps:\n      - run: pytest\n"
#: What even a person is asked about.
LESS: dict[str, tuple[Tree, Tree]] = {
    "addopts -k": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace("--strict-markers", "--strict-markers -k easy")}),
    "addopts no plugin": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace("--strict-markers", "--strict-markers -p no:x")}),
    "addopts less strict": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace("--strict-markers", "")}),
    "testpaths": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace(', "more"', "")}),
    "warnings": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace('"error"', '"ignore"')}),
    "another file wins": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT, "pytest.ini": "[pytest]\n"}),
    "setup.cfg": ({"setup.cfg": "[tool:pytest]\ntestpaths = a b\n"}, {"setup.cfg": "[tool:pytest]\ntestpaths = a\n"}),
    "plugin": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT + '[project.entry-points.pytest11]\nx = "a"\n'}),
    "does not parse": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT + "[["}),
    "script": ({"package.json": PACKAGE}, {"package.json": PACKAGE.replace('"jest"', '"echo ok"')}),
    "pretest": ({"package.json": PACKAGE}, {"package.json": PACKAGE.replace('"test"', '"pretest": "node x.js", "test"')}),
    "jest ignores": ({"jest.config.js": "x = {\n}\n"}, {"jest.config.js": "x = {\ntestPathIgnorePatterns: ['a'],\n}\n"}),
    "make": ({"Makefile": "test:\n\tpytest\n"}, {"Makefile": "test:\n\techo fine\n"}),
    "CI": ({CI: WORKFLOW}, {CI: WORKFLOW.replace("pytest", "echo")}),
    "CI leaves out": ({CI: WORKFLOW}, {CI: WORKFLOW.replace("pytest", "pytest --deselect a")}),
    "gitlab": ({".gitlab-ci.yml": "t:\n  script: pytest\n"}, {".gitlab-ci.yml": "t:\n  script: ls\n"}),
    "environment": ({CI: WORKFLOW}, {CI: "env:\n  PYTEST_ADDOPTS: -x\n" + WORKFLOW}),
    "sitecustomize": ({}, {"sitecustomize.py": "x = 1\n"}),
    "a module in the place of a linter": ({}, {"mypy.py": "x = 1\n"}),
    "a package in the place of a linter": ({}, {"ruff/__main__.py": "x = 1\n", "ruff/__init__.py": ""}),
    "a module in the place of what a linter imports": ({}, {"pycodestyle.py": "x = 1\n"}),
    "a module in the place of what a script imports": ({"scripts/docs.py": "x = 1\n"}, {"scripts/docs.py": "x = 1\n", "scripts/pathlib.py": ""}),
    "pth": ({}, {"src/a.pth": "import x\n"}),
    "metadata": ({}, {"a.dist-info/entry_points.txt": "[pytest11]\n"}),
    "node_modules": ({}, {"node_modules/jest/index.js": "x\n"}),
    "in pytest's place": ({}, {"pytest.py": "x = 1\n"}),
    "in a package's place": ({}, {"src/_pytest/__init__.py": "x = 1\n"}),
    "in random's place": ({}, {"tests/random.py": "x = 1\n"}),
    "npm's shell": ({".npmrc": ""}, {".npmrc": "script-shell=/bin/true\n"}),
    "cargo's runner": ({}, {".cargo/config.toml": '[target.x]\nrunner = "true"\n'}),
}  # fmt: skip
DAILY: dict[str, tuple[Tree, Tree]] = {
    "version": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace("1.0", "1.1")}),
    "dependency": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace("x>=1", "x>=2")}),
    "package": ({"package.json": PACKAGE}, {"package.json": PACKAGE.replace("1.0.0", "1.0.1").replace('"x": "1"', '"x": "2"')}),
    "another runner": ({"package.json": PACKAGE}, {"package.json": PACKAGE.replace('"jest"', '"vitest run"')}),
    "moved settings": (
        {"setup.cfg": "[tool:pytest]\ntestpaths = a\n", "pyproject.toml": ""},
        {"setup.cfg": "", "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["a"]\n'},
    ),
    "one more path": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace('"more"', '"more", "new"')}),
    "a warning": ({"pyproject.toml": PROJECT}, {"pyproject.toml": PROJECT.replace('"error"', '"error", "ignore:x:DeprecationWarning"')}),
    "docs job": ({CI: WORKFLOW}, {CI: WORKFLOW + "  d:\n    steps:\n      - run: make html\n"}),
    "other CI": ({".travis.yml": "script: pytest\n", CI: ""}, {".travis.yml": None, CI: WORKFLOW}),
    "a project of test data": ({}, {"tests/data/p/pyproject.toml": PROJECT, "tests/data/p/pytest.ini": "[pytest]\naddopts = -k x\n"}),
    "a module of a package": ({"src/a/__init__.py": ""}, {"src/a/__init__.py": "", "src/a/types.py": "x = 1\n"}),
    "target": ({"Makefile": "test:\n\tpytest\n"}, {"Makefile": "docs:\n\tmake html\ntest:\n\tpytest\n"}),
    "ignore": ({".gitignore": "a\n"}, {".gitignore": "a\nb\n"}),
}  # fmt: skip
CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef a():\n    return 1\n\n\ndef pytest_addoption(parser):\n    parser.addoption('--x')\n"
HOOKS: dict[str, str] = {
    "makereport": "import pytest\n@pytest.hookimpl(hookwrapper=True)\n"
    "def pytest_runtest_makereport(item, call):\n    out = yield\n    out.get_result().outcome = 'passed'\n",
    "collection": CONFTEST + "\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n",
    "sessionfinish": CONFTEST + "\n\ndef pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
    "in a class": CONFTEST + "\n\nclass P:\n    def pytest_pyfunc_call(self):\n        return True\n",
    "imported hook": CONFTEST + "from x import pytest_runtest_call\n",
    "assigned hook": CONFTEST + "pytest_runtest_protocol = print\n",
    "ignored": CONFTEST + "collect_ignore = ['test_a.py']\n",
    "autouse": CONFTEST
    + "\n\n@pytest.fixture(autouse=True)\ndef z(monkeypatch):\n    monkeypatch.setattr('a.f', lambda: 1)\n",
    "patched": CONFTEST + "import _pytest.runner\n_pytest.runner.call_and_report = print\n",
}
TIDY: dict[str, str] = {
    "a fixture": CONFTEST + "\n\n@pytest.fixture\ndef b():\n    return 2\n",
    "a helper": CONFTEST + "\n\ndef helps():\n    return 2\n",
    "reformatted": CONFTEST.replace("return 1", "return  1  # one"),
    "a constant": CONFTEST.replace(
        "import pytest\n", "import pytest\nfrom pathlib import Path\n\nHERE = Path(__file__).parent\n"
    ),
}


@pytest.mark.parametrize("strict", [True, False])
def test_what_lets_less_count_is_said(tmp_path: Path, strict: bool) -> None:
    patches = patches_of(tmp_path, LESS.values(), Rules(strict=strict))
    passed = [
        name
        for name, patch in zip(LESS, patches, strict=True)
        if "refuse" not in {f[0] for f in found(Settings(), patch)}
    ]
    assert passed == []


def test_people_are_not_asked_about_every_day_changes(tmp_path: Path) -> None:
    patches = patches_of(tmp_path, DAILY.values(), Rules(strict=False))
    assert {n: said for n, patch in zip(DAILY, patches, strict=True) if (said := found(Settings(), patch))} == {}


def test_strictly_a_manifest_changes_only_where_the_task_is_about_it(tmp_path: Path) -> None:
    steps = [
        ({"pyproject.toml": PROJECT}, {"pyproject.toml": text})
        for text in (PROJECT.replace("1.0", "2"), PROJECT + "[tool.ruff]\n[tool.x]\ny = 1\n")
    ]
    unasked = patches_of(tmp_path, steps)
    asked = patches_of(tmp_path, steps, Rules(about=frozenset({"pyproject.toml"})))
    assert [found(Settings(), p)[0][0] for p in [*unasked, *asked]] == ["refuse", "refuse", "review", "refuse"]


@pytest.mark.parametrize("strict", [True, False])
def test_hooks_that_decide_are_refused(tmp_path: Path, strict: bool) -> None:
    steps: list[tuple[Tree, Tree]] = [({"conftest.py": CONFTEST}, {"conftest.py": text}) for text in HOOKS.values()]
    patches = patches_of(tmp_path, steps, Rules(strict=strict))
    assert [
        name
        for name, patch in zip(HOOKS, patches, strict=True)
        if "refuse" not in {f[0] for f in found(Conftest(), patch)}
    ] == []


def test_additions_to_a_conftest_are_nothing(tmp_path: Path) -> None:
    steps: list[tuple[Tree, Tree]] = [({"conftest.py": CONFTEST}, {"conftest.py": text}) for text in TIDY.values()]
    steps.append(({"a/conftest.py": CONFTEST, "conftest.py": ""}, {"a/conftest.py": "", "conftest.py": CONFTEST}))
    assert [found(Conftest(), patch) for patch in patches_of(tmp_path, steps)] == [[]] * len(steps)


def test_a_module_of_tests_that_names_plugins_may_change(tmp_path: Path) -> None:
    old = "pytest_plugins = 'pytester'\n\n\ndef test_a():\n    assert 1\n"
    step: tuple[Tree, Tree] = ({"test_a.py": old}, {"test_a.py": old.replace("assert 1", "assert 1 + 1")})
    assert found(Conftest(), patches_of(tmp_path, [step])[0]) == []


def test_a_changed_fixture_asks_for_review_where_tests_may_be_edited(tmp_path: Path) -> None:
    step = ({"conftest.py": CONFTEST}, {"conftest.py": CONFTEST.replace("return 1", "return 2")})
    levels = [
        found(Conftest(), patches_of(tmp_path, [step], Rules(allow_test_edits=allowed))[0])[0][0]
        for allowed in (False, True)
    ]
    assert levels == ["refuse", "review"]


@pytest.mark.parametrize(
    "path",
    "CODEOWNERS docs/CODEOWNERS AGENTS.md CLAUDE.md GEMINI.md .claude/x .codex/config.toml .cursor/rules .mcp.json .gitmodules "
    ".husky/pre-commit hooks/pre-push lefthook.yml uv.lock "
    ".ignore .ruffignore .shellcheckrc .markdownlint.json .yamllint .hadolint.yaml .codespellrc cspell.json .vale.ini _typos.toml .sqlfluff "
    ".clang-tidy detekt.yml phpstan.neon.dist checkstyle.xml ty.toml .style.yapf .importlinter mypy-baseline.txt .secrets.baseline "
    "test/mocha.opts eslint.config.mjs "
    "package-lock.json a/Cargo.lock go.sum go.mod "
    "requirements-dev.txt requirements/base.txt constraints.txt .gitlab-ci.yml "
    ".circleci/config.yml azure-pipelines.yml Jenkinsfile "
    ".travis.yml bitbucket-pipelines.yml .drone.yml "
    ".buildkite/x.yml .woodpecker/x.yml appveyor.yml .npmrc .yarnrc.yml .pnp.cjs bunfig.toml deno.json build.rs .cargo/config.toml "
    "rust-toolchain.toml "
    "a.test-d.ts setup.py run_tests.sh scripts/lint ci/run conftest.py a/test_b.py src/x.spec.ts".split(),
)
def test_the_oracles_paths(path: str) -> None:
    assert is_protected(path)


@pytest.mark.parametrize(
    "path",
    "src/a.py src/tasks.py app/setup.py "
    ".bashrc .zshrc src/formatter.js src/lint.py src/style.css docs/lint.md src/typos.py baseline.json .dockerignore .npmignore "
    "lib/checks.py src/hooks/use.ts README.md src/ci/x.py latest.py contest.py".split(),
)
def test_other_paths(path: str) -> None:
    assert not is_protected(path)


def test_a_manifest_that_the_task_is_about_is_not_the_oracles() -> None:
    about = {"pyproject.toml", "tests/test_a.py"}
    assert [is_protected(p, about=about) for p in ("pyproject.toml", "tests/test_a.py", "package.json")] == [
        False,
        True,
        True,
    ]
    assert is_protected("pyproject.toml", ["*.toml"], about)


@pytest.mark.parametrize(("before", "after", "levels"), [
    ({"src/calc.ts": "x"}, {"src/calc.ts": "x", "src/calc.js": "y"}, ["review"]),
    ({"pkg/calc.py": "x"}, {"pkg/calc.py": "x", "pkg/calc/__init__.py": "y"}, ["review"]),
    ({"pkg/calc.py": "x"}, {"pkg/calc/__init__.py": "x"}, []),
    ({"src/calc.ts": "x"}, {"src/calc.js": "x"}, []),
    ({"src/calc.ts": "x"}, {"src/calc.ts": "x", "src/calc.css": "y"}, []),
])  # fmt: skip
def test_a_module_in_front_of_another_asks_for_review(
    before: Tree, after: Tree, levels: list[str], tmp_path: Path
) -> None:
    assert [f[0] for f in found(Settings(), patches_of(tmp_path, [(before, after)])[0])] == levels
