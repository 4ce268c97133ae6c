"""Tokens of JavaScript and TypeScript, Go and Rust: enough to tell code from strings and comments and to find matching brackets.

Never raises, and takes time in proportion to the text: every pattern is possessive, and what is not closed ends the reading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

Language = Literal["javascript", "go", "rust"]
#: Longer than any test that a person wrote; more is said to be unreadable.
MOST = 2_000_000

_NUMBER = r"(?:0[xXbBoO]\w++|\d[\d_]*+(?:\.\d[\d_]*+)?(?:[eE][+-]?\d[\d_]*+)?\w*+)"
_SIGN = (
    r"(?:>>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|&&=|\|\|=|\?\?=|\.\.=|&\^=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?!\d)|\+\+|--|\+=|-=|\*=|/=|%=|&=|\|=|\^="
    r"|::|->|\.\.|:=|<-|\*\*|.)"
)
_PLAIN = r"""(?P<string>"(?:[^"\\\n]|\\[\s\S])*+"|'(?:[^'\\\n]|\\[\s\S])*+')"""
_LINE = r"(?P<comment>//[^\n]*+"
_BLOCK = r"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?"
_REST = rf"|(?P<space>\s++)|(?P<name>[^\W\d][\w$]*+|[$#@][\w$]++)|(?P<number>{_NUMBER})|(?P<sign>{_SIGN})"
_PATTERNS: dict[Language, re.Pattern[str]] = {
    "javascript": re.compile(rf"{_LINE}|{_BLOCK}|(?<![\s\S])#![^\n]*+)|{_PLAIN}{_REST}"),
    "go": re.compile(rf"{_LINE}|{_BLOCK})|{_PLAIN}|(?P<raw>`[^`]*+`?){_REST}"),
    "rust": re.compile(
        rf"{_LINE})|(?P<nested>/\*)|(?P<hashes>[bc]?r(?P<fence>#*+)\")|(?P<string>[bc]?\"(?:[^\"\\]|\\[\s\S])*+\"?+|b?'(?:\\.[^'\\\n]*+|[^\\'\n])')"
        rf"|(?P<lifetime>'[^\W\d]\w*+)|(?P<space>\s++)|(?P<name>(?:r\#)?[^\W\d]\w*+)|(?P<number>{_NUMBER})|(?P<sign>{_SIGN})"
    ),
}
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*+\])++/[a-z]*+")
_CHUNK = re.compile(r"[^`\\$]*+(?:\\[\s\S][^`\\$]*+|\$(?!\{)[^`\\$]*+)*+")
_NEST = re.compile(r"[^*/]*+(?:\*(?!/)[^*/]*+|/(?!\*)[^*/]*+)*+")
_BEFORE_REGEX = frozenset(
    "return typeof case in of delete void throw new else do instanceof yield await default".split()
)
_HEADS = frozenset("if while for with".split())
_OPEN = {"(": ")", "[": "]", "{": "}"}
_CLOSE = frozenset(_OPEN.values())
_OPENERS = frozenset("\"'/")
_WORDY = frozenset({"name", "number", "lifetime"})


class Token(NamedTuple):
    """One token. `kind`: name, number, string, template, regex, lifetime, sign or comment; `line` counts from 1."""

    kind: str
    text: str
    line: int
    start: int


@dataclass(frozen=True, slots=True)
class Source:
    """A text as tokens.

    Attributes:
        language: whose rules hold.
        tokens: all but comments and white space.
        comments: the comments.
        close: index of an opening bracket's token -> index of its closing one.
        whole: every bracket, string and comment is closed.
    """

    language: Language
    text: str
    tokens: Sequence[Token]
    comments: Sequence[Token]
    close: dict[int, int] = field(default_factory=dict)
    whole: bool = True

    def at(self, index: int) -> str:
        """The text of a token; empty beyond the ends."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def end(self, index: int) -> int:
        """The index of the bracket that closes the one at `index`, or the last token's where none does."""
        return self.close.get(index, len(self.tokens) - 1)

    def after(self, index: int) -> int:
        """The index after a token, or after the bracket that it opens."""
        return self.end(index) + 1 if self.at(index) in _OPEN else index + 1

    def split(self, first: int, last: int, by: str = ",") -> list[tuple[int, int]]:
        """Ranges between the separators of [first, last) that stand in no inner bracket; empty ones are left out."""
        found, begin, at = [], first, first
        while at < last:
            if self.at(at) == by:
                found.append((begin, at))
                begin = at + 1
            at = max(self.after(at), at + 1)
        found.append((begin, last))
        return [(a, b) for a, b in found if a < b]

    def find(self, first: int, last: int, *texts: str) -> int:
        """Index of the first token of [first, last) with one of these texts outside inner brackets, or -1."""
        at = first
        while at < last:
            if self.at(at) in texts:
                return at
            at = self.after(at)
        return -1

    def canon(self, first: int, last: int) -> str:
        """The text of [first, last) without white space, comments, trailing commas and the choice of quotes."""
        last = min(last, len(self.tokens))
        kept = [t for t in self.tokens[max(first, 0) : last] if t.text != ";" or self.language == "rust"]
        parts: list[str] = []
        was = ""
        for token, follower in pairwise([*kept, Token("", "", 0, 0)]):
            if token.text == "," and follower.text in _CLOSE:
                continue
            wordy = token.kind in _WORDY
            parts.append(
                (" " if wordy and was in _WORDY else "")
                + (_quoted(token.text) if token.kind == "string" else token.text)
            )
            was = token.kind
        said = "".join(parts)
        return re.sub(r"\(([\w$]+)\)=>", r"\1=>", said) if self.language == "javascript" else said


def _quoted(text: str) -> str:
    """A string with double quotes, whatever it was written with."""
    if not text.startswith("'") or len(text) < 2:
        return text
    return '"' + text[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


class _Lexer:
    """The state of one reading."""

    def __init__(self, text: str, language: Language) -> None:
        self.text, self.language = text, language
        self.tokens: list[Token] = []
        self.comments: list[Token] = []
        self.at, self.line, self.whole = 0, 1, True
        self.wasted = 0
        self.templates: list[
            tuple[int, int, int]
        ] = []  # where an open one starts: offset, line, number of tokens before it
        self.depths: list[int] = []  # open braces inside each `${`
        self.parens: list[str] = []  # what stands before each open parenthesis
        self.closed = ""  # what stood before the parenthesis that closed last

    def read(self) -> None:
        pattern, size = _PATTERNS[self.language], len(self.text)
        while self.at < size:
            if self.language == "javascript" and self._script():
                continue
            found = pattern.match(self.text, self.at)
            if not found:
                self.at += 1
                continue
            kind = found.lastgroup or "sign"
            if kind in {"nested", "hashes", "fence"}:
                self._fenced(found) if kind != "nested" else self._nested()
                continue
            if kind == "sign" and found[0] in _OPENERS and not self._afford():
                self.whole = False
                return
            self._take(kind, found.end())
        self.whole = self.whole and not self.templates

    def _afford(self) -> bool:
        """A quote or slash that opens nothing was followed to the end of its line in vain; whether more of that can be paid."""
        ahead = self.text.find("\n", self.at, self.at + MOST)
        self.wasted += (ahead if ahead >= 0 else len(self.text)) - self.at
        return self.wasted <= 2 * MOST

    def _take(self, kind: str, end: int) -> None:
        text = self.text[self.at : end]
        if kind != "space":
            token = Token("string" if kind == "raw" else kind, text, self.line, self.at)
            (self.comments if kind == "comment" else self.tokens).append(token)
        if kind == "comment" and text.startswith("/*") and not text.endswith("*/"):
            self.whole = False
        if text == "(":
            self.parens.append(self.tokens[-2].text if len(self.tokens) > 1 else "")
        elif text == ")":
            self.closed = self.parens.pop() if self.parens else ""
        self.line += text.count("\n")
        self.at = end

    def _script(self) -> bool:
        """Template literals, with what is in them, and regular expressions; True where one was taken or a brace ends one."""
        char = self.text[self.at]
        if char == "`":
            self.templates.append((self.at, self.line, len(self.tokens)))
            self._chunk(self.at + 1)
            return True
        if self.templates and char == "{":
            self.depths[-1] += 1
        elif self.templates and char == "}":
            self.depths[-1] -= 1
            if self.depths[-1] < 0:
                self.depths.pop()
                self._chunk(self.at + 1)
                return True
        elif char == "/" and self._may_be_regex() and (found := _REGEX.match(self.text, self.at)):
            self._take("regex", found.end())
            return True
        return False

    def _chunk(self, begin: int) -> None:
        """The part of a template literal up to its end or its next `${`."""
        found = _CHUNK.match(self.text, begin)
        end = found.end() if found else begin
        self.line += self.text.count("\n", self.at, end)
        if self.text.startswith("${", end):
            self.depths.append(0)
            self.at = end + 2
            return
        start, line, count = self.templates.pop()
        self.at = end + 1
        self.whole = self.whole and end < len(self.text)
        del self.tokens[count:]
        self.tokens.append(Token("template", self.text[start : self.at], line, start))

    def _may_be_regex(self) -> bool:
        if not self.tokens:
            return True
        last = self.tokens[-1]
        if last.text == ")":
            return self.closed in _HEADS
        if last.kind == "sign":
            return last.text not in {"]", "}", "<", "++", "--"}
        return last.text in _BEFORE_REGEX

    def _nested(self) -> None:
        """A block comment of Rust, which may hold others."""
        begin, line, depth, at = self.at, self.line, 1, self.at + 2
        while depth and at < len(self.text):
            found = _NEST.match(self.text, at)
            at = found.end() if found else at
            depth += {"/*": 1, "*/": -1}.get(self.text[at : at + 2], 0)
            at += 2
        self.whole = self.whole and not depth
        self.comments.append(Token("comment", self.text[begin:at], line, begin))
        self.line += self.text.count("\n", begin, at)
        self.at = at

    def _fenced(self, found: re.Match[str]) -> None:
        """A raw string of Rust."""
        fence = '"' + found["fence"]
        end = self.text.find(fence, found.end())
        self.whole = self.whole and end >= 0
        self._take("string", len(self.text) if end < 0 else end + len(fence))


def tokenize(text: str, language: Language) -> Source:
    """The tokens of a text; what is longer than `MOST` is cut there and not whole."""
    lexer = _Lexer(text[:MOST], language)
    lexer.read()
    close: dict[int, int] = {}
    stack: list[int] = []
    balanced = True
    for index, token in enumerate(lexer.tokens):
        if token.kind != "sign":
            continue
        if token.text in _OPEN:
            stack.append(index)
        elif token.text in _CLOSE:
            if stack and _OPEN[lexer.tokens[stack[-1]].text] == token.text:
                close[stack.pop()] = index
            else:
                balanced = False
    whole = lexer.whole and balanced and not stack and len(text) <= MOST
    return Source(language, text, lexer.tokens, lexer.comments, close, whole)
