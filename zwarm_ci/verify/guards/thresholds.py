"""Thresholds of coverage, lint and type settings, read as data: only what makes a check see or ask less is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.protected import is_test
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.reading.tools import Flat, Value, is_tool_file, settings_of


def _keys(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns), re.IGNORECASE)


#: A smaller number, or none, asks for less.
_LOWER = _keys(
    r"(?:^|\.)fail[_-]under$", r"(?:coverageThreshold|thresholds?)\..*(?:branches|functions|lines|statements|perFile|100)$",
    r"^(?:nyc|c8)\.(?:branches|functions|lines|statements)$", r"^codecov\..*\.target$", r"^vulture\.min_confidence$",
    r"^vitest\..*coverage\.(?:branches|functions|lines|statements)$",
)  # fmt: skip
#: A greater number lets more through.
_RAISE = _keys(
    r"(?:max|line)[_-](?:line[_-]length|complexity|length|args|branches|returns|statements|locals|attributes|bool-expr|nested-blocks|doc-length|public-methods)$",
    r"^ruff\.line-length$", r"^ruff\.lint\.pylint\.max-", r"^codecov\..*\.threshold$", r"\.(?:retry|retries|testTimeout|hookTimeout)$",
    r"^clippy\..*threshold", r"^golangci\..*(?:min-complexity|max-complexity|line-length)$", r"\.maxWarnings$", r"^mocha\.timeout$",
    r"^ava\.timeout$",
)  # fmt: skip
#: More entries leave more out.
_GROW = _keys(
    r"(?:^|\.)(?:extend[_-])?(?:exclude|ignore|omit)s?$", r"^coverage\.report\.(?:exclude_lines|exclude_also|partial_branches|omit)$",
    r"per-file-ignores", r"^pylint\..*disable$",
    r"^pylint\..*ignore(?:-paths|-patterns)?$", r"disable_error_code$",
    r"(?:testPathIgnorePatterns|coveragePathIgnorePatterns|modulePathIgnorePatterns|ignorePatterns|ignores)$",
    r"^\.\w+ignore$", r"^golangci\..*(?:exclude\w*|exclude-\w+|disable|skip-dirs|skip-files|rules|paths)$",
    r"^bandit\..*(?:skips|exclude_dirs)$", r"^codecov\.ignore$",
    r"exclude_(?:lines|also)$",
)  # fmt: skip
#: Fewer entries look at less.
_SHRINK = _keys(
    r"^ruff\.lint\.(?:extend-)?select$", r"^flake8\.(?:extend-)?select$", r"^pylint\..*enable$",
    r"^mypy\.(?:files|packages|enable_error_code)$", r"^pyright\.include$",
    r"^golangci\.linters\.enable$", r"^tsconfig[^.]*\.json\.(?:include|files)$", r"^coverage\.run\.(?:source|source_pkgs|include)$",
    r"(?:eslint|oxlint)\.(?:extends|plugins)$",
    r"collectCoverageFrom$", r"(?:coverage\.include|testMatch)$",
)  # fmt: skip
#: Switched off, or away, asks for less.
_OFF = _keys(
    r"^mypy\.(?:for [^ ]+\.)?(?:strict|strict_\w+|disallow_\w+|check_untyped_defs|no_implicit_\w+|warn_\w+|extra_checks|local_partial_types)$",
    r"\.compilerOptions\.(?:strict\w*|noImplicit\w*|noUnused\w*|noUnchecked\w*|noFallthrough\w*|exactOptional\w*|noPropertyAccess\w*|alwaysStrict|useUnknownInCatchVariables)$",
    r"^coverage\.run\.branch$", r"(?:checkCoverage|check-coverage|failOnWarning|perFile|reportUnusedDisableDirectives|forbidOnly)$",
    r"^pyright\.(?:strict\w+)$",
    r"^golangci\.linters\.enable-all$", r"^biome\..*(?:enabled|recommended)$",
)  # fmt: skip
#: Switched on lets more through.
_ON = _keys(
    r"^mypy\.(?:for [^ ]+\.)?(?:ignore_errors|ignore_missing_imports|allow_\w+|implicit_\w+)$",
    r"\.compilerOptions\.(?:skipLibCheck|noCheck|allowUnreachableCode|allowUnusedLabels|suppress\w*)$",
    r"(?:passWithNoTests|dangerouslyIgnoreUnhandledErrors|allowOnly|skipFull|ignore_errors|pass-with-no-tests)$",
    r"^golangci\.linters\.disable-all$",
)  # fmt: skip
#: How loud a rule is.
_SEVERITY = _keys(
    r"^(?:eslint|oxlint|xo|tslint)\..*rules\.",
    r"^biome\..*\.rules\.",
    r"^cargo\.lints\.",
    r"^pyright\.report\w+$",
    r"^pyright\.typeCheckingMode$",
    r"^mypy\..*follow_imports$",
)
_LOUD: dict[str, int] = {
    "off": 0, "0": 0, "0.0": 0, "none": 0, "allow": 0, "false": 0, "skip": 0, "silent": 1, "info": 1, "information": 1,
    "basic": 1, "warn": 1, "1": 1, "1.0": 1, "warning": 1, "standard": 2,
    "error": 3, "2": 3, "2.0": 3, "deny": 3, "true": 3, "strict": 3, "normal": 3, "on": 3, "forbid": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Looser:
    """One setting that asks for less than before."""

    key: str
    detail: str


class Thresholds:
    """Refuses settings of coverage, lint and types that see or ask less than the base's."""

    name = "thresholds"
    family: Family = "thresholds"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        # Settings among a test's data are no settings of this repository; a strict verification leaves that to nobody's judgement.
        files = [c.path for c in patch.changes if is_tool_file(c.path) and (patch.rules.strict or not is_test(c.path))]
        before: dict[str, Flat] = {}
        after: dict[str, Flat] = {}
        for path in files:
            folder = PurePosixPath(path).parent.as_posix()
            old, new = (settings_of(path, text) if text else {} for text in (patch.old(path), patch.new(path)))
            if new is None and old is not None:
                yield GuardFinding(
                    self.name,
                    "refuse",
                    path,
                    None,
                    "settings of a check cannot be read any more",
                    "repair the file yourself",
                )
            if old is None or new is None:
                continue
            before[folder] = _joined(before.get(folder, {}), old)
            after[folder] = _joined(after.get(folder, {}), new)
        for folder, old in before.items():
            if not _stands(patch, folder):
                continue
            missing = frozenset(patch.files(patched=False)) - frozenset(patch.files())
            for found in looser(_present(old, folder, missing), after[folder], people=not patch.rules.strict):
                path, line = _place(
                    patch, [f for f in files if PurePosixPath(f).parent.as_posix() == folder], found.key
                )
                yield GuardFinding(
                    self.name, "refuse", path, line, f"{found.key}: {found.detail}", "change this setting yourself"
                )


def _joined(one: Flat, other: Flat) -> Flat:
    """Settings of two files of a folder; lists of both count."""
    both = dict(one)
    for key, value in other.items():
        was = both.get(key)
        both[key] = (*was, *value) if isinstance(was, tuple) and isinstance(value, tuple) else value
    return both


def _stands(patch: Patch, folder: str) -> bool:
    """Whether a folder was there before and is there still; a package that comes, goes or moves brings its settings along."""
    prefix = "" if folder == "." else f"{folder}/"
    return all(any(f.startswith(prefix) for f in patch.files(patched=p)) for p in (False, True))


def _place(patch: Patch, files: list[str], key: str) -> tuple[str, int | None]:
    """Where a setting stands now: the added line that has the last part of its name."""
    last = key.rpartition(".")[2]
    spelled = {last, last.replace("_", "-"), last.replace("-", "_")}
    for path in files:
        for hunk in patch.hunks(path):
            for number, text in enumerate(hunk.new, hunk.new_start):
                if any(word in text for word in spelled):
                    return path, number
    return next((f for f in files if any(word in patch.old(f) for word in spelled)), files[0]), None


def _present(settings: Flat, folder: str, missing: frozenset[str]) -> Flat:
    """The settings without entries that name a file which the patch takes away."""
    prefix = "" if folder == "." else f"{folder}/"
    return {
        key: tuple(word for word in value if f"{prefix}{word}" not in missing) if isinstance(value, tuple) else value
        for key, value in settings.items()
    }


def looser(old: Mapping[str, Value], new: Mapping[str, Value], *, people: bool = False) -> Iterator[Looser]:
    """Every setting that asks for less in `new` than in `old`.

    Of `people`, a tool that comes with its first settings and a list that is rewritten without growing are nothing.
    """
    tools = {key.partition(".")[0] for key in old}
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        if (
            people
            and key.strip(".").partition(".")[0] not in {t for tool in tools for t in (tool, tool.strip("."))}
            and was is None
        ):
            continue
        if (
            people
            and isinstance(was, tuple)
            and isinstance(now, tuple)
            and len(was) == len(now)
            and not _SEVERITY.search(key)
        ):
            continue
        if was != now and (detail := _less(key, was, now)):
            yield Looser(key, detail)


def _less(key: str, was: Value | None, now: Value | None) -> str:
    """Why a change of a setting loosens it; empty where it does not."""
    if _SEVERITY.search(key):
        return _quieter(was, now)
    if isinstance(was, tuple) or isinstance(now, tuple):
        return _listed(key, *(_words(v) for v in (was, now)))
    if _LOWER.search(key):
        a, b = _number(was), _number(now)
        return f"lowered from {_said(was)} to {_said(now)}" if a is not None and (b is None or b < a) else ""
    if _RAISE.search(key):
        a, b = _number(was), _number(now)
        return (
            f"raised from {_said(was)} to {_said(now)}"
            if b is not None and (a is not None or "retr" in key) and b > (a or 0)
            else ""
        )
    if _OFF.search(key):
        return "switched off" if now is False or (was is True and now is None) else ""
    if _ON.search(key):
        return "switched on" if now is True else ""
    if _GROW.search(key) or _SHRINK.search(key):
        return _listed(key, *(_words(v) for v in (was, now)))
    return ""


def _words(value: Value | None) -> set[str]:
    if value is None or isinstance(value, bool | float):
        return set()
    return set(re.split(r"[,\s]+", value.strip())) - {""} if isinstance(value, str) else set(value)


def _listed(key: str, was: set[str], now: set[str]) -> str:
    more, fewer = sorted(now - was), sorted(was - now)
    if _SHRINK.search(key):
        return (
            f"no longer {', '.join(fewer[:5])}"
            if fewer and not any(_wider(word, now) for word in fewer) and (now or "select" in key or "enable" in key)
            else ""
        )
    if _GROW.search(key) and "select" not in key:
        more = [word for word in more if not any(_wider(word, {old}) for old in was)]
        return f"now also {', '.join(more[:5])}" if more else ""
    return ""


def _wider(word: str, others: set[str]) -> bool:
    """Whether one of the others says the word and more: `ALL`, `E` for `E501`, a folder for what is in it."""
    return any(
        o in {"ALL", "*", "**/*"} or (o != word and word.startswith(o) and (o.isalnum() or o.endswith("/")))
        for o in others
    )


def _quieter(was: Value | None, now: Value | None) -> str:
    a, b = _loudness(was), _loudness(now)
    if b is not None and b < (a if a is not None else 3 if was is not None else 1):
        return f"{_said(was)} before, {_said(now)} now"
    return "no longer an error" if a is not None and a >= 3 and now is None else ""


def _loudness(value: Value | None) -> int | None:
    """0 = off, 3 = an error; None = not set or unknown."""
    first = value[0] if isinstance(value, tuple) and value else value
    return None if first is None or isinstance(first, tuple) else _LOUD.get(str(first).strip('"').lower())


def _number(value: Value | None) -> float | None:
    if isinstance(value, bool):
        return 100.0 if value else 0.0
    if isinstance(value, str):
        found = re.match(r"\s*(\d{1,9}(?:\.\d+)?)", value)
        return float(found[1]) if found else None
    return value if isinstance(value, float) else None


def _said(value: Value | None) -> str:
    if value is None:
        return "not set"
    return (
        ", ".join(value[:3]) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
    )
