"""Tests that hold less than on the base: deleted, kept from running, swallowed, loosened, emptied, mocked, narrowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from zwarm_ci.private import Change
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.reading.base import TestFile
from zwarm_ci.verify.reading.changes import UNMARKED_ASYNC, Kind, Loss, fresh, helper_changed, losses, row_value
from zwarm_ci.verify.reading.moves import Pair, Pairing, Place, pair, still_collected
from zwarm_ci.verify.reading.table import TEXTS, has_inline_tests, reader

#: Languages that tests are written in and that nothing here reads.
UNREAD = frozenset({".rb", ".java", ".kt", ".kts", ".cs", ".php", ".sh", ".bash", ".bats", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp",
                    ".swift", ".scala", ".ex", ".exs", ".lua", ".pl", ".pm", ".t", ".r", ".jl", ".vue", ".svelte", ".feature", ".robot",
                    ".dart", ".clj", ".hs", ".erl", ".fs", ".groovy", ".m", ".mm", ".pyi", ".pyx", ".ipynb", ".zig", ".nim"})  # fmt: skip
_WHAT: dict[Kind, str] = {
    "deleted": "deletes",
    "renamed": "renames",
    "off": "keeps from running or from counting",
    "only": "leaves other tests out for",
    "swallow": "hides failures in",
    "double": "replaces what is tested in",
    "vacuous": "asserts what is always true in",
    "removed": "removes assertions from",
    "weaker": "weakens assertions of",
    "expected": "changes what is expected in",
    "tolerance": "widens the tolerance of",
    "rows": "takes rows away from",
    "range": "goes through less in",
    "subject": "imports from elsewhere what is tested in",
    "helper": "changes helpers, fixtures or set-up of",
    "changed": "changes",
    "unreadable": "cannot be read and was changed:",
}
_DEFINED = re.compile(
    r"^[^\S\n]*(?:export\s+|default\s+|pub(?:\([^)]*\))?\s+|async\s+|static\s+|unsafe\s+|abstract\s+)*"
    r"(?:def|class|func|fn|function|const|let|var|struct|enum|trait|type|interface|mod)\s+(?:\([^)]*\)\s*)?(\w+)"
    r"|^[^\S\n]*(?:(?:self|cls|this)\.)?(\w+)\s*(?::[^=]{1,60})?=(?!=)"
)
_RUNS_ALWAYS = re.compile(
    r"autouse=(?!False)|\b(beforeEach|beforeAll|afterEach|afterAll|before|after)\(|func TestMain\("
)
_SET_UP = re.compile(
    r"(^|::)(setUp|tearDown|setup_|teardown_|asyncSetUp|asyncTearDown|pytest_|setup$|teardown$|load_tests|TestMain|init$)"
)

_SHOWN = 3  # names in one finding
#: Where pytest is told to run examples. Short names: they lie at the top.
_ABOUT_EXAMPLES = ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "conftest.py", "Makefile")


@dataclass(slots=True)
class _Found:
    """Losses of one kind in one file."""

    line: int | None
    names: list[str] = field(default_factory=list)
    first: str = ""


class Weakened:
    """Refuses patches after which an existing test holds less; additions, moves and formatting are nothing."""

    name = "weakened-test"
    family: Family = "tests"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        before: dict[str, TestFile] = {}
        after: dict[str, TestFile] = {}
        found: dict[tuple[str, Kind], _Found] = {}
        for change in patch.changes:
            _read(patch, change, before, after, found)
        pairing = pair(before, after)
        for path, name, loss in _lost(patch, before, after, pairing):
            kept = found.setdefault((path, loss.kind), _Found(loss.line or None, first=loss.what))
            if name not in kept.names:
                kept.names.append(name)
        order = {c.path: at for at, c in enumerate(patch.changes)}
        for (path, kind), kept in sorted(found.items(), key=lambda item: order.get(item[0][0], 0)):
            more = f" and {len(kept.names) - _SHOWN} more" if len(kept.names) > _SHOWN else ""
            what = f": {kept.first}" if kept.first else ""
            detail = f"{_WHAT[kind]} {', '.join(kept.names[:_SHOWN])}{more}{what[:300]}"
            yield GuardFinding(self.name, "refuse", path, kept.line, detail, "--allow-test-edits")


def _read(
    patch: Patch,
    change: Change,
    before: dict[str, TestFile],
    after: dict[str, TestFile],
    found: dict[tuple[str, Kind], _Found],
) -> None:
    """Both readings of a changed file of tests; what cannot be read is found right here."""
    path = change.path
    read, suffix = reader(path), PurePosixPath(path).suffix.lower()
    if not patch.is_test(path) and suffix in {".py", *TEXTS}:
        _read_examples(patch, change, before, after, found)
        return
    if not patch.is_test(path) and (read is None or suffix == ".go"):
        return  # languages whose tests are never beside the code
    old, new = (patch.old(path) if change.status != "A" else "", patch.new(path) if change.status != "D" else "")
    if not patch.is_test(path) and not any(has_inline_tests(path, text) for text in (old, new)):
        return
    if read is None:
        if change.status != "A" and patch.rules.strict and suffix in UNREAD:
            found[path, "unreadable"] = _Found(None, [PurePosixPath(path).name], "nothing here reads its language")
        return
    readings = [read(path, text) for text in (old, new)]
    unread = [not r.readable for r in readings]
    if change.status != "A" and any(unread):
        if patch.rules.strict or unread == [False, True]:
            found[path, "unreadable"] = _Found(None, [PurePosixPath(path).name])
        return
    if change.status != "A":
        before[path] = readings[0]
    if change.status != "D":
        after[path] = readings[1]


def _read_examples(
    patch: Patch,
    change: Change,
    before: dict[str, TestFile],
    after: dict[str, TestFile],
    found: dict[tuple[str, Kind], _Found],
) -> None:
    """The same for a file of source or prose whose examples are run as tests."""
    from zwarm_ci.verify.reading import doctests  # imports a debugger; few repositories run their examples

    path, old = change.path, patch.old(change.path)
    if not doctests.has_examples(old) or not _are_run(patch, path):
        return
    readings = [doctests.read(path, text) for text in (old, patch.new(path))]
    if not readings[0].readable:
        return
    if not readings[1].readable:
        found[path, "unreadable"] = _Found(None, [PurePosixPath(path).name])
        return
    before[path], after[path] = readings


def _are_run(patch: Patch, path: str) -> bool:
    """Whether examples in a file are tests: one of them is a target, or, to be strict, the base's settings speak of doctest."""
    if any(target.partition("::")[0] == path for target in patch.targets):
        return True
    return patch.rules.strict and any("doctest" in patch.old(name) for name in _ABOUT_EXAMPLES)


def _lost(
    patch: Patch, before: Mapping[str, TestFile], after: Mapping[str, TestFile], pairing: Pairing
) -> Iterator[tuple[str, str, Loss]]:
    """(path, name of the test, what it lost), in strict order of nothing."""
    strict = patch.rules.strict
    gone = _Gone(patch)
    elsewhere = frozenset() if strict else _put_elsewhere(pairing)
    for each in pairing.pairs:
        if strict and each.renamed:
            yield each.new.path, each.old.case.name, Loss("renamed", each.new.case.line, f"now {each.new.case.name}")
        for loss in _of_pair(each, before, after, strict=strict, elsewhere=elsewhere):
            if strict or loss.kind not in {"removed", "weaker", "rows", "range"} or not gone.explains(loss.what):
                yield each.new.path, each.new.case.name, loss
    for place in _really_deleted(patch, before, pairing, gone):
        yield place.path, place.case.name, Loss("deleted", 0, "")
    for path in before.keys() & after.keys():
        grown = any(p.new.path == path and len(p.new.case.rows) > len(p.old.case.rows) for p in pairing.pairs)
        for name, loss in _of_file(patch, path, before, after, grown=grown):
            yield path, name, loss


def _of_pair(
    each: Pair,
    before: Mapping[str, TestFile],
    after: Mapping[str, TestFile],
    *,
    strict: bool,
    elsewhere: frozenset[str],
) -> Iterator[Loss]:
    old, new = each.old, each.new
    # A plug-in may run every coroutine; where one was unmarked before it does. The runs show what is skipped in people's commits.
    unmarked = not strict or any(n.text == UNMARKED_ASYNC for c in before[old.path].cases for n in c.off)
    for loss in losses(old.case, new.case, strict=strict, elsewhere=elsewhere):
        if not (loss.kind == "off" and unmarked and loss.what == UNMARKED_ASYNC):
            yield loss
    if each.moved:
        for kind in ("off", "only"):
            notes = fresh(getattr(before[old.path], kind), getattr(after[new.path], kind))
            yield from (Loss(kind, n.line, n.text) for n in notes)


def _really_deleted(patch: Patch, before: Mapping[str, TestFile], pairing: Pairing, gone: _Gone) -> Iterator[Place]:
    if patch.rules.strict:
        yield from pairing.deleted
        return
    sources = {PurePosixPath(c.path).stem for c in patch.changes if c.status == "D" and patch.is_source(c.path)} - {
        "__init__",
        "index",
    }
    missing = [p for p in pairing.deleted if not _feature_is_gone(p, before[p.path], gone, sources)]
    homes = {p.path for p in missing}
    counted = [p for p in pairing.added if any(still_collected(home, p.path) for home in homes)]
    gained = sum(max(1, len(p.case.rows)) for p in counted)
    for each in pairing.pairs:
        gained += max(0, len(each.new.case.rows) - len(each.old.case.rows))
        gained += max(0, len(each.new.case.assertions) - len(each.old.case.assertions))
    if len(missing) > gained:
        yield from missing


def _feature_is_gone(place: Place, file: TestFile, gone: _Gone, sources: set[str]) -> bool:
    """Whether a test went together with what it tests."""
    words = {part for module in file.subjects for part in re.split(r"[./]", module)} | set(
        re.split(r"[._/\-]", PurePosixPath(place.path).stem)
    )
    return bool(words & sources) or gone.mentioned(f"{place.case.name} {place.case.shape}")


def _put_elsewhere(pairing: Pairing) -> frozenset[str]:
    """Assertions and rows that the patch adds to any test, where one of another may have gone."""
    come = {told for place in pairing.added for told in _told(place)}
    for each in pairing.pairs:
        come |= (Counter(_told(each.new)) - Counter(_told(each.old))).keys()
    return frozenset(come)


def _told(place: Place) -> Iterator[str]:
    yield from (a.text for a in place.case.assertions)
    yield from (row_value(r) for r in place.case.rows)


class _Gone:
    """What a patch takes out of the source, looked up only where a test lost something: a feature goes with its tests."""

    def __init__(self, patch: Patch) -> None:
        self._patch = patch

    @cached_property
    def _names(self) -> frozenset[str]:
        """Names that are defined no more."""
        patch = self._patch
        sides = []
        for lines in (patch.removed(), patch.added()):
            found = (_DEFINED.match(text[:400]) for path, _, text in lines if patch.is_source(path))
            sides.append({m[1] or m[2] for m in found if m})
        deleted = {PurePosixPath(c.path).stem for c in patch.changes if c.status == "D" and patch.is_source(c.path)}
        return frozenset(n for n in (sides[0] - sides[1]) | deleted if len(n) > 3)  # `x` is in every test

    @cached_property
    def _texts(self) -> tuple[str, str]:
        sides = (self._patch.removed(), self._patch.added())
        before, after = ("\n".join(t for p, _, t in side if self._patch.is_source(p)) for side in sides)
        return before, after

    def mentioned(self, text: str) -> bool:
        """Whether a text has a name that is gone."""
        names = self._names
        return any(w in names or w.removeprefix("test_") in names for w in re.findall(r"\w+", text))

    def explains(self, text: str) -> bool:
        """Whether a text has a name that is gone, or quotes a message that is."""
        before, after = self._texts
        quoted = [q for _, q in re.findall(r"""(['"])(.{8,200}?)\1""", text)]
        return self.mentioned(text) or any(q in before and q not in after for q in quoted)


def _of_file(
    patch: Patch, path: str, before: Mapping[str, TestFile], after: Mapping[str, TestFile], *, grown: bool
) -> Iterator[tuple[str, Loss]]:
    """What stands outside of the tests: marks of the whole file, imports, helpers. `grown`: a test in it got more rows."""
    old, new = before[path], after[path]
    file = PurePosixPath(path).name
    yield from ((file, Loss("off", n.line, n.text)) for n in fresh(old.off, new.off))
    yield from ((file, Loss("only", n.line, n.text)) for n in fresh(old.only, new.only))
    yield from ((file, Loss("subject", 0, said)) for said in _elsewhere(patch, old, new))
    if not patch.rules.strict:
        return
    shapes = {shape for f in after.values() for shape in f.helpers.values()}
    for name, shape in old.helpers.items():
        if name in new.helpers:
            if helper_changed(shape, new.helpers[name], table=grown):
                yield name, Loss("helper", 0, "")
        elif shape and shape not in shapes:
            yield name, Loss("helper", 0, "it is gone")
    for name in new.helpers.keys() - old.helpers.keys():
        shape = new.helpers[name]
        loaded = name.startswith("statement ") and bool(old.cases or file == "conftest.py")
        if loaded or _SET_UP.search(name) or _RUNS_ALWAYS.search(shape):
            yield name, Loss("helper", 0, "it runs around existing tests")


def _elsewhere(patch: Patch, old: TestFile, new: TestFile) -> Iterator[str]:
    """Names that another module provides now, unless their own was renamed; of people's commits only what tests provide themselves."""
    had, has = _providers(old), _providers(new)
    for name in sorted(had.keys() & has.keys()):
        came, went = has[name] - had[name], had[name] - has[name]
        for module in sorted(came):
            own = [c.path for c in patch.changes if c.status == "A" and _is_module(c.path, module)]
            fake = any(patch.is_test(p) for p in own) and not any(
                patch.is_test(f"{m.replace('.', '/')}/x") for m in had[name]
            )
            renamed = (
                own
                and not fake
                and all(any(c.status == "D" and _is_module(c.path, m) for c in patch.changes) for m in went)
            )
            if fake or (patch.rules.strict and not (renamed and went)):
                yield f"{name} from {module or 'here'}, not {', '.join(sorted(had[name]))}"


def _of_tests(patch: Patch, module: str) -> bool:
    """Whether tests provided a module themselves, so that it is not what they test."""
    return any(patch.is_test(p) and _is_module(p, module) for p in patch.files(patched=False))


def _is_module(path: str, module: str) -> bool:
    pure = PurePosixPath(path)
    parts = [p for p in re.split(r"[./]+", re.sub(r"\.[cm]?[jt]sx?$", "", module)) if p]
    have = [*pure.parts[:-1], pure.stem] if pure.stem not in {"__init__", "index", "mod"} else list(pure.parts[:-1])
    return bool(parts) and have[-len(parts) :] == parts


def _providers(file: TestFile) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for module, names in file.subjects.items():
        for name in names or ("",):
            bound = name.rpartition(" as ")[2] or module
            found.setdefault(bound, set()).add(module)
    return found
