"""What is to be installed where: hooks, settings, a workflow. Planned, shown, carried out with consent, and taken out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zwarm_ci import shims
from zwarm_ci.git import Repository
from zwarm_ci.init import framework, native, record, settings_text, workflow
from zwarm_ci.init.record import Undo
from zwarm_ci.init.steps import Step, carry_out, difference, ready
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Check

Hooks = Literal["native", "pre-commit", "none"]
System = Literal["github", "gitlab", "none"]

__all__ = ["Hooks", "Plan", "Removal", "System", "Wish", "do", "facts", "plan", "ready", "removal", "shown", "take_out"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for; None = what suits what is here. `ladder` are the rungs of `--executor`, empty = not said."""

    hooks: Hooks | None = None
    ci: System | None = None
    ladder: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be written, what has to be done by hand before that works, and what is left undone, with the reasons."""

    steps: tuple[Step, ...]
    next: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removal:
    """What would be put back, and what is left as it is, with the reasons."""

    steps: tuple[Undo, ...]
    left: tuple[str, ...]


def facts(user: Repository) -> list[tuple[str, str]]:
    """(topic, line) of the languages, CI systems and hooks that are here."""
    tree = user.top
    found = [("language", one_line(line)) for line in workflow.languages(tree)] or [("language", "none that is known")]
    workflows = sorted(p.name for p in (tree / ".github/workflows").glob("*.y*ml"))
    systems = [f"GitHub Actions ({', '.join(workflows)})"] if workflows else []
    systems += ["GitLab CI (.gitlab-ci.yml)"] if (tree / workflow.GITLAB).is_file() else []
    where = shims.folder(user)
    hooks = [shims.look(where, stage) for stage in shims.STAGES]
    named = [f"{h.stage} ({'ours' if h.state == 'ours' else 'changed' if h.state == 'changed' else 'somebody else’s'})"
             for h in hooks if h.state != "none"]  # fmt: skip
    found.append(("ci", one_line(", ".join(systems)) or "none is configured"))
    found.append(("hooks", f"{', '.join(named) or 'none'} in {one_line(str(where.path))}"))
    if (manager := shims.manager(tree)) is not None:
        found.append(("hooks of", manager.name))
    if (tree / framework.FILE).is_file():
        found.append(("hooks of", f"the pre-commit framework ({framework.FILE})"))
    return found


def plan(user: Repository, wish: Wish, checks: Sequence[Check], settings: str) -> Plan:
    """What the wish comes to here.

    Args:
        user: the repository.
        wish: what was asked for.
        checks: the checks that were found or configured; a workflow runs them.
        settings: TOML that the checks need; "" = they need none.
    """
    steps: list[Step] = []
    left: list[str] = []
    todo: list[str] = []
    hooks = wish.hooks or ("pre-commit" if (user.top / framework.FILE).is_file() else "native")
    parts = [settings_text.plan(user, wish.ladder, settings)]
    if hooks == "native":
        parts.append(native.plan(user))
    elif hooks == "pre-commit":
        parts.append(framework.plan(user))
        todo += [f"so that git calls them: {framework.INSTALL}"] if _not_called(user) else []
    system = wish.ci or _system(user)
    if system != "none":
        parts.append(workflow.plan(user, system, checks, wish.ladder))
    for some, undone in parts:
        steps += some
        left += undone
    if pinned := next((s for s in steps if workflow.PLACEHOLDER.encode() in s.after), None):
        name = pinned.path.relative_to(user.top)
        todo.append(f"in {name}, put the commit of the release that you trust in the place of {workflow.PLACEHOLDER}")
    return Plan(tuple(steps), tuple(todo), tuple(left))


def _not_called(user: Repository) -> bool:
    """Whether git calls nothing at commit or at push."""
    where = shims.folder(user)
    return not all(shims.look(where, stage).runs for stage in ("pre-commit", "pre-push"))


def _system(user: Repository) -> System:
    """The CI system that is configured here, else the one of the remote."""
    if (user.top / workflow.GITLAB).is_file():
        return "gitlab"
    if (user.top / ".github").is_dir():
        return "github"
    remote = user.git.ask("config", "remote.origin.url")
    return "github" if "github.com" in remote else "gitlab" if "gitlab" in remote else "none"


def shown(found: Plan, user: Repository) -> str:
    """The differences, one after another."""
    return "\n".join(difference(step, user.top) for step in found.steps)


def do(found: Plan, user: Repository) -> None:
    """Write it, and keep what was there before.

    Raises:
        BlockedError: a file has changed since it was planned, or cannot be written; what was written before it is remembered.
    """
    for step in found.steps:
        done = ready(step)
        record.add(user, done)
        carry_out(done)


def removal(user: Repository) -> Removal:
    """What takes everything out again.

    Raises:
        BlockedError: the record of what was written cannot be read.
    """
    steps, left = record.undo(user)
    return Removal(tuple(steps), tuple(left))


def take_out(found: Removal, user: Repository) -> None:
    """Put everything back.

    Raises:
        BlockedError: a file cannot be written.
    """
    record.put_back(user, list(found.steps))
