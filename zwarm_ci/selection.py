"""From what was asked and what the base says to what will be run: the checks, the ladder, whether reverts are offered."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from zwarm_ci import checks as check_room
from zwarm_ci import detect as detection
from zwarm_ci import surround
from zwarm_ci.baseline import Baseline
from zwarm_ci.checks import tox
from zwarm_ci.config import Settings
from zwarm_ci.detect.base import EnvOf
from zwarm_ci.environment import listed_in
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.executors.base import Conduct, Workbench
from zwarm_ci.git import Repository
from zwarm_ci.loop import Shop
from zwarm_ci.past import NEW, Past
from zwarm_ci.plan import make_tasks, named, task_in_words
from zwarm_ci.private import PrivateRepository
from zwarm_ci.protected import files_of_tests
from zwarm_ci.scrub import decode
from zwarm_ci.settings import load
from zwarm_ci.site import Site
from zwarm_ci.staffing import Means
from zwarm_ci.task import TEST_KINDS, Check, Task
from zwarm_ci.till import Rung, Till
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import CheckResult, TaskOutcome
from zwarm_ci.verify.guards import Rules
from zwarm_ci.verify.judge import Court

_SHOWN = 5  # built files that a note names
_USUAL_DEFAULTS = ("main", "master", "trunk")


class Asked(Protocol):
    """What somebody else asked for, such as an issue; who may be heard of those who spoke is a matter of the base's settings."""

    def declined(self, settings: Settings) -> TaskOutcome | None:
        """The end of it where no session is to be started; None = it is a task."""
        ...

    def task(self, settings: Settings, checks: Sequence[Check], own: str) -> Task:
        """The task; `own` is the check that is to run the test which proves it."""
        ...

    def notes(self, settings: Settings) -> tuple[str, ...]:
        """Lines for the report."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One `fix-tests` or `fix-checks`, as a person or a workflow asked for it.

    Attributes:
        command: the command's name, for the record.
        directory: where the repository is.
        tests_only: run the test checks alone.
        names: checks to run; empty = all.
        targets: ids, files or folders to keep to; empty = all.
        commands: `--check`: commands that replace the configured checks.
        source: `--from`: worktree, index or head; `base` names a commit instead.
        parallel: tasks at once; 0 = the number of cores, at most 4.
        words: `run --task`: what is to be done; "" = repair what is red.
        asked: `fix-issue`: what somebody else asked for; its patch must come with a test that proves it.
        means: for paid work.
        revert: whether undoing somebody's lines is offered, where that was decided elsewhere; None = see `may_revert`.
    """

    command: str
    directory: Path
    tests_only: bool = False
    names: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    source: str = "worktree"
    base: str = ""
    branch: str = ""
    apply: bool = False
    last_green: str = ""
    allow_revert: bool = False
    max_tasks: int = 0
    parallel: int = 0
    strict_flaky: bool = False
    config_file: Path | None = None
    sets: tuple[str, ...] = ()
    words: str = ""
    asked: Asked | None = None
    means: Means = Means()
    revert: bool | None = None

    @property
    def at_once(self) -> int:
        """How many tasks are worked on at the same time."""
        return self.parallel or min(4, os.cpu_count() or 1)


def base_and_settings(request: Request, private: PrivateRepository) -> tuple[str, Settings]:
    """The commit that is looked at or repaired, and the settings as its files have them.

    Raises:
        UsageError: no commit has that name. BlockedError: a merge is not resolved. ConfigError: the settings are wrong.
    """
    base = private.user.commit_of(request.base) if request.base else private.snapshot(request.source)
    return base, load(lambda path: private.read(base, path), base[:12], request.config_file, request.sets)


def look(request: Request, settings: Settings, trees: Trees, base: str) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks of a run, chosen in a clean worktree of its base, and the lines that say why and with what they run.

    Raises:
        BlockedError, UsageError: see `choose_checks`.
    """
    prepared = trees.fresh(base, (), "look")
    env_of = trees.furnisher.env_of
    checks, notes = choose_checks(request, settings, prepared.path, env_of, trees.repo.user.prefix)
    checks, serial = surround.serialised(tuple(map(_installing, checks)), prepared.path)
    trees.discard(prepared)
    envs = dict.fromkeys(env_of(c.workdir) for c in checks)
    built = (
        f"not in git, taken from the checkout, where an install made it: {p}" for e in envs for p in e.built[:_SHOWN]
    )
    return checks, (*notes, *serial, *dict.fromkeys(e.note for e in envs), *dict.fromkeys(built))


def _installing(check: Check) -> Check:
    """Tox and nox install while they run, into environments that are shared: with the network, one at a time."""
    return replace(check, network=True, exclusive=True) if tox.tool_of(check_room.argv_of(check.run)[0]) else check


def choose_checks(
    request: Request, settings: Settings, tree: Path, env_of: EnvOf, prefix: str = ""
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks of a run in the order in which they run, and a line for each that says why.

    `prefix` is the folder that we were called in, relative to the top: where it has checks of its own, just those.

    Raises:
        BlockedError: there is none.
        UsageError: a name is unknown.
    """
    notes: tuple[str, ...] = ()
    if request.commands:
        chosen = tuple(_given(number, command, settings) for number, command in enumerate(request.commands, 1))
        notes = tuple(f"{c.name}: {c.run} (--check, kind {c.kind})" for c in chosen)
    elif settings.checks:
        chosen = settings.checks
        notes = tuple(f"{c.name}: {c.run} (configured)" for c in chosen)
    else:
        chosen, notes = detection.detect(tree, env_of)
    if unknown := sorted(set(request.names) - {c.name for c in chosen}):
        known = ", ".join(c.name for c in chosen) or "none"
        raise UsageError(f"no check is called {unknown[0]!r}", remedy=f"known: {known}")
    chosen = tuple(c for c in chosen if not request.names or c.name in request.names)
    if request.tests_only and not request.commands:
        chosen = tuple(c for c in chosen if c.is_test)
    if not request.names and (own := tuple(c for c in chosen if prefix and _lies_in(c.workdir, prefix))):
        chosen = own
    if not chosen:
        what = "tests" if request.tests_only else "checks"
        raise BlockedError(
            f"no {what} were found here",
            remedy="name one: --check CMD, or [checks.tests] run = … in .zwarm/config.toml",
        )
    for check in chosen:
        for command in filter(None, (check.run, check.fix, check.setup)):
            check_room.argv_of(command)
    return chosen, notes


def _lies_in(folder: str, prefix: str) -> bool:
    return folder == prefix or folder.startswith(f"{prefix}/")


def _given(number: int, command: str, settings: Settings) -> Check:
    """A check of a command line; where settings know the same command, theirs is used whole."""
    if same := next((c for c in settings.checks if c.run == command), None):
        return same
    kind = detection.derive_kind(command)
    fix = "ruff check --fix ." if kind == "ruff" else ""
    name = kind if number == 1 else f"{kind}{number}"
    return Check(name, command, kind, fix=fix, why="--check")


def may_revert(request: Request, user: Repository, environ: Mapping[str, str]) -> bool:
    """Whether undoing somebody's lines is offered as a patch rather than only named.

    It is on a protected or the default branch, where the author is done; when asked for; and when a person named the last green
    commit by hand.
    """
    if request.revert is not None:
        return request.revert
    if request.allow_revert or request.last_green or environ.get("GITHUB_REF_PROTECTED") == "true":
        return True
    branch = user.branch or environ.get("GITHUB_HEAD_REF") or environ.get("GITHUB_REF_NAME") or ""
    return bool(branch) and branch in default_branches(user)


def default_branches(user: Repository) -> Sequence[str]:
    """Names of the default branch: what the remote says, else what is usual."""
    remote = user.git.ask("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    if remote:
        return (remote.partition("/")[2],)
    configured = user.git.ask("config", "init.defaultBranch")
    return tuple(filter(None, (configured, *_USUAL_DEFAULTS)))


def same_as_tree(request: Request) -> bool:
    """Whether the base of the run is what stands in the checkout."""
    return request.source == "worktree" and not request.base


def built_for(request: Request, site: Site, base: str) -> str:
    """The commit that the checkout stands at: what an install built there belongs to it."""
    return base if same_as_tree(request) else site.user.head


def branch_name(request: Request, run: str) -> str:
    """The new branch's name."""
    return request.branch or f"zwarm-ci/{request.command}-{run}"


def with_last_green(request: Request, user: Repository) -> Request:
    """The request with `--last-green` as a full commit id.

    Raises:
        UsageError: there is no such commit.
    """
    return replace(request, last_green=user.commit_of(request.last_green)) if request.last_green else request


def court(trees: Trees, settings: Settings, base: str, checks: tuple[Check, ...], baseline: Baseline) -> Court:
    """The court of a run: guards and runs by the settings of the base. What executors make is always looked at strictly."""
    verify = settings.verify
    found = replace(rules(settings, checks, trees.repo, base, baseline.results), strict=True)
    return Court(trees, base, checks, baseline, found, verify.reruns, verify.burn_in)


def rules(
    settings: Settings, checks: Sequence[Check], repo: PrivateRepository, base: str, results: Sequence[CheckResult]
) -> Rules:
    """What guards obey; files in which tests that ran are defined are tests, whatever their names."""
    verify = settings.verify
    listed = listed_in(decode(repo.read(base, ".worktreeinclude") or b""))
    included = tuple(glob.strip("/") for glob in (*listed, *(g for check in checks for g in check.include)))
    ran = (i for r in results for i in (*r.passed, *r.failed, *r.skipped))
    files = repo.files(base)
    tests = files_of_tests(ran, files, lambda path: repo.read(base, path))
    scripts = [s for c in checks for command in filter(None, (c.run, c.setup)) if (s := _script(c, command)) in files]
    scripts += [s for c in checks for s in _called(c, lambda path: decode(repo.read(base, path) or b"")) if s in files]
    return Rules(
        (*verify.protect, *tests, *scripts),
        verify.allow_test_edits,
        verify.max_files,
        verify.max_lines,
        included,
        verify.strict,
    )


def _script(check: Check, command: str) -> str:
    """The path that a command starts as a program, whether by itself or by an interpreter; "" where it starts none."""
    words = check_room.argv_of(command)[0]
    if re.match(r"(python|node|bash|sh|zsh|ruby|perl|deno|bun)[\d.]*$", posixpath.basename(words[0])):
        words = words[1:]
    if not words or words[0].startswith("-"):
        return ""
    return posixpath.normpath(posixpath.join(check.workdir, words[0]))


#: A line that is one call of a shell script, whose exit code is the line's; not one that is piped or compared.
_CALL = re.compile(
    r"^[@-]*\s*(?:(?:ba|da|z)?sh\s+(?:-\w+\s+)*)?(?P<script>[\w./-]+\.(?:sh|bash)|\./[\w./-]+)(?:\s+[\w./=-]+)*\s*$"
)


def _called(check: Check, read: Callable[[str], str]) -> Iterator[str]:
    """Paths of the scripts that a Makefile's recipe calls, where the check's command is the name of that recipe."""
    words = check_room.argv_of(check.run)[0]
    if posixpath.basename(words[0]) not in {"make", "gmake"}:
        return
    recipe = False
    for line in read(posixpath.normpath(posixpath.join(check.workdir, "Makefile"))).splitlines():
        if line.startswith("\t"):
            if recipe and (called := _CALL.match(line[1:])):
                yield posixpath.normpath(posixpath.join(check.workdir, called["script"]))
        elif line.strip():
            recipe = line.partition(":")[0].strip() in words[1:]


def able(request: Request, rungs: tuple[Rung, ...], notes: Sequence[str]) -> tuple[Rung, ...]:
    """The rungs that can do what was asked for: what is said in words needs a model. `notes` say why others were left out.

    Raises:
        BlockedError: none can.
    """
    if not (request.words or request.asked):
        return rungs
    if found := tuple(r for r in rungs if not r.executor.deterministic):
        return found
    why = f"no rung of the ladder takes a task in words: {', '.join(r.name for r in rungs)} repairs red checks alone"
    raise BlockedError("; ".join((why, *notes)), remedy="name one with a model: --executor codex, or claude")


def tasks(request: Request, site: Site, settings: Settings, court: Court) -> tuple[Task, ...]:
    """What there is to do: what somebody asked for, or what is red, grouped by cause.

    Raises:
        BlockedError: it has to be proven by a test, and no test can be run.
    """
    if request.asked:
        told = [c.name for c in court.checks if c.kind in TEST_KINDS and not court.baseline.result(c.name).trouble]
        if not told:
            raise BlockedError(
                f"{request.command} needs a test that proves the repair, and no check here runs tests one by one",
                remedy="name one of the kinds pytest, junit, go or cargo: --check CMD, or [checks.tests] in .zwarm/config.toml",
            )
        return (request.asked.task(settings, court.checks, told[0]),)
    if request.words:
        return (task_in_words(request.words, court.checks),)
    wanted = named(court.baseline, request.targets, site.user.prefix)
    return make_tasks(court.checks, court.baseline, wanted, court.rules.protect)


def shop(
    request: Request,
    site: Site,
    settings: Settings,
    court: Court,
    rungs: tuple[Rung, ...],
    till: Till,
    conducts: Mapping[str, Conduct],
    past: Past = NEW,
) -> Shop:
    """What sessions of a run are given."""
    revert = may_revert(request, site.user, os.environ)
    workbench = Workbench(
        site.private.path,
        site.user.top,
        court.base,
        court.checks,
        request.last_green,
        revert,
        court.rules.protect,
        site.scratch / "shared",
        built_for=built_for(request, site, court.base),
    )
    executor, loop = settings.executor, settings.loop
    return Shop(
        court, rungs, site.store, site.journal, workbench, site.run, site.scratch, loop.turns, loop.sessions, executor.timeout,
        executor.silence, till, conducts, past,
    )  # fmt: skip
