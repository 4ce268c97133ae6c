"""Tox and nox run as themselves: their environments outside the tree, our probe let through, and a missing Python told apart.

The package that they install is built from the tree in every run; what is kept between runs is what it depends on.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks import pythons
from zwarm_ci.checks.base import PACKAGE_SETTINGS, PROBE, Job
from zwarm_ci.files import kept_folder
from zwarm_ci.proc import TAG
from zwarm_ci.scrub import one_line

#: Variable of a job that names the folder in which the environments are kept, in place of the user's cache.
ENVIRONMENTS = "ZWARM_CI_SESSION_ENVIRONMENTS"
_LAUNCHERS = frozenset({"uv", "uvx", "poetry", "pdm", "hatch", "pipenv", "pipx"})
_SUBCOMMANDS = frozenset({"run", "r", "run-parallel", "p", "exec", "e"})
_PASSED = ("PYTEST_ADDOPTS", "PYTHONPATH", "ZWARM_CI_PROBE", "ZWARM_CI_PROBE_WORKER", TAG)
#: What a caller's environment says of itself, and nothing of the session's own.
_OF_CALLER = ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_NO_SYNC")
_SETTINGS = ("tox.ini", "setup.cfg", "tox.toml", "pyproject.toml")
_REQUIREMENTS = ("*.txt", "requirements/*.txt", "reqs/*.txt", "tests/*.txt", "*.lock", "pylock*.toml")
#: A dependency, in a list of them, that is a path.
_BY_PATH = re.compile(
    r"""^[^\S\n]*(?:deps\s*=\s*\[?)?["']?(?:-e\b|--editable\b|\.{1,2}/|\.\[|\.["']?,?\s*$|file:|\{tox)""", re.MULTILINE
)
_FORM = 1  # 1: one folder for each command and settings
_ALONE = str(PROBE / "zwarm_ci_alone.py")
_SECTION = re.compile(r"""^\[\[?(?:tool\.tox\.)?(testenv(?::[^\]]+)?|env_run_base|env\.[^\]]+)\]""")
_ENVS = re.compile(r"\{([^{}]*)\}")
_BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
#: How tox 4, tox 3 and nox say that a Python is not here.
_MISSING = re.compile(
    r"^(?:\S+: (?:failed with|skipped because) could not find python interpreter (?:matching any of the specs |with spec\(s\): )(?P<tox>\S+)"
    r"|(?:ERROR|SKIPPED)?:?[^\S\n]*(?:\S+: )?InterpreterNotFound: (?P<old>\S+)|nox > .*Python interpreter (?P<nox>\S+) not found)",
    re.MULTILINE,
)
#: How they say that an installation failed.
_INSTALL = re.compile(
    r"^(?:\S+: exit \d+ .*> .*\b(?:pip|uv)\b.* (?:install|sync)\b.*|ERROR: .*InvocationError for command .*\b(?:pip|uv)\b.* (?:install|sync)\b.*"
    r"|nox > Command .*\b(?:pip|uv)\b.* (?:install|sync)\b.* failed.*|ERROR: .*InvocationError for command .*\bvirtualenv\b.*)$",
    re.MULTILINE,
)


def tool_of(argv: Sequence[str]) -> str:
    """Whether a command starts tox or nox, by itself, as a module or through a launcher; "" = neither."""
    at = _at(argv)
    return Path(argv[at]).name if at >= 0 else ""


def _at(argv: Sequence[str]) -> int:
    """Where in a command the tool's name stands; -1 = nowhere."""
    found = next((n for n, word in enumerate(argv) if Path(word).name in {"tox", "nox"}), -1)
    if found <= 0:
        return found
    first = Path(argv[0]).name
    as_module = first.startswith("python") and argv[found - 1] == "-m"
    return found if as_module or first in _LAUNCHERS else -1


def is_session(job: Job) -> bool:
    """Whether `prepare` has made this job."""
    return _ALONE in job.argv


def prepare(job: Job) -> Job:
    """Have the sessions' environments made outside the tree, from the tree's code, with interpreters of every version here.

    They are kept for the next run with the same settings; only one command at a time uses one.
    """
    folder = environments(job)
    folder.mkdir(parents=True, exist_ok=True)
    at = _at(job.argv)
    after = at + 2 if job.argv[at + 1 : at + 2] and job.argv[at + 1] in _SUBCOMMANDS else at + 1
    words = (
        ("--workdir", str(folder))
        if tool_of(job.argv) == "tox"
        else ("--envdir", str(folder), "--reuse-existing-virtualenvs")
    )
    env = {k: v for k, v in job.env.items() if k != ENVIRONMENTS and (k not in _OF_CALLER or job.argv[0] == "uv")}
    env |= {k: v for k, v in os.environ.items() if PACKAGE_SETTINGS.match(k)}
    env["PATH"] = os.pathsep.join((str(pythons.by_name(job.folder / "pythons")), env.get("PATH", os.defpath)))
    env["UV_PYTHON_DOWNLOADS"] = "never"
    _as_new(job)
    alone = (sys.executable, "-I", "-S", _ALONE, f"{folder}.lock")
    return replace(job, argv=(*alone, *job.argv[:after], *words, *job.argv[after:]), env=env)


def environments(job: Job) -> Path:
    """The folder of a command's environments: the same for the same settings, requirements, Pythons and platform.

    Where an environment names the tree by its path (`deps = -e .`), which tox installs once and then takes for granted, the tree's
    place belongs to it too.
    """
    cache = job.env.get(ENVIRONMENTS) or kept_folder("sessions")
    facts = hashlib.sha256(
        f"{_FORM} {sys.platform} {platform.machine()} {[p.version for p in pythons.find()]}".encode()
    )
    texts = [(name, _text(job.cwd / name)) for name in (*_SETTINGS, *_BUILD_FILES, "noxfile.py")]
    texts += [
        (p.relative_to(job.cwd).as_posix(), _text(p))
        for pattern in _REQUIREMENTS
        for p in sorted(job.cwd.glob(pattern))
    ]
    by_path = any(_BY_PATH.search(text) for _, text in texts)
    for fact in (
        *job.argv[_at(job.argv) :],
        *(f"{name}={text}" for name, text in texts),
        str(job.tree) if by_path else "",
    ):
        facts.update(f"{fact}\0".encode("utf-8", "replace"))
    return Path(cache) / facts.hexdigest()[:24]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _as_new(job: Job) -> None:
    """Let build files look changed: uv (0.5, not 0.8) builds a folder again only where they do, whatever else in it changed."""
    for folder in {job.tree, job.cwd}:
        for name in _BUILD_FILES:
            if (folder / name).is_file():
                os.utime(folder / name)


def let_through(job: Job) -> Job:
    """Have tox hand on what the probe rides on, which it keeps from tests otherwise. Tox 3 and 4 are told in their own ways."""
    names = ",".join(_PASSED)
    sections = dict.fromkeys(("testenv", "env_run_base", *_with_own(job, ("pass_env", "passenv"))))
    told = [f"{section}.pass_env+={names}" for section in sections]
    told += [f"{section}.ignore_errors=true" for section in ("testenv", "env_run_base")]
    for section, value in _python_paths(job):
        told.append(f"{section}.set_env+=PYTHONPATH={os.pathsep.join((str(PROBE), value))}")
    before = [job.env["TOX_OVERRIDE"]] if job.env.get("TOX_OVERRIDE") else []
    passed = " ".join((*filter(None, [job.env.get("TOX_TESTENV_PASSENV")]), *_PASSED))
    return job.with_env(TOX_OVERRIDE=";".join((*before, *told)), TOX_TESTENV_PASSENV=passed)


def _sections(job: Job) -> Iterator[tuple[str, str]]:
    """Every section of tox's settings that describes environments, by the name that an override knows it by, with its text."""
    for file in (job.cwd / name for name in _SETTINGS):
        if not file.is_file():
            continue
        name, lines = "", list[str]()
        for line in [*file.read_text(encoding="utf-8", errors="replace").splitlines(), "[end]"]:
            if line.startswith("["):
                yield from ((one, "\n".join(lines)) for one in expanded(name) if name)
                found = _SECTION.match(line)
                name, lines = found[1].replace('"', "").replace("'", "") if found else "", []
            else:
                lines.append(line)


def _with_own(job: Job, keys: Sequence[str]) -> list[str]:
    pattern = re.compile(rf"^[^\S\n]*(?:{'|'.join(keys)})\s*=", re.MULTILINE)
    return [name for name, text in _sections(job) if pattern.search(text)]


def _python_paths(job: Job) -> list[tuple[str, str]]:
    """Sections that set PYTHONPATH for their tests, and what to."""
    pattern = re.compile(r"^[^\S\n]*(?:set_?env\s*=\s*)?PYTHONPATH\s*=\s*(\S+)\s*$", re.MULTILINE)
    return [(name, found[1]) for name, text in _sections(job) if (found := pattern.search(text))]


def expanded(names: str) -> list[str]:
    """`py{38,39}-x,lint` (lines and commas apart) as its environments, in order."""
    made: list[str] = []
    depth, word = 0, ""
    for char in f"{names}\n":
        depth += (char == "{") - (char == "}")
        if char in ",\n" and depth <= 0:
            made += _braces(word.split("#", maxsplit=1)[0].strip())
            word = ""
        else:
            word += char
    return list(dict.fromkeys(name for name in made if name))


def _braces(word: str) -> list[str]:
    found = _ENVS.search(word)
    if not found:
        return ["".join(word.split())]
    span = re.fullmatch(r"\s*(\d+)-(\d+)\s*", found[1])
    options = [str(n) for n in range(int(span[1]), int(span[2]) + 1)] if span else found[1].split(",")
    return [
        name for option in options for name in _braces(word[: found.start()] + option.strip() + word[found.end() :])
    ]


def trouble(text: str) -> str:
    """What a session says that never came to its tests: its Python is not here, or its packages cannot be had; "" = neither."""
    if found := _MISSING.search(text):
        version = _version_of(next(filter(None, found.groups())))
        return f"cell: Python {version} is not here (install it, or name a session that this machine has a Python for)"
    if found := _INSTALL.search(text):
        return f"environment: {one_line(found[0])} (see the log: a package cannot be had, or does not build)"
    return ""


def _version_of(name: str) -> str:
    """`py38`, `python3.8` and `3.8` as 3.8."""
    found = re.fullmatch(r"(?:py|python|cpython)?-?(\d)\.?(\d+)?.*", name.strip("'\",;"))
    return f"{found[1]}.{found[2]}" if found and found[2] else name
