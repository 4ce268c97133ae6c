"""Tests in Go: the testing package, testify and its kin, examples with their output."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, Assertion, Note, TestCase, TestFile
from zwarm_ci.verify.reading.phrases import (
    HOLDS,
    Found,
    Segment,
    Tables,
    arguments,
    chain,
    compared,
    held,
    nearest,
    number,
    numbered,
    outside,
    rows_of,
)
from zwarm_ci.verify.reading.tokens import Source, tokenize

_TEST = re.compile(r"^(?:Test|Benchmark|Fuzz|Example)(?:$|[^a-z])")
_HANDLES = frozenset("T B F TB M".split())
_FAILS = frozenset("Error Errorf Fatal Fatalf Fail FailNow".split())
_SKIPS = frozenset("Skip Skipf SkipNow".split())
_WORDS: dict[int, str] = {
    EXACT: "Equal Equalf EqualValues Exactly Nil Nilf EqualError ErrorIs ErrorAs PanicsWithValue PanicsWithError JSONEq YAMLEq Zero InDelta "
    "InEpsilon "
    "ElementsMatch Same WithinDuration FileExists DeepEqual Equals Is HTTPStatusCode Cmp",
    PART: "Contains ErrorContains Error Errorf Panics Len Lenf Empty Greater GreaterOrEqual Less LessOrEqual Regexp NotEqual NotContains "
    "Subset Positive "
    "Negative NotZero False Falsef True Truef Matches Assert ErrorMatches HasLen",
    TRUTH: "NoError NoErrorf NotNil NotNilf NotEmpty NotPanics IsType Implements Eventually Never Condition NotSame",
}
_STRENGTH = {name: strength for strength, names in _WORDS.items() for name in names.split()}
_SYSTEMS = "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris wasip1 windows"
_MACHINES = "386 amd64 arm arm64 loong64 mips mips64 ppc64 ppc64le riscv64 s390x wasm"
_ELSEWHERE = re.compile(rf"_({_SYSTEMS} {_MACHINES})_test\.go$".replace(" ", "|"))
_BUILD = re.compile(r"^//(?:go:build| ?\+build)\s+(.+)")
_OUTPUT = re.compile(r"^//\s*((?:unordered )?output):(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class _Reading:
    src: Source
    cases: list[TestCase] = field(default_factory=list)
    off: list[Note] = field(default_factory=list)
    helpers: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Tables = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)


def read(path: str, text: str) -> TestFile:
    """The tests in `text`; unreadable where brackets, strings or comments are not closed."""
    src = tokenize(text, "go")
    if not src.whole:
        return TestFile(readable=False)
    reading = _Reading(src)
    if found := _ELSEWHERE.search(path):
        reading.off.append(Note(1, f"runs on {found[1]} alone"))
    start = src.tokens[0].start if src.tokens else len(text)
    reading.off += [Note(c.line, m[0].strip()) for c in src.comments if c.start < start and (m := _BUILD.match(c.text))]
    for at in range(len(src.tokens)):
        if src.at(at + 1) in {":=", "="} and src.tokens[at].kind == "name" and (rows := _literal(src, at + 2)):
            reading.tables.setdefault(src.at(at), []).append((at, rows))
    at = 0
    while at < len(src.tokens):
        at = _declaration(reading, at)
    return TestFile(numbered(reading.cases), (), tuple(reading.off), reading.subjects, reading.helpers)


def _literal(src: Source, at: int) -> tuple[str, ...]:
    """The rows of a slice's or map's literal that begins there."""
    if src.at(at) != "[" and src.at(at) != "map":
        return ()
    stop = min(len(src.tokens), at + 60)
    while at < stop and src.at(at) != "{":
        if src.at(at) == "struct":
            at = src.after(at + 1)
            continue
        at = src.after(at)
        if at < len(src.tokens) and src.tokens[at].line > src.tokens[at - 1].line:
            return ()
    return rows_of(src, at) if src.at(at) == "{" else ()


def _declaration(reading: _Reading, at: int) -> int:
    src, text = reading.src, reading.src.at(at)
    end = at + 1
    if text == "func":
        return _function(reading, at)
    while end < len(src.tokens) and not (
        src.tokens[end].line > src.tokens[end - 1].line and src.at(end) in {"func", "var", "const", "type", "import"}
    ):
        end = src.after(end)
    if text == "import":
        for token, was in zip(src.tokens[at + 1 : end], src.tokens[at:end], strict=False):
            if token.kind == "string":
                module = token.text[1:-1]
                alias = was.text if was.kind in {"name", "sign"} and was.text not in {"import", "("} else ""
                reading.subjects[module] = (alias,) if alias in {".", "_"} else ()
                reading.packages.add(alias or module.rpartition("/")[2])
    elif text in {"var", "const", "type"}:
        name = src.at(at + 1) if src.at(at + 1) != "(" else src.canon(at, end)[:80]
        reading.helpers[f"{text} {name}"] = src.canon(at, end)
    return end


def _function(reading: _Reading, at: int) -> int:
    """A function of the file: a test, or a helper of tests."""
    src = reading.src
    owner = ""
    name_at = at + 1
    if src.at(name_at) == "(":
        owner = src.at(src.end(name_at) - 1)
        name_at = src.after(name_at)
    name, opening = src.at(name_at), src.find(name_at, len(src.tokens), "(")
    if opening < 0:
        return len(src.tokens)
    after = src.after(opening)
    brace = after
    while (
        brace < len(src.tokens)
        and (src.at(brace) != "{" or src.at(brace - 1) in {"interface", "struct"})
        and src.at(brace) != "func"
    ):
        brace = src.after(brace)
    end = src.after(brace) if src.at(brace) == "{" else max(after, at + 1)
    takes = src.canon(opening + 1, src.end(opening))
    fits = bool(re.search(r"\*\w+\.[TBF]$", takes)) or (not takes and (bool(owner) or name.startswith("Example")))
    if _TEST.match(name) and name != "TestMain" and fits:
        handle = src.at(opening + 1) if takes else owner and src.at(at + 2)
        _test(
            reading,
            "::".join(filter(None, (owner, name))),
            src.tokens[at].line,
            handle or "",
            (brace + 1, src.end(brace)),
            (),
        )
        return end
    said = src.canon(at, end)
    reading.helpers["::".join(filter(None, (owner, name)))] = said
    if name == "TestMain" and (".Run()" not in said or re.search(r"os\.Exit\(0\)", said)):
        reading.off.append(Note(src.tokens[at].line, "TestMain does not run the tests or hides how they end"))
    if name == "init" and "os.Exit(" in said:
        reading.off.append(Note(src.tokens[at].line, "init ends the process"))
    return end


def _test(reading: _Reading, name: str, line: int, handle: str, body: tuple[int, int], off: tuple[Note, ...]) -> None:
    """Add a test; what runs in it by `t.Run` is a test of its own."""
    src, found = reading.src, Found()
    found.off += off
    spans: list[tuple[int, int]] = []
    handles = {handle, "t", "b", "tb"} - {""}
    guards: list[
        tuple[int, tuple[int, int], bool]
    ] = []  # where an if's block ends, its condition, whether it is the else of it
    at = body[0]
    while at < body[1]:
        while guards and at >= guards[-1][0]:
            guards.pop()
        if src.at(at) == "if":
            brace = _block(src, at + 1, body[1])
            condition = src.split(at + 1, brace, ";")[-1:] or [(at + 1, brace)]
            guards.append((src.end(brace), condition[0], False))
            if src.at(src.after(brace)) == "else" and src.at(src.after(brace) + 1) == "{":
                guards.insert(-1, (src.end(src.after(brace) + 1), condition[0], True))
        elif inner := _inside(src, at, handles):
            title = src.canon(*arguments(src, (at + 4, src.end(at + 3)))[0]).strip('"')
            _test(reading, f"{name}::{title}", src.tokens[at].line, inner[0], inner[1], ())
            spans.append((at, src.after(at + 3)))
            at = src.after(at + 3)
            continue
        if (
            src.at(at) == "}"
            and src.at(at + 1) == "."
            and src.at(at + 3) == "("
            and src.canon(at + 4, src.end(at + 3)) in handles
        ):
            said = src.canon(at + 1, src.after(at + 3))  # a table that checks itself: `rows{…}.validate(t)`
            found.assertions.append(Assertion(src.tokens[at].line, said, said, "", EXACT))
        if src.tokens[at].kind == "name" and src.at(at - 1) != ".":
            _word(reading, at, found, handles, guards)
        at += 1
    _examples(reading, name, body, found)
    if early := _early(src, body):
        found.off.append(early)
    text = "".join(src.canon(a, b) for a, b in outside(*body, spans)) + "".join(
        a.expected for a in found.assertions if a.subject == "output"
    )
    reading.cases.append(found.case(name, line, text))


def _block(src: Source, at: int, last: int) -> int:
    """The brace that opens the block of an `if` or a `for`."""
    while at < last and src.at(at) != "{":
        at = src.after(at)
    return at


def _inside(src: Source, at: int, handles: set[str]) -> tuple[str, tuple[int, int]] | None:
    """The handle and body of the function that a `t.Run` which begins there is given."""
    if src.at(at) not in handles or [src.at(at + n) for n in (1, 2, 3)] != [".", "Run", "("]:
        return None
    inner = arguments(src, (at + 4, src.end(at + 3)))
    if len(inner) < 2 or src.at(inner[1][0]) != "func":
        return None
    brace = _block(src, inner[1][0] + 1, inner[1][1])
    return src.at(inner[1][0] + 2), (brace + 1, src.end(brace))


def _word(
    reading: _Reading, at: int, found: Found, handles: set[str], guards: list[tuple[int, tuple[int, int], bool]]
) -> None:
    src, text, line = reading.src, reading.src.at(at), reading.src.tokens[at].line
    if text == "for":
        brace = _block(src, at + 1, len(src.tokens))
        parts = src.split(at + 1, brace, ";")
        if len(parts) > 1:
            found.ranges.append(Note(line, src.canon(*parts[1])))
        elif (over := src.find(at + 1, brace, "range")) >= 0:
            if src.tokens[over + 1].kind == "number":
                found.ranges.append(Note(line, src.canon(over, brace)))
            found.rows += nearest(reading.tables, src.canon(over + 1, brace), at) or _literal(src, over + 1)
        return
    if text == "if" and src.canon(at + 1, _block(src, at + 1, len(src.tokens))) in {"false", "1==2", "!true"}:
        found.off.append(Note(line, "if false"))
        return
    parts_, end = chain(src, at)
    said = src.canon(at, end)
    _effects(reading, parts_, end, found, handles)
    fails = text in handles and len(parts_) > 1 and parts_[1].name in _FAILS and parts_[1].call is not None
    if fails or (text == "panic" and parts_[0].call is not None and guards):  # panic: how a goroutine fails its test
        found.assertions.append(_failing(src, said, line, guards))
    elif assertion := _held(src, parts_, said, handles):
        found.assertions.append(assertion)


def _effects(reading: _Reading, parts: list[Segment], end: int, found: Found, handles: set[str]) -> None:
    """What switches a test off, hides its failure or replaces what it looks at."""
    src, line = reading.src, reading.src.tokens[parts[0].at].line
    root, rest = parts[0].name, [p.name for p in parts[1:]]
    said = src.canon(parts[0].at, end)
    if root in handles and rest[:1] and rest[0] in _SKIPS:
        found.off.append(Note(line, f"{rest[0].removesuffix('f')}()"))
    if (root, *rest) in {("testing", "Short"), ("os", "Exit"), ("runtime", "Goexit"), ("syscall", "Exit")}:
        found.off.append(Note(line, said))
    if root == "recover" and parts[0].call is not None:
        found.swallows.append(Note(line, "recover()"))
    if (
        root == "testing"
        and rest[:1]
        and rest[0] in {"T", "B"}
        and src.at(end) in {"{", ")"}
        and src.at(parts[0].at - 1) in {"&", "("}
    ) and src.at(parts[0].at - 2) in {":=", "=", "new"}:
        found.swallows.append(Note(line, "another testing.T"))
    if src.at(end) == "=" and ((rest and root in reading.packages) or (not rest and src.at(end + 1) == "func")):
        found.doubles.append(Note(line, said + "="))
    if (root in {"monkey", "gomonkey", "mpatch"} and rest) or said.startswith("gomock.NewController("):
        found.doubles.append(Note(line, said))
    if root == "MaxCount" and src.at(end) == ":":
        found.ranges.append(Note(line, f"MaxCount:{src.at(end + 1)}"))


def _failing(src: Source, said: str, line: int, guards: list[tuple[int, tuple[int, int], bool]]) -> Assertion:
    """`if got != want { t.Error(…) }`: what is held is the contrary of the condition."""
    if not guards:
        return Assertion(line, said.partition("(")[0], "reached", "", TRUTH)
    _, (first, last), contrary = guards[-1]
    text = ("else of " if contrary else "if ") + src.canon(first, last)
    condition = src.canon(first, last)
    subject, expected, strength = held(src, first, last)
    if re.match(r"!(?:\w+\.)*(?:DeepEqual|Equal|EqualFold|EqualValues)\(", condition) or '!=""' in condition:
        return Assertion(line, text, condition, "", EXACT)
    if strength and not contrary:
        at = src.find(first, last, "!=", "==")
        if src.at(at) == "!=":
            strength = TRUTH if expected == "!=nil" else PART if subject.startswith("len(") else EXACT
        elif src.at(at) == "==":
            strength = PART
    tolerance = number(src, src.find(first, last, ">", ">=") + 1, last) if condition.startswith("math.Abs(") else None
    return Assertion(line, text, subject, expected, EXACT if tolerance is not None else strength, tolerance)


def _held(src: Source, parts: list[Segment], said: str, handles: set[str]) -> Assertion | None:
    """testify's, gocheck's, gomega's and the tests' own helpers."""
    root, line = parts[0], src.tokens[parts[0].at].line
    last = parts[-1]
    if root.name in {"Expect", "Eventually"} and len(parts) > 1 and last.call:
        return Assertion(
            line, said, src.canon(*(root.call or (0, 0))), src.canon(*last.call), EXACT if "Equal(" in said else PART
        )
    if (
        root.name in {"assert", "require", "is", "c", "s", "suite", "ts", "qt", "a", "r"}
        and len(parts) > 1
        and last.call
        and last.name in _STRENGTH
    ):
        inner = arguments(src, last.call)
        if inner and src.canon(*inner[0]) in handles | {"s.T()"}:
            inner = inner[1:]
        if last.name.rstrip("f") in {"True", "False"} and inner:
            subject, expected, strength = held(src, *inner[0])
            return Assertion(line, said, subject, expected, strength)
        strength = _STRENGTH[last.name]
        if len(inner) < 2 or strength == TRUTH:
            return Assertion(line, said, src.canon(*inner[0]) if inner else "", last.name, strength)
        found = compared(src, said, line, inner[1], inner[0], strength)
        tolerance = number(src, *inner[2]) if last.name in {"InDelta", "InEpsilon"} and len(inner) > 2 else None
        return Assertion(line, said, found.subject, f"{last.name} {found.expected}", found.strength, tolerance)
    if (
        len(parts) == 1
        and root.call
        and (inner := arguments(src, root.call))
        and (src.canon(*inner[0]) in handles or HOLDS.match(root.name))
    ):
        return Assertion(line, said, ",".join(src.canon(a, b) for a, b in inner[1:]), root.name, EXACT)
    return None


def _examples(reading: _Reading, name: str, body: tuple[int, int], found: Found) -> None:
    if not name.rpartition("::")[2].startswith("Example") or "::" in name:
        return
    src = reading.src
    begin = src.tokens[body[0] - 1].start
    end = src.tokens[body[1]].start if body[1] < len(src.tokens) else len(src.text)
    inside = [c for c in src.comments if begin < c.start < end]
    at = next((n for n, c in enumerate(inside) if _OUTPUT.match(c.text)), -1)
    if at < 0:
        found.off.append(Note(src.tokens[body[0] - 1].line, "no output is expected, so it never runs"))
        return
    said = "\n".join(c.text.removeprefix("//").strip() for c in inside[at:])
    found.assertions.append(
        Assertion(inside[at].line, said, "output", said, PART if said.lower().startswith("unordered") else EXACT)
    )


def _early(src: Source, body: tuple[int, int]) -> Note | None:
    """A `return` among a test's own statements that leaves others unreached."""
    at = body[0]
    while at < body[1]:
        if src.at(at) == "return" and at + 1 < body[1]:
            return Note(src.tokens[at].line, "return before the end")
        at = src.after(at)
    return None
