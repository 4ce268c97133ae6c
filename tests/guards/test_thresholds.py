"""Settings of coverage, lint and types that ask for less; whatever asks for more, or for something else, is nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.guards.support import patches_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.thresholds import Thresholds
from zwarm_ci.verify.reading.tools import settings_of


def toml(section: str, body: str) -> str:
    return f"[tool.{section}]\n{body}\n"


#: (path, before, after); each asks for less.
LOOSER = [
    ("pyproject.toml", toml("coverage.report", "fail_under = 90"), toml("coverage.report", "fail_under = 80")),
    ("pyproject.toml", toml("coverage.report", "fail_under = 90"), ""),
    (".coveragerc", "[report]\nfail_under = 90\n", "[report]\nfail_under = 9\n"),
    (".coveragerc", "[report]\nfail_under = 90\n", None),
    (".coveragerc", None, "[run]\nomit = src/bad.py\n"),
    ("setup.cfg", "[coverage:report]\nfail_under = 90\n", "[coverage:report]\nfail_under = 50\n"),
    ("setup.cfg", "[flake8]\nignore = E1\n", "[flake8]\nignore = E1, F\n"),
    ("pyproject.toml", toml("coverage.run", "branch = true"), toml("coverage.run", "branch = false")),
    (
        "pyproject.toml",
        toml("coverage.report", "exclude_also = ['a']"),
        toml("coverage.report", "exclude_also = ['a', 'def ']"),
    ),
    ("pyproject.toml", toml("ruff.lint", "select = ['E', 'F']"), toml("ruff.lint", "select = ['E']")),
    ("pyproject.toml", toml("ruff", "ignore = []"), toml("ruff", "ignore = ['F401']")),
    ("ruff.toml", "line-length = 88\n", "line-length = 200\n"),
    ("ruff.toml", "[lint]\nselect = ['ALL']\n", "[lint]\nselect = ['E']\n"),
    ("ruff.toml", "", "exclude = ['src']\n"),
    (
        "pyproject.toml",
        toml("ruff.lint.per-file-ignores", "'a.py' = ['E']"),
        toml("ruff.lint.per-file-ignores", "'a.py' = ['E']\n'b.py' = ['F']"),
    ),
    ("pyproject.toml", toml("ruff.lint.mccabe", "max-complexity = 5"), toml("ruff.lint.mccabe", "max-complexity = 50")),
    ("pyproject.toml", toml("mypy", "strict = true"), toml("mypy", "strict = false")),
    ("pyproject.toml", toml("mypy", "strict = true"), ""),
    ("mypy.ini", "[mypy]\n", "[mypy]\nignore_errors = True\n"),
    ("mypy.ini", "[mypy]\nstrict = True\n", "[mypy]\nstrict = True\n[mypy-a.*]\nignore_errors = True\n"),
    ("mypy.ini", "[mypy]\ndisallow_untyped_defs = True\n", "[mypy]\ndisallow_untyped_defs = False\n"),
    ("pyproject.toml", toml("mypy", ""), toml("mypy", "exclude = ['src/bad']")),
    ("pyproject.toml", toml("mypy", ""), toml("mypy", "disable_error_code = ['attr-defined']")),
    ("pyproject.toml", toml("mypy", ""), "[[tool.mypy.overrides]]\nmodule = ['a.*']\nignore_errors = true\n"),
    (".flake8", "[flake8]\nmax-line-length = 88\n", "[flake8]\nmax-line-length = 300\n"),
    ("pyrightconfig.json", '{"typeCheckingMode": "strict"}', '{"typeCheckingMode": "basic"}'),
    ("pyrightconfig.json", "{}", '{"reportMissingImports": "none"}'),
    (".pylintrc", "[MESSAGES CONTROL]\ndisable=a\n", "[MESSAGES CONTROL]\ndisable=a,b\n"),
    ("tsconfig.json", '{"compilerOptions": {"strict": true}}', '{"compilerOptions": {"strict": false}}'),
    ("tsconfig.json", '{"compilerOptions": {"strict": true, /* x */}}', '{"compilerOptions": {}}'),
    ("tsconfig.json", '{"exclude": ["dist"]}', '{"exclude": ["dist", "src/bad.ts"]}'),
    ("tsconfig.json", '{"compilerOptions": {"noImplicitAny": true}}', '{"compilerOptions": {"noImplicitAny": false}}'),
    (".eslintrc.json", '{"rules": {"no-x": "error"}}', '{"rules": {"no-x": "off"}}'),
    (".eslintrc.json", '{"rules": {"no-x": ["error", 1]}}', '{"rules": {"no-x": ["warn", 1]}}'),
    (".eslintrc.json", '{"rules": {}}', '{"rules": {"no-x": 0}}'),
    (
        "eslint.config.js",
        "export default [{ rules: { 'no-x': 'error' } }]",
        "export default [{ rules: { 'no-x': 'off' } }]",
    ),
    ("eslint.config.mjs", "export default [{}]", "export default [{ ignores: ['src/bad.js'] }]"),
    (".eslintignore", "dist\n", "dist\nsrc\n"),
    (
        "package.json",
        '{"jest": {"coverageThreshold": {"global": {"lines": 90}}}}',
        '{"jest": {"coverageThreshold": {"global": {"lines": 10}}}}',
    ),
    (
        "jest.config.js",
        "module.exports = { coverageThreshold: { global: { lines: 90 } } }",
        "module.exports = { coverageThreshold: { global: { lines: 9 } } }",
    ),
    ("jest.config.js", "module.exports = {}", "module.exports = { passWithNoTests: true }"),
    (
        "jest.config.ts",
        "export default { testPathIgnorePatterns: ['a'] }",
        "export default { testPathIgnorePatterns: ['a', 'calc'] }",
    ),
    (
        "vitest.config.ts",
        "export default defineConfig({ test: {} })",
        "export default defineConfig({ test: { retry: 3 } })",
    ),
    (
        "vitest.config.ts",
        "export default { test: { testTimeout: 100 } }",
        "export default { test: { testTimeout: 99999 } }",
    ),
    (
        "vitest.config.ts",
        "export default { test: { coverage: { thresholds: { lines: 90 } } } }",
        "export default { test: { coverage: { thresholds: { lines: 1 } } } }",
    ),
    (".nycrc", '{"lines": 90}', '{"lines": 10}'),
    ("biome.json", '{"linter": {"rules": {"a": {"b": "error"}}}}', '{"linter": {"rules": {"a": {"b": "off"}}}}'),
    (".golangci.yml", "linters:\n  enable: [a, b]\n", "linters:\n  enable: [a]\n"),
    (".golangci.yml", "issues: {}\n", "issues:\n  exclude-rules:\n    - path: x\n"),
    (".golangci.yml", "linters: {}\n", "linters:\n  disable: [errcheck]\n"),
    ("Cargo.toml", '[lints.clippy]\nx = "deny"\n', '[lints.clippy]\nx = "allow"\n'),
    ("Cargo.toml", "", '[lints.rust]\nunused = "allow"\n'),
    ("clippy.toml", "too-many-arguments-threshold = 5\n", "too-many-arguments-threshold = 50\n"),
    (
        "codecov.yml",
        "coverage: {status: {project: {default: {target: 90%}}}}\n",
        "coverage: {status: {project: {default: {target: 10%}}}}\n",
    ),
    ("pyproject.toml", "[tool.mypy]\n", "[tool.mypy\n"),
]
#: (path, before, after); none asks for less.
HARMLESS = [
    ("pyproject.toml", "[project]\nversion = '1'\n", "[project]\nversion = '2'\n"),
    ("pyproject.toml", toml("coverage.report", "fail_under = 80"), toml("coverage.report", "fail_under = 90")),
    ("pyproject.toml", toml("ruff.lint", "select = ['E']"), toml("ruff.lint", "select = ['E', 'F']")),
    ("pyproject.toml", toml("ruff.lint", "select = ['E501']"), toml("ruff.lint", "select = ['E']")),
    ("pyproject.toml", toml("ruff.lint", "ignore = ['F']"), toml("ruff.lint", "ignore = ['F401']")),
    ("pyproject.toml", toml("mypy", ""), toml("mypy", "strict = true")),
    ("ruff.toml", "line-length = 200\n", "line-length = 88\n"),
    ("package.json", '{"version": "1"}', '{"version": "2", "dependencies": {"a": "1"}}'),
    ("tsconfig.json", "{}", '{"compilerOptions": {"strict": true, "target": "es2022"}}'),
    (".eslintrc.json", '{"rules": {"a": "warn"}}', '{"rules": {"a": "error"}}'),
    ("jest.config.js", "module.exports = { a: 1 }", "module.exports = {\n  // why\n  a: 1,\n}"),
    ("Cargo.toml", '[package]\nversion = "1"\n', '[package]\nversion = "2"\n'),
    (".golangci.yml", "linters:\n  enable: [a]\n", "linters:\n  enable: [a, b]\n"),
    ("setup.cfg", "[metadata]\nversion = 1\n", "[metadata]\nversion = 2\n[options]\npackages = find:\n"),
    (".eslintignore", "dist\nsrc\n", "dist\n"),
    ("pyproject.toml", toml("black", "line-length = 88"), toml("black", "line-length = 200")),
    ("vitest.config.ts", "export default { test: { retry: 3 } }", "export default { test: { retry: 0 } }"),
    ("package.json", "{}", '{"jest": {"coverageThreshold": {"global": {"lines": 90}}}}'),
    ("pyproject.toml", "[tool.ruff\n", "[tool.ruff]\n"),
]


def test_what_asks_for_less(tmp_path: Path) -> None:
    steps = [({"x": "", path: old}, {"x": "", path: new}) for path, old, new in LOOSER]
    missed = [
        case
        for case, patch in zip(LOOSER, patches_of(tmp_path, steps), strict=True)
        if {f.level for f in Thresholds().look(patch)} != {"refuse"}
    ]
    assert not missed


def test_what_does_not(tmp_path: Path) -> None:
    steps = [({"x": "", path: old}, {"x": "", path: new}) for path, old, new in HARMLESS]
    alarms = [
        (case, list(Thresholds().look(patch)))
        for case, patch in zip(HARMLESS, patches_of(tmp_path, steps), strict=True)
    ]
    assert [alarm for alarm in alarms if alarm[1]] == []


def test_moved_settings_are_the_same(tmp_path: Path) -> None:
    steps = [
        (
            {".coveragerc": "[report]\nfail_under = 90\nomit = a\n[run]\nbranch = yes\n"},
            {
                "pyproject.toml": "[tool.coverage.report]\nfail_under = 90\nomit = ['a']\n[tool.coverage.run]\nbranch = true\n"
            },
        ),
        (
            {"mypy.ini": "[mypy]\nstrict = True\n[mypy-a.*]\nignore_errors = True\n"},
            {
                "pyproject.toml": "[tool.mypy]\nstrict = true\n[[tool.mypy.overrides]]\nmodule = 'a.*'\nignore_errors = true\n"
            },
        ),
        ({"ruff.toml": "ignore = ['E']\n"}, {"pyproject.toml": "[tool.ruff.lint]\nignore = ['E']\n"}),
        (
            {"x": ""},
            {"x": "", "packages/new/tsconfig.json": '{"exclude": ["dist"]}'},
        ),  # a package that comes with its settings
    ]
    assert [list(Thresholds().look(patch)) for patch in patches_of(tmp_path, steps)] == [[], [], [], []]


def test_settings_among_test_data_are_nobody_s_for_people(tmp_path: Path) -> None:
    (patch,) = patches_of(
        tmp_path,
        [({"tests/fixtures/.eslintrc.json": '{"rules": {"a": "error"}}'}, {"tests/fixtures/.eslintrc.json": "{}"})],
    )
    assert list(Thresholds().look(patch))
    assert not list(Thresholds().look(replace(patch, rules=Rules(strict=False))))


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "[" * 1500,
        "{" * 1500,
        '{"a":' * 3000,
        "a: &a [*a]",
        "a: [" * 900,
        "x" * 300_000,
        "\ud800",
        "[a]\n" * 9,
        "- - -",
        "a = 1e999999",
        '{"a": 1e999}',
    ],
)
def test_nothing_raises(text: str) -> None:
    for path in (
        "pyproject.toml",
        "setup.cfg",
        "tsconfig.json",
        "package.json",
        ".golangci.yml",
        "eslint.config.js",
        ".eslintignore",
        "Cargo.toml",
    ):
        found = settings_of(path, text)
        assert found is None or isinstance(found, dict)


def test_what_people_do(tmp_path: Path) -> None:
    steps = [
        (
            {"x": "", "setup.cfg": ""},
            {"x": "", "setup.cfg": "[mypy]\nignore_missing_imports = True\n"},
        ),  # a tool that comes
        ({"ruff.toml": "ignore = ['S101']\n"}, {"ruff.toml": "ignore = ['assert']\n"}),  # rewritten
        (
            {"a.py": "", "pyrightconfig.json": '{"include": ["a.py", "b"]}'},
            {"pyrightconfig.json": '{"include": ["b"]}'},
        ),
    ]
    people = [replace(patch, rules=Rules(strict=False)) for patch in patches_of(tmp_path, steps)]
    assert [list(Thresholds().look(patch)) for patch in people] == [[], [], []]
    strict = [bool(list(Thresholds().look(replace(patch, rules=Rules())))) for patch in people]
    assert strict == [True, True, False]  # what is gone cannot be looked at
