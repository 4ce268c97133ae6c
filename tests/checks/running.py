"""Runs one check in a small tree, as the program does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zwarm_ci.checks import run_check
from zwarm_ci.environment import Environment, discover
from zwarm_ci.task import Check, Kind
from zwarm_ci.verdict import CheckResult


def plant(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below `folder`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def run_in(
    tree: Path,
    command: str = "python -m pytest",
    kind: Kind = "pytest",
    *,
    env: Environment | None = None,
    timeout: float = 60.0,
    **options: Any,
) -> CheckResult:
    """The result of one command in `tree`, with its scratch folder beside it."""
    settings: dict[str, Any] = {
        name: options.pop(name) for name in ("workdir", "env_names", "fix", "setup") if name in options
    }
    if "env_names" in settings:
        settings["env"] = settings.pop("env_names")
    check = Check("tests", command, kind, timeout=timeout, **settings)
    return run_check(check, tree, env=env or discover(tree), scratch=tree.parent / "scratch", **options)


def believed(result: CheckResult) -> CheckResult:
    """The result, which must have no trouble."""
    assert not result.trouble, result.trouble
    return result
