"""Which reader understands which file."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from zwarm_ci.verify.reading.base import Reader, TestFile

#: Prose whose examples doctest may be told to run (`doctests.py` reads them).
TEXTS = frozenset({".md", ".rst", ".txt"})
_IN_RUST = re.compile(
    r"#\s*\[\s*(?:\w+\s*::\s*)*(?:test|rstest|test_case|bench|quickcheck)\b|#\s*!?\[\s*cfg[^\]]{0,200}\btest\b"
)
_IN_SCRIPT = re.compile(r"\bimport\s*\.\s*meta\s*\.\s*vitest\b")


def _python(path: str, text: str) -> TestFile:
    from zwarm_ci.verify.reading import python

    return python.read(path, text)


def _javascript(path: str, text: str) -> TestFile:
    from zwarm_ci.verify.reading import javascript

    return javascript.read(path, text)


def _go(path: str, text: str) -> TestFile:
    from zwarm_ci.verify.reading import go

    return go.read(path, text)


def _rust(path: str, text: str) -> TestFile:
    from zwarm_ci.verify.reading import rust

    return rust.read(path, text)


READERS: dict[str, Reader] = {
    ".py": _python,
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"), _javascript),
    ".go": _go,
    ".rs": _rust,
}


def reader(path: str) -> Reader | None:
    """What reads the tests of a file, by the end of its name."""
    return READERS.get(PurePosixPath(path).suffix.lower())


def has_inline_tests(path: str, text: str) -> bool:
    """Whether a source file holds tests beside its code: Rust's test modules, vitest's in-source tests."""
    kind = PurePosixPath(path).suffix.lower()
    if kind == ".rs":
        return bool(_IN_RUST.search(text))
    return READERS.get(kind) is _javascript and bool(_IN_SCRIPT.search(text))
