"""Submodules in a clean worktree, from what the user's checkout has of them; nothing is fetched and nothing there is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from zwarm_ci.git import Git, Repository
from zwarm_ci.private import PrivateRepository, alternate


def place(repo: PrivateRepository, tree: str, path: Path, beside: Path) -> tuple[str, ...]:
    """Check out every submodule of `tree` below `path`, each with a repository of its own in `beside`.

    Returns:
        The paths of those that the checkout does not have at the commit that `tree` records, nested ones included.
    """
    if not repo.user.submodules:
        return ()
    missing: list[str] = []
    for number, (name, commit) in enumerate(repo.links(tree)):
        source = Git(repo.user.top / name, filters=repo.user.git.filters)
        if not (source.cwd / ".git").exists() or source.ask("cat-file", "-t", commit) != "commit":
            missing.append(name)
            continue
        _check_out(source, commit, path / name, beside / f"submodule{number}")
        missing += [f"{name}/{inner}" for inner in _inner(source, commit)]
    return tuple(missing)


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


def _inner(source: Git, commit: str) -> list[str]:
    listed = source.text("ls-tree", "-r", commit).splitlines()
    return [line.partition("\t")[2] for line in listed if line.startswith("160000 ")]
