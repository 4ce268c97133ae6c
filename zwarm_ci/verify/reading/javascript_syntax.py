"""Statements, functions and declarations of JavaScript and TypeScript, as far as their tokens tell."""

from __future__ import annotations

from zwarm_ci.verify.reading.tokens import Source

_ENDS_LINE = frozenset("= => ( [ { , . ?. + - * / % && || ?? ? : < > <= >= == === != !== += -= | & ^ ! ...".split())
_GOES_ON = frozenset(
    ". ?. ( [ , ) ] } ; + - * / % && || ?? ? : < > <= >= == === != !== = => | & ^ else catch finally instanceof in of as satisfies".split()
)
_DECLARES = frozenset("const let var function class type interface enum async export default declare abstract".split())


def statement_end(src: Source, begin: int, last: int) -> int:
    """The index after the statement that begins there, with the semicolons and line ends of people who leave them out."""
    at = begin
    while at < last:
        text = src.at(at)
        if text == ";":
            return at + 1
        after = src.after(at)
        if after >= last:
            return last
        follower, was = src.tokens[after], src.tokens[after - 1]
        own_line = follower.line > was.line + was.text.count("\n")
        block = text == "{" and src.at(begin) in {
            "function",
            "class",
            "if",
            "for",
            "while",
            "try",
            "{",
            "interface",
            "enum",
            "namespace",
        }
        open_end = was.text in _ENDS_LINE and was.kind == "sign"
        if (own_line or block) and not open_end and follower.text not in _GOES_ON:
            return after
        at = after
    return last


def opened(src: Source, argument: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """The first parameter's name and the body's range of a function that is an argument."""
    first, last = argument
    if (at := src.find(first, last, "=>")) >= 0:
        inner = src.at(at - 2) if src.at(at - 1) == ")" else src.at(at - 1)
        opening = next((o for o in range(first, at) if src.at(o) == "("), -1)
        handle = (
            src.at(opening + 1)
            if opening >= 0 and src.tokens[opening + 1].kind == "name"
            else inner
            if opening < 0
            else ""
        )
        if src.at(at + 1) == "{":
            return handle, (at + 2, src.end(at + 1))
        return handle, (at + 1, last)
    at = src.find(first, last, "function")
    opening = src.find(at, last, "(")
    brace = src.find(max(at, first), last, "{")
    handle = src.at(opening + 1) if opening >= 0 and src.tokens[opening + 1].kind == "name" else ""
    return handle, (brace + 1, src.end(brace)) if brace >= 0 else (0, 0)


def title_of(src: Source, first: int, last: int) -> str:
    """A title as it is said, without its quotes; canonical where it is an expression."""
    said = src.canon(first, last)
    return said[1:-1] if last == first + 1 and said[:1] in {'"', "`"} else said


def declared(src: Source, begin: int) -> str:
    """The name that a declaration declares."""
    at = begin
    while src.at(at) in _DECLARES or src.at(at) == "*":
        at += 1
    return src.at(at) if at > begin and src.tokens[at].kind == "name" else ""
