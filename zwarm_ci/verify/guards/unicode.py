"""Characters that make source read otherwise than it runs: bidirectional controls, invisible ones, letters of another script."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.signs import CODE

_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069\u061c]")
_INVISIBLE = re.compile(
    r"[\u200b\u2060-\u2064\u180e\u3164\uffa0\u115f\u1160\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
    r"|(?<=.)\ufeff|(?<=[A-Za-z0-9_])[\u200c\u200d\u00ad](?=[A-Za-z0-9_])"
)
_TERMINAL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]|\r(?=.)")
#: Letters of other scripts that look like Latin ones; whole words in Greek or Cyrillic are somebody's language.
_WORD = re.compile(r"[^\W\d]\w*")
_ALIKE = frozenset("аеорсухіјѕһԁԛԝьАВЕКМНОРСТХІЈЅοΟΑΒΕΖΗΙΚΜΝΡΤΥΧνօոѵⅼ")
_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#.*|//.*")
_LANGUAGE = re.compile(
    r"(?:^|[/_.\-])(?:locales?|i18n|l10n|lang|langs|translations?|messages|po)(?:[/_.\-]|$)|\.(?:po|pot|mo|xlf|ftl"
    r"|arb|strings|resx)$",
    re.IGNORECASE,
)


class Unicode:
    """Refuses text that a reviewer cannot see as it is; people's own commits are asked about source only."""

    name = "unicode"
    family: Family = "reach"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        gone = Counter(found for _, _, text in patch.removed() for found, _ in _hidden(text, code=False))
        said: set[tuple[str, str]] = set()
        for path, number, text in patch.added():
            if text.isascii() and text.isprintable():
                continue
            code = PurePosixPath(path).suffix in CODE
            if _LANGUAGE.search(path) or (not patch.rules.strict and (not code or patch.is_test(path))):
                continue
            if PurePosixPath(path).suffix.lower() in {".svg", ".csv", ".snap", ".golden"} or _binary(patch, path):
                continue
            for found, what in _hidden(text, code=code):
                if gone[found] > 0:
                    gone[found] -= 1
                elif (path, found) not in said and (patch.rules.strict or what != _CONTROL):
                    said.add((path, found))
                    strong = what != _CONTROL and (code or what == _DIRECTION or patch.is_setting(path))
                    shown = " ".join(f"U+{ord(c):04X}" for c in found[:6])
                    yield GuardFinding(
                        self.name,
                        "refuse" if strong else "review",
                        path,
                        number,
                        f"{what}: {shown}",
                        "write the character as an escape",
                    )


_DIRECTION, _UNSEEN, _CONTROL = (
    "a character that changes the direction of text",
    "an invisible character",
    "a control character",
)
_SCRIPTS = "an identifier that mixes scripts or forms of letters"


def _binary(patch: Patch, path: str) -> bool:
    return b"\0" in patch.new_bytes(path)[:8000]


def _hidden(text: str, *, code: bool) -> Iterator[tuple[str, str]]:
    text = text.removesuffix("\r")
    for pattern, what in ((_BIDI, _DIRECTION), (_INVISIBLE, _UNSEEN), (_TERMINAL, _CONTROL)):
        yield from ((m[0], what) for m in pattern.finditer(text))
    if code and not text.isascii():
        for word in _WORD.findall(_STRING.sub(" ", text[:20_000])):
            if not word.isascii() and (
                _mixed(word) or unicodedata.normalize("NFKC", word) != unicodedata.normalize("NFC", word)
            ):
                yield word, _SCRIPTS


def _mixed(word: str) -> bool:
    return any(c in _ALIKE for c in word) and any(c.isascii() and c.isalpha() for c in word)
