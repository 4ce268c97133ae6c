"""Answers keyed on inputs, read from source: what is asked for, and which literal is answered. Python by its syntax, the rest by text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.folding import folded
from zwarm_ci.verify.guards.literal_decoded import tables
from zwarm_ci.verify.guards.literal_shell import printed
from zwarm_ci.verify.guards.literal_tests import without_tests
from zwarm_ci.verify.guards.signs import PYTHON, code_only, tree

_HASHES = re.compile(
    r"\b(?:md5|sha\d+\w*|blake2\w*|hexdigest|crc32|adler32|hash|digest|createHash|fnv\w*|DefaultHasher)\b"
)
_ASKS = frozenset(
    {
        "startswith",
        "endswith",
        "match",
        "fullmatch",
        "search",
        "fnmatch",
        "issuperset",
        "count",
        "index",
        "find",
        "__eq__",
        "__contains__",
        "eq",
    }
)
_LOADS = frozenset({"loads", "literal_eval", "fromkeys"})
_NUMBER = r"-?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_LITERAL = rf"(?:\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`$\n]*`|{_NUMBER})"
LITERALS = re.compile(rf"(?<![\w.]){_LITERAL}")
_OPENS = r"(?:(?:return|=>|\?|=(?![=>])|yield|:)\s*)"
_WRAP = (
    r"(?:new\s+\w+\s*\(|(?:Some|Ok|Err|String::from|vec!|Box::new|Vec::from|Array\.of|BigInt|Number|\[\]\w+|map\[\w+\]\w+)\s*[\[({]?"
    r"|[\[({&]\s*){0,4}"
)
_KEYED = re.compile(
    r"(?:[=!]==?|\bcase|\b(?:includes|startsWith|endsWith|has|starts_with|ends_with|eq|Is)\s*\("
    r"|\b(?:HasPrefix|HasSuffix|Contains|EqualFold)\s*\([^,()]{0,80},)"
    rf"\s*({_LITERAL})([^\n;{{}}\"'`?]{{0,160}}?)[)\s{{:]*{_OPENS}({_WRAP}{_LITERAL}[^;\n}}]{{0,400}})"
)
#: A question for a type: no input is named.
_TYPED = re.compile(
    r"(\btypeof\s+[\w.]{1,80}\s*[=!]==?)\s*[\"'](?:string|number|bigint|boolean|symbol|undefined|object|function)[\"']"
)
_AND = re.compile(rf"==\s*({_LITERAL})")
_TABLE = re.compile(
    rf"(?:(?:^|[\[{{(,|])\s*|\n[^\S\n]*)\[?({_LITERAL})\]?\s*(?::|=>|,)\s*({_WRAP}{_LITERAL}[^\n;:]{{0,200}}?)\s*(?=[\]}}),;\n])"
)
_NAMED = re.compile(rf"(?:(?:^|[{{,])\s*|\n[^\S\n]*)([A-Za-z_$][\w$]*)\s*:\s*({_WRAP}{_LITERAL})\s*(?=[}},\n])")
_CONSTANT = re.compile(
    rf"\)\s*(?:->\s*[\w<>&\[\]]+\s*|:\s*[\w<>\[\]]+\s*|[\w\[\]]+\s*)?\{{\s*(?:return\s+)?({_WRAP}{_LITERAL}[^;\n}}]{{0,200}});?\s*\}}"
    rf"|\)\s*=>\s*({_LITERAL})\s*[;,)\n]"
)
_TAKES = re.compile(r"\.\s*(?:shift|pop)\s*\(\s*\)|\[\s*\w+\s*\+\+\s*\]|\.\s*next\s*\(\s*\)|\[\s*\w+\.fetch_add")
_LIST = re.compile(
    rf"(?:=|:)\s*(?:\[\]\w+\s*)?[\[{{]([\[\s]*{_LITERAL}(?:[\]\s]*,[\[\s]*{_LITERAL})*[\]\s]*,?\s*)[\]}}]"
)
_WORDS = re.compile(r"(?<![\"'`\w])[A-Za-z_]\w*")
_FINE = frozenset(
    "return new Some Ok Err String from vec Box Vec Array of BigInt Number map int string float64 true false null undefined as const "
    "f64 i32 i64 u32 u64 usize str to_string into to_owned".split()
)


DATA = frozenset({".json", ".csv", ".tsv", ".toml", ".yaml", ".yml", ".txt", ".ini"})
_LONG = 200_000  # characters of a data file
_CHOOSES = re.compile(r"\bMap\b|===?|=>|\bcase\b|\?|\.(?:has|includes|equals|contains)\b")


@dataclass(frozen=True, slots=True)
class Pair:
    """One answer. `keys` are what is asked for (empty: always), `answer` the literals answered (empty: raised); `how` says by what."""

    keys: tuple[str, ...]
    answer: tuple[str, ...]
    line: int
    how: str


def canonical(value: object) -> tuple[str, ...]:
    """A constant as comparable texts, its parts where it has some; nothing for what says nothing (None, booleans, empty)."""
    if isinstance(value, bool) or value is None:
        return ()
    if isinstance(value, int | float):
        try:
            return (repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value),)
        except (OverflowError, ValueError):
            return ()
    if isinstance(value, str):
        return (f"'{value}",) if value and len(value) < 2000 else ()
    if isinstance(value, bytes):
        return canonical(value.decode("latin-1"))
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(part for item in value for part in canonical(item))
    if isinstance(value, dict):
        return tuple(part for item in value.items() for part in canonical(item))
    return ()


def pairs(path: str, text: str) -> list[Pair]:
    """Every keyed or constant answer in a source file."""
    if PurePosixPath(path).suffix in PYTHON:
        module = tree(text)
        try:
            return sorted([*_python(module), *_hidden(text)], key=lambda p: p.line) if module else []
        except RecursionError:
            return []
    if PurePosixPath(path).suffix in DATA:
        return list(_data(text[:_LONG]))
    code = _TYPED.sub(r"\1", code_only(path, text))
    if path.endswith(".rs"):
        code = without_tests(code)
    if PurePosixPath(path).suffix == ".sh":
        return list(_printed(code))
    return sorted([*_other(code), *_hidden(code)], key=lambda p: p.line)


def _printed(code: str) -> Iterator[Pair]:
    for keys, said, line in printed(code):
        how = "a command" if keys else "a constant"
        yield Pair(tuple(k for key in keys for k in _value(key)), _value(said), line, how)


def _hidden(code: str) -> Iterator[Pair]:
    for found, line in tables(code):
        yield from _held(found, line, "a table in disguise")


def _data(text: str) -> Iterator[Pair]:
    """The rows of a data file: a mapping's items where it is JSON, else what stands with what on a line."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.split("\n"), 1):
            parts = [p.strip().strip("\"'") for p in re.split(r"[,;\t=|]|:\s", line[:2000]) if p.strip()]
            if len(parts) > 1 and (answer := _value(parts[-1])):
                yield Pair(
                    tuple(k for part in parts[:-1] for k in _value(part)), answer, number, "a table in a data file"
                )
        return
    yield from _held(found, 1, "a table in a data file")


def _held(found: object, line: int, how: str) -> Iterator[Pair]:
    """The rows of a mapping or a list that was read from a text."""
    rows: list[tuple[object, object]] = list(found.items()) if isinstance(found, dict) else []
    if isinstance(found, list):
        rows = [(row[:-1], row[-1]) for row in found if isinstance(row, list) and len(row) > 1]
    for key, value in rows:
        keys = canonical(key) if not isinstance(key, str) else (*canonical(key), *_inner(key))
        if keys and (answer := canonical(value)):
            yield Pair(keys, answer, line, how)


def _value(text: str) -> tuple[str, ...]:
    return literal(text) or canonical(text)


def _inner(key: str) -> tuple[str, ...]:
    """The constants inside a key that is the text of a tuple or list."""
    try:
        return canonical(ast.literal_eval(key)) if key[:1] in "([{" and len(key) < 1000 else ()
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()


def answer_of(node: ast.expr | None) -> tuple[str, ...] | None:
    """The literals that an expression consists of; None where it is more than literals."""
    if node is None:
        return None
    if isinstance(node, ast.Constant):
        return canonical(node.value)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return _all(node.elts)
    if isinstance(node, ast.Dict):
        return None if None in node.keys else _all([*(k for k in node.keys if k), *node.values])
    if isinstance(node, ast.Call) and (node.args or node.keywords) and not isinstance(node.func, ast.Call):
        holder = node.func.value if isinstance(node.func, ast.Attribute) else None
        if holder is None or isinstance(holder, ast.Name):
            return _all([*node.args, *(k.value for k in node.keywords)])
    value = folded(node)
    return canonical(value) if value is not None else None


def _all(nodes: Sequence[ast.expr]) -> tuple[str, ...] | None:
    parts = [answer_of(n) for n in nodes]
    return None if any(p is None for p in parts) else tuple(x for p in parts for x in p or ())


def _keys(test: ast.expr) -> tuple[str, ...]:
    """What a condition compares with."""
    found: list[str] = []
    for node in ast.walk(test):
        if isinstance(node, ast.Compare):
            found += [k for side in (node.left, *node.comparators) for k in answer_of(side) or ()]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ASKS:
            found += [k for arg in node.args for k in answer_of(arg) or ()]
    return tuple(found)


def _answers(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ...]]:
    for node in body[:3]:
        if isinstance(node, ast.Return | ast.Assign | ast.AnnAssign | ast.AugAssign):
            if answer := answer_of(node.value):
                yield answer
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.Call):
            inner = node.value.value if isinstance(node.value, ast.Yield) else node.value
            if answer := answer_of(inner):
                yield answer
        elif isinstance(node, ast.Raise):
            yield ()


def _python(module: ast.Module) -> Iterator[Pair]:
    for node in ast.walk(module):
        for body in _bodies(node):
            yield from _branches(body)
        if isinstance(node, ast.IfExp) and (keys := _keys(node.test)):
            for side in (node.body, node.orelse):
                if answer := answer_of(side):
                    yield Pair(keys, answer, node.lineno, "a condition")
        elif isinstance(node, ast.BoolOp) and (keys := _keys(node)):
            yield from (Pair(keys, a, node.lineno, "a condition") for v in node.values if (a := answer_of(v)))
        elif isinstance(node, ast.Dict):
            yield from _table(node)
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            yield from _rows(node)
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.List | ast.Tuple)
            and (keys := _keys(node.slice))
        ):
            yield from (Pair(keys, a, node.lineno, "an index") for v in node.value.elts if (a := answer_of(v)))
        else:
            yield from _rest(node)


def _rest(node: ast.AST) -> Iterator[Pair]:
    if isinstance(node, ast.Compare) and _HASHES.search(ast.unparse(node)) and (keys := _keys(node)):
        if any(isinstance(n, ast.Call) and _HASHES.search(ast.unparse(n.func)) for n in ast.walk(node)):
            yield Pair(keys, (), node.lineno, "a digest of the input")
    elif (
        isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in _LOADS and node.args
    ):
        yield from _loaded(node)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
        "iter",
        "cycle",
        "deque",
    }:
        inner = node.args[0] if node.args else None
        several = isinstance(inner, ast.BinOp)  # a list many times over
        inner = inner.left if isinstance(inner, ast.BinOp) else inner
        if isinstance(inner, ast.List | ast.Tuple) and len(inner.elts) > (not several) and (answer := answer_of(inner)):
            yield Pair((), answer, node.lineno, "a queue of answers")
    elif isinstance(node, ast.ExceptHandler):
        yield from (Pair((), a, node.lineno, "an error handler") for a in _answers(node.body) if a)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _constant(node)


def _bodies(node: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        found = getattr(node, name, None)
        if isinstance(found, list):
            yield found


def _branches(body: Sequence[ast.stmt]) -> Iterator[Pair]:
    for at, node in enumerate(body):
        if isinstance(node, ast.If) and (keys := _keys(node.test)):
            differs = any(isinstance(n, ast.NotEq | ast.NotIn) for n in ast.walk(node.test))
            after = body[at + 1 : at + 2] if differs else []
            for answer in _answers([*node.body[:3], *node.orelse[:2], *after] if differs else node.body):
                yield Pair(keys, answer, node.lineno, "a condition")
        elif isinstance(node, ast.Match):
            for case in node.cases:
                if keys := tuple(
                    k for n in ast.walk(case.pattern) if isinstance(n, ast.MatchValue) for k in answer_of(n.value) or ()
                ):
                    yield from (Pair(keys, a, case.body[0].lineno, "a case") for a in _answers(case.body))


def _table(node: ast.Dict) -> Iterator[Pair]:
    for key, value in zip(node.keys, node.values, strict=True):
        keys = answer_of(key)
        inner = value.body if isinstance(value, ast.Lambda) else value
        if keys and (answer := answer_of(inner)):
            yield Pair(keys, answer, key.lineno if key else node.lineno, "a table")


def _rows(node: ast.List | ast.Tuple | ast.Set) -> Iterator[Pair]:
    for row in node.elts:
        if isinstance(row, ast.Tuple | ast.List) and len(row.elts) > 1:
            keys, answer = _all(row.elts[:-1]), answer_of(row.elts[-1])
            if keys and answer:
                yield Pair(keys, answer, row.lineno, "a table")


def _loaded(node: ast.Call) -> Iterator[Pair]:
    text = folded(node.args[0])
    if not isinstance(text, str | bytes):
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        yield from (
            Pair(canonical(k), canonical(v), node.lineno, "a table in a text") for k, v in found.items() if canonical(v)
        )


def _constant(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Pair]:
    """A function that answers a literal whatever it is asked."""
    body = [n for n in node.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    returned = next((n for n in body if isinstance(n, ast.Return)), None)
    asked = bool(node.args.args or node.args.vararg or node.args.kwonlyargs)
    if (
        returned
        and asked
        and (answer := answer_of(returned.value))
        and not any(isinstance(n, ast.If | ast.For | ast.While | ast.Try | ast.Match | ast.With) for n in body)
    ):
        yield Pair((), answer, returned.lineno, "a constant")


def _other(code: str) -> Iterator[Pair]:
    def line(at: int) -> int:
        return code.count("\n", 0, at) + 1

    for found in _KEYED.finditer(code):
        if answer := _answer(found[3]):
            more = tuple(k for m in _AND.finditer(found[2]) for k in literal(m[1]))
            yield Pair((*literal(found[1]), *more), answer, line(found.start()), "a condition")
    for pattern in (_TABLE, _NAMED):
        for found in pattern.finditer(code):
            keys = literal(found[1]) or (f"'{found[1]}",)
            if answer := _answer(found[2]):
                yield Pair(keys, answer, line(found.start(1)), "a table")
    for found in _CONSTANT.finditer(code):
        if answer := _answer(found[1] or found[2]):
            yield Pair((), answer, line(found.start(1) if found[1] else found.start(2)), "a constant")
    if _TAKES.search(code):
        for found in _LIST.finditer(code):
            if answer := _answer(found[1]):
                yield Pair((), answer, line(found.start(1)), "a queue of answers")
    yield from _by_line(code)


def _by_line(code: str) -> Iterator[Pair]:
    for number, text in enumerate(code.split("\n"), 1):
        held = [literal(m[0]) for m in LITERALS.finditer(text[:2000])] if _CHOOSES.search(text[:2000]) else []
        if len(held := [h for h in held if h]) > 1:
            yield Pair(tuple(k for h in held[:-1] for k in h), held[-1], number, "a condition")
            if "Map" in text:
                inner = tuple(k for part in held[0] for k in (part, *_inner(part[1:])))
                yield Pair(inner, tuple(k for h in held[1:] for k in h), number, "a table")
        if _HASHES.search(text) and re.search(rf"[=!]==?\s*{_LITERAL}|\bcase\s+{_LITERAL}", text[:2000]):
            yield Pair(
                tuple(k for m in LITERALS.finditer(text[:2000]) for k in literal(m[0])),
                (),
                number,
                "a digest of the input",
            )


def literal(text: str) -> tuple[str, ...]:
    """A literal of another language, canonical."""
    if text[:1] in {'"', "'", "`"}:
        return canonical(text[1:-1])
    try:
        return canonical(float(text.replace("_", "")) if re.search(r"[.eE]", text) else int(text.replace("_", "")))
    except ValueError:
        return ()


def _answer(text: str) -> tuple[str, ...]:
    """The literals of an answer; nothing where it is more than literals."""
    text = text.split(" : ", maxsplit=1)[0]
    bare = LITERALS.sub(" ", text)
    if any(word not in _FINE for word in _WORDS.findall(bare)) or re.search(r"[+*%]|[^<]-[^>]", bare):
        return ()
    return tuple(k for m in LITERALS.finditer(text) for k in literal(m[0]))
