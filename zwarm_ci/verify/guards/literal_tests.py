"""Rust without its modules of tests: what stands there is a test's, and other guards read it."""

from __future__ import annotations

import re

_OPENS = re.compile(
    r"^([^\S\n]*)(?:#\[[^\]\n]*\][^\S\n]*\n[^\S\n]*){0,4}#\[cfg\((?:test|all\(test,[^\]\n]*\))\)\][^\S\n]*\n"
    r"(?:[^\S\n]*#\[[^\]\n]*\][^\S\n]*\n){0,4}[^\S\n]*mod\s+\w+\s*\{$",
    re.MULTILINE,
)

_QUOTED = re.compile(r"r(#{0,8})\"[\s\S]{0,2000}?\"\1|\"(?:\\.|[^\"\\]){0,2000}\"|'(?:\\.|[^'\\\n])'", re.DOTALL)
_BRACES = re.compile(r"[{}]")


def without_tests(code: str) -> str:
    """The code with `#[cfg(test)] mod tests { ... }` blanked; lines stay where they are.

    A module ends with the first line that is a brace below its own beginning, as rustfmt writes it, whatever its strings
    hold. One that is written otherwise, or that ends before that line, is left as it is.
    """
    parts, at = [], 0
    while opened := _OPENS.search(code, at):
        end = code.find(f"\n{opened[1]}}}", opened.end() - 1)
        if end < 0:
            break
        end += len(opened[1]) + 2
        whole = _is_one_block(code[opened.end() - 1 : end])
        kept = "\n" * code.count("\n", opened.start(), end) if whole else code[opened.start() : end]
        parts += [code[at : opened.start()], kept]
        at = end
    return "".join([*parts, code[at:]])


def _is_one_block(text: str) -> bool:
    """Whether the last brace of a text is the one that closes its first."""
    depth = 0
    braces = _BRACES.findall(_QUOTED.sub("", text))
    for at, brace in enumerate(braces, 1):
        depth += 1 if brace == "{" else -1
        if not depth:
            return at == len(braces)
    return False
