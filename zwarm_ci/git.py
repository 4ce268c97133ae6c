"""Git with the tree's hooks, filters and fsmonitor off.

The user's repository (read; one branch written), the run's private bare repository, and worktrees of that.

Nothing here writes to the user's HEAD, index, stash, config or existing refs, nor takes a lock on the index.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.proc import Exit, run
from zwarm_ci.scrub import child_env, decode

ZERO = "0" * 40
BOT = ("zwarm-ci", "zwarm-ci@noreply.invalid")  # where git's own settings name nobody
STATE_IGNORE = "*\n!config.toml\n!codex.toml\n!claude.toml\n"
_OFF = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "diff.autoRefreshIndex=false",  # `git diff` writes the index where times alone differ, whatever GIT_OPTIONAL_LOCKS says
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "core.quotePath=false",
    "core.deltaBaseCacheLimit=1g",  # measured: 3 x quicker checkout of delta-dense repositories, costs nothing on small ones
)


@dataclass(frozen=True, slots=True)
class Git:
    """Git bound to one repository by explicit paths; `env` are GIT_* variables for every call."""

    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    filters: tuple[str, ...] = ()

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, check: bool = True) -> Exit:
        """One git command.

        Raises:
            CommandError: it ended with another code than 0 (unless `check=False`).
        """
        base = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_ATTR_NOSYSTEM": "1", "LC_ALL": "C"}
        options = [part for setting in (*_OFF, *self.filters) for part in ("-c", setting)]
        return run(
            ["git", *options, *args],
            cwd=self.cwd,
            env=child_env({**base, **self.env, **(env or {})}),
            stdin=stdin,
            check=check,
        )

    def text(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Standard output of a command that must succeed, decoded and without the last newline."""
        return decode(self.run(*args, stdin=stdin, env=env).stdout).rstrip("\n")

    def ask(self, *args: str) -> str:
        """Like `text`, but "" where git says no (a missing setting, ref or file)."""
        result = self.run(*args, check=False)
        return decode(result.stdout).rstrip("\n") if result.ok else ""

    def paths(self, *args: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The NUL-separated paths that a `-z` command prints; names that are not UTF-8 keep their bytes as surrogates."""
        return [os.fsdecode(p) for p in self.run(*args, env=env).stdout.split(b"\0") if p]

    def entries(self, rev: str) -> list[tuple[str, str, str]]:
        """(mode, object id, path) of every file and submodule in `rev`."""
        found = []
        for raw in self.run("ls-tree", "-r", "-z", rev).stdout.split(b"\0"):
            meta, _, path = raw.partition(b"\t")
            if path:
                mode, _, sha = decode(meta).split()
                found.append((mode, sha, os.fsdecode(path)))
        return found

    def with_env(self, **env: str) -> Git:
        """The same repository with further variables."""
        return Git(self.cwd, {**self.env, **env}, self.filters)


@dataclass(frozen=True, slots=True)
class Repository:
    """The user's repository, looked at once. `prefix` is where we were called, relative to `top` ("" = the top)."""

    git: Git
    top: Path
    git_dir: Path
    common_dir: Path
    head: str
    branch: str | None
    shallow: bool
    submodules: tuple[str, ...]
    prefix: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """Git's own folders, where they lie outside of `top` (a linked worktree)."""
        return tuple(p for p in (self.git_dir, self.common_dir) if not p.is_relative_to(self.top))

    @property
    def identity(self) -> tuple[str, str]:
        """Name and address for commits: git's own settings, else the stated bot."""
        name, email = self.git.ask("config", "user.name"), self.git.ask("config", "user.email")
        return (name, email) if name and email else BOT

    def commit_of(self, rev: str) -> str:
        """The full id of the commit that `rev` names.

        Raises:
            UsageError: it names none.
        """
        sha = self.git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
        if not sha:
            hint = "; the clone is shallow, fetch more history" if self.shallow else ""
            raise UsageError(f"no commit is called {rev!r}{hint}")
        return sha

    def free_branch(self, name: str) -> None:
        """Raise `UsageError` unless a branch `name` can be made."""
        if not self.git.run("check-ref-format", "--branch", name, check=False).ok:
            raise UsageError(f"{name!r} is no valid branch name")
        taken = self.git.text("for-each-ref", "--format=%(refname:short)", "refs/heads/").splitlines()
        for other in taken:
            if other == name or other.startswith(f"{name}/") or name.startswith(f"{other}/"):
                raise UsageError(
                    f"branch {name!r} cannot be made: {other!r} exists", remedy="choose another with --branch"
                )


def open_repository(where: Path) -> Repository:
    """Find the repository that holds `where`.

    Raises:
        BlockedError: no repository, a bare one, or one without commits.
    """
    if not where.is_dir():
        raise UsageError(f"{where}: no such folder")
    git = Git(where)
    probe = git.run("rev-parse", "--is-inside-work-tree", "--show-toplevel", check=False)
    said = decode(probe.stderr)
    if "dubious ownership" in said:
        raise BlockedError(
            f"git does not trust {where}: it belongs to somebody else",
            remedy=f"git config --global --add safe.directory '{where}'",
        )
    if not probe.ok or not probe.stdout.startswith(b"true\n"):
        bare = git.ask("rev-parse", "--is-bare-repository") == "true"
        raise BlockedError(
            f"{where} is a bare repository: there are no files to check"
            if bare
            else f"{where} is not in a git repository",
            remedy="run in a clone with files" if bare else "run it inside one, or pass -C DIR",
        )
    top, git_dir, common = (
        (where / os.fsdecode(git.run("rev-parse", part).stdout.removesuffix(b"\n"))).resolve()
        for part in ("--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    )  # one by one, since a folder's name may hold a line break
    git = Git(top, filters=_filters_off(git))
    head = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not head:
        raise BlockedError(f"{top} has no commit yet", remedy="commit once; a repair needs a base")
    return Repository(
        git,
        top,
        git_dir,
        common,
        head,
        git.ask("symbolic-ref", "--quiet", "--short", "HEAD") or None,
        git.ask("rev-parse", "--is-shallow-repository") == "true",
        tuple(p.split("\t", 1)[1] for p in git.ask("ls-files", "-s").splitlines() if p.startswith("160000 ")),
        "" if where.resolve() == top.resolve() else where.resolve().relative_to(top.resolve()).as_posix(),
    )


def _filters_off(git: Git) -> tuple[str, ...]:
    """Settings that turn every configured clean/smudge driver into a no-op, so that no file's attribute starts a program."""
    keys = git.ask("config", "--name-only", "--get-regexp", r"^filter\.").splitlines()
    names = sorted({key[len("filter.") : key.rindex(".")] for key in keys})
    return tuple(f"filter.{n}.{k}" for n in names for k in ("clean=", "smudge=", "process=", "required=false"))
