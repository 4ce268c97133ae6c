"""What every reader of a check's output must hold, whatever the tool: told by one real sample of it.

A new kind calls `conforms` with its samples (tests/checks/test_parsers.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.checks.base import Parsed

#: Reads bytes and an exit code (None = ended by the time limit) in a tree.
Reader = Callable[[bytes, int | None, Path], Parsed]
_STEP = 50


@dataclass(frozen=True)
class Sample:
    """A real output, and what is in it.

    Attributes:
        data: with `@TREE@` where the tree's path belongs.
        code: the exit code that the tool ended with.
        moved: the same output after an edit that moved every line, or the unchanged one where it holds no line numbers.
        files: of the tree, so that frames are found. place: of the first failure that has one.
    """

    name: str
    read: Reader
    data: bytes
    code: int
    failed: frozenset[str]
    passed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    moved: Callable[[bytes], bytes] = lambda data: data
    files: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()


def conforms(sample: Sample, tree: Path) -> None:
    """Raise AssertionError where the reader breaks a rule."""
    for name in sample.files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("\n" * 60)
    data = sample.data.replace(b"@TREE@", str(tree).encode())
    whole = sample.read(data, sample.code, tree)
    _says_what_is_in_it(sample, whole)
    _ids_outlive_moved_lines(sample, data, tree, whole)
    _a_part_is_never_green(sample, data, tree)
    _rubbish_is_never_green(sample, data, tree)
    _no_exit_code_makes_red_green(sample, data, tree)


def green(parsed: Parsed, code: int | None) -> bool:
    """Whether a check would be called green by this result."""
    return not parsed.trouble and not parsed.failed and (code if parsed.exit_code is None else parsed.exit_code) == 0


def _says_what_is_in_it(sample: Sample, whole: Parsed) -> None:
    assert not whole.trouble, whole.trouble
    assert set(whole.failed) == sample.failed
    assert set(whole.passed) == sample.passed
    assert set(whole.skipped) == sample.skipped
    for ids in (whole.failed, whole.passed, whole.skipped):
        assert len(set(ids)) == len(ids), "an id twice"
    assert {f.id for f in whole.failures} == sample.failed
    for failure in whole.failures:
        assert failure.message
        assert "\n" not in failure.message
        assert failure.shape
        assert 0 < len(failure.detail) <= 6000 or failure.shape in ("test", "WorkerCrash")
        assert "\x1b" not in failure.detail
    assert {str(f.place) for f in whole.failures if f.place} == sample.places


def _ids_outlive_moved_lines(sample: Sample, data: bytes, tree: Path, whole: Parsed) -> None:
    moved = sample.read(sample.moved(data), sample.code, tree)
    assert (set(moved.failed), set(moved.passed)) == (set(whole.failed), set(whole.passed))


def _a_part_is_never_green(sample: Sample, data: bytes, tree: Path) -> None:
    for end in range(0, len(data), _STEP):
        part = sample.read(data[:end], sample.code, tree)
        assert not green(part, sample.code), f"green after {end} bytes"
        assert set(part.passed) & sample.failed <= set(part.passed) - set(part.failed) or part.trouble
        sample.read(data[:end], None, tree)


def _rubbish_is_never_green(sample: Sample, data: bytes, tree: Path) -> None:
    chance = random.Random(20)
    for _ in range(25):
        mixed = bytearray(data)
        for _ in range(30):
            mixed[chance.randrange(len(mixed))] = chance.randrange(256)
        assert not green(sample.read(bytes(mixed), sample.code, tree), sample.code)
    for rubbish in (b"", b"\xff\xfe\x00", b"null", b"[]", b"{}", b"[[[[" * 5000, b"\x00" * 1000):
        assert not green(sample.read(rubbish, sample.code, tree), sample.code)


def _no_exit_code_makes_red_green(sample: Sample, data: bytes, tree: Path) -> None:
    for code in (0, 1, 2, 3, 101, 127, 255):
        assert not green(sample.read(data, code, tree), code)
