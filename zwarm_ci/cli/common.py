"""Options that every command takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., int])


@dataclass(frozen=True, slots=True)
class Common:
    """`-C`, `--config`, `--set`, `-q` and `-v` as they were given."""

    directory: Path
    config: Path | None
    sets: tuple[str, ...]
    quiet: bool
    verbose: int


def common_options(command: F) -> Callable[..., int]:
    """Give a command the common options; it gets a `Common` as its first argument."""

    @click.option(
        "-C",
        "directory",
        type=click.Path(path_type=Path),
        default=".",
        metavar="DIR",
        help="Act on the repository that holds DIR.",
    )
    @click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="Further settings, over the repository's."
    )
    @click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="One setting, e.g. budget.minutes=5 (repeatable)."
    )
    @click.option("-q", "--quiet", is_flag=True, help="No progress.")
    @click.option("-v", "--verbose", count=True, help="More progress: every step on a line of its own.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        directory: Path,
        config: Path | None,
        sets: tuple[str, ...],
        quiet: bool,
        verbose: int,
        **kwargs: Any,
    ) -> int:
        return command(Common(directory, config, sets, quiet, verbose), *args, **kwargs)

    return wrapped
