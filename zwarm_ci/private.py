"""A run's private bare repository, which borrows the user's objects, and the worktrees of it.

Nothing here writes to the user's repository but `deliver`, which makes one branch.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.errors import BlockedError
from zwarm_ci.files import locked
from zwarm_ci.git import Git, Repository
from zwarm_ci.scrub import decode, is_secret_path, without_login
from zwarm_ci.seal import Seal

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
        self._seal: Seal | None = None

    @classmethod
    def create(cls, user: Repository, path: Path, *, borrow: Sequence[Path] = ()) -> PrivateRepository:
        """Make it at `path`, which must not exist; it has the objects of the repositories `borrow` too, as long as they are there."""
        path.mkdir(parents=True)
        made = cls(path, user)
        form = user.git.ask("rev-parse", "--show-object-format") or "sha1"
        made.git.run("init", "--bare", "--quiet", "--template=", f"--object-format={form}", str(path))
        (path / "objects" / "info").mkdir(exist_ok=True)
        lenders = (user.common_dir, *borrow)
        (path / "objects" / "info" / "alternates").write_bytes(b"".join(alternate(p / "objects") for p in lenders))
        (path / "info").mkdir(exist_ok=True)
        for name in ("shallow", "info/exclude", "info/attributes"):
            if (user.common_dir / name).is_file():
                shutil.copy2(user.common_dir / name, path / name)
        for key in _CHECKOUT_KEYS:
            if value := user.git.ask("config", "--local", key):
                made.git.run("config", key, value)
        made._let_tools_ask()
        made.git.run("update-ref", "refs/heads/zwarm", user.head)
        made._seal = Seal(path)
        made._seal.take()
        return made

    @classmethod
    def reopen(cls, user: Repository, path: Path, seal: str) -> PrivateRepository:
        """One that another process made, whose `seal` was `seal`.

        Raises:
            BlockedError: it is gone, or somebody changed how git is to read it.
        """
        if not (path / "objects").is_dir():
            raise BlockedError(f"{path} is gone", remedy="start again")
        made = cls(path, user)
        made._seal = Seal(path)
        made._seal.take()
        if made.seal != seal:
            raise BlockedError(f"the settings of {path} were changed by somebody", remedy="start again")
        return made

    @property
    def seal(self) -> str:
        """Digest of what decides how git reads and writes here, as we made it."""
        return self._seal.digest if self._seal else ""

    def mend(self) -> tuple[str, ...]:
        """Put settings, attributes, hooks and borrowed places back as we made them; the files in which somebody changed them."""
        return self._seal.mend() if self._seal else ()

    def _let_tools_ask(self) -> None:
        """Tags, remote-tracking branches and the remote's address, for tools that version or select by them; nothing can be pushed."""
        listed = self.user.git.run(
            "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", "refs/remotes"
        ).stdout
        rows = [row for row in listed.splitlines() if not row.endswith(b"/HEAD")]
        packed = b"# pack-refs with: \n" + b"".join(row + b"\n" for row in rows)
        (self.path / "packed-refs").write_bytes(packed)
        if url := self.user.git.ask("config", "remote.origin.url"):
            self.git.run("config", "remote.origin.url", without_login(url))
            self.git.run("config", "remote.origin.pushurl", "disabled://worktrees-are-not-pushed-from")

    def exclude(self, path: str) -> None:
        """Have git ignore what we put at `path` (relative to the top) in worktrees."""
        file = self.path / "info" / "exclude"
        line = "/" + re.sub(r"([\\*?\[\] !#])", r"\\\1", path)
        if line not in (file.read_text(encoding="utf-8").splitlines() if file.is_file() else ()):
            with file.open("a", encoding="utf-8") as appended:
                appended.write(f"\n{line}\n")

    def snapshot(self, source: str, *, index: Path | None = None) -> str:
        """The base commit for `--from` worktree, index or head: HEAD itself where nothing differs, else a commit on HEAD.

        `index`: the file that git commits from in a hook, where that is another than the repository's own.

        Raises:
            BlockedError: a merge is not resolved.
        """
        if source == "head":
            return self.user.head
        if unmerged := self.user.git.paths("diff", "--name-only", "--diff-filter=U", "-z"):
            raise BlockedError(f"{unmerged[0]} has merge conflicts", remedy="resolve them, or use --from head")
        tree = self._tree_of_user(index or self.user.git_dir / "index", worktree=source == "worktree")
        if tree == self.git.text("rev-parse", f"{self.user.head}^{{tree}}"):
            return self.user.head
        date = self.git.text("show", "-s", "--format=%cI", self.user.head)
        message = (
            f"Snapshot of uncommitted work on {self.user.head[:12]}\n\nMade by zwarm-ci as the base of a repair.\n"
        )
        return self.commit(tree, [self.user.head], message, date=date)

    def _tree_of_user(self, real: Path, *, worktree: bool) -> str:
        index = self.path / "user-index"
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
        workers = f"checkout.workers={min(os.cpu_count() or 1, 8)}"
        # One at a time: git reads the siblings' folders, and fails on one that is half made.
        with locked(self.path / "worktrees.lock"):
            self.git.run("-c", workers, "worktree", "add", "--quiet", "--detach", "--force", str(path), commit)
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

    def as_commit(self, rev: str) -> str:
        """`rev` itself where it is a commit, else a commit of that tree without parents, the same for the same tree."""
        if self.git.ask("cat-file", "-t", rev) == "commit":
            return rev
        return self.commit(self.tree_of(rev), [], "tree\n", date="@0 +0000")

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

    def with_texts(self, tree: str, texts: Mapping[str, str]) -> str:
        """`tree` with other texts of some of its files; what is not in it yet becomes a plain file."""
        names = [path.encode("utf-8", "surrogateescape") for path in texts]
        listed = self.git.run("ls-tree", "-z", tree, "--", *texts).stdout.split(b"\0")
        modes = {name: entry[:6] for entry, _, name in (line.partition(b"\t") for line in listed) if name}
        blobs = [self.write(text.encode("utf-8", "surrogateescape")).encode() for text in texts.values()]
        lines = [b"%s %s\t%s" % (modes.get(n, b"100644"), b, n) for n, b in zip(names, blobs, strict=True)]
        return self.with_entries(tree, lines)

    def write(self, content: bytes) -> str:
        """The id of a blob with this content."""
        return self.git.text("hash-object", "-w", "--stdin", "--no-filters", stdin=content)

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

    def pack(self, commit: str, without: str) -> bytes:
        """The objects that `commit` needs, but those that the commit `without` has."""
        revs = f"{commit}\n^{without}\n".encode()
        return self.git.run("pack-objects", "--revs", "--stdout", "--quiet", "--thin", stdin=revs).stdout

    def unpack(self, pack: bytes) -> None:
        """Take in objects that `pack` gave.

        Raises:
            CommandError: they are not whole.
        """
        self.git.run("unpack-objects", "-q", stdin=pack)

    def deliver(self, commit: str, ref: str, *, old: str = "") -> None:
        """Put `commit` and what it needs into the user's repository under one ref: a new one, or one that is at `old`.

        Raises:
            CommandError: the branch is not where it was, or the disk is full.
        """
        pack = self.pack(commit, self.user.head)
        user = self.user.git
        user.run("-c", "core.fsync=all", "unpack-objects", "-q", stdin=pack)
        name, email = self._identity
        who = {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": email}
        user.run("update-ref", "-m", "zwarm-ci: verified patches", ref, commit, old or "0" * len(commit), env=who)


class Worktree:
    """A checkout of the private repository. Its content is read through an index of our own, whoever staged or committed what."""

    def __init__(self, repo: PrivateRepository, path: Path) -> None:
        self.repo, self.path = repo, path
        self._pointer = (path / ".git").read_bytes() if (path / ".git").is_file() else b""
        self._admin = Path(os.fsdecode(self._pointer.partition(b"gitdir: ")[2].rstrip(b"\n")))
        self._index = repo.path / f"index-{os.urandom(6).hex()}"
        if self._pointer and (self._admin / "index").is_file():
            shutil.copy2(self._admin / "index", self._index)
        self.git = Git(
            path,
            {"GIT_DIR": str(repo.path), "GIT_WORK_TREE": str(path), "GIT_INDEX_FILE": str(self._index)},
            repo.git.filters,
        )

    def tree(self) -> str:
        """The tree id of what stands here now, ignored files left out."""
        added = self.git.run("add", "-A", "--", ":/", check=False)
        if not added.ok and b"ermission denied" in added.stderr:  # a test of permissions left it so
            self._open_up()
            added = self.git.run("add", "-A", "--", ":/", check=False)
        if (
            not added.ok
        ):  # a repository without commits, which a test or a session made, is no content; anything else is an error
            empty = b"does not have a commit checked out" in added.stderr
            self.git.run("add", "-A", *(["--ignore-errors"] if empty else []), "--", ":/", check=not empty)
        return self.git.text("write-tree")

    def _open_up(self) -> None:
        """Let the owner read everything here and enter every folder."""
        for root, folders, files in os.walk(self.path):
            for path in (Path(root, name) for name in (*folders, *files)):
                if not path.is_symlink() and not os.access(path, os.R_OK):
                    path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))

    def reset(self, rev: str, *, ignored: bool = True) -> None:
        """Make the files those of `rev`; untracked files go, with `ignored` the ignored ones too."""
        self.git.run("read-tree", "--reset", "-u", rev)
        self.git.run("checkout-index", "-q", "-f", "-a")
        self.git.run("clean", "-ffdq", *(["-x"] if ignored else []), "--", ":/")

    def become(self, commit: str) -> None:
        """Make this a clean checkout of another commit, as if it had been made now; cheaper than a new one.

        Everything that is not in `commit` goes, ignored files and nested repositories too. The state of the files is known from
        an index of our own, so that nothing that ran here can have marked a file as unchanged.

        Raises:
            CommandError: something cannot be removed; the folder is then no clean checkout.
        """
        self.reset(commit)
        (self.path / ".git").write_bytes(self._pointer)
        (self._admin / "HEAD").write_text(f"{commit}\n", encoding="ascii")
        shutil.copy2(self._index, self._admin / "index")


def alternate(objects: Path) -> bytes:
    """The line of info/alternates that names a folder, quoted as in C."""
    name = os.fsencode(objects).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + name + b'"\n'


def _belongs(path: str) -> bool:
    return not is_secret_path(path) and not path.startswith(".zwarm/")
