"""Small repositories for the Action: a linter that repairs what it finds makes a run of seconds."""

from __future__ import annotations

from pathlib import Path

from tests.support import Repo

CONFIG = '[checks.lint]\nrun = "ruff check"\nfix = "ruff check --fix"\n\n[verify]\nburn_in = 1\nreruns = 1\n'
RED = "import os\n\nX = 1\n"
GREEN = "X = 1\n"


def red(folder: Path, config: str = CONFIG) -> Repo:
    """One lint error, which its own tool repairs."""
    return Repo.make(folder, {"a.py": RED, ".zwarm/config.toml": config, "README.md": "shop\n"})


def green(folder: Path) -> Repo:
    """Nothing to do."""
    return Repo.make(folder, {"a.py": GREEN, ".zwarm/config.toml": CONFIG, "README.md": "shop\n"})
