"""Whether the commits of a bundle are what was verified: trees, order, trailers, and what the guards say of each patch again.

Runs no code of the repository: git objects are compared and guards read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zwarm_ci.errors import CommandError, RefusedError
from zwarm_ci.github.bundle import Bundle, Piece
from zwarm_ci.private import Change, PrivateRepository
from zwarm_ci.protected import is_manifest
from zwarm_ci.scrub import decode, one_line, redact
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify import guards
from zwarm_ci.verify.guards import Patch, Rules

WORKFLOWS = ".github/workflows/"
_TRAILERS = ("Zwarm-Run", "Zwarm-Task", "Zwarm-Verified")


@dataclass(frozen=True, slots=True)
class Proof:
    """A bundle that fits: its commits in order, their trees, what changes in all, and what a person should look at."""

    commits: tuple[str, ...]
    trees: tuple[str, ...]
    changes: tuple[Change, ...]
    findings: tuple[GuardFinding, ...]


def establish(repo: PrivateRepository, bundle: Bundle, rules: Rules, *, workflows: bool) -> Proof:
    """Take the bundle's commits into `repo`, which has the base, and hold them against everything that is claimed of them.

    `rules` are the base's; `workflows`: whether the token may change workflow files.

    Raises:
        RefusedError: it is not what was verified, or goes where patches may not go.
    """
    _unpack(repo, bundle)
    commits = _chain(repo, bundle)
    base_tree, above = repo.tree_of(bundle.base), bundle.base
    trees, findings = [], []
    for commit, piece in zip(commits, bundle.pieces, strict=True):
        _trailers(repo, bundle, commit, piece)
        trees.append(_tree(repo, base_tree, above, commit, piece))
        findings += _looked_at(repo, above, commit, piece, rules, workflows=workflows)
        above = commit
    return Proof(commits, tuple(trees), tuple(repo.changes(bundle.base, bundle.head)), tuple(dict.fromkeys(findings)))


def _unpack(repo: PrivateRepository, bundle: Bundle) -> None:
    """Take the objects in, each looked at by git's own fsck, which `git fetch` leaves out for bundles: no `.git`, nothing broken."""
    try:
        repo.git.run("index-pack", "--stdin", "--fix-thin", "--strict", stdin=bundle.pack())
        repo.git.run("update-ref", "refs/zwarm/head", bundle.head)
        repo.git.run("rev-list", "--objects", "--quiet", bundle.head, f"^{bundle.base}")
    except CommandError as error:
        said = one_line(redact(decode(error.stderr)), 200)
        raise RefusedError(f"branch.bundle does not fit its base: {said}") from error
    if repo.git.ask("rev-parse", "--verify", "--quiet", "refs/zwarm/head^{commit}") != bundle.head:
        raise RefusedError("branch.bundle does not hold the commit that outcome.json names")


def _chain(repo: PrivateRepository, bundle: Bundle) -> tuple[str, ...]:
    """The commits from the base to the head: one parent each, one per task, in the order of the tasks."""
    rows = repo.git.text(
        "rev-list", "--topo-order", "--reverse", "--parents", f"{bundle.base}..{bundle.head}"
    ).splitlines()
    found = [row.split() for row in rows]
    above = [bundle.base, *(row[0] for row in found[:-1])]
    if any(row[1:] != [parent] for row, parent in zip(found, above, strict=True)):
        raise RefusedError("the branch is no straight line from its base: a merge, or a commit from elsewhere")
    commits = tuple(row[0] for row in found)
    if commits != tuple(p.outcome.commit for p in bundle.pieces):
        raise RefusedError("the branch does not have exactly one commit for each task, in their order")
    return commits


def _trailers(repo: PrivateRepository, bundle: Bundle, commit: str, piece: Piece) -> None:
    rows = repo.git.text("show", "-s", "--format=%(trailers:only,unfold)", commit).splitlines()
    found = {key: [row.partition(":")[2].strip() for row in rows if row.startswith(f"{key}:")] for key in _TRAILERS}
    name = piece.outcome.task.id
    wanted = dict(zip(_TRAILERS, ([bundle.outcome.run], [name], [piece.digest]), strict=True))
    if found["Zwarm-Verified"] != wanted["Zwarm-Verified"]:
        raise RefusedError(f"{name}: the evidence is not the one that its commit names")
    if found != wanted:
        raise RefusedError(f"{name}: its commit names another run or task")


def _tree(repo: PrivateRepository, base_tree: str, above: str, commit: str, piece: Piece) -> str:
    """The commit's tree: the patch that was verified alone on the base, merged onto what came before it."""
    name = piece.outcome.task.id
    if piece.evidence["base_tree"] != base_tree:
        raise RefusedError(f"{name}: was verified on another tree than the base's")
    if repo.apply(base_tree, piece.patch) != piece.delivered:
        raise RefusedError(f"{name}: its patch does not make the tree that was verified")
    tree = repo.tree_of(commit)
    if repo.apply(repo.tree_of(above), piece.patch) != tree:
        raise RefusedError(f"{name}: its commit has another tree than the verified patch makes")
    return tree


def _looked_at(
    repo: PrivateRepository, above: str, commit: str, piece: Piece, rules: Rules, *, workflows: bool
) -> list[GuardFinding]:
    """What the guards say again. A refusal stands, but where verification saw it and a person had allowed it for review."""
    name = piece.outcome.task.id
    seen = _seen(piece)
    about = frozenset(f.path for f in seen if f.guard == "settings" and is_manifest(f.path))
    patch = Patch.between(repo, above, commit, replace(rules, strict=True, about=about), piece.outcome.task.targets)
    flows = [c.path for c in patch.changes if c.path.lower().startswith(WORKFLOWS)]
    if flows and not workflows:
        raise RefusedError(
            f"{name}: changes the workflow {one_line(redact(flows[0]), 100)}, which this token may not push",
            remedy="take that patch by hand",
        )
    allowed = {(f.guard, f.path) for f in seen}
    found = []
    for finding in guards.look(patch):
        tests = guards.GUARDS[finding.guard].family == "tests" or finding.path in flows
        if finding.level == "refuse" and not (tests and (finding.guard, finding.path) in allowed):
            place = f" {one_line(redact(finding.path), 100)}" if finding.path else ""
            raise RefusedError(
                f"{name}: {finding.guard}:{place} {one_line(redact(finding.detail), 200)}",
                remedy="take that patch by hand, or publish with the --set that the run had",
            )
        found.append(replace(finding, level="review"))
    return [*seen, *(f for f in found if (f.guard, f.path) not in allowed)]


def _seen(piece: Piece) -> Sequence[GuardFinding]:
    """What verification itself asks a person to look at."""
    return [
        GuardFinding(
            str(f.get("guard", "")),
            "review",
            str(f.get("path", "")),
            f["line"] if isinstance(f.get("line"), int) else None,
            str(f.get("detail", "")),
            str(f.get("allow", "")),
        )
        for f in piece.evidence["guards"]
    ]
