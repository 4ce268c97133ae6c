"""Who looks at every step of an orchestrator: the built-in watchers by name, and those that other packages bring.

They see facts (calls, sessions, differences, money) and say what is wrong with them; what follows is the panel's to rule.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from zwarm_ci.config import WatchersSettings
from zwarm_ci.errors import ConfigError
from zwarm_ci.orchestrator.watchers.base import Make, Outfit, Watcher
from zwarm_ci.scrub import one_line

#: Where packages name theirs: `NAME = "module:make"`, called with an `Outfit`.
GROUP = "zwarm_ci.watchers"


def _progress(_outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.progress import Progress

    return Progress()


def _budget(_outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.budget import Budget

    return Budget()


def _scope(outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.scope import Scope

    return Scope(outfit)


def _pattern(outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.pattern import Pattern

    return Pattern(outfit)


def _quality(outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.quality import Quality

    return Quality(outfit)


def _delegation(_outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.delegation import Delegation

    return Delegation()


def _reminder(_outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.reminder import DelegationReminder

    return DelegationReminder()


def _llm(outfit: Outfit) -> Watcher:
    from zwarm_ci.orchestrator.watchers.llm import Llm

    return Llm(outfit)


#: Every built-in watcher by its name in `watchers.enabled`; a variant is one file and one line here.
WATCHERS: dict[str, Make] = {
    "progress": _progress,
    "budget": _budget,
    "scope": _scope,
    "pattern": _pattern,
    "quality": _quality,
    "delegation": _delegation,
    "delegation_reminder": _reminder,
    "llm": _llm,
}
#: Settings that nobody reads unless a watcher is on, and what that one cannot do without.
_NEEDS: dict[str, tuple[str, Callable[[WatchersSettings], object]]] = {
    "pattern": ("watchers.pattern.rules", lambda w: w.pattern.rules),
    "llm": ("watchers.llm.model", lambda w: w.llm.model),
}
_SERVES: dict[str, tuple[str, Callable[[WatchersSettings], object]]] = {
    **_NEEDS,
    "scope": ("watchers.scope", lambda w: w.scope.paths or w.scope.avoid),
    "budget": ("watchers.budget", lambda w: w.budget.tokens or w.budget.sessions),
}


def engaged(outfit: Outfit) -> tuple[Watcher, ...]:
    """The watchers that the settings name, in that order.

    Raises:
        ConfigError: one is unknown, lacks what it needs, or cannot be made; or settings are given for one that is off.
    """
    settings = outfit.settings.watchers
    names = tuple(dict.fromkeys(settings.enabled))
    for name, (key, given) in _SERVES.items():
        if name not in names and given(settings):
            raise ConfigError(
                f"{key} has no effect: the watcher {name} is off", remedy=f'add "{name}" to watchers.enabled'
            )
    for name, (key, given) in _NEEDS.items():
        if name in names and not given(settings):
            raise ConfigError(
                f"the watcher {name} has nothing to go by", remedy=f"give {key}, or take it out of watchers.enabled"
            )
    return tuple(_made(name, outfit) for name in names)


def _made(name: str, outfit: Outfit) -> Watcher:
    if name in WATCHERS:
        return WATCHERS[name](outfit)
    theirs = {point.name: point for point in entry_points(group=GROUP)}
    if name not in theirs:
        from difflib import get_close_matches

        known = [*WATCHERS, *theirs]
        near = get_close_matches(name, known, 1, cutoff=0.0)[0]
        raise ConfigError(
            f"watchers.enabled: no watcher is called {one_line(name, 40)}", remedy=f"the nearest is {near}"
        )
    try:
        made = theirs[name].load()(outfit)
    except Exception as error:
        said = one_line(f"{type(error).__name__}: {error}", 200)
        raise ConfigError(
            f"the watcher {name} of {theirs[name].value} cannot be made: {said}", remedy="repair or disable it"
        ) from error
    if not (callable(getattr(made, "look", None)) and isinstance(getattr(made, "guards", None), bool)):
        raise ConfigError(
            f"the watcher {name} of {theirs[name].value} has no look() or guards",
            remedy="see orchestrator/watchers/base.py",
        )
    found: Watcher = made
    return found


__all__ = ["GROUP", "WATCHERS", "engaged"]
