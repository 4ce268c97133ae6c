"""Tests made to expect something else: who passes them all the same reads them, or has patched what compares.

For languages whose tests cannot be made to fail from inside of their process (`checks.can_doom`): a copy of the test file in which
each exact value that a target expects is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zwarm_ci.baseline import only
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check
from zwarm_ci.verify.court import Court
from zwarm_ci.verify.reading.base import EXACT, Assertion, TestCase
from zwarm_ci.verify.reading.table import reader

#: A number, a text or a truth value at the end of what an assertion expects, as the readers write it.
_LITERAL = re.compile(r"""^(?:[!=]==?|[A-Za-z]\w*)? ?(?P<value>-?\d+(?:\.\d+)?|"(?:[^"\\\n]|\\.)*"|true|false)$""")
_LONG = 6  # lines of one assertion in which its value is looked for
_MOST = 400  # files that are read for the one that holds a target


def spared(court: Court, check: Check, targets: Sequence[str], tree: str) -> tuple[str, ...] | None:
    """Targets that pass on `tree` though they expect something else there; None where none of them could be made to.

    Raises:
        LimitError: the run's limits ended it.
    """
    repo = court.trees.repo
    texts: dict[str, str] = {}
    changed = []
    files = repo.files(tree)
    for target in targets:
        found = [(p, c) for p in _places(target, files) for c in _cases(court, tree, p) if _is_of(target, p, c)]
        if len(found) == 1:  # where two have that name, none knows which of them runs
            path, case = found[0]
            before = texts.get(path) or decode(repo.read(tree, path) or b"")
            if (after := otherwise(before, case)) != before:
                texts[path] = after
                changed.append(target)
    if not changed:
        return None
    result = court.trees.anew(check, repo.with_texts(tree, texts), only=only(changed))
    if result.trouble or result.timed_out:
        return None
    return tuple(t for t in changed if result.state(t) == "passed")


def _places(target: str, files: Sequence[str]) -> list[str]:
    """Files that may hold a test: the id's own (JavaScript), those of its package (Go), or of its language (Rust)."""
    head = target.partition("::")[0]
    if head in files:
        return [head]
    go = [f for f in files if f.endswith("_test.go") and f"/{head}".endswith(f"/{f.rpartition('/')[0]}".rstrip("/"))]
    deep = max((f.count("/") for f in go), default=0)
    rust = [f for f in files if f.endswith(".rs")]
    return [f for f in go if f.count("/") == deep] or (rust if len(rust) <= _MOST else [])


def _cases(court: Court, tree: str, path: str) -> Iterator[TestCase]:
    if read := reader(path):
        yield from read(path, decode(court.trees.repo.read(tree, path) or b"")).cases


def _is_of(target: str, path: str, case: TestCase) -> bool:
    name = target.partition("::")[2]
    if path.endswith(".go"):
        return name.partition("/")[0] == case.name
    return name.replace(" > ", "::") == case.name or (
        path.endswith(".rs") and name.rpartition("::")[2] == case.name.rpartition("::")[2]
    )


def otherwise(text: str, case: TestCase) -> str:
    """The text of a test file in which a test expects other values, wherever it expects one exactly and plainly."""
    lines = text.split("\n")
    for assertion in case.assertions:
        if assertion.strength != EXACT or assertion.tolerance is not None:
            continue
        for at in _extent(lines, assertion, case):
            if (made := _changed(lines[at], assertion)) != lines[at]:
                lines[at] = made
                break
    return "\n".join(lines)


def _extent(lines: Sequence[str], assertion: Assertion, case: TestCase) -> Sequence[int]:
    """Indices of the lines in which the value of an assertion may stand, the likeliest first."""
    first = assertion.line - 1
    if assertion.text.startswith(
        "if"
    ):  # Go: what fails the test stands below its condition, and names the value in its message
        return [at for at in range(first, max(first - _LONG, -1), -1) if re.search(r"\bif\b", lines[at])][:1]
    end = min([first + _LONG, len(lines), *(a.line - 1 for a in case.assertions if a.line > assertion.line)])
    return range(end - 1, first - 1, -1)


def _changed(line: str, assertion: Assertion) -> str:
    """The line with the last mention of what is expected replaced by another value of its kind."""
    said = _LITERAL.match(assertion.expected)
    if said is None:
        return line
    value = said["value"]
    if value.startswith('"'):  # the quotes are the line's own
        mentions = list(re.finditer(rf"(?<!\w)(?P<head>[\"'`]){re.escape(value[1:-1])}(?P<tail>[\"'`])", line))
        other = f"~{value[1:-1]}"
    else:
        mentions = list(re.finditer(rf"(?<![\w.])(?P<head>){re.escape(value)}(?P<tail>)(?![\w.])", line))
        other = _number(value)
    if not mentions:
        return line
    last = mentions[-1]
    return f"{line[: last.start()]}{last['head']}{other}{last['tail']}{line[last.end() :]}"


def _number(value: str) -> str:
    if value in {"true", "false"}:
        return "false" if value == "true" else "true"
    whole, dot, part = value.lstrip("-").partition(".")
    return f"{'-' if value.startswith('-') else ''}{int(whole) + 1}{dot}{part}"
