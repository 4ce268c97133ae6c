"""Exit codes that no longer count: `|| true` after a check, `continue-on-error` on its step, tests that end the process well.

Firm: it refuses people's commits too, and so says nothing of `rm … || true`, only of checks whose failure is newly hidden.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.commands import Run, logical, runs, spread
from zwarm_ci.verify.guards.signs import code_only, tree

_SHELL = frozenset({".sh", ".bash", ".zsh", ".ps1", ".bat", ".cmd", ".mk", ".just"})
_PROSE = frozenset({".md", ".rst", ".txt", ".adoc", ".lock", ".svg", ".html", ".csv", ".snap"})
_MAKE = re.compile(r"^(GNUm|M|m)akefile$|\.mk$")
#: Keys by which CI systems let a step or job fail unseen.
_TOLERANT = re.compile(
    r"^(\s*)(?:-\s+)?[\"']?"
    r"(continue-on-error|continueOnError|allow_?failure|soft_fail|ignore_failure|ignore_?errors?|ignore_outcome|failure|on_failure)"
    r"[\"']?\s*[:=]\s*[\"']?(true|yes|on|ignore|1)\b[\"']?\s*,?\s*(?:#.*)?$",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"^(\s*)(?:-\s+)?(if|when|condition)\s*:\s*[\"']?(?:\$\{\{\s*)?(false|never|False)\b\s*(?:\}\})?[\"']?\s*(?:#.*)?$"
)
#: Lines that hide every failure of the file that they are in, where it runs a check at all.
_WHOLE = (
    (re.compile(r"\btrap\s+[\"']?(?:exit\s+0|true|:)[\"']?\s+(?:EXIT|ERR|0)\b"), "a trap that ends with 0"),
    (re.compile(r"^\s*\.IGNORE\s*:|^\s*MAKEFLAGS\s*[+:]?=.*(?:-i\b|--ignore-errors)|^\s*SHELL\s*:?=\s*\S*/true\b"), "make ignores failures"),
    (re.compile(r"\bcatchError\s*\(\s*buildResult\s*:\s*['\"]SUCCESS|\breturnStatus\s*:\s*true"), "Jenkins goes on as if it were well"),
    (re.compile(r"\bsuccess_codes\s*=\s*\[[^\]]*\b[1-9]"), "nox takes a failure for success"),
    (re.compile(r"\$(?:ErrorActionPreference\s*=\s*['\"](?:Silently)?Continue|global:LASTEXITCODE\s*=\s*0)"), "PowerShell goes on"),
)  # fmt: skip
_PLUS_E = re.compile(r"^\s*(?:-\s+)?(?:run\s*:\s*)?set\s+(?:\+e\b|\+o\s+errexit)")
_KEEPS_CODE = re.compile(r"\$\?|PIPESTATUS|\bset\s+-\w*e|exit\s+\$|LASTEXITCODE|errorlevel", re.IGNORECASE)
_GOOD_END = re.compile(r"^\s*(?:exit\s+0|true|:|return\s+0)\s*;?\s*$")
_WELL = "ends the process with 0"
_ENDS = (
    (re.compile(r"\bprocess\s*\.\s*(?:exit|reallyExit)\s*\(\s*0?\s*\)|\bprocess\s*\.\s*exitCode\s*=\s*0|\bDeno\s*\.\s*exit\s*\(\s*0?\s*\)"), _WELL),
    (re.compile(r"\bos\s*\.\s*Exit\s*\(\s*0\s*\)|\bprocess\s*::\s*exit\s*\(\s*0\s*\)"), _WELL),
)  # fmt: skip
_CODE = frozenset({".py", ".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".go", ".rs"})
_ALLOW = "let the check's exit code count, or make this change yourself without verification"


@dataclass(frozen=True, slots=True)
class _Mask:
    """One place that hides an exit code: of which program, how, and whether it does so always."""

    how: str
    program: str
    line: int
    sure: bool


class Masking:
    """Refuses newly hidden exit codes of checks; what may hide one asks for review."""

    name = "exit-code"
    family: Family = "runner"
    firm = True

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        before: Counter[tuple[str, str]] = Counter()
        for change in patch.changes:
            before.update((m.how, m.program) for m in _masks(patch, change.path, patch.old(change.path)))
        for change in patch.changes:
            for mask in _masks(patch, change.path, patch.new(change.path)):
                if before[mask.how, mask.program] > 0:
                    before[mask.how, mask.program] -= 1
                    continue
                of = f" of {mask.program}" if mask.program else ""
                yield GuardFinding(
                    self.name,
                    "refuse" if mask.sure else "review",
                    change.path,
                    mask.line,
                    f"hides the exit code{of}: {mask.how}",
                    _ALLOW,
                )


def _masks(patch: Patch, path: str, text: str) -> list[_Mask]:
    pure = PurePosixPath(path)
    if not text or pure.suffix.lower() in _PROSE:
        return []
    if pure.suffix in _CODE and not (patch.is_setting(path) and pure.suffix == ".py"):
        return list(_ends(path, text, patch.rules.strict)) if patch.is_test(path) else []
    shell = pure.suffix in _SHELL or text.startswith("#!") or pure.name.startswith("Dockerfile")
    if not shell and not patch.is_setting(path):
        return []
    text = spread(path, text)
    found = runs(text, make=bool(_MAKE.search(pure.name)))
    masks = [_Mask(r.mask, r.program, r.line, r.sure) for r in found if r.mask]
    if pure.suffix in {".yml", ".yaml", ".toml", ".ini", ".cfg", ".json"} or pure.name == "Jenkinsfile":
        masks += _tolerated(text, found)
    if found or pure.name in {"noxfile.py", "Jenkinsfile"}:
        masks += _whole(text, found, script=shell)
    return masks


def _tolerated(text: str, found: list[Run]) -> Iterator[_Mask]:
    """Steps and jobs that may fail, or never run, and that run a check."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if not (key := _TOLERANT.match(line) or _NEVER.match(line)):
            continue
        first, last = _block(lines, at)
        if key[2].lower() in {"failure", "on_failure"} and key[3].lower() != "ignore":
            continue
        if key[2] in {"ignore_outcome", "ignore_errors"} and not line.startswith((" ", "-")) and "[testenv" in text:
            yield _Mask(f"{key[2]} = {key[3]}", "tox", at + 1, sure=True)
            continue
        programs = dict.fromkeys(r.program for r in found if first < r.line <= last)
        for program in programs:
            yield _Mask(f"{key[2]}: {key[3]}", program, at + 1, sure=True)


def _block(lines: list[str], at: int) -> tuple[int, int]:
    """(lines before, last line) of the mapping that line `at` is a key of, what is nested in its other keys included."""

    def column(line: str) -> int:
        return len(line) - len(re.sub(r"^\s*(?:-\s+)?", "", line))

    def outside(line: str) -> bool:
        return bool(line.strip()) and not line.lstrip().startswith("#") and column(line) < depth

    depth = column(lines[at])
    item = re.compile(rf"^\s{{0,{max(0, depth - 1)}}}-\s")  # the line on which an item of this mapping begins
    first = at
    while first > 0 and not item.match(lines[first]) and not outside(lines[first - 1]):
        first -= 1
    last = at + 1
    while (
        last < len(lines)
        and not outside(lines[last])
        and not (item.match(lines[last]) and column(lines[last]) <= depth)
    ):
        last += 1
    return first, last


def _whole(text: str, found: list[Run], *, script: bool) -> Iterator[_Mask]:
    lines = list(logical(text))
    for number, line in lines:
        for pattern, how in _WHOLE:
            if pattern.search(line):
                yield _Mask(how, "", number, sure=True)
        if _PLUS_E.match(line) and any(r.line > number for r in found):
            after = "\n".join(t for n, t in lines if n > number)
            if not _KEEPS_CODE.search(after):
                yield _Mask("set +e", "", number, sure=True)
    if script and found:
        last = next(((n, t) for n, t in reversed(lines) if t.strip() and not t.lstrip().startswith("#")), (0, ""))
        if _GOOD_END.match(last[1]) and not re.search(r"\bset\s+-\w*e|^#!.*\s-\w*e|-o\s+errexit", text, re.MULTILINE):
            yield _Mask(f"the script ends with `{last[1].strip()}`", "", last[0], sure=not _KEEPS_CODE.search(text))


def _ends(path: str, text: str, strict: bool) -> Iterator[_Mask]:
    """Ends of the process in code of tests; what stands in a string literal is a test's data."""
    if path.endswith(".py"):
        module = tree(text)
        yield from _ends_of(module.body, [], strict) if module else ()
        return
    for number, line in logical(code_only(path, text)):
        bare = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", "''", line)
        if any(pattern.search(bare) for pattern, _ in _ENDS) and not re.match(r"^\s*(?:expect|assert)", bare):
            yield _Mask(_WELL, "", number, sure=strict)


def _ends_of(body: Sequence[ast.stmt], inside: list[str], strict: bool) -> Iterator[_Mask]:
    """Ends of the main process: at the level of the module, in a hook, or in a test itself; a forked child may end as it likes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _ends_of(node.body, [*inside, node.name], strict)
            continue
        if isinstance(node, ast.ClassDef):
            yield from _ends_of(node.body, inside, strict)
            continue
        main = not inside or (len(inside) == 1 and inside[0].startswith(("test", "pytest_")))
        if isinstance(node, ast.If | ast.With | ast.Try | ast.For | ast.While):
            forked = isinstance(node, ast.If) and bool(re.search(r"\bpid\b|fork|__name__", ast.unparse(node.test)))
            blocks = [getattr(node, n, []) for n in ("body", "orelse", "finalbody")] + [
                h.body for h in getattr(node, "handlers", [])
            ]
            for block in () if forked else blocks:
                yield from _ends_of(block, inside, strict)
            continue
        for call in (
            n for n in ast.walk(node) if isinstance(n, ast.Call | ast.Raise) and not isinstance(node, ast.Assign)
        ):
            if how := _end(ast.unparse(call), main=main):
                yield _Mask(how, "", call.lineno, sure=strict)


def _end(code: str, *, main: bool) -> str:
    if re.match(r"pytest\.exit\(.*(?:returncode=0|, 0)\)$", code, re.DOTALL):
        return "ends the test session with 0"
    if re.match(r"unittest\.main\(.*exit=False", code, re.DOTALL):
        return "runs tests and forgets what they said"
    if main and re.match(r"os\._exit\(|os\.kill\(os\.getpid", code):
        return "ends the process at once"
    return (
        _WELL
        if main and re.match(r"(?:raise )?(?:sys\.exit|exit|quit|SystemExit)(?:\((?:0|False|None)?\))?$", code)
        else ""
    )
