"""Submodules in a clean worktree, from what the user's checkout has of them; nothing is fetched and nothing there is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from zwarm_ci.git import Git, Repository
from zwarm_ci.private import PrivateRepository, alternate

_SUBMODULE = "160000"


def place(repo: PrivateRepository, tree: str, path: Path, beside: Path) -> None:
    """Check out every submodule of `tree` that the checkout has, below `path`, each with a repository of its own in `beside`."""
    for number, (name, commit, source) in enumerate(_recorded(repo, tree)):
        if _has(source, commit):
            _check_out(source, commit, path / name, beside / f"submodule{number}")


def missing(repo: PrivateRepository, tree: str) -> tuple[str, ...]:
    """Paths of submodules that the checkout does not have at the commit that `tree` records; nested ones stand in no worktree."""
    found: list[str] = []
    for name, commit, source in _recorded(repo, tree):
        found += [f"{name}/{inner}" for inner, _ in _in(source, commit)] if _has(source, commit) else [name]
    return tuple(found)


def _recorded(repo: PrivateRepository, tree: str) -> Iterator[tuple[str, str, Git]]:
    """(path, commit, the checkout's repository of it) of each submodule of `tree`."""
    for name, commit in _in(repo.git, tree) if repo.user.submodules else ():
        yield name, commit, Git(repo.user.top / name, filters=repo.user.git.filters)


def _in(git: Git, rev: str) -> list[tuple[str, str]]:
    return [(path, sha) for mode, sha, path in git.entries(rev) if mode == _SUBMODULE]


def _has(source: Git, commit: str) -> bool:
    return (source.cwd / ".git").exists() and source.ask("cat-file", "-t", commit) == "commit"


def edited(user: Repository) -> tuple[str, ...]:
    """Submodules of the checkout with uncommitted work in them."""
    found = (name for name in user.submodules if (user.top / name / ".git").exists())
    return tuple(n for n in found if Git(user.top / n, filters=user.git.filters).ask("status", "--porcelain"))


def _check_out(source: Git, commit: str, target: Path, store: Path) -> None:
    for folder in (target, store):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    own = Git(store, {"GIT_DIR": str(store)}, source.filters)
    own.run("init", "--quiet", "--bare", "--template=", str(store))
    own.run("config", "core.bare", "false")
    own.run("config", "core.worktree", str(target))
    objects = Path(source.text("rev-parse", "--path-format=absolute", "--git-common-dir")) / "objects"
    (store / "objects" / "info").mkdir(exist_ok=True)
    (store / "objects" / "info" / "alternates").write_bytes(alternate(objects))
    (store / "HEAD").write_text(f"{commit}\n", encoding="ascii")
    (target / ".git").write_text(f"gitdir: {store}\n", encoding="utf-8")
    Git(target, {"GIT_DIR": str(store), "GIT_WORK_TREE": str(target)}, source.filters).run(
        "read-tree", "--reset", "-u", commit
    )
