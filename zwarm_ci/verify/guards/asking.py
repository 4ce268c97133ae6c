"""Source that asks whether it is under test, ends the process, patches the runner, runs hidden code, or answers as an assert likes.

Strict: what can fool a runner is refused, what may is shown. A person's own commit is asked about strong signs only, and not where
the file does that kind of thing already: a debugger looks at frames, a command line ends its process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards import asking_ambient, asking_data, asking_python, asking_tokens
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.signs import CODE, PYTHON, Sign, code_only, fresh, unreadable

_SAYS = {
    "runner": "source that looks for the test runner",
    "environment": "source that asks its environment",
    "argv": "source that reads how the process was started",
    "modules": "source that looks at what is loaded or set",
    "frames": "source that looks at its callers",
    "exit": "source that ends the process or hooks its end",
    "dynamic": "source that runs code nobody can read",
    "patch": "source that replaces parts of the runner, the language or other modules",
    "results": "source that knows or rewrites results and tests",
    "equality": "a comparison that may be made to please",
    "mode": "a branch for tests or debugging",
    "effects": "source that acts on its surroundings when it is imported",
    "where": "source that asks where it runs",
    "outside": "source that names what lies outside of its repository",
    "surroundings": "source that begins to look at the process it runs in",
    "files": "source that begins to look at files round it",
    "clock": "source that begins to look at a clock",
    "count": "source that begins to count its calls",
    "nesting": "source nested too deep to be read",
    "unreadable": "source that cannot be read",
}
_FEW = 20  # test files that are looked at for what they are about
#: Files in which a command line lives, where asking for arguments and ending the process is the job.
_COMMAND = re.compile(
    r"(?:^|/)(?:__main__|main|cli|cmd|command|commands|console|bin|scripts?|tools?|examples?|docs?|bench\w*|gulpfile)(?:/|\.\w+$)|^_?build\.\w+$"
)
_FOR_TESTS = re.compile(
    r"(?:^|[/_.\-])(?:pytest|testing|testutils?|test_?helpers?|mocks?|fakes?|unittest|jest|vitest|debug\w*|trace\w*|profil\w*)(?:[/_.\-]|$)",
    re.IGNORECASE,
)


class Asking:
    """Refuses added source that can know or fool its runner; what honest code does too asks for review."""

    name = "asking"
    family: Family = "asking"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        paths = [c.path for c in patch.changes if PurePosixPath(c.path).suffix in CODE and patch.is_source(c.path)]
        for path in paths:
            why = unreadable(patch.new(path))
            if why and not unreadable(patch.old(path)):
                yield GuardFinding(
                    self.name, "refuse", path, None, f"{_SAYS['unreadable']}: {why}", "write it so that it can be read"
                )
        for path, sign, known in fresh(patch, paths, read):
            ambient = sign.kind in asking_ambient.ABOUT
            mild = ambient and (sign.kind in known or _COMMAND.search(path) or _is_tested(patch, sign.kind))
            level = "refuse" if sign.strong and not mild else "review"
            if not patch.rules.strict and (
                sign.plain or not sign.strong or sign.kind in known or _FOR_TESTS.search(path)
            ):
                continue
            if sign.kind in {"argv", "exit"} and sign.plain and _COMMAND.search(path):
                continue
            yield GuardFinding(
                self.name,
                "refuse" if level == "refuse" else "review",
                path,
                sign.line,
                f"{_SAYS[sign.kind]}: {sign.text}",
                "make this change yourself",
            )
        if patch.rules.strict:
            for path, sign in asking_data.signs(patch, paths):
                detail = f"{_SAYS[sign.kind]}: {sign.text}"
                yield GuardFinding(self.name, "refuse", path, sign.line, detail, "make this change yourself")


def _is_tested(patch: Patch, kind: str) -> bool:
    """Whether the base's tests nearby are about a kind of surroundings, so that their subject may look at them."""
    asked = {t.partition("::")[0] for t in patch.targets}
    folders = {PurePosixPath(c.path).parent for c in patch.changes}
    tests = [
        p for p in patch.files(patched=False) if PurePosixPath(p).suffix in CODE and (p in asked or patch.is_test(p))
    ]
    near = [p for p in tests if p in asked or PurePosixPath(p).parent in folders] or tests
    return any(asking_ambient.ABOUT[kind].search(code_only(p, patch.old(p))) for p in near[:_FEW])


def read(path: str, text: str) -> list[Sign]:
    """Every sign in one source file."""
    if not text:
        return []
    if PurePosixPath(path).suffix not in PYTHON:
        shown = "" if unreadable(text) else text
        return [*asking_tokens.signs(path, shown), *asking_ambient.signs(path, shown)]
    found = [*asking_python.signs(text), *asking_python.hidden(text)]
    if "\r" not in text:
        return found
    ends = [m.end() for m in re.finditer(r"\r\n?|\n", text)]  # Python's lines, which are not git's
    return [replace(s, line=text.count("\n", 0, ends[s.line - 2] if s.line > 1 else 0) + 1) for s in found]
