"""Variables that tests and sources read, and failures that say that one is not set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from zwarm_ci.diagnose.base import Here, Kind, Missing, Sources, more, said
from zwarm_ci.protected import is_test
from zwarm_ci.services.compose import compose_files, workflow_files
from zwarm_ci.task import Failure

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_QUOTED = rf"""["'`]({_NAME})["'`]"""
_READS = re.compile(
    rf"""\benviron(?:b)?\[\s*b?{_QUOTED}\s*\](?!\s*=[^=])      # os.environ["X"]
    |\benviron(?:b)?\.(?:get|pop)\(\s*b?{_QUOTED}
    |\bgetenv\(\s*{_QUOTED}                                     # os.getenv, and C's
    |\b(?:Getenv|LookupEnv)\(\s*{_QUOTED}                       # Go
    |\bprocess\.env\.({_NAME})\b(?!\s*=[^=>])
    |\bprocess\.env\[\s*{_QUOTED}\s*\](?!\s*=[^=])
    |\bimport\.meta\.env\.({_NAME})\b
    |\benv::var(?:_os)?\(\s*{_QUOTED}                           # Rust
    |\b(?:option_)?env!\(\s*{_QUOTED}
    |\bSystem\.getenv\(\s*{_QUOTED}
    |\bENV(?:\.fetch\(|\[)\s*{_QUOTED}                          # Ruby
    |\b(?:[Ee]nv|config)(?:\.(?:str|bool|int|float|list|url|db|cache|json|path|get_value))?\(\s*{_QUOTED}   # django-environ, environs, decouple
    """,
    re.VERBOSE,
)
_SETS = re.compile(
    rf"""\benviron\[\s*{_QUOTED}\s*\]\s*=[^=]
    |\benviron\.setdefault\(\s*{_QUOTED}
    |\bsetenv\(\s*{_QUOTED}                                     # monkeypatch
    |\bsetitem\(\s*os\.environ,\s*{_QUOTED}
    |\b(?:Setenv|set_var|stubEnv|putenv)\(\s*{_QUOTED}
    |\bprocess\.env\.({_NAME})\s*=[^=>]
    |\bprocess\.env\[\s*{_QUOTED}\s*\]\s*=[^=]
    """,
    re.VERBOSE,
)
#: Where several are set at once: the names in the lines that follow.
_SETS_MANY = re.compile(
    r"(?:patch\.dict|environ\.update|Object\.assign\(\s*process\.env|with_env|setenv\s*=|set_env\s*=|\[pytest\]|\[tool\.pytest|"
    r"\benv\s*[=:]\s*(?:\{|\[|dict\(|$))[^\n]*(?:\n[^\n]+){0,12}",
    re.MULTILINE,
)
_SET_NAME = re.compile(rf"""["'`]({_NAME})["'`]\s*:|\b({_NAME})\s*=""")
#: A variable by convention; without an underscore only where the text speaks of the environment.
_SHOUTED = r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z][A-Z0-9]{2,}"
_ENVIRONMENT = re.compile(
    r"\benv(?:ironment)?(?:[\s_-]*var(?:iable)?s?)?\b|\benvvar|\bgetenv|\benviron\b", re.IGNORECASE
)
_SAYS_MISSING = (
    re.compile(
        rf"""[\"'`$]?\b({_SHOUTED})\b[\"'`]?(?:\s+env(?:ironment)?[\s_]*var(?:iable)?s?)?\s+
        (?:(?:must|has\sto|have\sto|needs\sto|should)\sbe\s(?:set|defined|provided|configured|present)
          |(?:is\s|was\s|are\s|has\s)?not\s(?:been\s)?(?:set|found|defined|provided|configured|specified|present)
          |(?:is\s|was\s|are\s)?(?:unset|undefined|missing|required))\b""",
        re.VERBOSE,
    ),
    re.compile(
        rf"""\b(?:[Mm]issing|[Uu]nset|[Uu]ndefined|[Rr]equire[sd]?|[Ss]et|[Dd]efine|[Pp]rovide|[Ee]xport|[Ss]pecify|required\skey)\s+
        (?:the\s|an?\s)?(?:required\s|mandatory\s|following\s)?(?:env(?:ironment)?[\s_]*var(?:iable)?s?(?:\(s\))?\s*:?\s*)?
        [\"'`$]?\b({_SHOUTED})\b""",
        re.VERBOSE,
    ),
)
#: The environment itself is named, so that what was asked is sure.
_SURELY = re.compile(
    rf"(?:env(?:ironment)?[\s_]var(?:iable)?s?|envvar)(?:\s(?:is\s)?(?:not\s(?:found|set)|missing|unset))?\s*:?\s*[\"'`$]?\b({_SHOUTED})\b"
    rf"|\b({_SHOUTED})\b[\"'`]?\s(?:env(?:ironment)?[\s_]var(?:iable)?|envvar)\b",
    re.IGNORECASE,
)
_KEY_ERROR = re.compile(rf"\bKeyError: ['\"]({_NAME})['\"]")  # `at setup:` may stand before it
#: The place in Python's own os.py, or a marked line that asks the environment.
_ASKED = re.compile(
    r"(?:<frozen os>|/os\.py):\d+: (?:KeyError|in __getitem__)|File \"(?:<frozen os>|[^\"\n]*/os\.py)\", line \d+, in __getitem__"
    r"|^>.*\benviron\[",
    re.MULTILINE,
)
_FIELD = re.compile(rf"^(?:E\s+)?({_NAME})\n(?:E\s+)?\s+Field required \[type=missing", re.MULTILINE)  # pydantic 2
_SAMPLES = (
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    ".env.test",
    "example.env",
    "sample.env",
    ".envrc",
    "app.json",
)
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY|LICENSE_KEY")
_AWS = re.compile(
    r"^NoCredentialsError\b|Unable to locate credentials|CredentialsProviderError|Could not load credentials from any providers"
)


def mentioned_variables(texts: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Variables that files read, each with the files (path to content) that do, in their order."""
    found: dict[str, list[str]] = {}
    for path, text in texts.items():
        for name in dict.fromkeys(_names(_READS, text)):
            found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def set_variables(text: str) -> set[str]:
    """Variables that a file sets itself: a test that brings its own is not short of it."""
    names = set(_names(_SETS, text))
    for block in _SETS_MANY.finditer(text):
        names.update(m[1] or m[2] for m in _SET_NAME.finditer(block[0]))
    return names


def _names(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for match in pattern.finditer(text):
        yield next(group for group in match.groups() if group)


def candidates(tree_files: Mapping[str, str], environ: Collection[str], allowed: Collection[str]) -> tuple[str, ...]:
    """Variables that are set here, are read by the tree, and did not reach the check: likely what it lacks. Those of tests first."""
    mentioned = mentioned_variables(tree_files)
    wanted = [name for name in mentioned if name in environ and name not in allowed]
    return tuple(sorted(wanted, key=lambda name: (not any(is_test(p) for p in mentioned[name]), name)))


def missing_variable(failure: Failure, sources: Sources, here: Here) -> Missing | None:
    """The variable whose absence a failure tells of.

    Only one that somebody besides the failing code expects from outside: it is set here but was not handed on, a test reads
    it, or a sample of settings, a compose file or a workflow names it; and that no test sets by itself.
    """
    for name, surely in _told(failure):
        if here.environ.get(name):
            continue
        texts = {path: sources.text(path) for path in sources.holding(name)}
        reads = mentioned_variables(texts).get(name, ())
        if not (surely or reads) or any(name in set_variables(text) for text in texts.values()):
            continue
        if expected := _expected(name, reads, sources, here):
            kind: Kind = "credentials" if _SECRET.search(name) else "variable"
            return Missing(
                kind, name, f"{name} is not set for this check; {expected}", more("env", here.check.env, name)
            )
    return None


def _told(failure: Failure) -> Iterator[tuple[str, bool]]:
    """Names that a failure says are not set, and whether it was the environment, for sure, that was asked."""
    text = said(failure)
    if match := _KEY_ERROR.search(failure.message):
        if _ASKED.search(text):
            yield match[1], True
        return
    if "pydantic_settings" in text or "BaseSettings" in text:
        yield from ((match[1].upper(), True) for match in _FIELD.finditer(text))
    if _AWS.search(failure.message):
        yield "AWS_ACCESS_KEY_ID", True
    sure = {match[1] or match[2] for match in _SURELY.finditer(failure.message)}
    speaks = bool(_ENVIRONMENT.search(text))
    said_so = {match[1] for pattern in _SAYS_MISSING for match in pattern.finditer(failure.message)}
    if re.search(r"not (?:found|set)|missing|unset|required", failure.message, re.IGNORECASE):
        said_so |= sure
    for name in sorted(said_so):
        if name.isupper() and ("_" in name or speaks):
            yield name, name in sure


def _expected(name: str, reads: Collection[str], sources: Sources, here: Here) -> str:
    """Who expects a variable from outside, as a clause; "" = only the code that failed."""
    if name in here.ours:
        return "it is set here, but checks get only what they list"
    word = re.compile(rf"\b{re.escape(name)}\b")
    settings = [sources.tree / sample for sample in _SAMPLES] + [
        *compose_files(sources.tree),
        *workflow_files(sources.tree),
    ]
    for file in settings:
        if word.search(sources.text(file.relative_to(sources.tree).as_posix())):
            return f"{file.relative_to(sources.tree).as_posix()} names it (set it where zwarm-ci runs)"
    if word.search(re.sub(r"\s", " ", " ".join(re.findall(r"pass_?env\s*=[^\[]*", sources.text("tox.ini"))))):
        return "tox.ini hands it on (set it where zwarm-ci runs)"
    tests = [path for path in reads if is_test(path)]
    return f"{tests[0]} reads it (set it where zwarm-ci runs)" if tests else ""


def dotenv_names(path: Path) -> tuple[str, ...]:
    """The names that a `.env` file sets; none where it is not there."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    found = (line.strip().removeprefix("export ").partition("=") for line in lines)
    return tuple(name.strip() for name, given, _ in found if given and name.strip().isidentifier())
