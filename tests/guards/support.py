"""Patches for the tests of guards: two states of a tree in a real private repository, and what a guard says of the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.support import Repo
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.verify.guards.base import Guard, Patch, Rules

#: A tree: path -> content; None = no such file.
Tree = Mapping[str, str | bytes | None]
_WHO = b"committer Ada <ada@example.org> 1767268800 +0000\n"


def patch_of(
    tmp_path: Path,
    before: Tree,
    after: Tree,
    rules: Rules | None = None,
    targets: Sequence[str] = (),
    modes: Mapping[str, str] | None = None,
) -> Patch:
    """The step from `before` to the whole tree `after`. `modes`: path -> octal mode in both, where it is not 100644."""
    return patches_of(tmp_path, [(before, after)], rules, targets, modes)[0]


def patches_of(
    tmp_path: Path,
    steps: Iterable[tuple[Tree, Tree]],
    rules: Rules | None = None,
    targets: Sequence[str] = (),
    modes: Mapping[str, str] | None = None,
) -> list[Patch]:
    """One patch a step, all in one repository, whose objects one git process writes: for long tables of cases."""
    where = tmp_path / f"guards{sum(1 for _ in tmp_path.glob('guards*'))}"
    user = Repo.make(where / "user", {"README": "a repository\n"})
    repo = PrivateRepository.create(open_repository(user.path), where / "private.git")
    trees = [tree for step in steps for tree in step]
    told = b"".join(_commit(number, tree, modes or {}) for number, tree in enumerate(trees, 1))
    marks = where / "marks"
    repo.git.run("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=told)
    made = dict(line.split() for line in marks.read_text().splitlines())
    revs = [f"{made[f':{n}']}^{{tree}}" for n in range(1, len(trees) + 1)]
    ids = repo.git.text("rev-parse", *revs).splitlines()
    pairs = zip(ids[::2], ids[1::2], strict=True)
    return [Patch(repo, a, b, tuple(repo.changes(a, b)), rules or Rules(), tuple(targets)) for a, b in pairs]


def _commit(number: int, tree: Tree, modes: Mapping[str, str]) -> bytes:
    parts = [b"commit refs/heads/t%d\nmark :%d\n" % (number, number), _WHO, b"data 0\ndeleteall\n"]
    for path, content in tree.items():
        if content is not None:
            data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
            name = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            quoted = name.encode("utf-8", "surrogateescape")
            parts.append(
                b'M %s inline "%s"\ndata %d\n%s\n' % (modes.get(path, "100644").encode(), quoted, len(data), data)
            )
    return b"".join(parts) + b"\n"


def found(guard: Guard, patch: Patch) -> list[tuple[str, str, int | None]]:
    """(level, path, line) of all that a guard says of a patch, as it says it: before the rules ease it."""
    return [(f.level, f.path, f.line) for f in guard.look(patch)]
