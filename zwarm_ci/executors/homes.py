"""Homes of the CLIs: one for each session, outside of the worktree, kept between its turns, with no key in it.

A user's own configuration, MCP servers, hooks and telemetry stay where they are; only a login's file is linked in, for the
length of a turn, where no gateway holds a key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.environment import given
from zwarm_ci.errors import BlockedError
from zwarm_ci.executors.base import Order
from zwarm_ci.files import write_atomic

_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a CLI keeps its things: the variable that names its folder, that folder's usual name, and its login's file in there."""

    variable: str
    folder: str
    login: str

    @property
    def own(self) -> Path:
        """The user's own folder."""
        named = given().get(self.variable)
        return (Path(named) if named else Path("~") / self.folder).expanduser()

    @property
    def own_login(self) -> Path | None:
        """The user's own login; None where there is none."""
        file = self.own / self.login
        return file if file.is_file() and file.stat().st_size else None


@dataclass(frozen=True, slots=True)
class Home:
    """What one turn runs with: HOME, the CLI's own folder of settings and sessions, and whether both are ours alone.

    `login` is the user's own file that a link in there leads to; None = no link.
    """

    path: Path
    config: Path
    isolated: bool
    login: Path | None = None

    def write(self, name: str, text: str) -> Path | None:
        """Put a file of ours into the CLI's folder, or take it away where `text` is empty; its path, None where it is not there."""
        file = self.config / name
        if not text:
            file.unlink(missing_ok=True)
            return None
        write_atomic(file, text)
        return file


@contextlib.contextmanager
def home(order: Order, layout: Layout) -> Iterator[Home]:
    """The home of an order's session, for one turn.

    Raises:
        BlockedError: the session's folder lies in the worktree, where a home would become a part of the patch.
    """
    if order.conduct.inherit_user_config:
        yield Home(Path.home(), layout.own, isolated=False)
        return
    path = order.folder.resolve() / "home"
    if path.is_relative_to(order.worktree.resolve()):
        raise BlockedError(f"the session's folder {order.folder} lies in its worktree", remedy="set another state_dir")
    config = path / layout.folder
    config.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    login = layout.own_login if order.endpoint is None else None
    with _login(config / layout.login, login):
        yield Home(path, config, isolated=True, login=login)


@contextlib.contextmanager
def _login(link: Path, own: Path | None) -> Iterator[None]:
    """Link the user's login in, and take it out again. A CLI that replaces the link by a renewed login has renewed the user's."""
    link.unlink(missing_ok=True)
    if own is None:
        yield
        link.unlink(missing_ok=True)
        return
    link.symlink_to(own.resolve())
    try:
        yield
    finally:
        if link.is_file() and not link.is_symlink():
            target = own.resolve()
            if renewed := link.read_bytes():
                link.chmod(_PRIVATE)
                write_atomic(target, renewed)
                target.chmod(_PRIVATE)
        link.unlink(missing_ok=True)
