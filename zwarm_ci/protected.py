"""Which paths are the oracle's: tests, their settings and data, and what a test runner reads before it runs anything.

A patch that touches one of them is judged with the base's version; the repair engine never edits one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset(
    {
        "test",
        "tests",
        "testing",
        "spec",
        "specs",
        "__tests__",
        "__snapshots__",
        "__mocks__",
        "testdata",
        "fixtures",
        "cypress",
        "e2e",
    }
)
_TEST_NAME = re.compile(
    r"^(test_.*|.*_test|tests?|conftest|.*_spec)\.(py|go|rb|rs)$"
    r"|^.*[.\-_](test|spec|cy)\.(js|jsx|ts|tsx|mjs|cjs|mts|cts)$"
    r"|^.*\.(snap|ambr)$|^.*Tests?\.(java|kt|cs)$"
)
_SETTINGS = re.compile(
    r"^(pytest\.ini|\.pytest\.ini|tox\.ini|setup\.cfg|pyproject\.toml|noxfile\.py|\.coveragerc|mypy\.ini|\.mypy\.ini|ruff\.toml|\.ruff\.toml"
    r"|\.flake8|\.pylintrc|\.pre-commit-config\.yaml|sitecustomize\.py|usercustomize\.py|package\.json|tsconfig.*\.json|biome\.jsonc?"
    r"|(jest|vitest|vite|karma|playwright|cypress|babel|ava|mocha)\.config\.\w+|\.(mocharc|eslintrc|babelrc)(\..*)?|eslint\.config\.\w+"
    r"|(jest|vitest)[.\-](setup|workspace|global-?setup)[\w.\-]*\.\w+|setup-?[tT]ests?\.\w+|turbo\.jsonc?|nx\.json|project\.json|lerna\.json|BUILD(\.bazel)?"
    r"|Makefile|makefile|GNUmakefile|justfile|Justfile|Taskfile\.ya?ml|\.gitattributes|\.gitmodules|\.gitignore|\.worktreeinclude)$"
    r"|.*\.pth$"
)
_FOLDERS = frozenset({".github", ".gitlab", ".circleci", ".git", ".zwarm", ".husky", ".cargo", ".claude", ".codex"})
_NOTES = re.compile(r"^(changelog|changes|history|news|releases?)(\..*)?$", re.IGNORECASE)


def is_test(path: str) -> bool:
    """Whether `path` is a test, a fixture, a snapshot or test data, by the conventions of the supported languages."""
    pure = PurePosixPath(path)
    return any(part.lower() in _TEST_FOLDERS for part in pure.parts[:-1]) or bool(_TEST_NAME.match(pure.name))


def is_setting(path: str) -> bool:
    """Whether `path` decides how checks run: runner, linter, type and build settings, CI, hooks, start-up files."""
    pure = PurePosixPath(path)
    in_metadata = any(part.endswith((".dist-info", ".egg-info")) for part in pure.parts)
    return in_metadata or any(part in _FOLDERS for part in pure.parts[:-1]) or bool(_SETTINGS.match(pure.name))


def is_protected(path: str, more: Iterable[str] = ()) -> bool:
    """Whether the base's version of `path` is the one that counts; `more` are the user's own globs (`verify.protect`)."""
    return (
        is_test(path)
        or is_setting(path)
        or any(fnmatchcase(path, glob) or path.startswith(glob.rstrip("/") + "/") for glob in more)
    )


def files_of_tests(ids: Iterable[str], files: Sequence[str], read: Callable[[str], bytes | None]) -> tuple[str, ...]:
    """Globs of Python files that are tests by no convention above, but in which tests that ran are defined.

    A doctest, or a linter that runs as a pytest plugin, makes no test of the source that it looks at.
    """
    found = set()
    for path, name in {place for test_id in ids for place in _definitions(test_id)}:
        for file in files:
            if (file == path or file.endswith(f"/{path}")) and file not in found and not is_protected(file):
                defined = re.compile(rf"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)
                if defined.search((read(file) or b"").decode("utf-8", "replace")):
                    found.add(file)
    return tuple(re.sub(r"([*?[])", r"[\1]", file) for file in sorted(found))


def _definitions(test_id: str) -> Iterable[tuple[str, str]]:
    """(file, name in it) where an id may be defined: `dir/file.py::Name`, or `dir.file.Name` as unittest and JUnit have it."""
    path, _, inner = test_id.partition("::")
    name = re.split(r"::|\[", inner)[0]
    if path.endswith(".py"):
        return ((path, name),) if name and name != PurePosixPath(path).stem else ()
    parts = [*path.split("."), *filter(None, [name])]
    return (("/".join(parts[:n]) + ".py", parts[n]) for n in range(1, len(parts)))


def is_notes(path: str) -> bool:
    """Whether `path` is a changelog, which says what was done and is never undone with it."""
    return bool(_NOTES.match(PurePosixPath(path).name))
