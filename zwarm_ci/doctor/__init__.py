"""What a run has here, what clean worktrees lack, and the settings that would supply it."""

from __future__ import annotations

import contextlib
import json
import secrets
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci import baseline as before
from zwarm_ci import confine, environment, equipment, inplace, proc, selection, site
from zwarm_ci.baseline import Baseline
from zwarm_ci.budget import Ledger
from zwarm_ci.config import Settings, dotted, toml
from zwarm_ci.detect import derive_kind, detect, managers
from zwarm_ci.detect.base import Tree
from zwarm_ci.environment import Environment
from zwarm_ci.errors import BlockedError
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.selection import Request
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import Check, usual_files
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import CheckResult

_SHOWN = 3  # ids named for one lack
_EVERYTHING = ("pytest", "mypy", "ruff", "xdist", "tox", "nox")


@dataclass(slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        facts: (topic, line) of what is here.
        notes: why each check was chosen, and what was seen but cannot run.
        results: of the checks in a clean worktree of what stands in the checkout; empty = none ran.
        lacks: (check, ids, why) of what is red for the environment's sake.
        config: TOML to paste; "" = there is nothing to configure.
        checks: those that were found or configured, and those that there would be with what lacks.
        settings: those in force.
        able: some check can be believed here.
    """

    facts: list[tuple[str, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    results: tuple[CheckResult, ...] = ()
    lacks: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)
    config: str = ""
    checks: tuple[Check, ...] = ()
    settings: Settings = Settings()
    able: bool = False

    @property
    def exit_code(self) -> int:
        """0 = nothing lacks, 1 = something does, 4 = no check can run."""
        return 4 if not self.able else 1 if self.lacks else 0


def examine(request: Request, tell: before.Tell, *, quick: bool = False, machine: bool = True) -> Diagnosis:
    """Look at the repository; unless `quick`, also run its checks in a clean worktree and compare with the checkout.

    With `machine`, also at what is here for paid work. It asks the gateway that has our keys, which then ends: who wants to know
    later what they would pay for leaves it out.

    Raises:
        UsageError, BlockedError, ConfigError: as a run would. InterruptedRunError: it was stopped.
    """
    user = open_repository(request.directory)
    found = Diagnosis()
    with proc.stoppable(), site.workshop(user) as (scratch, private):
        base, found.settings = selection.base_and_settings(request, private)
        settings = found.settings
        means = confine.means()
        _say_what_is_here(found, means, user.top.resolve(), scratch, user.folders)
        if machine:
            found.facts += equipment.facts(settings, user, lambda path: private.read(base, path))
        with contextlib.closing(Surroundings(secrets.token_hex(4), means)) as surroundings:
            ledger = Ledger(settings.budget.minutes, settings.budget.check_minutes)
            trees = Trees(Furnisher(private, base, tell), surroundings, scratch, ledger, scratch / "logs")
            checks = _choose(found, request, settings, trees, base)
            wanted = () if settings.checks else _not_installed(found, trees, base, checks)
            proposals: tuple[tuple[str, str], ...] = ()
            if checks and not quick:
                environment.adopt_variables(user.top, checks)
                told = before.establish(
                    trees, checks, base, user, reruns=settings.verify.reruns, same_as_tree=True, tell=tell
                )
                proposals = told.proposals
                _judge(found, checks, told)
            found.able = bool(checks) and (quick or any(not r.trouble for r in found.results))
            found.checks = (*checks, *wanted)
            found.config = block(found.checks, proposals)
    return found


def _say_what_is_here(found: Diagnosis, means: confine.Means, top: Path, scratch: Path, more: Sequence[Path]) -> None:
    found.facts.append(("network", f"{'on' if means.name == 'none' else 'off'} for verification: {means.why}"))
    refused = confine.no_overlay(top, scratch / "cover", *more)
    where = (
        "under a cover that takes all writes"
        if not refused
        else "in this CI checkout"
        if inplace.is_disposable()
        else ""
    )
    found.facts.append(
        ("in place", f"what is red is compared with the checkout {where}" if where else f"not compared: {refused}")
    )


def _choose(found: Diagnosis, request: Request, settings: Settings, trees: Trees, base: str) -> tuple[Check, ...]:
    try:
        checks, found.notes = selection.look(request, settings, trees, base)
    except BlockedError as error:
        found.notes = (error.line,)
        return ()
    return checks


def _not_installed(found: Diagnosis, trees: Trees, base: str, checks: Sequence[Check]) -> tuple[Check, ...]:
    """Tests that there would be if the environment had their runner, with the set-up that makes it."""
    prepared = trees.fresh(base, (), "look")

    def complete(workdir: str) -> Environment:
        env = trees.furnisher.env_of(workdir)
        return replace(env, python=env.python or "python3", modules=_EVERYTHING)

    possible, _ = detect(prepared.path, complete)
    made = []
    for check in possible:
        if not check.is_test or any(c.is_test and c.workdir == check.workdir for c in checks):
            continue
        manager = managers.of(Tree(prepared.path), check.workdir)
        if manager is None or not manager.setup(check.workdir):
            continue
        made.append(replace(check, setup=manager.setup(check.workdir)))
        why = f"environment: nothing here can run it; `{made[-1].setup}` would make what it needs ({manager.why})"
        found.lacks.append((check.name, (), why))
    trees.discard(prepared)
    return tuple(made)


def _judge(found: Diagnosis, checks: Sequence[Check], told: Baseline) -> None:
    found.results = told.results
    found.notes = (*found.notes, *told.notes)
    reasons: dict[tuple[str, str], list[str]] = {}
    for (name, test_id), why in (*told.environment.items(), *told.hidden.items()):
        reasons.setdefault((name, why), []).append(test_id)
    for check in checks:
        result = told.result(check.name)
        if result.trouble and (check.name, "") not in told.environment:
            reasons[(check.name, result.trouble)] = []
    found.lacks += [(name, tuple(filter(None, ids)), why) for (name, why), ids in reasons.items()]


def block(checks: Iterable[Check], proposals: Iterable[tuple[str, str]]) -> str:
    """Settings that name the checks as they are, with what was proposed for them; TOML."""
    added: dict[str, dict[str, Any]] = {}
    for name, text in proposals:
        for key, value in _flat(tomllib.loads(text)):
            known = added.setdefault(name, {}).get(key)
            added[name][key] = [*known, *(v for v in value if v not in known)] if isinstance(known, list) else value
    return "\n".join(_table(check, added.get(check.name, {})) for check in checks)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _table(check: Check, added: Mapping[str, Any]) -> str:
    kind = derive_kind(check.run)
    plain = Check(check.name, check.run, kind, files=usual_files(kind, check.workdir))
    said: dict[str, Any] = {"run": check.run}
    for key in (
        "kind",
        "workdir",
        "timeout",
        "files",
        "fix",
        "setup",
        "env",
        "include",
        "services.up",
        "services.down",
        "exclusive",
        "network",
        "isolation",
    ):
        value = getattr(check, key.replace(".", "_"))
        if value != getattr(plain, key.replace(".", "_")):
            said[key] = list(value) if isinstance(value, tuple) else value
    for key, value in added.items():
        said[key] = [*said.get(key, []), *value] if isinstance(value, list) else value
    title = dotted(("checks", check.name))
    return f"[{title}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in said.items())


def as_text(found: Diagnosis) -> str:
    """What a person reads; the block to paste comes last."""
    width = max((len(topic) for topic, _ in found.facts), default=0)
    lines = [f"{topic:<{width}}  {line}" for topic, line in found.facts]
    lines += ["", "Checks", *(f"  {note}" for note in found.notes)]
    if found.results:
        lines += ["", "In a clean worktree"]
        for result in found.results:
            counts = f"{len(result.passed)} passed, {len(result.failed)} failed, {len(result.skipped)} skipped"
            lines.append(
                f"  {result.name}: {'cannot be believed' if result.trouble else counts} ({result.seconds:.1f} s)"
            )
    if found.lacks:
        lines += ["", "What a clean worktree lacks"]
        for check, ids, why in found.lacks:
            more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            named = f" ({', '.join(ids[:_SHOWN])}{more})" if ids else ""
            lines.append(f"  {check}{named}: {why}")
    elif found.results:
        lines += ["", "Nothing lacks: what is red there is red here."]
    if found.config:
        said = "To supply it" if found.lacks else "To keep to these checks whatever is detected later"
        lines += ["", f"{said}, put this into .zwarm/config.toml and commit it:", "", found.config.rstrip()]
    return "\n".join(lines) + "\n"


def as_json(found: Diagnosis) -> str:
    """The same as one JSON document."""
    document = {
        "schema": 1,
        "facts": [{"topic": topic, "line": line} for topic, line in found.facts],
        "notes": list(found.notes),
        "checks": [
            {"name": r.name, "command": r.command, "passed": len(r.passed), "failed": list(r.failed), "skipped": len(r.skipped),
             "seconds": r.seconds, "trouble": r.trouble}
            for r in found.results
        ],
        "lacks": [{"check": check, "ids": list(ids), "why": why} for check, ids, why in found.lacks],
        "config": found.config,
        "exit_code": found.exit_code,
    }  # fmt: skip
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
