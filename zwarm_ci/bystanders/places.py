"""Where a session may not write: what starts with the user, the user's repository, and what the checks run with."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from zwarm_ci import setups
from zwarm_ci.bystanders.marks import Mark, below, contents, of_path
from zwarm_ci.environment import Environment, Interpreter, listed_in
from zwarm_ci.environment.base import text_of
from zwarm_ci.files import kept_folder
from zwarm_ci.git import Repository
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees

#: What shells, git, ssh, package managers, interpreters, agents and the desktop read when they start, below a home. Not what
#: they write by themselves: histories, known hosts, caches, sessions, logins that renew themselves.
_HOME = (
    ".profile .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .bashrc.d .zshrc .zshenv .zprofile .zlogin .zlogout .kshrc "
    ".cshrc .tcshrc .inputrc .pam_environment .xprofile .xsessionrc .xinitrc .vimrc .exrc .emacs .tmux.conf .screenrc .config/fish "
    ".config/environment.d .config/autostart .config/systemd/user .config/nvim/init.lua .config/nvim/init.vim "
    ".gitconfig .config/git .config/hub .config/gh/config.yml .ssh/config .ssh/rc .ssh/environment .ssh/authorized_keys "
    ".ssh/authorized_keys2 .netrc .npmrc .yarnrc .yarnrc.yml .bunfig.toml .pypirc .pip/pip.conf .config/pip .config/uv .config/pypoetry "
    ".condarc .pdbrc .pdbrc.py .pythonrc.py .ipython/profile_default/startup .Rprofile .irbrc .gemrc .curlrc .wgetrc "
    ".cargo/config .cargo/config.toml .cargo/env .config/go/env .m2/settings.xml .gradle/init.gradle .gradle/init.d .gradle/gradle.properties "
    ".claude/settings.json .claude/settings.local.json .claude/CLAUDE.md .claude/hooks .claude/commands .claude/agents .claude/skills "
    ".codex/config.toml .codex/AGENTS.md .codex/hooks.json .codex/rules .codex/prompts .codex/skills .gemini/settings.json .cursor/mcp.json "
    ".config/zwarm-ci"
).split()
_PROGRAMS = (".local/bin", "bin", ".cargo/bin")
_CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron")
#: Caches of tools, and clients that they generate; checks write them. The rest of a dot-folder is a package manager's store.
_CACHES = frozenset({".cache", ".vite", ".vitest", ".vite-temp", ".prisma", ".turbo", ".tmp", ".pytest_cache", ".git"})
_INSIDE_STDLIB = frozenset({"site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo"})
_HOOKS_AND_SETTINGS = ("config", "config.worktree", "hooks", "info", "objects/info/alternates")


def homes() -> tuple[Path, ...]:
    """The user's homes: that of the environment, and that of the account, which `~user` finds whatever the environment says."""
    try:
        own = [Path(pwd.getpwuid(os.getuid()).pw_dir)]
    except KeyError:  # a container's number without a name
        own = []
    return tuple(dict.fromkeys(path.resolve() for path in (Path.home(), *own) if str(path) != "/"))


def start_up() -> dict[str, Mark]:
    """The start-up files of the user, the programs that a home puts on PATH, and the user's crontab where it can be seen."""
    found: dict[str, Mark] = {}
    for home in homes():
        found |= contents(home / name for name in _HOME)
        for name in _PROGRAMS:
            found |= below(home / name)
        for packages in home.glob(".local/lib/python*/site-packages"):
            found |= below(packages, {"__pycache__"}.__contains__)
    for folder in _CRONTABS:
        file = f"{folder}/{account()}"
        if mark := of_path(file):
            found[file] = mark
    return found


def account() -> str:
    """The account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def git_settings(user: Repository) -> dict[str, Mark]:
    """Hooks, settings and attributes of the user's repository and its submodules, by what stands in them."""
    places = [user.common_dir, *({user.git_dir} - {user.common_dir})]
    places += [user.common_dir / "modules" / path for path in user.submodules]
    return contents(place / name for place in places for name in _HOOKS_AND_SETTINGS) | _own_hooks(user)


def _own_hooks(user: Repository) -> dict[str, Mark]:
    """The hooks in a folder that `core.hooksPath` names (husky), but for those that git tracks: they are files like others."""
    named = user.git.ask("config", "--local", "--type=path", "core.hooksPath")
    if not named:
        return {}
    folder = user.top / named
    tracked = (
        set(user.git.paths("ls-files", "-z", "--full-name", "--", str(folder))) if _within(folder, user) else set()
    )
    return {
        p: m for p, m in contents([folder]).items() if not _within(Path(p), user) or _inside(p, user) not in tracked
    }


def _within(path: Path, user: Repository) -> bool:
    return path.is_relative_to(user.top)


def _inside(path: str, user: Repository) -> str:
    return Path(path).relative_to(user.top).as_posix()


def history(user: Repository) -> dict[str, Mark]:
    """HEAD and every ref, by what they are at."""
    listed = decode(user.git.run("for-each-ref", "--format=%(refname) %(objectname) %(symref)").stdout)
    refs: dict[str, Mark] = {name: at for name, _, at in (line.partition(" ") for line in listed.splitlines())}
    return {**refs, "HEAD": text_of(user.git_dir / "HEAD").strip()}


def checkout(user: Repository) -> tuple[dict[str, Mark], dict[str, Mark]]:
    """What is staged, and the files of the working tree that git does not ignore, by path from the top."""
    staged: dict[str, Mark] = {}
    files: dict[str, Mark] = {}
    listed = user.git.run("ls-files", "-s", "-o", "--exclude-standard", "--full-name", "-z", ":/", check=False)
    for raw in listed.stdout.split(b"\0"):
        entry, tab, name = raw.partition(b"\t")
        is_staged = bool(tab) and re.fullmatch(rb"\d{6} [0-9a-f]{40,64} \d", entry) is not None
        path = os.fsdecode(name if is_staged else raw)
        if is_staged:
            staged[path] = decode(entry)
        if path and (mark := of_path(f"{user.top}/{path}")):
            files[path] = mark
    return staged, files


class Ground:
    """What the checks of a run are run with: packages, interpreters, dependencies, files that an install built, our own probes.

    A change there makes every later result worthless, so it is looked at as a whole and compared with the run's beginning.
    """

    def __init__(self, trees: Trees, checks: Sequence[Check], base: str) -> None:
        environments = [trees.furnisher.env_of(check.workdir) for check in checks]
        self.pythons: dict[str, str] = {}
        self._folders: list[tuple[Path, frozenset[str]]] = []
        self._files: list[Path] = []
        self.kept = tuple(_kept(trees, check, base, env) for check, env in zip(checks, environments, strict=True))
        self._top = trees.furnisher.top
        self._patterns = tuple(
            dict.fromkeys(
                (*(p for c in checks for p in c.include), *listed_in(text_of(self._top / ".worktreeinclude")))
            )
        )
        for env in dict.fromkeys(environments):
            self._environment(env)
        self._folders += [(folder, _CACHES) for folder in self.kept if folder is not None]
        package = Path(__file__).parents[1]
        if {"site-packages", "dist-packages"} & set(package.parts):  # not where somebody works on it
            self._folders.append((package, _CACHES))
            self.pythons[str(package)] = sys.executable

    def _environment(self, env: Environment) -> None:
        self._files += [env.top / name for name in env.built]
        self._folders += [(env.top / folder / "node_modules", _CACHES) for folder in env.dependencies]
        if (found := env.interpreter) is None:
            return
        for site in found.sites:
            self._add(Path(site), found, _CACHES)
        if found.is_venv:
            self._add(Path(found.prefix) / "bin", found, _CACHES)
            self._files.append(Path(found.prefix) / "pyvenv.cfg")
        self._add(_stdlib(found), found, _INSIDE_STDLIB)

    def _add(self, folder: Path, python: Interpreter, skipped: frozenset[str]) -> None:
        """Look at a folder that we could write to; what is root's alone, a session of ours cannot reach either."""
        if folder.is_dir() and (os.access(folder, os.W_OK) or folder.stat().st_uid == os.getuid()):
            self._folders.append((folder, skipped))
            self.pythons.setdefault(str(folder), python.executable)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that are looked at as a whole."""
        return tuple(folder for folder, _ in self._folders)

    def look(self) -> dict[str, Mark]:
        """The marks of all of it now."""
        found: dict[str, Mark] = {}
        for folder, skipped in dict.fromkeys(self._folders):
            found |= below(folder.resolve(), skipped.__contains__)
        for file in (*self._files, *self._included()):
            if mark := of_path(str(file)):
                found[str(file)] = mark
        return found

    def _included(self) -> Iterator[Path]:
        """The ignored files that checks are given."""
        for pattern in self._patterns:
            for path in self._top.glob(pattern.strip("/")):
                yield from (path.rglob("*") if path.is_dir() else (path,))


def _stdlib(python: Interpreter) -> Path:
    version = ".".join(python.version.split(".")[:2])
    return Path(os.path.realpath(python.base)).parent.parent / "lib" / f"python{version}"


def _kept(trees: Trees, check: Check, base: str, env: Environment) -> Path | None:
    """Where the environment is kept that the check's set-up makes; None where it makes none."""
    if not setups.makes_environment(check, env):
        return None
    return kept_folder("setups") / setups.key_of(trees.repo, check, base, env)
