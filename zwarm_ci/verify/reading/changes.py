"""What a change takes away from one test: two readings of it, held against each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from zwarm_ci.verify.reading.base import TRUTH, VACUOUS, Assertion, Note, TestCase

Kind = Literal["deleted", "renamed", "off", "only", "swallow", "double", "vacuous", "removed", "weaker", "expected", "tolerance", "rows",
               "range", "subject", "helper", "changed", "unreadable"]  # fmt: skip
_NUMBER = re.compile(r"-?\b\d[\d_]*(?:\.\d+)?(?:e-?\d+)?\b")
_CLOSERS = re.compile(r"^[\s)\]};:,]*$")
#: What the reader of Python says of a coroutine that nothing marks to be run.
UNMARKED_ASYNC = "async without a marker"
_SLACK = 1 + 1e-9  # two spellings of one tolerance are the same


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that a test holds no more. `line`: in the new file, 0 where it is gone."""

    kind: Kind
    line: int
    what: str


def losses(old: TestCase, new: TestCase, *, strict: bool, elsewhere: frozenset[str] = frozenset()) -> Iterator[Loss]:
    """What `new` holds less than `old`. Strict: any change but additions; else real weakening alone.

    `elsewhere`: texts of assertions and rows that the patch adds to other tests, where one may have gone.
    """
    found = [*_notes(old, new, strict=strict), *_held(old, new, strict=strict, elsewhere=elsewhere)]
    found += [*_rows(old, new, strict=strict, elsewhere=elsewhere), *_ranges(old, new)]
    if strict and not found and not only_added(old, new):
        found.append(Loss("changed", new.line, "is not what it was"))
    yield from found


def fresh(old: Iterable[Note], new: Iterable[Note]) -> list[Note]:
    """Notes of `new` that `old` has not, or has fewer of."""
    known = Counter(n.text for n in old)
    found = []
    for note in new:
        if known[note.text]:
            known[note.text] -= 1
        else:
            found.append(note)
    return found


def _notes(old: TestCase, new: TestCase, *, strict: bool) -> Iterator[Loss]:
    yield from (Loss("off", n.line, n.text) for n in fresh(old.off, new.off) if strict or not _was_there(n, old))
    if strict or len(new.swallows) > len(old.swallows):  # people word one anew
        yield from (Loss("swallow", n.line, n.text) for n in fresh(old.swallows, new.swallows))
    if strict:
        yield from (Loss("double", n.line, n.text) for n in fresh(old.doubles, new.doubles))


def _was_there(note: Note, old: TestCase) -> bool:
    """Whether a person only words anew what kept the test off before, or puts an added assertion under a condition."""
    if note.text.startswith("only if "):
        held = note.text.partition(": ")[2]
        return not any(a.text == held for a in old.assertions) or any(n.text.endswith(f": {held}") for n in old.off)
    if note.over and not any(a.text in note.over for a in old.assertions):
        return True  # what it leaves out came with it
    word = re.split(r"[\W\d]+", note.text.strip("@#["))[:3]
    return any(re.split(r"[\W\d]+", n.text.strip("@#["))[:3] == word for n in old.off)


def _held(old: TestCase, new: TestCase, *, strict: bool, elsewhere: frozenset[str]) -> Iterator[Loss]:
    lost, come = _unmatched(old.assertions, new.assertions)
    if strict:
        yield from (Loss("vacuous", a.line, a.text) for a in come if a.strength == VACUOUS)
    for gone in [a for a in lost if a.strength >= TRUTH]:
        beside = next((a for a in come if a.subject and a.subject == gone.subject), None)
        if strict:
            yield _strictly(gone, beside, new)
            continue
        better = _stand_in(gone, come)
        if better is not None:
            come.remove(better)
            if better.subject == gone.subject and wider(gone, better):
                yield Loss("tolerance", better.line, f"{gone.text} becomes {better.text}")
        elif gone.text not in elsewhere:
            weaker = beside or next((a for a in come if a.strength < gone.strength), None)
            kind: Kind = "removed" if weaker is None else "vacuous" if weaker.strength == VACUOUS else "weaker"
            into = f" becomes {weaker.text}" if weaker else ""
            yield Loss(kind, weaker.line if weaker else new.line, f"{gone.text}{into}")


def _strictly(gone: Assertion, beside: Assertion | None, new: TestCase) -> Loss:
    if beside is None:
        return Loss("removed", new.line, gone.text)
    said = f"{gone.text} becomes {beside.text}"
    if beside.strength < gone.strength:
        return Loss("weaker", beside.line, said)
    return Loss("tolerance" if wider(gone, beside) else "expected", beside.line, said)


def _stand_in(gone: Assertion, come: Sequence[Assertion]) -> Assertion | None:
    """What holds at least as much in place of a lost assertion: on the same subject, for the same value, or else on anything."""
    able = [a for a in come if a.strength >= gone.strength]
    for same in (
        lambda a: a.subject == gone.subject and a.expected == gone.expected,
        lambda a: a.subject == gone.subject,
        lambda a: bool(gone.expected) and a.expected == gone.expected,
        lambda _: True,
    ):
        if found := next((a for a in able if same(a)), None):
            return found
    return None


def wider(old: Assertion, new: Assertion) -> bool:
    """Whether a value may be further off now."""
    return new.tolerance is not None and new.tolerance > (old.tolerance or 0.0) * _SLACK


def _unmatched(old: Sequence[Assertion], new: Sequence[Assertion]) -> tuple[list[Assertion], list[Assertion]]:
    known = Counter(a.text for a in new)
    lost = []
    for assertion in old:
        if known[assertion.text]:
            known[assertion.text] -= 1
        else:
            lost.append(assertion)
    seen = Counter(a.text for a in old)
    come = []
    for assertion in new:
        if seen[assertion.text]:
            seen[assertion.text] -= 1
        else:
            come.append(assertion)
    return lost, come


def _rows(old: TestCase, new: TestCase, *, strict: bool, elsewhere: frozenset[str]) -> Iterator[Loss]:
    gone = [r for r in (Counter(old.rows) - Counter(new.rows)).elements() if row_value(r) not in elsewhere]
    come = len(new.rows) - len(list((Counter(old.rows) & Counter(new.rows)).elements()))
    if gone and (strict or (len(gone) > come and new.rows)):
        yield Loss("rows", new.line, f"{len(old.rows)} rows before, {len(new.rows)} now; without {gone[0]}")


def row_value(row: str) -> str:
    """A row without the names of its columns."""
    return row.partition(": ")[2] or row


def _ranges(old: TestCase, new: TestCase) -> Iterator[Loss]:
    """Smaller numbers in an extent of the same form; a new `assume` or filter. A range that became rows is none."""
    before, after = _by_form(old.ranges), _by_form(new.ranges)
    for form, notes in after.items():
        if form not in before:
            if form.startswith(("assume(", "filter(")):
                yield Loss("range", notes[0].line, notes[0].text)
            continue
        had, has = sorted(map(extent, before[form])), sorted(map(extent, notes))
        if len(had) == len(has) and any(b < a for a, b in zip(had, has, strict=True)):
            yield Loss("range", notes[0].line, f"{before[form][0].text} becomes {notes[0].text}")
    vanished = [n for form, notes in before.items() if form not in after for n in notes]
    if vanished and not new.ranges and len(new.rows) - len(old.rows) < 2 <= max(map(extent, vanished)):
        yield Loss("range", new.line, f"{vanished[0].text} is gone")


def _by_form(notes: Iterable[Note]) -> dict[str, list[Note]]:
    forms: dict[str, list[Note]] = {}
    for note in notes:
        form = "range" if note.text.startswith("range(") else _NUMBER.sub("#", note.text)
        forms.setdefault(form, []).append(note)
    return forms


def extent(note: Note) -> float:
    """How much a range goes through; of a lower bound the negative, so that a higher one counts as less."""
    numbers = [float(n.replace("_", "")) for n in _NUMBER.findall(note.text)]
    if not numbers:
        return 0.0
    if note.text.startswith("range("):
        low, high, step = (0.0, numbers[0], 1.0) if len(numbers) == 1 else (numbers[0], numbers[1], [*numbers, 1.0][2])
        return abs(high - low) / (abs(step) or 1.0)
    return -numbers[-1] if "min" in note.text.lower() else numbers[-1]


def only_added(old: TestCase, new: TestCase) -> bool:
    """Whether a test says all that it said, in its order: assertions in between, anything at its end, rows."""
    if "\n" in old.shape:
        return _lines_added(old.shape.splitlines(), new.shape.splitlines())
    if _appended(old.shape, new.shape):
        return True
    _, come = _unmatched(old.assertions, new.assertions)
    rest = new.shape
    for said in sorted(
        [*(a.text for a in come), *(Counter(new.rows) - Counter(old.rows)).elements()], key=len, reverse=True
    ):
        rest = re.sub(re.escape(said) + "[;,]?", "", rest, count=1)
    return rest.rstrip(";,") == old.shape.rstrip(";,") or _appended(old.shape, rest)


def _lines_added(old: Sequence[str], new: Sequence[str]) -> bool:
    at = 0
    for line in new:
        if at < len(old) and line == old[at]:
            at += 1
        elif at < len(old) and re.match(r"\s*(async )?for .* in [\[({]", line) and _appended(old[at], line):
            at += 1  # a loop over literal rows, which are more now
        elif at < len(old) and not (line.strip().startswith("assert ") and ":=" not in line):
            return False
    return at == len(old)


def _appended(old: str, new: str) -> bool:
    """Whether something was put before the closing brackets, and nothing else changed."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    tail = old[same:]
    return bool(_CLOSERS.match(tail)) and new.endswith(tail) and len(new) >= len(old)


def helper_changed(old: str, new: str, *, table: bool) -> bool:
    """Whether a helper is another one; a table of rows that only grew is not, where `table` says that it feeds tests."""
    return old != new and not (table and re.match(r"[^\n(]*=\s*[\[({]", old) and _appended(old, new))
