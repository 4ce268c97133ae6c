"""Git with the tree's hooks, filters and fsmonitor off.

The user's repository (read; one branch written), the run's private bare repository, and worktrees of that.

Nothing here writes to the user's HEAD, index, stash, config or existing refs, nor takes a lock on the index.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.proc import Exit, run
from zwarm_ci.scrub import child_env, decode, is_secret_path

ZERO = "0" * 40
BOT = ("zwarm-ci", "zwarm-ci@noreply.invalid")  # where git's own settings name nobody
STATE_IGNORE = "*\n!config.toml\n!codex.toml\n!claude.toml\n"
#: Local settings that decide what a checkout looks like; the private repository takes them over.
_CHECKOUT_KEYS = (
    "core.autocrlf",
    "core.eol",
    "core.symlinks",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.excludesFile",
    "core.attributesFile",
)
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


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path of a patch. Modes are git's octal strings, `000000` = absent; `status` is A, M, D or T."""

    path: str
    status: str
    old_mode: str
    new_mode: str
    old: str
    new: str


class PrivateRepository:
    """A run's own bare repository: borrows the user's objects, has no remote, no hooks, and every worktree of the run."""

    def __init__(self, path: Path, user: Repository) -> None:
        self.path, self.user = path, user
        self.git = Git(path, {"GIT_DIR": str(path)}, user.git.filters)
        self._identity = user.identity

    @classmethod
    def create(cls, user: Repository, path: Path) -> PrivateRepository:
        """Make it at `path`, which must not exist."""
        path.mkdir(parents=True)
        made = cls(path, user)
        form = user.git.ask("rev-parse", "--show-object-format") or "sha1"
        made.git.run("init", "--bare", "--quiet", "--template=", f"--object-format={form}", str(path))
        (path / "objects" / "info").mkdir(exist_ok=True)
        (path / "objects" / "info" / "alternates").write_bytes(_alternate(user.common_dir / "objects"))
        (path / "info").mkdir(exist_ok=True)
        for name in ("shallow", "info/exclude", "info/attributes"):
            if (user.common_dir / name).is_file():
                shutil.copy2(user.common_dir / name, path / name)
        for key in _CHECKOUT_KEYS:
            if value := user.git.ask("config", "--local", key):
                made.git.run("config", key, value)
        made.git.run("update-ref", "refs/heads/zwarm", user.head)
        return made

    def snapshot(self, source: str) -> str:
        """The base commit for `--from` worktree, index or head: HEAD itself where nothing differs, else a commit on HEAD.

        Raises:
            BlockedError: a merge is not resolved.
        """
        if source == "head":
            return self.user.head
        if unmerged := self.user.git.paths("diff", "--name-only", "--diff-filter=U", "-z"):
            raise BlockedError(f"{unmerged[0]} has merge conflicts", remedy="resolve them, or use --from head")
        tree = self._tree_of_user(worktree=source == "worktree")
        if tree == self.git.text("rev-parse", f"{self.user.head}^{{tree}}"):
            return self.user.head
        date = self.git.text("show", "-s", "--format=%cI", self.user.head)
        message = (
            f"Snapshot of uncommitted work on {self.user.head[:12]}\n\nMade by zwarm-ci as the base of a repair.\n"
        )
        return self.commit(tree, [self.user.head], message, date=date)

    def _tree_of_user(self, *, worktree: bool) -> str:
        index = self.path / "user-index"
        real = self.user.git_dir / "index"
        if real.exists():
            shutil.copy2(real, index)  # with its times: git's racy-entry rule compares them
        git = self.user.git.with_env(
            GIT_INDEX_FILE=str(index),
            GIT_OBJECT_DIRECTORY=str(self.path / "objects"),
            GIT_ALTERNATE_OBJECT_DIRECTORIES=str(self.user.common_dir / "objects"),
        )
        if worktree:
            git.run("add", "-u", "--", ":/")
            new = [
                p for p in git.paths("ls-files", "-o", "--exclude-standard", "-z", "--full-name", ":/") if _belongs(p)
            ]
            git.run("update-index", "--add", "-z", "--stdin", stdin=b"".join(os.fsencode(p) + b"\0" for p in new))
        tree = git.text("write-tree")
        index.unlink(missing_ok=True)
        return tree

    def worktree(self, commit: str, path: Path) -> Worktree:
        """A fresh checkout of `commit` at `path`, detached."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.git.run("worktree", "add", "--quiet", "--detach", "--force", str(path), commit)
        return Worktree(self, path)

    def commit(self, tree: str, parents: Iterable[str], message: str, *, date: str = "") -> str:
        """A commit by the user's identity; `date` in ISO 8601 (now where empty)."""
        name, email = self._identity
        env = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
        }
        if date:
            env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        args = [part for parent in parents for part in ("-p", parent)]
        return self.git.text("commit-tree", tree, *args, stdin=message.encode("utf-8", "replace"), env=env)

    def tree_of(self, rev: str) -> str:
        """The tree id of a commit or tree."""
        return self.git.text("rev-parse", "--verify", f"{rev}^{{tree}}")

    def read(self, rev: str, path: str) -> bytes | None:
        """A file's bytes at `rev`; None where there is none."""
        result = self.git.run("cat-file", "blob", f"{rev}:{path}", check=False)
        return result.stdout if result.ok else None

    def files(self, rev: str) -> list[str]:
        """Every path in `rev`."""
        return self.git.paths("ls-tree", "-r", "-z", "--name-only", rev)

    def changes(self, old: str, new: str) -> list[Change]:
        """What differs between two commits or trees, by path; no renames are guessed."""
        fields = self.git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new).stdout.split(
            b"\0"
        )
        found = []
        for meta, path in zip(fields[::2], fields[1::2], strict=False):
            old_mode, new_mode, old_sha, new_sha, status = decode(meta).lstrip(":").split()
            found.append(Change(os.fsdecode(path), status[0], old_mode, new_mode, old_sha, new_sha))
        return found

    def patch(self, old: str, new: str, *, context: int = 3) -> bytes:
        """The difference as a patch that `git apply` takes; deterministic whatever the user's diff settings are."""
        return self.git.run(
            "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
            "--diff-algorithm=histogram", "--src-prefix=a/", "--dst-prefix=b/", f"-U{context}", old, new,
        ).stdout  # fmt: skip

    def overlay(self, tree: str, source: str, keep: Callable[[str], bool]) -> str:
        """`tree` with every path for which `keep` is true as it is in `source` (there, changed or absent)."""
        changed = (c for c in self.changes(tree, source) if keep(c.path))
        lines = [f"{c.new_mode} {c.new}\t".encode() + os.fsencode(c.path) for c in changed]
        return self.with_entries(tree, lines)

    def with_entries(self, tree: str, lines: Sequence[bytes]) -> str:
        """`tree` with lines of `update-index --index-info` laid over it."""
        if not lines:
            return self.tree_of(tree)
        index = self.path / f"overlay-{os.urandom(6).hex()}"
        git = self.git.with_env(GIT_INDEX_FILE=str(index))
        git.run("read-tree", tree)
        git.run("update-index", "-z", "--index-info", stdin=b"".join(line + b"\0" for line in lines))
        made = git.text("write-tree")
        index.unlink(missing_ok=True)
        return made

    def apply(self, tree: str, patch: bytes) -> str | None:
        """`tree` with `patch` merged in three ways; None where they conflict."""
        index = self.path / f"apply-{os.urandom(6).hex()}"
        git = self.git.with_env(GIT_INDEX_FILE=str(index))
        git.run("read-tree", tree)
        merged = git.run("apply", "--cached", "--3way", "--whitespace=nowarn", "-", stdin=patch, check=False)
        unmerged = git.text("ls-files", "-u") if merged.ok else "conflict"
        made = git.text("write-tree") if merged.ok and not unmerged else None
        index.unlink(missing_ok=True)
        return made

    def deliver(self, commit: str, ref: str, *, old: str = "") -> None:
        """Put `commit` and what it needs into the user's repository under one ref: a new one, or one that is at `old`.

        Raises:
            CommandError: the branch is not where it was, or the disk is full.
        """
        revs = f"{commit}\n^{self.user.head}\n".encode()
        pack = self.git.run("pack-objects", "--revs", "--stdout", "--quiet", "--thin", stdin=revs).stdout
        user = self.user.git
        user.run("-c", "core.fsync=all", "unpack-objects", "-q", stdin=pack)
        name, email = self._identity
        who = {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": email}
        user.run("update-ref", "-m", "zwarm-ci: verified patches", ref, commit, old or "0" * len(commit), env=who)


class Worktree:
    """A checkout of the private repository. Its content is read through an index of our own, whoever staged or committed what."""

    def __init__(self, repo: PrivateRepository, path: Path) -> None:
        self.repo, self.path = repo, path
        pointer = (path / ".git").read_bytes() if (path / ".git").is_file() else b""
        admin = Path(os.fsdecode(pointer.partition(b"gitdir: ")[2].rstrip(b"\n")))
        self._index = repo.path / f"index-{os.urandom(6).hex()}"
        if (admin / "index").is_file():
            shutil.copy2(admin / "index", self._index)
        self.git = Git(
            path,
            {"GIT_DIR": str(repo.path), "GIT_WORK_TREE": str(path), "GIT_INDEX_FILE": str(self._index)},
            repo.git.filters,
        )

    def tree(self) -> str:
        """The tree id of what stands here now, ignored files left out."""
        added = self.git.run("add", "-A", "--", ":/", check=False)
        if (
            not added.ok
        ):  # a repository without commits, which a test or a session made, is no content; anything else is an error
            empty = b"does not have a commit checked out" in added.stderr
            self.git.run("add", "-A", *(["--ignore-errors"] if empty else []), "--", ":/", check=not empty)
        return self.git.text("write-tree")

    def reset(self, rev: str, *, ignored: bool = True) -> None:
        """Make the files those of `rev`; untracked files go, with `ignored` the ignored ones too."""
        self.git.run("read-tree", "--reset", "-u", rev)
        self.git.run("checkout-index", "-q", "-f", "-a")
        self.git.run("clean", "-ffdq", *(["-x"] if ignored else []), "--", ":/")


def _alternate(objects: Path) -> bytes:
    """The line of info/alternates that names a folder, quoted as in C."""
    name = os.fsencode(objects).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + name + b'"\n'


def _belongs(path: str) -> bool:
    return not is_secret_path(path) and not path.startswith(".zwarm/")
