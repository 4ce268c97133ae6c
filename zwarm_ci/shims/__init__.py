"""Native git hooks: a few lines of shell that call `zwarm-ci hook STAGE` after the hook that was there before. Looks; writes nothing."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from zwarm_ci.git import Repository
from zwarm_ci.scrub import decode, one_line

STAGES = ("pre-commit", "pre-push", "commit-msg", "post-merge")
#: What a hook that was there before is called from then on.
SUFFIX = ".before-zwarm-ci"
#: Where others put a hook of ours when they install their own over it; they go on calling it there.
_MOVED = (".legacy", ".old")  # pre-commit, lefthook
_AT = re.compile(rb"^at=.*$", re.MULTILINE)
_MARK = re.compile(rb"^# Git hook [\w-]+ of zwarm-ci;", re.MULTILINE)
#: A hook that asks under which name it was called does not work under another one.
_OWN_NAME = re.compile(rb"""basename\b[^\n]{0,20}\$\{?0|\$\{0##""")
#: The git settings of a person may lie elsewhere; no other call of ours wants to know.
_WHERE_SETTINGS_ARE = ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")

State = Literal["none", "ours", "changed", "foreign"]


@dataclass(frozen=True, slots=True)
class Folder:
    """Where git looks for hooks.

    Attributes:
        path: the folder; it need not exist.
        scope: the scope of `core.hooksPath` as git names it; "" = it is not set.
        closed: why nothing may be written there, and what to do instead; "" = it may.
        shared: it lies in the working tree, so what is in it may be committed and name no path of this machine.
    """

    path: Path
    scope: str
    closed: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook as it is.

    Attributes:
        stage: which one.
        path: where git looks for it.
        state: nothing there, our text, our text that somebody changed, or somebody else's.
        runs: git would run it: it is there and may be executed.
        before: the hook that ours calls first, where there is one.
        moved: our own text under a name that another tool gave it; None = nowhere.
        own_name: somebody else's hook that asks for its own name.
    """

    stage: str
    path: Path
    state: State
    runs: bool
    before: Path | None = None
    moved: Path | None = None
    own_name: bool = False


def text(stage: str, program: str = "") -> bytes:
    """The hook; `program` is where zwarm-ci is looked for when PATH lacks it ("" = nowhere else)."""
    plain = (files(__name__) / "sh" / stage).read_bytes()
    usable = program if "\n" not in program else ""
    return _AT.sub(lambda _: b"at=" + (os.fsencode(shlex.quote(usable))), plain, count=1)


def program(hook: Hook) -> str:
    """Where a hook of ours looks for zwarm-ci when PATH lacks it; "" = nowhere."""
    line = _AT.search(_read(hook.path) or b"") if hook.state == "ours" else None
    return shlex.split(os.fsdecode(line[0][len(b"at=") :]))[0] if line else ""


def is_ours(content: bytes, stage: str) -> bool:
    """Whether it is our text for this stage, whatever program it names."""
    return _AT.sub(b"at=''", content, count=1) == text(stage)


def is_marked(content: bytes) -> bool:
    """Whether it began as a text of ours."""
    return bool(_MARK.search(content))


def folder(user: Repository) -> Folder:
    """Where git looks for this repository's hooks, and whether they are this repository's alone."""
    scope, value = _configured(user)
    if not scope:
        return Folder(user.common_dir / "hooks", "")
    path = Path(os.path.normpath(user.top / value))  # a relative path is taken from where hooks run
    shown = one_line(str(path))
    if scope not in {"local", "worktree"}:
        why = f"core.hooksPath is {shown} in your {scope} git settings: hooks there run in every repository"
        return Folder(path, scope, f"{why} (give this one its own: git config core.hooksPath {_default(user)})")
    tree, metadata = user.top.resolve(), user.common_dir.resolve()
    real = path.resolve()
    if real.is_relative_to(metadata) or real.is_relative_to(user.git_dir.resolve()):
        return Folder(path, scope)
    if real == tree or not real.is_relative_to(tree):
        why = f"core.hooksPath is {shown}, outside of this repository: others may use it too"
        return Folder(path, scope, f"{why} (give this one its own: git config core.hooksPath {_default(user)})")
    if path.name == "_" and path.parent.name == ".husky":
        return Folder(path, scope, "husky writes .husky/_ anew at each install", shared=True)
    return Folder(path, scope, shared=True)


def _default(user: Repository) -> str:
    return shlex.quote(str(user.common_dir / "hooks"))


def _configured(user: Repository) -> tuple[str, str]:
    """Scope and value of `core.hooksPath`; ("", "") = it is not set."""
    env = {name: os.environ[name] for name in _WHERE_SETTINGS_ARE if name in os.environ}
    asked = ["config", "-z", "--show-scope", "--type=path", "--get-all", "core.hooksPath"]
    fields = user.git.run(*asked, env=env, check=False).stdout.split(b"\0")
    pairs = [(decode(scope), os.fsdecode(value)) for scope, value in zip(fields[::2], fields[1::2], strict=False)]
    pairs = [pair for pair in pairs if pair[0] != "command"]  # our own calls switch hooks off
    return pairs[-1] if pairs else ("", "")


def look(where: Folder, stage: str) -> Hook:
    """The hook of one stage as it is now."""
    path = where.path / stage
    content = _read(path)
    state: State = (
        "none"
        if content is None
        else "ours"
        if is_ours(content, stage)
        else "changed"
        if is_marked(content)
        else "foreign"
    )
    before = path.with_name(stage + SUFFIX)
    moved = (path.with_name(stage + suffix) for suffix in _MOVED)
    return Hook(
        stage,
        path,
        state,
        content is not None and os.access(path, os.X_OK),
        before if before.exists() or before.is_symlink() else None,
        next((p for p in moved if is_ours(_read(p) or b"", stage)), None),
        state == "foreign" and bool(_OWN_NAME.search(content or b"")),
    )


def _read(path: Path) -> bytes | None:
    """What git would run; None = there is nothing, or what cannot be read."""
    if not path.is_file():
        return b"" if path.is_symlink() or path.exists() else None
    return path.read_bytes()


@dataclass(frozen=True, slots=True)
class Manager:
    """A program that manages a repository's hooks: `by_hand` makes it call ours; `calls`: it does so already."""

    name: str
    by_hand: str
    calls: bool


def manager(top: Path) -> Manager | None:
    """What manages the hooks of a working tree by its own files, so that nothing is to be written between; None = nothing does."""
    if (top / ".husky").is_dir():
        call = 'if command -v zwarm-ci >/dev/null 2>&1; then zwarm-ci hook STAGE "$@"; fi'
        by_hand = f"put this line into .husky/pre-commit and .husky/pre-push, with their STAGE: {call}"
        return Manager("husky", by_hand, any(_calls(top / ".husky" / stage) for stage in STAGES))
    names = (f"{dot}lefthook{ending}" for dot in ("", ".") for ending in (".yml", ".yaml", ".toml", ".json"))
    if found := next((name for name in names if (top / name).is_file()), ""):
        say = (
            "pre-commit: run `zwarm-ci hook pre-commit`; pre-push: run `zwarm-ci hook pre-push {1} {2}` with use_stdin"
        )
        return Manager("lefthook", f"put commands into {found}: {say}", _calls(top / found))
    return None


def _calls(file: Path) -> bool:
    return b"zwarm-ci hook " in (_read(file) or b"")
