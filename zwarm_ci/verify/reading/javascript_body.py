"""What the body of a JavaScript or TypeScript test says: assertions, and what keeps them from counting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, Assertion, Note
from zwarm_ci.verify.reading.phrases import HOLDS, Segment, arguments, chain, compared, constant, held, number
from zwarm_ci.verify.reading.tokens import Source

_WORDS: dict[int, str] = {
    EXACT: "toBe toEqual toStrictEqual toBeNull toBeUndefined toBeNaN toMatchSnapshot toMatchInlineSnapshot toThrowErrorMatchingSnapshot "
    "toThrowErrorMatchingInlineSnapshot toMatchFileSnapshot toHaveBeenCalledWith toHaveBeenLastCalledWith toHaveBeenNthCalledWith "
    "toHaveBeenCalledTimes "
    "toHaveReturnedWith toHaveTextContent toBeCloseTo equal equals eq eql eqls deepEqual deepEquals strictEqual deepStrictEqual is same "
    "strictSame isTrue "
    "isFalse isNull isUndefined isNaN ifError snapshot matchSnapshot true false null undefined NaN closeTo approximately calledWith calledOnceWith "
    "calledWithExactly calledOnceWithExactly callCount deepLooseEqual looseEqual isDeeply",
    PART: "toContain toContainEqual toMatch toMatchObject toBeGreaterThan toBeGreaterThanOrEqual toBeLessThan toBeLessThanOrEqual toHaveLength "
    "toHaveProperty contain contains include includes match matches above below within least most gt gte lt lte property members length "
    "lengthOf keys "
    "like regex notEqual notStrictEqual notDeepEqual notDeepStrictEqual not notSame notMatch has hasStrict partialDeepStrictEqual "
    "doesNotMatch isAbove "
    "isBelow isAtLeast isAtMost lengthIs startsWith endsWith oneOf empty sameMembers calledOnce plan assertions hasAssertions assert fail",
    TRUTH: "toBeTruthy toBeFalsy toBeDefined toBeInstanceOf toBeTypeOf toHaveBeenCalled ok notOk exist exists a an instanceof instanceOf "
    "called truthy falsy "
    "isOk isNotOk isObject isString isNumber isArray isFunction typeOf doesNotThrow notThrows notThrow doesNotReject notThrowsAsync "
    "isDefined isNotNull "
    "finite resolves assert isInstanceOf",
}  # fmt: skip
_STRENGTH = {name: strength for strength, names in _WORDS.items() for name in names.split()}
_THROWS = frozenset("toThrow toThrowError throw throws rejects throwsAsync Throw rejectedWith".split())
_BARE = re.compile(r"^(?:typeof |!!|Boolean\()|\binstanceof ")
_EMPTY = frozenset("pass end done comment diagnostic log timeout teardown context".split())
_FIRST_IS_EXPECTED = re.compile(r"\bexpect\.(?:anything|any)\(")
_ANSWERS = re.compile(
    r"^(?:mock(?:Return|Implementation|Resolved|Rejected)\w*|returns|resolves|rejects|callsFake|throws|callThrough|yields)$"
)
_REPLACES = re.compile(r"^(?:mock|doMock|unstable_mockModule|setMock|stubGlobal|stubEnv|replaceProperty)$")
_SAYS_NOTHING = re.compile(r"\{\}$|=>(?:undefined|null|0)$|^_?noop$|=>\{return\}$")
_DOUBLERS = frozenset("jest vi sinon td mock t sandbox context".split())
_LOUD = frozenset("throw reject fail expect assert done cb next".split())
#: Names that a test file must not make its own.
SHADOWS = frozenset("expect assert it test describe should".split())


@dataclass(slots=True)
class Body:
    """What a range of a file says."""

    assertions: list[Assertion] = field(default_factory=list)
    off: list[Note] = field(default_factory=list)
    swallows: list[Note] = field(default_factory=list)
    doubles: list[Note] = field(default_factory=list)
    ranges: list[Note] = field(default_factory=list)


def body_of(
    src: Source, spans: Iterator[tuple[int, int]], handle: str, names: Mapping[str, str], imported: frozenset[str]
) -> Body:
    """Read token ranges. `handle`: the test's own parameter (`t`); `names`: local name -> assertion function; `imported`: subjects."""
    body = Body()
    for first, last in spans:
        at = first
        while at < last:
            token = src.tokens[at]
            if token.kind == "name" and src.at(at - 1) not in {".", "?."}:
                at = _word(src, at, body, handle, names, imported)
            else:
                at += 1
    return body


def _word(src: Source, at: int, body: Body, handle: str, names: Mapping[str, str], imported: frozenset[str]) -> int:
    """Look at the statement or call that a name begins; the index to go on with, so that what stands inside it is read too."""
    text, line = src.at(at), src.tokens[at].line
    if text in {"if", "while"} and src.at(at + 1) == "(":
        if src.canon(at + 2, src.end(at + 1)) in {"false", "0", "null", "undefined", "!1", "!true", '""'}:
            body.off.append(Note(line, src.canon(at, src.after(at + 1))))
        return at + 2
    if text == "for" and src.at(at + 1) == "(":
        _loop(src, at, body)
        return at + 2
    if text == "try" and src.at(at + 1) == "{":
        _tries(src, at, body)
        return at + 2
    parts, end = chain(src, at)
    if src.at(end) == "=" and (
        len(parts) > 1
        and (
            text in imported
            or text in {"global", "globalThis", "Math", "Date", "process", "console"}
            or "prototype" in src.canon(at, end)
        )
    ):
        body.doubles.append(Note(line, src.canon(at, end) + "="))
    _calls(src, parts, end, line, body)
    if assertion := _assertion(src, parts, end, handle, names):
        body.assertions.append(assertion)
        if (
            parts[0].name == "expect"
            and {"resolves", "rejects"} & {p.name for p in parts}
            and src.at(at - 1) not in {"await", "return", "=>", "(", ",", "["}
        ):
            body.swallows.append(Note(line, f"not awaited: {assertion.text}"))
    return at + 1


def _loop(src: Source, at: int, body: Body) -> None:
    inner = src.split(at + 2, src.end(at + 1), ";")
    line = src.tokens[at].line
    if len(inner) > 1:
        body.ranges.append(Note(line, src.canon(*inner[1])))
    elif src.canon(at + 2, src.end(at + 1)).endswith("of[]"):
        body.off.append(Note(line, "a loop over nothing"))


def _tries(src: Source, at: int, body: Body) -> None:
    """A try round an assertion whose catch says nothing, or whose finally returns."""
    inside = {t.text for t in src.tokens[at + 2 : src.end(at + 1)] if t.kind == "name"}
    at, line = src.after(at + 1), src.tokens[at].line
    if not any(w in {"expect", "assert", "t", "should", "ok", "equal", "throw"} or HOLDS.match(w) for w in inside):
        return
    if src.at(at) == "catch":
        opening = src.after(at + 1) if src.at(at + 1) == "(" else at + 1
        if not _is_loud(src, opening, src.end(opening)):
            body.swallows.append(Note(line, "catch{" + src.canon(opening + 1, src.end(opening)) + "}"))
        at = src.after(opening)
    if src.at(at) == "finally" and src.find(at + 2, src.end(at + 1), "return") >= 0:
        body.swallows.append(Note(line, "finally{return}"))


def _is_loud(src: Source, first: int, last: int) -> bool:
    return any(
        t.kind == "name" and (t.text in _LOUD or t.text == "t" or HOLDS.match(t.text)) for t in src.tokens[first:last]
    )


def _calls(src: Source, parts: list[Segment], end: int, line: int, body: Body) -> None:
    """What a chain does to the test or to its subject."""
    root, rest = parts[0].name, [p.name for p in parts[1:]]
    called = {p.name: p.call for p in parts if p.call}
    said = src.canon(parts[0].at, end)
    if (
        root in {"this", "t", "ctx", "context", "test", "it"}
        and rest[:1]
        and rest[0] in {"skip", "todo", "fixme"}
        and (root in {"this", "t", "ctx", "context"})
    ):
        body.off.append(Note(line, said))
    if (root, *rest) in {("process", "exit"), ("process", "exitCode")} or said.startswith(
        ("Deno.exit(", "process.reallyExit(")
    ):
        body.off.append(Note(line, said))
    if (
        root == "process"
        and rest[:1]
        and rest[0] in {"on", "once"}
        and ("uncaughtException" in said or "unhandledRejection" in said)
    ):
        body.swallows.append(Note(line, said))
    for part in parts[1:]:
        inner = arguments(src, part.call)
        deaf: object = (part.name == "catch" and inner) or (part.name == "then" and len(inner) > 1)
        heard = src.canon(*inner[-1]) if inner else ""
        # A handler that gives the error back catches it to look at it.
        deaf = deaf and (_SAYS_NOTHING.search(heard) or (part is parts[-1] and "{" in heard and "return" not in heard))
        if deaf and not _is_loud(src, *inner[-1]):
            body.swallows.append(Note(line, f".{part.name}({heard})"))
    if _replaces(root, rest):
        body.doubles.append(Note(line, said))
    for name in ("numRuns", "integer", "from"):
        if (
            (inner_call := called.get(name))
            and (root == "fc" or name == "from")
            and "length" in (text := src.canon(*inner_call)) + ("length" if root == "fc" else "")
        ):
            body.ranges.append(Note(line, f"{name}({text})"))


def _replaces(root: str, rest: list[str]) -> bool:
    """Whether a chain puts something else in place of what is tested."""
    if root in {"jest", "vi"} and rest[:1] and _REPLACES.match(rest[0]):
        return True
    if root in _DOUBLERS and ("stub" in rest or ("spyOn" in rest and any(_ANSWERS.match(name) for name in rest))):
        return True
    return root in {"proxyquire", "rewiremock"} or (
        root in _DOUBLERS - {"jest", "vi"} and bool({"method", "module", "replace", "getter"} & set(rest))
    )


def _assertion(src: Source, parts: list[Segment], end: int, handle: str, names: Mapping[str, str]) -> Assertion | None:
    """The assertion that a chain is, if it is one."""
    root, line = parts[0], src.tokens[parts[0].at].line
    text = src.canon(root.at, end)
    known = names.get(root.name, "")
    if root.name == "expect" and root.call:
        return _expectation(src, parts, 1, root.call, text, line)
    if root.name == "expect" or known.startswith("!"):
        return (
            Assertion(line, text, "assertions", text, PART)
            if len(parts) > 1 and parts[1].name in {"assertions", "hasAssertions"}
            else None
        )
    if at := next((n for n, p in enumerate(parts) if p.name == "should" and n), 0):
        return _expectation(src, parts, at + 1, (root.at, parts[at].at - 1), text, line)
    if at := next((n for n, p in enumerate(parts) if p.name == "expect" and n and p.call), 0):
        inner = parts[at].call or (0, 0)
        return Assertion(line, text, src.canon(root.at, parts[at].at - 1), src.canon(*inner), EXACT)
    if root.name == "assert" or known == "assert":
        member = parts[1] if len(parts) > 1 else root
        return (
            _asserted(src, member.name if member is not root else "ok", member.call, text, line)
            if member.call
            else None
        )
    if root.call and (known == "=" or (HOLDS.match(root.name) and root.name != "assert")):
        return Assertion(line, text, src.canon(*root.call), root.name, EXACT)
    if known not in {"", "test", "suite"} and root.call:
        return _asserted(src, known, root.call, text, line)
    return _of_handle(src, parts, text, line) if root.name in {handle, "t", "tap", "sinon"} and len(parts) > 1 else None


def _of_handle(src: Source, parts: list[Segment], text: str, line: int) -> Assertion | None:
    """`t.is(…)`, `t.assert.equal(…)`, `t.plan(2)`, `sinon.assert.calledOnce(…)`."""
    member = parts[2] if parts[1].name in {"assert", "should"} and len(parts) > 2 else parts[1]
    if parts[0].name == "sinon":
        return Assertion(line, text, text, "", _STRENGTH.get(member.name, TRUTH)) if parts[1].name == "assert" else None
    if member.name == "plan":
        return Assertion(line, text, "plan", src.canon(*(member.call or (0, 0))), PART)
    if not member.call or member.name not in {*_STRENGTH, *_THROWS, "pass"}:
        return None
    return _asserted(src, member.name, member.call, text, line)


def _expectation(
    src: Source, parts: list[Segment], begin: int, subject: tuple[int, int], text: str, line: int
) -> Assertion:
    """`expect(subject).not.toBe(expected)`, in the manner of jest and of chai."""
    rest = parts[begin:]
    what = arguments(src, subject)[:1] or [subject]
    left = src.canon(*what[0])
    if not rest:
        return Assertion(line, text, left, "", VACUOUS)
    matcher = next((p for p in reversed(rest) if p.call), rest[-1])
    inner = arguments(src, matcher.call)
    expected = ",".join(src.canon(a, b) for a, b in inner)
    negated = any(p.name == "not" for p in rest)
    if matcher.name in _THROWS:
        exact = bool(inner) and any(
            t.kind in {"string", "regex", "template"} or t.text == "{" for t in src.tokens[inner[0][0] : inner[-1][1]]
        )
        return Assertion(line, text, left, expected, TRUTH if negated else EXACT if exact else PART)
    strength = _STRENGTH.get(matcher.name, EXACT if inner else TRUTH)
    if matcher.name in {"toHaveProperty", "property"} and len(inner) > 1:
        strength = EXACT
    if expected in {"true", "false"} and _BARE.search(left):
        strength = TRUTH
    if left.startswith("typeof"):
        strength = min(strength, TRUTH)
    if negated:
        strength = TRUTH if expected == "" or expected in {"null", "undefined"} else min(strength, PART)
    if _FIRST_IS_EXPECTED.match(expected):
        strength = min(strength, TRUTH)
    fixed = constant(src, *what[0]) and (not inner or all(constant(src, a, b) for a, b in inner))
    if fixed or (inner and left == expected and strength == EXACT) or _never_fails(src, what[0], strength):
        strength = VACUOUS
    return Assertion(line, text, left, expected, strength, _tolerance(src, matcher.name, inner))


def _never_fails(src: Source, subject: tuple[int, int], strength: int) -> bool:
    return (strength == TRUTH and src.at(subject[0]) in {"[", "{", "new", "function"}) or (
        held(src, *subject)[2] == VACUOUS and bool(src.find(*subject, "||") + 1)
    )


def _tolerance(src: Source, name: str, inner: list[tuple[int, int]]) -> float | None:
    if name == "toBeCloseTo":
        digits = number(src, *inner[1]) if len(inner) > 1 else 2.0
        return None if digits is None or abs(digits) > 300 else 0.5 * 10.0**-digits
    if name in {"closeTo", "approximately"} and len(inner) > 1:
        return number(src, *inner[min(len(inner) - 1, 2) if len(inner) > 2 else 1])
    return None


def _asserted(src: Source, name: str, call: tuple[int, int] | None, text: str, line: int) -> Assertion:
    """`assert.equal(actual, expected)`, `t.is(…)` and their kin."""
    inner = arguments(src, call)
    if name in _EMPTY or not inner:
        return Assertion(line, text, name, "", VACUOUS if name in _EMPTY or name != "fail" else TRUTH)
    if name in _THROWS:
        exact = len(inner) > 1 and any(
            t.kind in {"string", "regex", "template"} or t.text == "{" for t in src.tokens[inner[1][0] : inner[-1][1]]
        )
        return Assertion(
            line, text, src.canon(*inner[0]), ",".join(src.canon(*i) for i in inner[1:]), EXACT if exact else PART
        )
    strength = _STRENGTH.get(name, PART)
    if name in {"ok", "assert", "truthy", "true", "isTrue", "isOk", "exists"}:
        subject, expected, strength = held(src, *inner[0])
        return Assertion(
            line, text, subject, expected, EXACT if strength == TRUTH and name in {"true", "isTrue"} else strength
        )
    if len(inner) > 1 and name not in {"snapshot", "false", "falsy", "notOk"}:
        found = compared(src, text, line, inner[0], inner[1], strength)
        tolerance = number(src, *inner[2]) if name in {"closeTo", "approximately"} and len(inner) > 2 else None
        return Assertion(line, text, found.subject, found.expected, found.strength, tolerance)
    empty = constant(src, *inner[0]) or (strength == TRUTH and src.at(inner[0][0]) in {"[", "{"})
    return Assertion(line, text, src.canon(*inner[0]), "", VACUOUS if empty else strength)


def looked_at(src: Source, parts: list[Segment], handle: str, names: Mapping[str, str]) -> tuple[int, int] | None:
    """The token range of what the assertion that a chain is looks at: its first argument, of a comparison the left side."""
    root, known = parts[0], names.get(parts[0].name, "")
    member: Segment | None = None
    if root.name == "expect":
        member = root
    elif root.name in {handle, "t"}:
        member = next((p for p in parts[1:] if p.call), None)
    elif "assert" in {root.name, known}:
        member = next((p for p in parts[1:] if p.call), root)
    elif known not in {"", "test", "suite"} and not known.startswith("!"):
        member = root
    if member is None or not (inner := arguments(src, member.call)) or src.at(inner[0][0]) == "...":
        return None
    if member is not root and member.name not in {*_STRENGTH, *_THROWS}:
        return None
    first, last = inner[0]
    is_function = src.find(first, last, "=>", "function") >= 0
    sign = src.find(first, last, "===", "==", "!==", "!=", "<", ">", "<=", ">=")
    return (first, sign) if sign > first and not is_function else (first, last)


__all__ = ["SHADOWS", "Body", "body_of", "looked_at"]
