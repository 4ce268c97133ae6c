"""What a run was asked for, written down so that it can be asked for again should it be cut off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zwarm_ci import footing
from zwarm_ci.codec import from_data, to_data
from zwarm_ci.config import Settings
from zwarm_ci.errors import UsageError
from zwarm_ci.git import Repository
from zwarm_ci.github.issue import Issue
from zwarm_ci.private import PrivateRepository
from zwarm_ci.selection import Request
from zwarm_ci.settings import load
from zwarm_ci.site import Site

#: Tables of settings that may be others when a run goes on: limits, which a person raises so that it can.
_LIMITS = ("budget.", "executor.timeout", "executor.silence")


@dataclass(frozen=True, slots=True)
class Asked:
    """A run's request without what only its own process has, and the settings by key and digest.

    `prefix`: where in the repository it was asked. `issue`: what somebody else asked for.
    """

    request: Request
    prefix: str
    settings: dict[str, str]
    issue: Issue | None = None


def written(request: Request, user: Repository, settings: Settings) -> Any:
    """The request of a run that is about to begin, for its journal."""
    file = request.config_file.resolve() if request.config_file else None
    means = replace(request.means, ask=None, replay=request.means.replay and request.means.replay.resolve())
    plain = replace(request, directory=Path(), asked=None, config_file=file, means=means)
    issue = request.asked if isinstance(request.asked, Issue) else None
    return to_data(Asked(plain, user.prefix, footing.of_settings(settings), issue))


def request_of(asked: Asked, user: Repository, sets: tuple[str, ...]) -> Request:
    """The request again, with further settings; nothing is recorded into a folder that was begun before."""
    request = asked.request
    means = replace(request.means, record=None)
    return replace(
        request, directory=user.top / asked.prefix, asked=asked.issue, means=means, sets=(*request.sets, *sets)
    )


def read(data: Any) -> Asked:
    """What `written` gave.

    Raises:
        ValueError: it is something else.
    """
    return from_data(Asked, data)


def keep_base(site: Site, base: str) -> None:
    """Write down which commit is repaired; one that the user's repository does not have is kept whole."""
    own = site.user.git.ask("cat-file", "-t", base) == "commit"
    pack = (
        None
        if own or not site.journal.keeps
        else site.journal.keep("base.pack", site.private.pack(base, site.user.head))
    )
    site.journal.write("based", base=base, pack=pack)


def settings_of(asked: Asked, request: Request, private: PrivateRepository, base: str) -> Settings:
    """The settings of a run that goes on: what they were but for its limits.

    Raises:
        UsageError: one is another now. ConfigError: they are wrong.
    """
    settings = load(lambda path: private.read(base, path), base[:12], request.config_file, request.sets)
    here = _decisive(footing.of_settings(settings))
    if key := footing.odd(_decisive(asked.settings), here):
        raise UsageError(
            f"{key} is another than when the run began ({settings.origins.get(key, 'not set now')})",
            remedy="set it as it was, or start a new run",
        )
    return settings


def _decisive(settings: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in settings.items() if not key.startswith(_LIMITS)}
