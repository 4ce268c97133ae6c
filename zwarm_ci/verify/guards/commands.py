"""Shell as CI files, Makefiles and scripts have it: which commands run a check, and what keeps their exit code from counting.

Nothing is run and nothing raises; what is no shell reads as a line that runs no check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LONG = 4000  # characters of a line that are read: no command of a person is longer
_KINDS = {
    "tests": "pytest py.test tox nox unittest unittest2 nosetests nose2 trial stestr ward behave robot jest vitest mocha ava tap tape uvu jasmine "
    "karma cypress playwright wtr qunit c8 nyc ctest rspec minitest phpunit pest mvn mvnw gradle gradlew sbt runtests.py runtests run_tests.py "
    "run_tests.sh run-tests.sh test.sh tests.sh gotestsum ginkgo cargo-nextest bats shellspec xcodebuild",
    "lint": "ruff flake8 pylint black isort bandit eslint standard xo biome oxlint prettier stylelint tslint golangci-lint staticcheck shellcheck "
    "rubocop clang-tidy codespell pre-commit yamllint actionlint zizmor deptry vulture pydocstyle typos",
    "types": "mypy pyright basedpyright pytype pyre tsc ty vue-tsc attw tsd",
}
_PROGRAMS = {program: kind for kind, names in _KINDS.items() for program in names.split()}
#: Programs that run a check only with one of these words after them.
_VERBS = {
    program: words
    for words, programs in {
        "test t tst": "npm pnpm",
        "test lint check typecheck coverage ci tests spec": "make gmake just task rake invoke inv poe pdm rye pixi turbo nx lerna deno tasks.py",
        "test vet": "go",
        "test nextest clippy check t": "cargo",
        "test": "yarn bun hatch dotnet swift mix composer bazel manage.py setup.py django-admin ruby stack cabal zig meson ninja prove",
        "--test": "node",
        "run": "coverage",
    }.items()
    for program in programs.split()
}
_SCRIPTED = re.compile(
    r"^(?:pre|post)?(?:test|tests|lint|check|typecheck|type-check|types|coverage|cover|ci"
    r"|verify|unit|spec)(?:[:\-_].*)?$"
)
_WRAPPERS = frozenset(
    "sudo time env xvfb-run npx nice exec command then do else if while until ! ( { uv poetry "
    "pipenv pdm rye "
    "pixi bundle pnpm yarn npm bunx uvx pipx dlx cross-env "
    "dotenv dbus-run-session stdbuf setarch caffeinate coverage kcov winpty @ -".split()
)
_ASSIGNED = re.compile(r"^[A-Za-z_]\w*=\S*$")
_PYTHON = re.compile(r"^(?:.*/)?(?:python|pypy|py)[\d.]*(?:\.exe)?$")
_OPERATORS = re.compile(r"(\|\||&&|;|\|&|\||(?<![>&\d])&(?![>&]))")
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_INNER = re.compile(r"\b(?:ba|z|da|k)?sh\s+-\w*c\s+(['\"])(.*)\1|\bcmd\s+/c\s+(.*)")
_KEY = re.compile(r"^\s*(?:-\s+)*(?:\"?[\w.\-]+\"?\s*:\s+)?(?:[|>][-+]?\s*$)?(?:-\s+)?")
_HARMLESS = re.compile(
    r"^(?:true|:|(?:/usr)?/bin/true|echo\b.*|printf\b.*|exit\s+0|return\s+0"
    r"|\(?\s*exit\s+0\s*\)?|ver\b.*|cd\s+\.|date|sleep\b.*|cat\b.*|ls\b.*|exit\s*/b\s*0)[\s)}]*$"
)
_FAILS = re.compile(r"\b(?:exit|return)\s+(?:[1-9]|\$)|\bfalse\b|\bexit\s*$")
_FILTERS = re.compile(
    r"^(?:tee|cat|head|tail|grep|egrep|sed|awk|less|more|ts|cut|sort|tr|col|xargs|wc|tap-\w+|gotestfmt|go-junit-report|tr)\b"
)
_ZERO = re.compile(
    r"^--?(?:exit-zero(?:-even-if-changed)?|exit0|passWithNoTests|pass-with-no-tests|no-fail|allow-failures?"
    r"|suppress-no-test-exit-code|collect-only"
    r"|co|setup-only|listTests"
    r"|list-tests|no-run|if-present|warn-only|DskipTests(?:=true)?|Dmaven\.test\.(?:skip|failure\.ignore)(?:=true)?|exit=0|fail-on-errors=(?:no|false)|exitfirst=0)$"
)


@dataclass(frozen=True, slots=True)
class Run:
    """One command that runs a check. `mask` says what hides its exit code ("" = nothing), `sure` whether it always does."""

    kind: str
    program: str
    words: tuple[str, ...]
    line: int
    mask: str = ""
    sure: bool = True


def logical(text: str) -> Iterator[tuple[int, str]]:
    """(first line number, text) of lines, with those that end in a backslash joined to their next."""
    start, kept = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        start = start or number
        cut = line[:_LONG].rstrip("\r")
        if cut.endswith("\\") and len(kept) < _LONG:
            kept += cut[:-1] + " "
            continue
        yield start, kept + cut
        start, kept = 0, ""
    if kept:
        yield start, kept


def spread(path: str, text: str) -> str:
    """A package.json that stands on a few lines as one with a line for each script; any other text as it is."""
    if not path.endswith("package.json") or text.count("\n") > 5:
        return text
    try:
        return json.dumps(json.loads(text), indent=1)
    except (ValueError, RecursionError):
        return text


def runs(text: str, *, make: bool = False) -> list[Run]:
    """Every command of a text that runs a check. `make`: a leading `-` means that its failure is ignored."""
    piped = "pipefail" not in text and "PIPESTATUS" not in text
    return [run for number, line in logical(text) for run in _of_line(line, number, make=make, piped=piped)]


def _of_line(line: str, number: int, *, make: bool, piped: bool) -> Iterator[Run]:
    bare = line.strip()
    if bare.startswith(("#", "//", "::")) or not bare:
        return
    ignored = make and line.startswith("\t") and bool(re.match(r"[@+]*-", bare))
    shell = (re.sub(r"^[@+\-]+", "", bare) if make else _value(bare)).split(" #", 1)[0]
    if inner := _INNER.search(shell):
        yield from _of_line(inner[2] or inner[3] or "", number, make=False, piped=piped)
    flat = _QUOTED.sub(lambda m: re.sub(r"[|&;]", "_", m[0]), shell)
    parts = [part.strip() for part in _OPERATORS.split(flat)]
    for at in range(0, len(parts), 2):
        if not (found := check_of(parts[at])):
            continue
        kind, program, words = found
        mask, sure = _mask(parts, at, piped=piped)
        if ignored:
            mask, sure = "make's `-`", True
        if not mask and (zero := next((w for w in words if _ZERO.match(w)), "")):
            mask, sure = zero, zero.startswith(("--exit", "-D", "--no-fail", "--co"))
        yield Run(kind, program, words, number, mask, sure)


def _value(line: str) -> str:
    """A line without what YAML, JSON and TOML put round a command."""
    line = _KEY.sub("", line, count=1).strip()
    if (found := re.match(r"^\[?\s*(\"|')(.*)\1\s*\]?,?$", line)) and found[1] not in found[2].replace(
        f"\\{found[1]}", ""
    ):
        return found[2]
    return re.sub(r"^[\w.\-]+\s*=\s*", "", line) if re.match(r"^(commands?|cmd|run|script)\w*\s*=", line) else line


def _mask(parts: list[str], at: int, *, piped: bool) -> tuple[str, bool]:
    operator = parts[at + 1] if at + 1 < len(parts) else ""
    after = parts[at + 2] if at + 2 < len(parts) else ""
    rest = " ".join(parts[at + 2 :])
    harmless = bool(_HARMLESS.match(after.strip("({ ")))
    if operator == "||" and harmless and not _FAILS.search(rest):
        return f"|| {after.split()[0] if after.split() else after}", True
    if (
        operator == ";"
        and harmless
        and not after.startswith(("echo", "printf", "cat", "ls", "date"))
        and not _FAILS.search(rest)
    ):
        return f"; {after}", True
    if operator in {"|", "|&"} and piped and _FILTERS.match(after):
        return f"| {after.split()[0]}", False
    if operator == "&" and not after:
        return "&", False
    if operator == "&&" and "||" in parts[at + 2 :]:
        end = parts.index("||", at + 2)
        return _mask(parts, end - 1, piped=piped)
    return "", True


def check_of(command: str) -> tuple[str, str, tuple[str, ...]] | None:
    """(kind, program, words after it) where a simple command runs a check, else None."""
    words = command.lstrip("@({ ").split()
    at = 0
    while at < len(words):
        word = words[at].strip("\"'`")
        following = tuple(w.strip("\"'`()") for w in words[at + 1 :])
        name = word.rsplit("/", 1)[-1]
        if name in _VERBS and (kind := _by_verb(name, following)):
            return kind, name, following
        if name in _PROGRAMS and following[:1] not in (("install",), ("--version",), ("--help",), ("init",)):
            kind = (
                "tests" if name not in {"mvn", "mvnw", "gradle", "gradlew", "sbt"} or _tests_by_jvm(following) else ""
            )
            return (_PROGRAMS[name], name, following) if kind else None
        at = _past_wrapper(at, word)
        if at < 0:
            return None
    return None


def _by_verb(name: str, following: tuple[str, ...]) -> str:
    verbs = _VERBS[name].split()
    words = [
        w
        for w in following
        if w not in {"run", "exec", "-s", "--silent", "-r", "--recursive", "run-script"} and not _ASSIGNED.match(w)
    ]
    first = next((w for w in words if not w.startswith("-") or w in verbs), "")
    if name == "coverage":
        return "tests" if following[:1] == ("run",) else ""
    if first in verbs or (_SCRIPTED.match(first) and "run" in following[:3]):
        return "lint" if first in {"lint", "vet", "clippy"} else "types" if "type" in first else "tests"
    return ""


def _tests_by_jvm(following: tuple[str, ...]) -> bool:
    return any(w.split(":")[-1] in {"test", "check", "verify", "build", "install"} for w in following)


def _past_wrapper(at: int, word: str) -> int:
    """Where the wrapped command may begin, -1 where this is some other command."""
    if _ASSIGNED.match(word) or word in {"{posargs}", "{envpython}"}:
        return at + 1
    if _PYTHON.match(word) or word in {"{envpython}", "$(PYTHON)", "${PYTHON}", "$PYTHON", "$(PY)"}:
        return at + 1
    if word in {"-m", "run", "exec", "--", "dlx", "--with", "-p"} or (word.startswith("-") and at):
        return at + 1
    if word == "timeout":
        return at + 2
    return (
        at + 1
        if word.rsplit("/", 1)[-1] in _WRAPPERS or re.match(r"^\$\(?\{?(?:UV|RUN|POETRY|VENV|BIN|PYTEST)\w*", word)
        else -1
    )
