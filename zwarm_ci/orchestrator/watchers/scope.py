"""Watches whether work keeps to its task: paths that are changed, words that tasks are not to be about, places where secrets are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.config.orchestrating import ScopeTable
from zwarm_ci.orchestrator.watchers.base import Opinion, Outfit, Scene, Worker
from zwarm_ci.protected import is_named, is_setting

_SHOWN = 4  # paths that a message names
#: A path in a text: a slash in it, or an extension that sources have.
_PATH = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)*[\w-]+\.[A-Za-z]{1,5}\b|(?<![\w/.-])(?:[\w.-]+/)+[\w.-]*")
#: Where credentials are kept, or what prints them.
_SECRETS = re.compile(
    r"(?<![\w.-])\.env\b(?!\.(?:example|sample|test))|\.netrc|\.ssh\b|\bid_(?:rsa|ed25519|ecdsa)|\.aws\b|\.npmrc|\.pypirc|\.git-credentials"
    r"|\.docker/config|/proc/\w+/environ|\bprintenv\b|\bcredentials?\b(?:\.json)?|(?:API|ACCESS|SECRET)_?KEY|_TOKEN\b"
)


class Scope:
    """Advises; what may not be changed at all is refused by verification."""

    name = "scope"
    guards = False

    def __init__(self, outfit: Outfit) -> None:
        self._rules = outfit.settings.watchers.scope

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module."""
        last = scene.last
        if last.tool in {"bash", "delegate", "converse"} and (found := _SECRETS.search(last.call)):
            said = f"{found[0]} is where secrets are, and no task of yours needs one. None is in sight here; do not look for them."
            yield Opinion("nudge", said, f"secrets at step {last.number}", priority=5)
        if last.tool in {"delegate", "converse"}:
            yield from self._avoided(last.call, last.number)
        for worker in scene.workers:
            if worker.files and not worker.closed:
                yield from _strays(worker, self._rules, scene.task)

    def _avoided(self, call: str, number: int) -> Iterator[Opinion]:
        for word in self._rules.avoid:
            if word.casefold() in call.casefold():
                yield Opinion(
                    "nudge", f"{word!r} is not part of this work (watchers.scope.avoid).", f"{word} at step {number}"
                )


def _strays(worker: Worker, rules: ScopeTable, task: str) -> Iterator[Opinion]:
    """Files of a session's difference that its task does not speak of."""
    paths = [file.path for file in worker.files]
    if rules.paths:
        outside = [p for p in paths if not is_named(p, rules.paths)]
        why = "outside of watchers.scope.paths"
    else:
        named = _named(worker.task) | _named(task)
        outside = paths if named and not any(_near(p, named) for p in paths) else []
        why = "and nothing that its task names"
    if outside:
        said = f"{worker.name} changed {_some(outside)}, {why}. Look at it before you verify it: end it, or say what it is to keep to."
        yield Opinion("nudge", said, f"{worker.id} turn {worker.turn} strays", once=True)
    settings = [p for p in paths if is_setting(p) and p not in _named(worker.task)]
    if settings:
        said = f"{worker.name} changed {_some(settings)}, which decides how checks run. Verification refuses that; have it taken back."
        yield Opinion("nudge", said, f"{worker.id} turn {worker.turn} settings", once=True)


def _named(text: str) -> set[str]:
    """What a text names that looks like a path."""
    return {found.strip("./") for found in _PATH.findall(text)} - {""}


def _near(path: str, named: set[str]) -> bool:
    """Whether a path is named, lies below a folder that is, or beside a file that is."""
    pure = PurePosixPath(path)
    around = {str(p) for p in pure.parents} - {"."}
    return any(n in {path, pure.name} or n in around or str(PurePosixPath(n).parent) == str(pure.parent) for n in named)


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
