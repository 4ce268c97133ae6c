"""At a push: the verifier's guards look at the commits that become known. Nothing of the repository's is run.

Rules and settings come from the commit that it is held against, never from what is pushed. Of people's own commits just secrets,
`.git` edits and masked exit codes are refused, unless `hook.strict`; the rest is a warning.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace

from zwarm_ci import proc, selection, settings
from zwarm_ci import site as places
from zwarm_ci.config import Settings
from zwarm_ci.errors import BlockedError, CommandError, ConfigError, InterruptedRunError, LimitError
from zwarm_ci.git import open_repository
from zwarm_ci.hook.asked import Asked, below, letting_go, say
from zwarm_ci.hook.pushes import Push, pushes
from zwarm_ci.private import PrivateRepository
from zwarm_ci.reports.base import finding
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify import guards

_SHOWN = 10  # findings of one ref; a first push of a large history may have thousands


def verify(asked: Asked, refs: str) -> int:
    """Look at what is pushed, `refs` being git's lines on standard input: 0 = it may go, 1 = something in it may not.

    Raises:
        ConfigError: the settings of this call are wrong. InterruptedRunError: a person stopped it.
    """
    refused = False
    try:
        user = open_repository(asked.directory)
        with proc.stoppable(), places.workshop(user) as (_, private):
            for push in pushes(user, asked.args, refs, asked.environ):
                for found in look(private, push, asked):
                    refused = refused or any(f.level == "refuse" for f in found)
                    _tell(push, found)
    except InterruptedRunError as stop:
        if stop.signum != signal.SIGALRM:
            raise
        say(f"let go after {asked.seconds:.0f} s (hook.seconds): what was not looked at by then blocks nothing")
    except (BlockedError, LimitError, CommandError) as error:
        say(f"{error.line}; what could not be looked at blocks nothing")
    return int(refused)


def look(private: PrivateRepository, push: Push, asked: Asked) -> Iterator[list[GuardFinding]]:
    """What the guards say of the commits of one ref: first together, then, where secrets are concerned, of each by itself."""
    base = push.base or private.git.text("hash-object", "-w", "-t", "tree", "--stdin")  # the empty tree
    found = _settings(private, base, asked)
    with letting_go(found.hook.seconds - asked.seconds):
        rules = replace(selection.rules(found, found.checks, private, base, ()), strict=found.hook.strict)
        patch = guards.Patch.between(private, private.tree_of(base), private.tree_of(push.tip), rules)
        seen = [f for f in guards.look(patch) if not f.path or f.path in push.paths]
        yield seen
        yield [f for f in _on_the_way(private, push, rules) if not _is_known(f, seen)]


def _settings(private: PrivateRepository, base: str, asked: Asked) -> Settings:
    """Settings of what it is held against; where those are wrong, none of them count, or what mends them could not be pushed."""
    try:
        return settings.load(lambda path: private.read(base, path), base[:12], asked.config_file, asked.sets)
    except ConfigError as error:
        found = settings.load(lambda _: None, "", asked.config_file, asked.sets)
        say(f"{error.line}; this push is looked at with the defaults")
        return found


def _on_the_way(private: PrivateRepository, push: Push, rules: guards.Rules) -> Iterator[GuardFinding]:
    """Secrets in each commit: what a later one takes out again is pushed all the same."""
    if len(push.commits) < 2:
        return
    secret = guards.GUARDS["secret"]
    listed = private.git.text("rev-list", "--no-walk=unsorted", "--parents", *push.commits).splitlines()
    for commit, *parents in map(str.split, listed):
        if len(parents) == 1:
            one = guards.Patch.between(private, private.tree_of(parents[0]), private.tree_of(commit), rules)
            for found in secret.look(one):
                if found.level == "refuse":
                    yield replace(found, detail=f"{found.detail}, in commit {commit[:12]}", allow="take the commit out")


def _is_known(found: GuardFinding, seen: list[GuardFinding]) -> bool:
    """Whether the same is said of the last commit's tree."""
    return any(f.level == "refuse" and f.guard == found.guard and f.path == found.path for f in seen)


def _tell(push: Push, found: Sequence[GuardFinding]) -> None:
    refused = [f for f in found if f.level == "refuse"]
    count = len(push.commits)
    if refused:
        say(f"{push.ref}: {len(refused)} of what is pushed may not go ({count} commit{'s' * (count != 1)}):")
    elif found:
        say(f"{push.ref}: {len(found)} to look at before it is merged (a warning):")
    for one in found[:_SHOWN]:
        below(finding(one))
    if len(found) > _SHOWN:
        below(f"and {len(found) - _SHOWN} more")
    if refused:
        below("push it as it is: git push --no-verify")
