"""What a check that is only a command holds a patch against: its words, the recipes and scripts that it runs, the files they compare."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.base import Patch
from zwarm_ci.verify.guards.signs import CODE

_RECIPES = ("GNUmakefile", "makefile", "Makefile", "justfile", "Justfile")  # at the top, where make and just look first
_COMPARES = re.compile(r"\b(?:diff|cmp|comm|sdiff)\b")
_HOLDS = re.compile(r"\btest\s|\[ |\b(?:diff|cmp|grep|assert)\b|==")
_LONG = 20_000  # characters of one text
#: A command that is one call of a program of the tree, whose exit code is its own; not one that is piped or compared.
_CALL = re.compile(
    r"^[@-]*\s*(?:[\w./-]*(?:python|node|deno|bun|ruby|perl|sh)[\d.]*\s+(?:-\w+\s+)*)?(?:\./)?([\w./-]+)(?:\s+[\w./=-]+)*\s*$"
)
#: A line by which make or a shell reads another file as a part of the one at hand.
_READS = re.compile(r"(?:^|[\s;&|(])(?:-?include|source|\.)\s+(?:\./)?([\w./-]+)")
_WORD = re.compile(r"[\w./\-]+")


def texts(patch: Patch) -> tuple[str, ...]:
    """The base's texts that decide on such checks: the commands, then recipes and scripts that they run."""
    if not patch.rules.commands:
        return ()
    held = frozenset(patch.files(patched=False))
    named = {PurePosixPath(word).name for command in patch.rules.commands for word in _words(command)}
    files = [p for p in patch.rules.protect if p in held]  # scripts that checks run are among them
    if named & {"make", "gmake", "just"}:
        files += [p for p in _RECIPES if p in held]
    return (
        *patch.rules.commands,
        *(patch.old(p)[:_LONG] for p in files if PurePosixPath(p).suffix not in CODE - {".sh"}),
    )


def compared(patch: Patch) -> frozenset[str]:
    """Files of the base that such a check compares something with, and that are no code."""
    words = {
        PurePosixPath(word).as_posix()
        for text in texts(patch)
        for line in text.split("\n")
        if _COMPARES.search(line)
        for word in _WORD.findall(line)
    }
    return frozenset(p for p in patch.files(patched=False) if p in words and PurePosixPath(p).suffix not in CODE)


def examples(patch: Patch) -> int:
    """How many lines of these texts compare something."""
    return sum(bool(_HOLDS.search(line)) for text in texts(patch) for line in text.split("\n"))


def started(patch: Patch) -> frozenset[str]:
    """Programs of the base that such a check calls for their exit code, those that its scripts call included."""
    held = frozenset(patch.files(patched=False))
    found: set[str] = set()
    todo = list(texts(patch))
    while todo:
        commands = re.split(r"\n|&&|\|\||;", todo.pop())
        called = {PurePosixPath(match[1]).as_posix() for part in commands if (match := _CALL.match(part.strip()))}
        fresh = (called & held) - found
        found |= fresh
        todo += [patch.old(p)[:_LONG] for p in fresh if PurePosixPath(p).suffix in {"", ".sh", ".bash"}]
    return frozenset(found)


def taken_in(patch: Patch) -> frozenset[str]:
    """Files that recipes and scripts of such a check read as parts of themselves, whether the base has them or not."""
    return frozenset(PurePosixPath(name).as_posix() for text in texts(patch) for name in _READS.findall(text))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
