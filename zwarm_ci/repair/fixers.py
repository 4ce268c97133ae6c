"""The repository's own fixers: a check's `fix` command, or ruff's safe fixes, kept to the files that the failures name."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks import argv_of, run_fix
from zwarm_ci.repair.lab import Lab, Remedy
from zwarm_ci.task import TEST_KINDS, Check

#: Kinds whose failures name files, so that a fixer's work elsewhere can be told apart and is dropped.
_NAMES_FILES = frozenset({"ruff", "eslint", "mypy", "tsc"})
_REPLACED = frozenset({"--fix", "--no-fix", "--unsafe-fixes", "--no-unsafe-fixes"})


def fix(lab: Lab) -> Remedy:
    """A tree in which the tool itself has fixed the targets, or why there is none."""
    check = lab.subject.check
    if check.kind in TEST_KINDS:
        return Remedy("no tool fixes a test")
    named = sorted({f.place.path for f in lab.subject.task.failures if f.place}) if check.kind in _NAMES_FILES else []
    open_files = [path for path in named if not lab.subject.untouchable(path)]
    if named and not open_files:
        return Remedy(f"{named[0]} is protected, so its fixer may not edit it")
    folder = lab.stand(lab.base_tree).path
    command = fix_command(check, open_files, folder)
    if not command:
        return Remedy(f"check {check.name!r} has no fix command")
    if lab.trouble:
        return Remedy(lab.trouble)
    lab.tell(f"`{command}`", lab.runs)
    lab.disturbed()
    ended = run_fix(replace(check, fix=command), folder, env=lab.env, scratch=lab.scratch)
    if ended is None or ended.timed_out:
        return Remedy(f"`{command}` did not end")
    return _accept(lab, command, _keep(lab, set(open_files)))


def fix_command(check: Check, files: list[str], folder: Path) -> str:
    """The command that fixes: ruff is told the files and safe fixes only; others run as the settings say; "" = none."""
    if check.kind != "ruff" or not files:
        return check.fix
    argv, _ = argv_of(check.run)
    if "check" not in argv:
        return check.fix
    kept = [part for part in argv if not _is_path(part, folder / check.workdir) and part not in _REPLACED]
    inside = [Path(f).relative_to(check.workdir).as_posix() for f in files if Path(f).is_relative_to(check.workdir)]
    return shlex.join([*kept, "--fix", "--no-unsafe-fixes", "--", *inside]) if inside else check.fix


def _is_path(part: str, folder: Path) -> bool:
    return part == "." or (
        ("/" in part or part.endswith(".py") or (folder / part).is_dir()) and (folder / part).exists()
    )


def _keep(lab: Lab, named: set[str]) -> str:
    """The tree that stands, less changes to protected files and, where the failures name files, to any other file."""
    after = lab.stand_tree()

    def undo(path: str) -> bool:
        return lab.subject.untouchable(path) or (bool(named) and path not in named)

    return lab.repo.overlay(after, lab.base_tree, undo)


def _accept(lab: Lab, command: str, tree: str) -> Remedy:
    if tree == lab.base_tree:
        return Remedy(f"`{command}` changed nothing that may be changed")
    if tree in lab.subject.refused:
        return Remedy(f"what `{command}` does was refused before")
    result = lab.run(tree, lab.targets, why="the check after its fixer")
    if result.trouble:
        return Remedy(f"after `{command}`: {result.trouble}")
    still = [target for target in lab.targets if result.state(target) == "failed"]
    if still:
        return Remedy(f"`{command}` leaves {still[0]}")
    return Remedy(f"`{command}`", tree, "fixer")
