"""The entry for the pre-commit framework, put into a person's configuration."""

from __future__ import annotations

from typing import Any

import yaml

from zwarm_ci import __version__
from zwarm_ci.git import Repository
from zwarm_ci.init.steps import Step, content, inside
from zwarm_ci.init.yaml_text import with_item

FILE = ".pre-commit-config.yaml"
PROJECT = "https://github.com/zwarm-ci/zwarm-ci"
ITEM = (
    f"- repo: {PROJECT}",
    f"  rev: v{__version__}",
    "  hooks:",
    "    - id: zwarm-ci-check",
    "    - id: zwarm-ci-verify",
)
#: What git has to call for them.
INSTALL = "pre-commit install --hook-type pre-commit --hook-type pre-push"


def plan(user: Repository) -> tuple[list[Step], list[str]]:
    """The configuration with our entry, where it lacks it; and what is left undone, with the reason."""
    path = inside(user.top, FILE)
    if path is None:
        return [], [f"{FILE}: it is a link that leads out of the repository (add the entry where it leads to)"]
    before = content(path)
    if before is None:
        return [Step(path, None, ("repos:\n" + "".join(f"  {line}\n" for line in ITEM)).encode(), why="a new file")], []
    try:
        text = before.decode("utf-8")
    except UnicodeDecodeError:
        return [], [f"{FILE}: it is not UTF-8 (add the entry by hand: {_in_words()})"]
    if _has_ours(text):
        return [], []
    made = with_item(text, "repos", ITEM)
    if made is None:
        return [], [f"{FILE}: an entry cannot be added to it safely (add it by hand: {_in_words()})"]
    after, inserted = made
    return [Step(path, before, after.encode(), inserted.encode(), why="one entry more")], []


def _in_words() -> str:
    return f"repo {PROJECT}, rev v{__version__}, hooks zwarm-ci-check and zwarm-ci-verify"


def _has_ours(text: str) -> bool:
    """Whether some entry of the configuration has a hook of ours."""
    try:
        found: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    repos = found.get("repos") if isinstance(found, dict) else None
    hooks = [h for r in repos or () if isinstance(r, dict) for h in r.get("hooks") or () if isinstance(h, dict)]
    return any(str(hook.get("id", "")).startswith("zwarm-ci") for hook in hooks)
