"""The user's own rules: regular expressions over calls, what they answered, and what sessions changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zwarm_ci.config.orchestrating import RuleTable
from zwarm_ci.errors import ZwarmError
from zwarm_ci.orchestrator.watchers import search
from zwarm_ci.orchestrator.watchers.base import Opinion, Outfit, Scene
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env

_SECONDS = 5.0  # for all rules; an expression that takes longer has no end
_TEXT = 200_000  # characters of one text


class Pattern:
    """Guards. The search is in a process of its own, since nothing can end an expression that runs away in ours."""

    name = "pattern"
    guards = True

    def __init__(self, outfit: Outfit) -> None:
        self._rules = outfit.settings.watchers.pattern.rules

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module.

        Raises:
            ZwarmError: the search did not end, or failed.
        """
        last = scene.last
        texts: dict[str, list[tuple[str, str]]] = {
            "call": [(f"step {last.number}", _text({last.tool: last.args}))],
            "output": [(f"step {last.number}", _text(last.answer))],
            "difference": [
                (f"{worker.id} turn {worker.turn} {file.path}", "\n".join(file.added)[:_TEXT])
                for worker in scene.workers if not worker.closed
                for file in worker.files
            ],
        }  # fmt: skip
        for number, where, found in _search(self._rules, texts):
            rule = self._rules[number]
            said = rule.message or f"rule {number + 1} of watchers.pattern.rules"
            yield Opinion(
                rule.action, f"{said}: {found!r} in the {rule.on} ({where})", f"rule {number + 1} {where}", once=True
            )


def _text(value: Any) -> str:
    """All names and values in a call or an answer, a line each; texts as they are, so that a rule sees their lines."""
    return "\n".join(_lines(value))[:_TEXT]


def _lines(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "watchers":
                yield from _lines(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _lines(inner, name)
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        yield f"{name}:\n{text}" if "\n" in text else f"{name}: {text}"


def _search(rules: Sequence[RuleTable], texts: dict[str, list[tuple[str, str]]]) -> list[tuple[int, str, str]]:
    """(index of a rule, where, what it found there) of each rule and text that match."""
    asked = [
        {"rule": number, "regex": rule.regex, "where": where, "text": text}
        for number, rule in enumerate(rules)
        for where, text in texts[rule.on]
    ]
    if not asked:
        return []
    ended = run(
        [sys.executable, "-I", "-S", str(search.__file__)], cwd=Path("/"), env=child_env(), timeout=_SECONDS,
        stdin=json.dumps(asked).encode(),
    )  # fmt: skip
    if ended.timed_out:
        raise ZwarmError(f"the expressions of watchers.pattern.rules did not end within {_SECONDS:g} s")
    if not ended.ok:
        raise ZwarmError(f"the search for watchers.pattern.rules ended with {ended.code}")
    found: list[dict[str, Any]] = json.loads(ended.stdout)
    return [(one["rule"], one["where"], one["found"]) for one in found]
