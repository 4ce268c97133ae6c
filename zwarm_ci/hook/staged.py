"""At a commit: the checks whose files are touched, run on exactly what is staged. A red one is a no; our own trouble never is."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from zwarm_ci import site as places
from zwarm_ci.baseline import only
from zwarm_ci.checks import kept
from zwarm_ci.errors import BlockedError, CommandError, InterruptedRunError, LimitError
from zwarm_ci.hook import quick
from zwarm_ci.hook.asked import Asked, below, say, working
from zwarm_ci.hook.ground import Ground, prepare
from zwarm_ci.task import Check
from zwarm_ci.trees import Prepared
from zwarm_ci.verdict import CheckResult

Reds = dict[str, CheckResult]


def check(asked: Asked) -> int:
    """Run what the staged files touch: 0 = nothing is red that could be run in time, 1 = something is.

    Raises:
        ConfigError: the settings are wrong. InterruptedRunError: a person stopped it.
    """
    reds: Reds = {}
    try:
        with prepare(asked) as ground:
            if ground.checks:
                run_all(ground, asked, reds)
            for name, result in reds.items():
                _tell(ground, name, result)
    except InterruptedRunError as stop:
        if stop.signum != signal.SIGALRM:
            raise
        _name(reds)
        say(f"let go after {asked.seconds:.0f} s (hook.seconds): what had not ended by then blocks nothing")
    except (BlockedError, LimitError, CommandError) as error:
        _name(reds)
        say(f"{error.line}; what could not be checked blocks nothing")
    return 1 if reds else 0


def _name(reds: Reds) -> None:
    """What was red before it was cut off."""
    for name, result in reds.items():
        say(f"{name} is red: {first_words(result)}")


def run_all(ground: Ground, asked: Asked, reds: Reds) -> None:
    """Run the checks; `reds` knows of a red one at once, and of one that turned out to be no fault of the code no more."""
    twin = ground.trees.fresh(ground.base, ground.checks, "twin")
    green = True
    for one in ground.checks:
        result = result_of(ground, one, twin)
        green = green and result.green
        if result.trouble:
            say(f"{one.name}: not checked: {result.trouble}")
        elif not result.green:
            reds[one.name] = result
            if excuse := excused(ground, one, result):
                del reds[one.name]
                say(f"{one.name}: {excuse}")
    if green:
        _keep_green(ground, asked)
        names = ", ".join(c.name for c in ground.checks)
        working(f"green on what is staged: {names} ({asked.seconds:.1f} s)")


def result_of(ground: Ground, one: Check, twin: Prepared) -> CheckResult:
    """The check's result on this content: a green one that is known, else of a run."""
    env = ground.trees.furnisher.env_of(one.workdir)
    if known := kept.find(ground.tree, one, env):
        return known
    working(f"{one.name}: running {one.run}")
    result = ground.trees.run(one, twin)
    kept.save(ground.tree, one, env, result)
    return result


def excused(ground: Ground, one: Check, result: CheckResult) -> str:
    """Why a red check is no fault of what is staged: chance, the network, the environment; "" = it is one.

    Asked once, in a fresh worktree with the network on; then in the checkout, where that is what is staged.
    """
    if not one.is_test or not result.failed:
        return ""
    shown = f"{result.failed[0]}{f' and {len(result.failed) - 1} more' if len(result.failed) > 1 else ''}"
    offline = ground.trees.surroundings.offline(one)
    if offline:
        ground.trees.surroundings.allow_network(one, "it is red without it")
    working(f"{one.name}: {len(result.failed)} red, running them again")
    again = ground.trees.anew(one, ground.tree, only=only(result.failed))
    if not again.trouble and all(again.state(i) == "passed" for i in result.failed):
        return f"{shown}: red once, green when run again{' with the network on' if offline else ''}; not counted"
    if ground.is_checkout():
        there = ground.trees.in_place(one, only=only(result.failed), variables={})
        if there is not None and not there.trouble and all(there.state(i) == "passed" for i in result.failed):
            return f"{shown}: red in a clean worktree, green in your checkout: `zwarm-ci doctor` says what is lacking; not counted"
    return ""


def first_words(result: CheckResult) -> str:
    """The first failure in one line: where, what, why."""
    if not result.failures:
        return result.failed[0] if result.failed else f"`{result.command}` ended with {result.exit_code}"
    first = result.failures[0]
    place = f"{first.place}: " if first.place else ""
    return f"{place}{first.message or first.id}"


def _tell(ground: Ground, name: str, result: CheckResult) -> None:
    """What a person reads who wanted to commit: how much, the first error, where the rest is, what to do."""
    count = len(result.failed)
    say(f"{name} is red on what is staged{f': {count} failures, the first:' if count > 1 else ':'}")
    if result.failures and any(c.name == name and c.is_test for c in ground.checks):
        below(result.failures[0].id)
    below(first_words(result))
    if log := _keep_log(ground, name, result):
        below(f"the whole of it: {log}")
    below("repair it: zwarm-ci fix-checks --from index")
    below("commit it as it is: git commit --no-verify")


def _keep_log(ground: Ground, name: str, result: CheckResult) -> str:
    """Move the log of a red check to where a person finds it; the path from the repository's top."""
    source = ground.trees.logs.parent / result.log
    if not result.log or not source.is_file():
        return ""
    folder = places.state_folder(ground.user, ground.settings.state_dir) / "hook"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(source, folder / f"{name}.log")
    return (Path(ground.settings.state_dir) / "hook" / f"{name}.log").as_posix()


def _keep_green(ground: Ground, asked: Asked) -> None:
    """Have the next call on this very content leave at once, where nothing but files decides."""
    found: list[str] = []
    for one in ground.checks:
        depends = kept.depends_on(one, ground.trees.furnisher.env_of(one.workdir))
        if depends is None or one.name in ground.trees.surroundings.allowed:
            return
        found += depends
    if ground.staged is not None:
        quick.keep_green(ground.staged, asked.args, found)
