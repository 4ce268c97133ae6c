"""One check, several pytest sessions (tox and nox run as many as they are told): each read by itself, then taken together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks import tox
from zwarm_ci.checks.base import Parsed, last_words
from zwarm_ci.checks.events import fold
from zwarm_ci.checks.junit_xml import RANK, State
from zwarm_ci.checks.pytest_result import Witnesses, parse
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.task import Check, Failure

_LOADED = re.compile(rb'"event": "loaded"')
_SKIPPED = re.compile(
    r"^[^\S\n]*(?:(?P<tox>\S+): SKIP \(|SKIPPED:\s+(?P<old>\S+): InterpreterNotFound|(?:nox > )?\* (?P<nox>\S+): skipped)",
    re.MULTILINE,
)
_STATES: tuple[State, ...] = ("passed", "failed", "skipped")
_LAST = 4000  # characters in which a tool sums up


def split(events: bytes) -> list[bytes]:
    """The probe's lines, session by session."""
    parts: list[list[bytes]] = []
    for line in events.split(b"\n"):
        if _LOADED.search(line) and _is_loaded(line):
            parts.append([])
        if parts:
            parts[-1].append(line)
    return [b"\n".join(part) for part in parts]


def _is_loaded(line: bytes) -> bool:
    try:
        return bool(json.loads(line.partition(b"\t")[0])["event"] == "loaded")
    except (ValueError, KeyError, TypeError):
        return False


def together(parts: Sequence[Witnesses], whole: Witnesses, *, check: Check, cwd: Path, tree: Path) -> Parsed:
    """The result of a check of which `parts` are the sessions and `whole` is what it printed and how it ended."""
    if not parts:
        missing = "" if whole.timed_out else tox.trouble(whole.text)
        return Parsed(trouble=missing) if missing else parse(whole, check=check, cwd=cwd, tree=tree)
    results = [parse(_ended(part), check=check, cwd=cwd, tree=tree) for part in parts]
    ran = [r for r in results if not r.trouble.startswith("check: no tests ran")] or results
    merged = _merged(ran)
    if merged.trouble or whole.timed_out:
        return merged
    if missing := _left_out(whole.text):
        return replace(merged, trouble=missing)
    if whole.code and not merged.failed:
        return _failed_as_a_whole(merged, whole, check)
    if whole.code == 0 and merged.failed:
        said = f"the command ended with 0 though {len(merged.failed)} tests failed (its settings ignore the outcome)"
        return replace(merged, trouble=f"runner: {said}")
    return replace(merged, exit_code=1 if merged.failed else 0)


def _left_out(text: str) -> str:
    """Trouble where one of several sessions did not come to its tests."""
    skipped = _SKIPPED.search(text[-_LAST:])
    said = (
        f"cell: session {next(filter(None, skipped.groups()))} was skipped here (its log says why)" if skipped else ""
    )
    return tox.trouble(text) or said


def _ended(part: Witnesses) -> Witnesses:
    """A session as if it were a process of its own: how that ended is what it said of itself, if it came so far."""
    finish = fold(part.events, part.key).finish
    return replace(part, code=int(finish["exit"]), timed_out=False) if finish else part


def _merged(results: Sequence[Parsed]) -> Parsed:
    states: dict[str, State] = {}
    failures: dict[str, Failure] = {}
    for result in results:
        for state in _STATES:
            for test_id in getattr(result, state):
                if test_id not in states or RANK[state] > RANK[states[test_id]]:
                    states[test_id] = state
        for failure in result.failures:
            failures.setdefault(failure.id, failure)
    canaries = {r.canary for r in results}

    def ids(state: State) -> tuple[str, ...]:
        return tuple(i for i, found in states.items() if found == state)

    return Parsed(
        ids("passed"), ids("failed"), ids("skipped"), tuple(failures.values()),
        next((r.trouble for r in results if r.trouble), ""), None, False if False in canaries else None if None in canaries else True,
        _union(r.foreign for r in results), _everywhere(results), _union(r.shadowed for r in results),
        _union(r.altered for r in results), _lines(results), _union(r.undoomed for r in results),
    )  # fmt: skip


def _union(values: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v for group in values for v in group))


def _lines(results: Sequence[Parsed]) -> dict[str, tuple[int, ...]]:
    """What ran in any session, of paths that every one of them knows."""
    known = [path for path in results[0].lines if all(path in r.lines for r in results)] if results else []
    return {path: tuple(sorted({n for r in results for n in r.lines[path]})) for path in known}


def _everywhere(results: Sequence[Parsed]) -> tuple[str, ...]:
    """Modules that no session failed to collect."""
    failed = {i for r in results for i in r.failed}
    return tuple(m for m in _union(r.modules for r in results) if m not in failed)


def _failed_as_a_whole(merged: Parsed, whole: Witnesses, check: Check) -> Parsed:
    """Every test passed, and another command of the session did not (a coverage limit, a doctest, a linter)."""
    test_id = f"{check.name}::exit"
    failure = Failure(check.name, test_id, last_words(whole.text), reduce_log(whole.text), shape="exit")
    modules = tuple(m for m in merged.modules if m != test_id)
    return replace(
        merged, failed=(*merged.failed, test_id), failures=(*merged.failures, failure), modules=modules, exit_code=1
    )
