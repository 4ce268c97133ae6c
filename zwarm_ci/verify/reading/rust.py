"""Tests in Rust: `#[test]` and its kin in test files and in the test modules of source files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from zwarm_ci.protected import is_test
from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, Assertion, Note, TestCase, TestFile
from zwarm_ci.verify.reading.phrases import HOLDS, Found, arguments, chain, compared, held, number, numbered, rows_of
from zwarm_ci.verify.reading.tokens import Source, tokenize

_TEST = re.compile(r"^(?:\w+::)*(?:test|rstest|test_case|bench|quickcheck|wasm_bindgen_test|proptest|case)(?:\(|$)")
_MARKS = re.compile(r"^(?:ignore|cfg\(|cfg_attr\(.*\b(?:ignore|cfg|should_panic)\b|should_panic)")
_FREE = frozenset({"cfg(test)", "cfg(all(test))"})
_QUALIFIERS = frozenset("pub async const unsafe extern default".split())
_NO_TESTS = frozenset(
    "macro_rules thread_local lazy_static quickcheck proptest criterion_group criterion_main static_assertions include".split()
)
_EQUAL = frozenset(
    "assert_eq debug_assert_eq prop_assert_eq assert_relative_eq assert_abs_diff_eq assert_ulps_eq assert_approx_eq assert_str_eq".split()
)
_SNAPSHOTS = re.compile(r"^(?:assert_\w*snapshot|expect|expect_file)$")


@dataclass(slots=True)
class _Reading:
    src: Source
    cases: list[TestCase] = field(default_factory=list)
    off: list[Note] = field(default_factory=list)
    helpers: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Around:
    name: str = ""
    tests: bool = False  # what stands here is there for tests alone
    off: tuple[Note, ...] = ()
    depth: int = 0


def read(path: str, text: str) -> TestFile:
    """The tests in `text`; of a source file only what is there for tests counts as their helpers."""
    src = tokenize(text, "rust")
    if not src.whole:
        return TestFile(readable=False)
    reading = _Reading(src)
    around = _Around(tests=is_test(path) or "/benches/" in f"/{path}")
    for at in range(len(src.tokens)):
        if (
            src.at(at) == "#"
            and src.at(at + 1) == "!"
            and src.at(at + 2) == "["
            and (around.tests or "test" in src.canon(at, src.end(at + 2)))
        ):
            said = src.canon(at + 3, src.end(at + 2))
            if said.startswith("cfg") and said not in _FREE:
                reading.off.append(Note(src.tokens[at].line, f"#![{said}]"))
    _items(reading, 0, len(src.tokens), around)
    return TestFile(numbered(reading.cases), (), tuple(reading.off), reading.subjects, reading.helpers)


def _items(reading: _Reading, first: int, last: int, around: _Around) -> None:
    at = first
    while at < last:
        attributes: list[tuple[int, str]] = []
        begin = at
        while src_at(reading, at) == "#" and src_at(reading, at + 1) in {"[", "!"}:
            opening = at + 1 if src_at(reading, at + 1) == "[" else at + 2
            if opening == at + 1:
                attributes.append(
                    (reading.src.tokens[at].line, reading.src.canon(opening + 1, reading.src.end(opening)))
                )
            at = max(reading.src.after(opening), at + 1)
        if at >= last:
            return
        end = _end(reading.src, at, last)
        _item(reading, begin, at, max(end, at + 1), attributes, around)
        at = max(end, at + 1)


def src_at(reading: _Reading, at: int) -> str:
    """The text of a token."""
    return reading.src.at(at)


def _end(src: Source, at: int, last: int) -> int:
    """The index after an item: its block, its semicolon, or its macro's brackets."""
    assigned = False
    while at < last:
        text = src.at(at)
        if text == ";":
            return at + 1
        assigned = assigned or text == "="
        after = src.after(at)
        if text == "{" and not assigned and src.at(at - 1) != "::" and src.at(after) not in {";", "::"}:
            return after
        at = after
    return last


def _item(reading: _Reading, begin: int, at: int, end: int, attributes: list[tuple[int, str]], around: _Around) -> None:
    src, said = reading.src, [a for _, a in attributes]
    word = at
    while (
        (src.at(word) in _QUALIFIERS and (src.at(word) != "const" or src.at(word + 1) in {"fn", "unsafe", "async"}))
        or (src.at(word) == "(" and src.at(word - 1) == "pub")
        or src.tokens[word].kind == "string"
    ):
        word = src.after(word)
    kind, name = src.at(word), src.at(word + 1)
    only_tests = around.tests or any(re.match(r"cfg\(.*\btest\b", a) and "not(test" not in a for a in said)
    marks = tuple(Note(line, f"#[{a}]") for line, a in attributes if _MARKS.match(a) and a not in _FREE)
    if kind == "fn" and any(_TEST.match(a) for a in said):
        _test(reading, (begin, word, end), attributes, marks, around)
    elif kind == "mod" and src.at(word + 2) == "{" and around.depth < 60:
        inner = _Around(
            "::".join(filter(None, (around.name, name))),
            only_tests,
            (*around.off, *(marks if only_tests else ())),
            around.depth + 1,
        )
        _items(reading, word + 3, src.end(word + 2), inner)
    elif kind in {"proptest", "quickcheck"} and name == "!" and src.at(word + 2) in {"{", "("}:
        _items(reading, word + 3, src.end(word + 2), replace(around, tests=True, depth=around.depth + 1))
    elif only_tests and kind == "use":
        for module, names in _uses(src, word + 1, end - 1, ""):
            reading.subjects[module] = tuple(sorted({*reading.subjects.get(module, ()), names}))
    elif (
        only_tests
        and name == "!"
        and kind not in _NO_TESTS
        and src.tokens[word + 3 if word + 3 < len(src.tokens) else word].kind == "name"
    ):
        _made(reading, (begin, word, end), marks, around)
    elif only_tests:
        label = (
            src.canon(word, src.find(word, end, "{"))
            if kind == "impl"
            else f"{kind} {src.at(word + 2) if name == '!' else name}"
        )
        reading.helpers["::".join(filter(None, (around.name, label)))] = src.canon(begin, end)


def _uses(src: Source, first: int, last: int, prefix: str) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a `use` takes."""
    brace = src.find(first, last, "{")
    if brace < 0:
        module, _, name = (prefix + src.canon(first, last)).rpartition("::")
        yield module, name.partition(" as ")[0]
        return
    outer = prefix + src.canon(first, brace)
    for a, b in src.split(brace + 1, src.end(brace)):
        yield from _uses(src, a, b, outer) if outer.count("::") < 30 else ()


def _made(reading: _Reading, item: tuple[int, int, int], marks: tuple[Note, ...], around: _Around) -> None:
    """`t!(name: input => output)`: a macro that makes a test of its arguments."""
    src, (_, word, _) = reading.src, item
    inner = (word + 3, src.end(word + 2))
    rest = src.canon(inner[0] + 1, inner[1])
    line = src.tokens[word].line
    held_ = Assertion(line, f"{src.at(word)}!({rest})", rest, "", EXACT)
    name = "::".join(filter(None, (around.name, src.at(word + 3))))
    reading.cases.append(TestCase(name, line, (held_,), (*around.off, *marks), shape=f"{src.at(word)}!{rest}"))


def _test(
    reading: _Reading,
    item: tuple[int, int, int],
    attributes: list[tuple[int, str]],
    marks: tuple[Note, ...],
    around: _Around,
) -> None:
    src, (_, word, end) = reading.src, item
    name = "::".join(filter(None, (around.name, src.at(word + 1))))
    line = src.tokens[word].line
    found = Found(off=[*around.off, *marks])
    for at_line, text in attributes:
        if text.startswith("should_panic"):
            found.assertions.append(
                Assertion(
                    at_line, text, "panics", text.removeprefix("should_panic"), EXACT if "expected" in text else PART
                )
            )
        elif re.match(r"(?:\w+::)*(?:case|test_case)\(", text):
            found.rows.append(text)
    brace = src.find(word, end, "{")
    taken = (word + 2, brace) if brace >= 0 else (word + 2, end)
    found.ranges += [
        Note(line, src.canon(*p))
        for p in _parameters(src, *taken)
        if src.find(*p, "..", "..=", "in") >= 0 or "#[values" in src.canon(*p)
    ]
    body = (brace + 1, src.end(brace)) if brace >= 0 else (end, end)
    for at in range(*body):
        if src.tokens[at].kind == "name" and src.at(at - 1) not in {".", "::"}:
            _word(src, at, body, found)
    found.off += _early(src, body)
    # The name is no part of the shape, so that a renamed test is seen as one.
    shape = "".join(sorted(f"#[{a}]" for _, a in attributes)) + src.canon(word + 2, end)
    reading.cases.append(found.case(name, line, shape))


def _parameters(src: Source, first: int, last: int) -> list[tuple[int, int]]:
    opening = src.find(first, last, "(")
    return src.split(opening + 1, src.end(opening)) if opening >= 0 else []


def _word(src: Source, at: int, body: tuple[int, int], found: Found) -> None:
    text, line = src.at(at), src.tokens[at].line
    if src.at(at + 1) == "!" and src.at(at + 2) in {"(", "[", "{"}:
        if assertion := _macro(src, at):
            found.assertions.append(assertion)
    elif text == "if" and src.canon(at + 1, max(at + 1, src.find(at + 1, body[1], "{"))) in {
        "false",
        "!true",
        "cfg!(any())",
    }:
        found.off.append(Note(line, "if false"))
    elif text == "for":
        over, brace = src.find(at, body[1], "in"), src.find(at, body[1], "{")
        if 0 <= over < brace:
            if src.find(over, brace, "..", "..=") >= 0:
                found.ranges.append(Note(line, src.canon(over + 1, brace)))
            opening = next((n for n in range(over + 1, brace) if src.at(n) == "["), -1)
            found.rows += (
                rows_of(src, opening)
                if opening >= 0
                else _local(src, src.at(brace - 1) if src.at(brace - 1) != ")" else src.at(over + 1), body)
            )
    elif text == "let" and src.at(at + 1) == "_" and src.at(at + 2) == "=" and src.find(at, body[1], ";") > 0:
        found.swallows.append(Note(line, src.canon(at, src.find(at, body[1], ";"))))
    elif text in {"with_cases", "cases"} and src.at(at + 1) in {"(", ":"}:
        found.ranges.append(Note(line, src.canon(at, at + 3)))
    else:
        _call(src, at, found)


def _local(src: Source, name: str, body: tuple[int, int]) -> tuple[str, ...]:
    """The rows of a list that the test declares itself."""
    for at in range(*body):
        if src.at(at) == "let" and name in {src.at(at + 1), src.at(at + 2)}:
            stop = src.find(at, body[1], ";")
            opening = next(
                (n for n in range(at, max(at, stop)) if src.at(n) == "[" and src.at(n - 1) in {"=", "!", "&"}), -1
            )
            return rows_of(src, opening) if opening >= 0 else ()
    return ()


def _call(src: Source, at: int, found: Found) -> None:
    """`f(x).unwrap();` as a statement, the end of a process, the tests' own helpers."""
    parts, end = chain(src, at)
    line, said = src.tokens[at].line, src.canon(at, end)
    alone = src.at(at - 1) in {"{", "}", ";"} and src.at(end) in {";", "?"}
    if any(p.name == "catch_unwind" for p in parts):
        found.swallows.append(Note(line, "catch_unwind"))
    if said.endswith("process::exit(0)"):
        found.off.append(Note(line, said))
    elif alone and len(parts) > 1 and parts[-1].name in {"unwrap", "expect", "unwrap_err", "expect_err"}:
        failed = parts[-1].name.endswith("_err")
        found.assertions.append(Assertion(line, said, src.canon(at, parts[-1].at - 1), "", PART if failed else TRUTH))
    elif alone and len(parts) > 1 and parts[-1].name == "ok":
        found.swallows.append(Note(line, said))
    elif len(parts) == 1 and parts[0].call and HOLDS.match(parts[0].name):
        found.assertions.append(Assertion(line, said, src.canon(*parts[0].call), parts[0].name, EXACT))


def _macro(src: Source, at: int) -> Assertion | None:
    name, line = src.at(at), src.tokens[at].line
    inner = arguments(src, (at + 3, src.end(at + 2)))
    text = src.canon(at, src.after(at + 2))
    if name in {"panic", "unreachable", "bail"}:
        return Assertion(line, f"{name}!", "reached", "", TRUTH)
    if not inner or not (name.startswith(("assert", "debug_assert", "prop_assert", "check")) or _SNAPSHOTS.match(name)):
        return None
    if name in {"assert", "debug_assert", "prop_assert"}:
        subject, expected, strength = held(src, *inner[0])
        least = src.find(*inner[0], "<", "<=")
        tolerance = number(src, least + 1, inner[0][1]) if least >= 0 and ".abs()" in subject else None
        return Assertion(line, text, subject, expected, EXACT if tolerance is not None else strength, tolerance)
    if len(inner) > 1 and not _SNAPSHOTS.match(name):
        strength = EXACT if name in _EQUAL or name.endswith("_eq") else PART
        found = compared(src, text, line, inner[0], inner[1], strength)
        options = {src.at(a): number(src, a + 2, b) for a, b in inner[2:] if src.at(a + 1) == "="}
        tolerance = next((v for k, v in options.items() if k in {"epsilon", "max_relative", "max_ulps"}), None)
        return Assertion(line, text, found.subject, found.expected, found.strength, tolerance)
    return Assertion(line, text, src.canon(*inner[0]), "", VACUOUS if text.endswith(("!(true)", "!()")) else EXACT)


def _early(src: Source, body: tuple[int, int]) -> list[Note]:
    """A `return` among a test's own statements that leaves others unreached."""
    at = body[0]
    while at < body[1]:
        if src.at(at) == "return" and 0 <= src.find(at, body[1], ";") < body[1] - 1:
            return [Note(src.tokens[at].line, "return before the end")]
        at = src.after(at)
    return []
