"""Signs of source that begins to name a file that its tests read their answers from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from zwarm_ci.protected import is_setting, is_test
from zwarm_ci.scrub import decode
from zwarm_ci.verify.guards.base import Patch
from zwarm_ci.verify.guards.commanded import compared
from zwarm_ci.verify.guards.signs import CODE, Sign, code_only

_NAME = re.compile(r"(?<![\w\-.])[\w\-]+(?:\.[\w\-]+)*\.\w{1,8}\b")
_PROSE = re.compile(r"^(?:readme|license|changelog|changes|authors|contributing)\b", re.IGNORECASE)


def signs(patch: Patch, paths: Sequence[str]) -> Iterator[tuple[str, Sign]]:
    """(path, sign) of each data file that a changed source file names anew, as the targets' tests do and no source of the base."""
    names = {PurePosixPath(p).name for p in of_tests(patch)} if paths else set()
    for path in paths if names else ():
        old, new = (code_only(path, text) for text in (patch.old(path), patch.new(path)))
        for name in sorted(names):
            said = re.search(rf"(?<![\w.\-]){re.escape(name)}(?![\w\-])", new)
            if said and name not in old:
                yield path, Sign("results", f"names {name}, which the tests read", new.count("\n", 0, said.start()) + 1)


def of_tests(patch: Patch) -> frozenset[str]:
    """Data files of the base, wherever they lie, that the targets' tests name, or a command compares with, and no source names.

    A file that a command only looks into (`grep -q done notes.txt`) is what is to be repaired.
    """
    read = [patch.old(p) for p in dict.fromkeys(t.partition("::")[0] for t in patch.targets) if patch.is_test(p)]
    words = {name for text in read for name in _NAME.findall(text)}
    held = compared(patch)
    found = [p for p in patch.files(patched=False) if p in held or (PurePosixPath(p).name in words and _is_data(p))]
    return frozenset(p for p in found if not _is_sources(patch, PurePosixPath(p).name))


def _is_data(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.suffix not in CODE and not is_setting(path) and not _PROSE.match(pure.name)


def _is_sources(patch: Patch, name: str) -> bool:
    """Whether source of the base names a file too, which it then knows for reasons of its own."""
    listed = decode(patch.repo.git.run("grep", "-lwFI", "-e", name, patch.base, check=False).stdout)
    paths = [line.partition(":")[2] for line in listed.splitlines()]
    return any(PurePosixPath(p).suffix in CODE and not is_test(p) and not patch.is_test(p) for p in paths)
