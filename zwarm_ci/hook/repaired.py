"""At a push, or by hand: what is red is repaired in worktrees of its own, on a branch; the push waits until a person has looked."""

from __future__ import annotations

from zwarm_ci import pipeline
from zwarm_ci.crew import Watch
from zwarm_ci.errors import BlockedError, CommandError, LimitError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.hook.asked import Asked, say
from zwarm_ci.hook.pushes import pushes
from zwarm_ci.selection import Request
from zwarm_ci.verdict import Outcome

_NOBODYS = frozenset({3, 4, 5})  # a limit, the environment, a fault of ours


def repair(asked: Asked, refs: str, watch: Watch) -> int:
    """Repair what is pushed, or what is staged where nothing is: 0 = nothing was red or could be told, 1 = something is.

    Raises:
        UsageError: as a run. InterruptedRunError: a person stopped it before there was a record.
    """
    try:
        user = open_repository(asked.directory)
        pushed = "PRE_COMMIT_REMOTE_NAME" in asked.environ or bool(asked.args)
        tips = [push.tip for push in pushes(user, asked.args, refs, asked.environ)]
        if not tips and pushed:
            return 0
        return max(_one(asked, user, tip, watch) for tip in dict.fromkeys(tips or [""]))
    except (BlockedError, LimitError, CommandError) as error:
        say(f"{error.line}; nothing was repaired, nothing is held up")
        return 0


def _one(asked: Asked, user: Repository, tip: str, watch: Watch) -> int:
    source = "worktree" if tip else "index"
    request = Request(
        "fix-checks", asked.directory, source=source, base=tip, config_file=asked.config_file, sets=asked.sets
    )
    outcome = pipeline.run(request, watch).outcome
    if outcome.exit_code in _NOBODYS:
        say(f"{outcome.reason}; nothing is held up")
        return 0
    if not outcome.branch and outcome.exit_code == 0:
        return 0
    say(f"{outcome.reason}; {_how(user, outcome)}")
    return outcome.exit_code or 1


def _how(user: Repository, outcome: Outcome) -> str:
    """How what was repaired is taken, in a command."""
    if not outcome.branch:
        return f"see it: zwarm-ci report {outcome.run}"
    if outcome.base == user.head:
        return f"take it: git merge --ff-only {outcome.branch}, then push again"
    return f"take it: zwarm-ci take {outcome.run}, then commit and push again"
