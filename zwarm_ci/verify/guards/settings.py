"""Settings of the checks: whatever decides how a check runs, what it collects and whether its word counts.

Strict: none may change but for what the task is about. For people's own commits only what lets less count is said.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Literal

from zwarm_ci.private import Change
from zwarm_ci.protected import is_manifest, is_named, is_setting, is_test
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.commanded import started, taken_in
from zwarm_ci.verify.guards.commands import runs, spread
from zwarm_ci.verify.guards.linted import by_exit
from zwarm_ci.verify.guards.manifests import (
    PYTEST_FILES,
    UnreadableError,
    changed_keys,
    inside,
    is_need,
    is_neutral,
    loosened,
    pytest_options,
    table,
)

_WHAT = {"A": "adds", "M": "changes", "D": "deletes", "T": "changes the type of"}
_STARTUP = re.compile(r"^(?:sitecustomize|usercustomize)\.py$|\.pth$")
_RUNNERS = frozenset(
    "pytest _pytest py pluggy iniconfig packaging xdist coverage hypothesis mock nose unittest unittest2 tox nox pygments "
    "exceptiongroup tomli attr sitecustomize "
    # linters, type checkers, and what they import
    "ruff flake8 pyflakes pycodestyle pydocstyle mccabe pylint astroid dill isort black blib2to3 click pathspec platformdirs tomlkit "
    "mypy mypyc mypy_extensions typing_extensions librt pyright basedpyright nodeenv pytype pyre_check bandit stevedore yamllint "
    "yaml vulture codespell_lib pre_commit deptry interrogate ty".split()
)
_ROOTS = frozenset("src lib python test tests scripts script bin tools dev hack ci .ci docs bench examples".split()) | {
    ""
}
_SCRIPTS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_INSTALLED = frozenset({"node_modules", "site-packages", ".venv"})
_ENVIRONMENT = re.compile(
    r"\b(PYTEST_ADDOPTS|PYTEST_PLUGINS|PYTEST_DISABLE_PLUGIN_AUTOLOAD|PYTHONSTARTUP|PYTHONPATH|PYTHONWARNINGS|NODE_OPTIONS|NODE_PATH"
    r"|BASH_ENV|LD_PRELOAD|GOFLAGS|RUSTFLAGS"
    r"|RUSTC_WRAPPER|RUSTC_WORKSPACE_WRAPPER|CARGO_TARGET_\w+_RUNNER|JEST_\w+|PYTHONHOME|PYTHONOPTIMIZE|PERL5OPT|RUBYOPT"
    r"|JAVA_TOOL_OPTIONS|MAVEN_OPTS)[\"']?\]?\s*(?:[:+?]?=|:)"
)
_JS_CONFIG = re.compile(r"^\.?(?:jest|vitest|vite|mocha|mocharc|ava|karma|cypress|playwright|wdio|nyc|c8)(?:rc)?[.\-]")
_JS_KEYS = re.compile(
    r"[\"']?\b(testMatch|testRegex|testPathIgnorePatterns|modulePathIgnorePatterns|exclude|include|roots|testNamePattern"
    r"|passWithNoTests|bail|setupFiles\w*|globalSetup|globalTeardown"
    r"|testEnvironment|moduleNameMapper|resolver|runner|testRunner|reporters|transform|snapshotResolver|alias|ignore|spec|grep|fgrep"
    r"|invert|allowUncaught|forbidOnly|testDir|testIgnore"
    r"|dangerouslyIgnoreUnhandledErrors|allowOnly|retry|retries|sequence|snapshotSerializers|preset|projects|specPattern"
    r"|excludeSpecPattern)[\"']?\s*:"
)
_PARTS_OF_RUNNER = re.compile(r"^(?:pytest|tool:pytest|unittest|nosetests|aliases|test)$")
_CI_SCRIPT = re.compile(
    r"^[^\S\n]*(?:script-shell|node-options|ignore-scripts|shell-emulator|yarn-path|yarnPath|plugins)\s*[=:]"
)
_CARGO = re.compile(
    r"^[^\S\n]*(?:runner|rustc-wrapper|rustc-workspace-wrapper|harness|test|doctest|\[patch\b.*|\[replace\b.*)\s*(?:=|$)"
)
_YOURS = "make this change yourself, or name it in the task"


class Settings:
    """Refuses changed settings of checks; manifests and lock files pass to review where the task is about them."""

    name = "settings"
    family: Family = "runner"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        reasons: dict[str, list[tuple[str, int | None]]] = {}
        for change in patch.changes:
            reasons[change.path] = [*_deciding(patch, change), *_placed(patch, change)]
        for path, detail in _fewer(patch):
            reasons.setdefault(path, []).append((detail, None))
        parts = _parts(patch)
        for change in patch.changes:
            found = reasons.get(change.path, [])
            if patch.rules.strict and not found:
                yield from self._strict(patch, change, parts)
            for detail, line in dict.fromkeys(found):
                yield GuardFinding(self.name, "refuse", change.path, line, detail, _YOURS)

    def _strict(self, patch: Patch, change: Change, parts: Mapping[str, str]) -> Iterator[GuardFinding]:
        path = change.path
        if PurePosixPath(path).name == "conftest.py" or ".git" in PurePosixPath(path).parts:
            return  # the guards of conftest.py and of git's own files say more
        verb = _WHAT.get(change.status, "touches")
        if not is_setting(path):
            if change.status == "A" and (twin := _in_front_of(patch, path)):
                yield GuardFinding(
                    self.name, "review", path, None, f"stands in front of {twin}, which is imported no longer", _YOURS
                )
            if _own_glob(patch, path):
                level: Literal["refuse", "review"] = "review" if patch.rules.allow_test_edits else "refuse"
                detail = f"{verb} what verify.protect names"
                yield GuardFinding(
                    self.name, level, path, None, detail, "take it out of verify.protect, or --allow-test-edits"
                )
            elif path in parts:
                yield GuardFinding(self.name, "review", path, None, f"{verb} {parts[path]}", _YOURS)
        elif is_manifest(path):
            if change.status == "A" and _is_data(path):
                return
            yield self._manifest(patch, path, verb)
        elif not (change.status == "A" and _is_data(path)):
            yield GuardFinding(self.name, "refuse", path, None, f"{verb} a setting of the checks or of CI", _YOURS)

    def _manifest(self, patch: Patch, path: str, verb: str) -> GuardFinding:
        """A manifest that the task is about may change in what the project is and needs, not in how it is checked."""
        if path not in patch.rules.about:
            return GuardFinding(
                self.name, "refuse", path, None, f"{verb} a manifest or lock file", "name the file in the task"
            )
        try:
            keys = [
                k for k in changed_keys(table(path, patch.old(path)), table(path, patch.new(path))) if _decides(path, k)
            ]
        except UnreadableError:
            keys = []  # a format that has no parser here has no section for checks either: lock files, requirements
        if keys:
            return GuardFinding(
                self.name, "refuse", path, None, f"{verb} {'.'.join(keys[0])}, which may decide about checks", _YOURS
            )
        return GuardFinding(self.name, "review", path, None, f"{verb} what the task is about", "")


def _decides(path: str, keys: tuple[str, ...]) -> bool:
    named = PurePosixPath(path).name in {"pyproject.toml", "setup.cfg", "package.json", "Cargo.toml"}
    return named and not is_neutral(keys) and not is_need(keys)


def _own_glob(patch: Patch, path: str) -> bool:
    """A path that the user's own globs name and that holds no tests: those have guards of their own."""
    return (
        is_named(path, patch.rules.protect)
        and not is_test(path)
        and not re.search(r"^[^\S\n]*(?:async )?def test|^class \w*Test", patch.old(path), re.MULTILINE)
    )


def _parts(patch: Patch) -> dict[str, str]:
    """Path -> what it is, of all that a check runs of which nothing but the exit code is known."""
    if not (patch.rules.strict and by_exit(patch)):
        return {}
    called = dict.fromkeys(started(patch), "a program that the check calls")
    return called | dict.fromkeys(taken_in(patch), "a part of what the check runs")


def _in_front_of(patch: Patch, path: str) -> str:
    """A module that stays in the tree and that an import of its name may no longer find; "" where there is none."""
    pure = PurePosixPath(path)
    if pure.name == "__init__.py":
        others = [f"{pure.parent}.py"]
    elif pure.suffix in _SCRIPTS:
        others = [str(pure.with_suffix(suffix)) for suffix in _SCRIPTS if suffix != pure.suffix]
    else:
        return ""
    stay = set(patch.files(patched=False)) & set(patch.files())
    return next((other for other in others if other in stay), "")


def _is_data(path: str) -> bool:
    """Whether a file named like a setting lies so deep below the tests that it is data for one of them."""
    parts = PurePosixPath(path).parts[:-1]
    at = next((n for n, part in enumerate(parts) if is_test(f"{part}/x")), None)
    return at is not None and len(parts) > at + 1


def _deciding(patch: Patch, change: Change) -> Iterator[tuple[str, int | None]]:
    """What a changed setting decides otherwise than before."""
    path, name = change.path, PurePosixPath(change.path).name
    if _is_data(path):
        return
    old, new = patch.old(path), patch.new(path)
    try:
        if name in PYTEST_FILES:
            yield from _pytest(patch, path)
        if name in {"pyproject.toml", "setup.cfg", "tox.ini"} or name.endswith("package.json"):
            yield from _sections(path, table(path, old), table(path, new))
    except UnreadableError as wrong:
        if new.strip() and not _parses(path, new):
            yield str(wrong), None
    if name in {"entry_points.txt", "setup.py"}:
        fresh = [
            t for p, _, t in _added(patch, path) if re.search(r"pytest11|pytest_plugins|console_scripts.*pytest", t)
        ]
        if fresh:
            yield "registers a plugin of the test runner", None
    yield from _by_line(patch, path)
    if patch.is_setting(path) or PurePosixPath(path).suffix in {".sh", ".bash", ".env"}:
        yield from (
            (f"sets {m[1]}", n)
            for _, n, t in _added(patch, path)
            if (m := _ENVIRONMENT.search(t)) and t.strip() not in old
        )


def _by_line(patch: Patch, path: str) -> Iterator[tuple[str, int | None]]:
    """Added lines of settings that are read line by line."""
    name = PurePosixPath(path).name
    if _JS_CONFIG.match(name):
        yield from ((f"{m[1]} changed", n) for _, n, t in _added(patch, path) if (m := _JS_KEYS.search(t)))
    if name in {".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml"}:
        yield from ((f"how scripts run: {t.strip()[:60]}", n) for _, n, t in _added(patch, path) if _CI_SCRIPT.match(t))
    if name == "Cargo.toml" or ".cargo" in PurePosixPath(path).parts:
        yield from ((f"how tests run: {t.strip()[:60]}", n) for _, n, t in _added(patch, path) if _CARGO.match(t))
    if name == ".gitattributes":
        yield from ((f"a filter: {t.strip()[:60]}", n) for _, n, t in _added(patch, path) if re.search(r"\bfilter=", t))


def _added(patch: Patch, path: str) -> Iterator[tuple[str, int, str]]:
    for hunk in patch.hunks(path):
        yield from ((path, number, text[:4000]) for number, text in enumerate(hunk.new, hunk.new_start))


def _parses(path: str, text: str) -> bool:
    try:
        table(path, text)
    except UnreadableError:
        return False
    return True


def _pytest(patch: Patch, path: str) -> Iterator[tuple[str, int | None]]:
    folder = str(PurePosixPath(path).parent)
    where = "" if folder == "." else f"{folder}/"
    old_files, new_files = set(patch.files(patched=False)), set(patch.files())
    old = pytest_options({n: patch.old(where + n) for n in PYTEST_FILES if where + n in old_files})
    new = pytest_options({n: patch.new(where + n) for n in PYTEST_FILES if where + n in new_files})
    known = any(where + n in old_files for n in PYTEST_FILES)
    if known or new:
        yield from ((f"pytest: {detail}", None) for detail in loosened(old, new))


def _sections(
    path: str, old: dict[str, object] | object, new: dict[str, object] | object
) -> Iterator[tuple[str, int | None]]:
    name = PurePosixPath(path).name
    one, two = inside({"": old}, ""), inside({"": new}, "")
    for keys in changed_keys(one, two):
        dotted = ".".join(keys)
        if is_neutral(keys) or is_need(keys):
            continue
        if (
            "pytest11" in keys
            or (keys[-1] == "pytest11")
            or (name == "setup.cfg" and "entry_points" in keys and "pytest11" in str(inside(two, *keys[:-1])))
        ):
            yield f"registers a plugin of the test runner ({dotted})", None
        if name == "package.json" and keys[0] in {"jest", "mocha", "vitest", "ava", "nyc", "c8", "tap"}:
            yield f"{dotted} changed", None
        if (
            name == "package.json"
            and keys[0] == "scripts"
            and len(keys) > 1
            and keys[1] in {"pretest", "posttest"}
            and not inside(one, "scripts").get(keys[1])
        ):
            yield f"adds {keys[1]}, which runs with the tests", None
        if name == "setup.cfg" and _PARTS_OF_RUNNER.match(keys[0]) and keys[0] != "tool:pytest":
            yield f"[{keys[0]}] changed", None


def _placed(patch: Patch, change: Change) -> Iterator[tuple[str, int | None]]:
    """Files that a runner or interpreter takes in by their place alone."""
    if change.status == "D" or _is_data(change.path):
        return
    pure = PurePosixPath(change.path)
    if _STARTUP.search(pure.name):
        yield "runs whenever an interpreter starts", None
    if any(part.endswith((".dist-info", ".egg-info")) for part in pure.parts):
        yield "an installed package's metadata in the tree", None
    if change.status != "A":
        return
    if any(part in _INSTALLED for part in pure.parts[:-1]):
        yield "an installed package in the tree", None
    name = pure.parts[-2] if pure.name == "__init__.py" and len(pure.parts) > 1 else pure.stem
    above = pure.parent.parent if pure.name == "__init__.py" else pure.parent
    place = "" if str(above) == "." else above.name
    if pure.suffix not in {".py", ".so", ".pyd"} or place not in _ROOTS or place == name:
        return
    beside = f"{above}/__init__.py".removeprefix("./")
    if name in _RUNNERS or (name in sys.stdlib_module_names and beside not in set(patch.files())):
        yield f"a module in the place of {name}, which the runner imports", None


def _fewer(patch: Patch) -> Iterator[tuple[str, str]]:
    """Kinds of checks that the changed files ran and run no longer, and selections that commands have newly."""
    after: Counter[str] = Counter()
    told: dict[str, set[str]] = {}
    for change in patch.changes:
        if (
            not is_setting(change.path)
            or _is_data(change.path)
            or PurePosixPath(change.path).suffix in {".md", ".lock", ".txt"}
        ):
            continue
        make = "akefile" in change.path
        old, new = (
            runs(spread(change.path, text), make=make) for text in (patch.old(change.path), patch.new(change.path))
        )
        for kind in {r.kind for r in old} - {r.kind for r in new}:
            told.setdefault(kind, set()).add(change.path)
        after.update({r.kind for r in new})
        had = {w for r in old for w in r.words}
        for run in new:
            if chosen := [
                w
                for w in run.words
                if re.match(
                    r"^(?:--deselect|--ignore(?:-glob)?|-k|--testPathIgnorePatterns|--exclude|-skip|--skip|--noconftest)\b",
                    w,
                )
                and w not in had
            ]:
                yield change.path, f"{run.program} leaves something out now: {chosen[0]}"
    scripts = (
        c.path
        for c in patch.changes
        if c.status != "D" and not is_setting(c.path) and PurePosixPath(c.path).suffix in {".sh", ".bash", ""}
    )
    after.update(r.kind for path in scripts for r in runs(patch.new(path)))
    for kind, paths in told.items():
        if not after[kind]:
            yield from ((path, f"no longer runs {kind}") for path in sorted(paths))
