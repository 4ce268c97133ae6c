"""The settings in force outside a run: read from HEAD's files, with this version's executors and check kinds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from zwarm_ci import config
from zwarm_ci.detect import derive_kind
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.git import open_repository


def load(
    read: Callable[[str], bytes | None], base_label: str, config_file: Path | None, sets: Sequence[str]
) -> config.Settings:
    """Settings of a base commit whose files `read` gives.

    Raises:
        ConfigError: any of the origins is wrong.
    """
    return config.load(
        read=read, base_label=base_label, config_file=config_file, environ=os.environ, sets=sets, known_rungs=EXECUTORS,
        derive_kind=derive_kind,
    )  # fmt: skip


def of_head(directory: Path, config_file: Path | None, sets: Sequence[str]) -> config.Settings:
    """Settings by HEAD of the repository that holds `directory`."""
    user = open_repository(directory)

    def read(path: str) -> bytes | None:
        result = user.git.run("cat-file", "blob", f"{user.head}:{path}", check=False)
        return result.stdout if result.ok else None

    return load(read, user.head[:12], config_file, sets)
