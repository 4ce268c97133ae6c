"""Answers that a shell script prints as they are, and what a check that is only a command holds them against; read as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: What prints: its one argument, plain or quoted, with nothing in it that the shell works out.
_PRINTS = re.compile(
    r"(?:^|[;&|({\s])(?:echo|printf)[ \t]+(?:-\w+[ \t]+|(?:'%[ds](?:\\n)?'|\"%[ds](?:\\n)?\"|%[ds])[ \t]+)*"
    r"(?:\"(?P<double>[^\"$`\n]+)\"|'(?P<single>[^'\n]+)'|(?P<bare>[^\s;&|<>$`\"'(){}]+))[ \t]*(?=$|[;&|)}\n])",
    re.MULTILINE,
)
_ASKS = re.compile(
    r"(?:==?|-eq|-ge|-le|-gt|-lt)[ \t]+(?:\"([^\"$`\n]+)\"|'([^'\n]+)'|([^\s;&|<>$`\"'(){}\]]+))"
    r"|(?:^|\bin[ \t]|;;)[ \t]*(?:\"([^\"$`\n]+)\"|'([^'\n]+)'|([^\s;&<>$`\"'(){}]+))\)",
    re.MULTILINE,
)
_CLOSES = re.compile(r"\b(?:fi|esac|done)\b|;;")
_NUMBERS = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
_QUOTED = re.compile(r"\"([^\"$`\n]{2,})\"|'([^'$\n]{2,})'")
_WORDS = re.compile(r"(?<![\w./$-])[A-Za-z_][\w-]{2,}(?![\w./-])")
_WORKED_OUT = re.compile(r"\b(?:echo|printf)\b[^\n;]*[$`]")
_NEAR = 160  # characters before an answer in which it is asked for


def printed(code: str) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """(what is asked for, what is printed, line) of each constant that a script prints; nothing is asked where it always does."""
    for found in _PRINTS.finditer(code):
        before = code[max(0, found.start() - _NEAR) : found.start() + 1]
        closed = [m.end() for m in _CLOSES.finditer(before)]
        # An arm of `case` begins where the one before was closed.
        asked = _ASKS.findall(before[closed[-1] - 2 * before[: closed[-1]].endswith(";;") :] if closed else before)
        keys = tuple(key for groups in asked for each in groups for key in each.split("|") if key and key != "*")
        yield (
            keys,
            found["double"] or found["single"] or found["bare"],
            code.count("\n", 0, found.start(found.lastgroup or 0)) + 1,
        )


def computed(code: str) -> int:
    """How many times a script prints something that it works out."""
    return len(_WORKED_OUT.findall(code))


def held(text: str) -> Iterator[str]:
    """Every number, word and quoted text of a command, a recipe or a script, as it stands there."""
    yield from (m[0] for m in _NUMBERS.finditer(text))
    yield from (m[0] for m in _WORDS.finditer(text))
    yield from (m[1] or m[2] for m in _QUOTED.finditer(text))
