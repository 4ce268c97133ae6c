"""One id, one path from the repository's top: ids of a check that runs in a folder, or whose tool counts paths from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from zwarm_ci.checks import runners
from zwarm_ci.checks.base import Job, Parsed
from zwarm_ci.task import Kind

OF_THE_RUN = ("::startup", "::exit")  # endings of ids that stand for a whole run, and lie in no folder
#: Kinds whose ids are paths from the top as they come: linters print paths, pytest's probe knows its own root.
_FROM_THE_TOP: frozenset[Kind] = frozenset({"pytest", "ruff", "mypy", "tsc", "eslint", "generic"})


def prefixed(parsed: Parsed, job: Job) -> Parsed:
    """`parsed` with the check's folder in front of every id that has it not yet; `stripped` is the way back."""
    folder = _folder(job)
    return _renamed(parsed, lambda i: i if _has(folder, i) else f"{folder}/{i}") if folder else parsed


def stripped(only: Sequence[str], job: Job) -> tuple[str, ...]:
    """The ids `only` as the check's own tool knows them: unittest has names of its own, the others are told paths from the top."""
    dotted = tuple(job.argv[1:3]) == ("-m", "unittest") or runners.is_ours(job.argv)
    folder = _folder(job) if dotted else ""
    return tuple(i.removeprefix(folder + "/") if folder and not _of_the_run(i) else i for i in only)


def rerooted(parsed: Parsed, root: Path, tree: Path) -> Parsed:
    """`parsed`, whose ids begin with paths relative to `root`, with ids that begin with paths relative to `tree`.

    `root` (pytest's rootdir) may be the tree, a folder in it or one above it; a path outside the tree stays as it is.
    """
    base, top = os.path.realpath(root), os.path.realpath(tree)

    def name(test_id: str) -> str:
        path, colons, rest = test_id.partition("::")
        full = os.path.normpath(os.path.join(base, path))  # noqa: PTH118 -- `..` in an id is text, no link is followed
        inside = full == top or full.startswith(top + os.sep)
        return PurePosixPath(os.path.relpath(full, top)).as_posix() + colons + rest if inside else test_id

    return parsed if base == top else _renamed(parsed, name)


def _folder(job: Job) -> str:
    """The folder that goes in front; "" = none does."""
    folder = PurePosixPath(os.path.normpath(job.check.workdir)).as_posix()
    return "" if folder == "." or job.check.kind in _FROM_THE_TOP else folder


def _has(folder: str, test_id: str) -> bool:
    return test_id == folder or test_id.startswith(folder + "/") or _of_the_run(test_id)


def _of_the_run(test_id: str) -> bool:
    return test_id.endswith(OF_THE_RUN)


def _renamed(parsed: Parsed, name: Callable[[str], str]) -> Parsed:
    def renamed(test_id: str) -> str:
        return test_id if _of_the_run(test_id) else name(test_id)

    def ids(of: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(renamed(i) for i in of)

    failures = tuple(replace(f, id=renamed(f.id)) for f in parsed.failures)
    return replace(
        parsed, passed=ids(parsed.passed), failed=ids(parsed.failed), skipped=ids(parsed.skipped), failures=failures,
        modules=ids(parsed.modules), undoomed=ids(parsed.undoomed),
    )  # fmt: skip
