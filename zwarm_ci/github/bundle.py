"""A bundle: a finished run's folder with its branch in `branch.bundle`, as one job hands it to another.

`write` makes the file. `read` takes a folder from anywhere: it is hostile until everything in it fits together, and what it says
of commits is looked at by `proof.py`, which has the base.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.errors import RefusedError, UsageError, first_complaint
from zwarm_ci.private import PrivateRepository
from zwarm_ci.scrub import decode, one_line, plain, redact
from zwarm_ci.verdict import SCHEMA, Outcome, TaskOutcome

NAME = "branch.bundle"
_MIB = 1 << 20
_LARGEST = {"outcome.json": 64 * _MIB, NAME: 256 * _MIB, ".json": 8 * _MIB, ".patch": 64 * _MIB}
_HEADER = 64 * 1024  # bytes; one prerequisite and one ref take some 200
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_REF = re.compile(r"refs/heads/[A-Za-z0-9][A-Za-z0-9_./-]{0,200}")
_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")
SNAPSHOT = "Snapshot of uncommitted work on "


@dataclass(frozen=True, slots=True)
class Piece:
    """One task's patch with the evidence that it was verified. `digest` is the SHA-256 of the evidence file."""

    outcome: TaskOutcome
    evidence: Mapping[str, Any]
    digest: str
    patch: bytes

    @property
    def delivered(self) -> str:
        """The tree that was verified: the base with this patch alone."""
        return str(self.evidence["delivered_tree"])


@dataclass(frozen=True, slots=True)
class Bundle:
    """A run that ended. Without a branch, `head` is "" and there are no pieces."""

    folder: Path
    outcome: Outcome
    base: str
    head: str = ""
    ref: str = ""
    pieces: tuple[Piece, ...] = ()

    def pack(self) -> bytes:
        """The objects in the git bundle, as `git index-pack` reads them.

        Raises:
            RefusedError: the file cannot be read.
        """
        return _bytes(self.folder, NAME).partition(b"\n\n")[2]


def write(repo: PrivateRepository, base: str, branch: str, folder: Path) -> None:
    """Put a branch that was delivered as a git bundle into its run's folder; it holds that one ref and needs `base` alone.

    Where the base is a snapshot of uncommitted work, which nobody else has, the bundle begins with it and needs its parent.
    """
    since = repo.user.head if _is_snapshot(repo, base) else base
    file, temporary = folder / NAME, folder / f".{NAME}.tmp"
    revs = (f"^{since}", f"refs/heads/{branch}")
    repo.user.git.run("bundle", "create", "--quiet", "--version=2", str(temporary.absolute()), *revs)
    temporary.replace(file)


def _is_snapshot(repo: PrivateRepository, base: str) -> bool:
    if base == repo.user.head:
        return False
    said = repo.git.text("show", "-s", "--format=%P%n%s", base).split("\n", 1)
    return said[0] == repo.user.head and said[1].startswith(SNAPSHOT)


def read(folder: Path) -> Bundle:
    """The bundle in `folder`, as far as it can be looked at without the base.

    Raises:
        UsageError: there is no finished run in it.
        RefusedError: something in it does not fit, or is not what a run leaves.
    """
    outcome = _outcome(folder)
    for name, sha in (("base", outcome.base), ("source_head", outcome.source_head), ("head", outcome.head or "")):
        if not _SHA.fullmatch(sha) and not (name == "head" and not sha):
            raise RefusedError(f"outcome.json: {name} is no commit id")
    made = [t for t in outcome.tasks if t.commit]
    if bool(outcome.branch) != bool(outcome.head) or bool(made) != bool(outcome.head):
        raise RefusedError("outcome.json: the branch and the commits of the tasks do not fit together")
    if not outcome.head:
        return Bundle(folder, outcome, outcome.base)
    if len({t.task.id for t in made}) != len(made):
        raise RefusedError("outcome.json: two tasks have the same id")
    ref = _header(folder, outcome)
    return Bundle(folder, outcome, outcome.base, outcome.head, ref, tuple(_piece(folder, t) for t in made))


def _outcome(folder: Path) -> Outcome:
    from pydantic import ValidationError

    from zwarm_ci.reports import jsonreport
    from zwarm_ci.reports.schema import OutcomeModel

    if not (folder / "outcome.json").exists():
        raise UsageError(f"{folder} has no outcome.json", remedy="name a finished run, or a copy that --reports made")
    text = decode(_bytes(folder, "outcome.json"))
    found = jsonreport.from_json(text)
    try:
        OutcomeModel.model_validate_json(text)
    except ValidationError as error:
        raise RefusedError(one_line(f"outcome.json: {': '.join(first_complaint(error))}", 300)) from error
    return jsonreport.outcome_of(found)


def _header(folder: Path, outcome: Outcome) -> str:
    """The one ref of the git bundle, whose head and only prerequisite are those of the outcome."""
    if not (folder / NAME).exists():
        raise RefusedError(
            f"{NAME} is missing", remedy="a run of this version writes it; it goes along with --reports DIR"
        )
    head = _bytes(folder, NAME, most=_HEADER, whole=False).partition(b"\n\n")[0]
    first, *lines = decode(head).split("\n")
    if first not in {"# v2 git bundle", "# v3 git bundle"}:
        raise RefusedError(f"{NAME} is no git bundle")
    needs = [line[1:].partition(" ")[0] for line in lines if line.startswith("-")]
    refs = [line.split(" ", 1) for line in lines if not line.startswith(("-", "@"))]
    if odd := [line for line in lines if line.startswith("@") and not line.startswith("@object-format=")]:
        raise RefusedError(f"{NAME}: {one_line(odd[0], 60)} is nothing that a run writes")
    if needs == [outcome.source_head] and outcome.source_head != outcome.base:
        raise RefusedError(
            "the branch begins with a snapshot of uncommitted work, which nobody else has",
            remedy="commit that work, push it, and run again",
        )
    if needs != [outcome.base]:
        raise RefusedError(f"{NAME} does not begin at the base of outcome.json")
    if len(refs) != 1 or len(refs[0]) != 2 or refs[0][0] != outcome.head or not _REF.fullmatch(refs[0][1]):
        raise RefusedError(f"{NAME} does not hold exactly the branch of outcome.json")
    return refs[0][1]


def _piece(folder: Path, outcome: TaskOutcome) -> Piece:
    name = outcome.task.id
    if not _ID.fullmatch(name) or not _FINGERPRINT.fullmatch(outcome.task.fingerprint):
        raise RefusedError(f"outcome.json: {one_line(redact(name), 60)!r} is no task that a run plans")
    if (outcome.evidence, outcome.patch) != (f"evidence/{name}.json", f"patches/{name}.patch"):
        raise RefusedError(f"{name}: evidence and patch are not where a run leaves them")
    if outcome.status != "fixed" or not _SHA.fullmatch(outcome.commit or ""):
        raise RefusedError(f"{name}: has a commit, but was not verified ({outcome.status})")
    raw = _bytes(folder, f"evidence/{name}.json")
    evidence = _evidence(name, raw)
    _fits(outcome, evidence)
    return Piece(outcome, evidence, hashlib.sha256(raw).hexdigest(), _bytes(folder, f"patches/{name}.patch"))


def _evidence(name: str, raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{name}: its evidence is not JSON") from error
    shapes = {
        "targets": dict,
        "guards": list,
        "assurance": dict,
        "fingerprint": str,
        "base_tree": str,
        "delivered_tree": str,
    }
    if not isinstance(found, dict) or any(not isinstance(found.get(k), kind) for k, kind in shapes.items()):
        raise RefusedError(f"{name}: its evidence is not what a verification writes")
    if found.get("schema") != SCHEMA:
        raise RefusedError(f"{name}: its evidence has schema {found.get('schema')!r}, this version reads {SCHEMA}")
    if not all(isinstance(part, dict) for part in (*found["targets"].values(), *found["guards"])):
        raise RefusedError(f"{name}: its evidence is not what a verification writes")
    return found


def _fits(outcome: TaskOutcome, evidence: Mapping[str, Any]) -> None:
    """Whether the evidence is that of this task, and says that it was accepted."""
    name = outcome.task.id
    if evidence["fingerprint"] != outcome.task.fingerprint:
        raise RefusedError(f"{name}: the evidence is another task's")
    if {_shown(t) for t in evidence["targets"]} != {_shown(t) for t in outcome.task.targets}:
        raise RefusedError(f"{name}: the evidence is about other tests than outcome.json names")
    if any(str(state.get("after")) not in {"passed", "absent"} for state in evidence["targets"].values()):
        raise RefusedError(f"{name}: the evidence says that it still fails")
    if any(finding.get("level") != "review" for finding in evidence["guards"]):
        raise RefusedError(f"{name}: the evidence says that a guard refused it")


def _shown(test_id: str) -> str:
    """An id as reports write it; the evidence has it as it is."""
    return " ".join(plain(redact(test_id)).split())


def _bytes(folder: Path, name: str, *, most: int = 0, whole: bool = True) -> bytes:
    """A plain file of the folder, of bounded size; `whole=False`: its first `most` bytes.

    Raises:
        RefusedError: it is missing, a link, something else than a file, or too large.
    """
    path = folder / name
    limit = most or _LARGEST.get(name) or _LARGEST[path.suffix]
    try:
        if path.parent != folder and path.parent.is_symlink():
            raise RefusedError(f"{name}: its folder is a link")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedError(f"{name} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError(f"{name} is no plain file")
        largest = _LARGEST.get(name) or limit
        if found.st_size > largest:
            raise RefusedError(f"{name} has {found.st_size // _MIB} MiB; {largest // _MIB} are the most")
        return file.read(limit if not whole else limit + 1)
