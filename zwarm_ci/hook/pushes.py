"""Which commits a push would make known: of git's own lines, of the hook framework's variables, or of what is staged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from zwarm_ci.git import Repository


@dataclass(frozen=True)
class Push:
    """One ref that is pushed. `tip`: the commit that it names here; `known`: the commit that it names there, "" = it is new."""

    user: Repository
    ref: str
    tip: str
    known: str
    remote: str

    @cached_property
    def commits(self) -> tuple[str, ...]:
        """The commits that the remote has not seen, as far as is known here, oldest first."""
        listed = self.user.git.text("rev-list", "--topo-order", "--reverse", self.tip, "--not", *self._seen)
        return tuple(listed.split())

    @cached_property
    def base(self) -> str:
        """The commit that it is held against: where it left what the remote has; "" = it shares nothing with that."""
        if self.known:
            return self.user.git.ask("merge-base", self.known, self.tip) or self.known
        edges = self.user.git.text("rev-list", "--boundary", self.tip, "--not", *self._seen).split()
        left = [edge[1:] for edge in edges if edge.startswith("-")]
        return self.user.git.ask("merge-base", self.tip, *left) if left else ""

    @cached_property
    def paths(self) -> frozenset[str]:
        """What these commits change; what a merge took over from others as it was is none of it."""
        args = ("log", "-z", "--format=", "--name-only", "--no-renames", "-c", self.tip, "--not", *self._seen)
        return frozenset(path.lstrip("\n") for path in self.user.git.paths(*args) if path.strip())

    @property
    def _seen(self) -> tuple[str, ...]:
        pattern = f"--remotes={self.remote}" if self.remote and self._has_remote() else "--remotes"
        return (*filter(None, [self.known]), pattern)

    def _has_remote(self) -> bool:
        """Whether something is known of that remote; a push to a bare address has no name."""
        return bool(self.user.git.ask("for-each-ref", "--count=1", f"refs/remotes/{self.remote}/"))


def pushes(user: Repository, args: tuple[str, ...], refs: str, environ: Mapping[str, str]) -> tuple[Push, ...]:
    """What is pushed; nothing for a deletion, a tag of no commit, and what the remote has already.

    Args:
        user: the repository.
        args: the remote's name and address, as git gives them.
        refs: git's lines on standard input: `local-ref local-id remote-ref remote-id`.
        environ: where the hook framework says the same.
    """
    found = _of_framework(user, environ) if "PRE_COMMIT" in environ else _of_git(user, args, refs)
    return tuple(push for push in found if push.commits)


def _of_git(user: Repository, args: tuple[str, ...], refs: str) -> Iterator[Push]:
    for line in refs.splitlines():
        local, _, rest = line.partition(" ")
        words = rest.rsplit(" ", 2)  # the name here may be `HEAD~2`, or anything that names a commit
        if len(words) == 3 and (tip := _commit(user, words[0].split(" ")[-1])):
            yield Push(user, local, tip, _commit(user, words[2]), args[0] if args else "")


def _of_framework(user: Repository, environ: Mapping[str, str]) -> Iterator[Push]:
    """One ref, as the framework chose it; on the first push to an empty remote it names the branch alone."""
    local = environ.get("PRE_COMMIT_LOCAL_BRANCH", "")
    if tip := _commit(user, environ.get("PRE_COMMIT_TO_REF") or local):
        known = _commit(user, environ.get("PRE_COMMIT_FROM_REF", ""))
        yield Push(
            user, local or environ.get("PRE_COMMIT_TO_REF", ""), tip, known, environ.get("PRE_COMMIT_REMOTE_NAME", "")
        )


def _commit(user: Repository, name: str) -> str:
    """The commit that a name or id stands for, an annotated tag looked through; "" = none here."""
    if not name.strip("0"):
        return ""
    return user.git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
