"""Failures that miss a program, a module or a file that the repository does not hold."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from zwarm_ci.diagnose.base import Here, Missing, Sources, more, real, said, toml
from zwarm_ci.diagnose.declared import declares, depends, normal
from zwarm_ci.protected import is_test
from zwarm_ci.services import workflow_files
from zwarm_ci.task import Failure

_PROGRAM = r"([A-Za-z0-9][\w.+-]*)"
_PROGRAMS = (
    re.compile(rf"FileNotFoundError: \[Errno 2\] No such file or directory: '{_PROGRAM}'"),
    re.compile(rf"\b(?:sh|bash|dash|zsh)(?:: line \d+)?: (?:\d+: )?{_PROGRAM}: (?:command )?not found"),
    re.compile(rf"\b{_PROGRAM}: command not found"),
    re.compile(rf"spawn(?:Sync)? {_PROGRAM} ENOENT"),
    re.compile(rf'exec: "{_PROGRAM}": executable file not found in \$PATH'),
    re.compile(rf"Command '\[?'?{_PROGRAM}[^\n]* returned non-zero exit status 127"),
    re.compile(
        rf"[\"'`]?{_PROGRAM}[\"'`]?(?: (?:executable|binary|command|program))? (?:is |was )?not (?:installed|found (?:in|on) (?:the |your )?\$?PATH)"
    ),
)
_PATCHES_WHICH = re.compile(
    r"(?:setattr|patch\w*|object|stub|mock\w*)\b[^\n]*\bwhich\b|\bwhich\b[^\n]*(?:return_value|side_effect|lambda)"
)
#: In a trace, where a file was not found because a process could not be started.
_STARTS = re.compile(r"_execute_child|subprocess\.py|asyncio/unix_events\.py|create_subprocess_exec|posix_spawn")
#: Programs that many repositories call; another one must be named where the repository says what it needs.
_COMMON = frozenset(
    "git hg svn ffmpeg ffprobe convert magick dot pdftotext pdflatex latexmk xelatex pandoc tesseract gs inkscape node npm npx yarn pnpm java mvn "
    "gradle ruby php perl go cargo rustc gcc g++ clang cmake make ninja docker podman kubectl helm terraform psql pg_ctl initdb pg_dump mysql "
    "mysqldump redis-server redis-cli mongod sqlite3 memcached curl wget jq rsync ssh openssl gpg zip unzip xz zstd chromium google-chrome "
    "chromedriver geckodriver firefox xvfb-run wkhtmltopdf exiftool sox graphviz patch tmux fish zsh shellcheck protoc nginx minio etcd".split()
)
_SAYS_WHAT_IT_NEEDS = tuple(
    "Dockerfile README.md README.rst CONTRIBUTING.md CONTRIBUTING.rst apt.txt Brewfile environment.yml .gitlab-ci.yml tox.ini".split()
)

_PYTHON_MODULE = re.compile(r"No module named ['\"]?([A-Za-z_]\w*)")
_NODE_MODULE = re.compile(
    r"Cannot find (?:module|package) ['\"]([^'\"]+)['\"]|Failed to resolve import [\"']([^\"']+)[\"']|Failed to load url (\S+)"
)
_PACKAGE = re.compile(r"(@[\w.-]+/[\w.-]+|[\w-][\w.-]*)(?:/.*)?")

_FILES = re.compile(
    r"(?:FileNotFoundError: \[Errno 2\] No such file or directory: |ENOENT: no such file or directory, \w+ |\bopen )"
    r"['\"]?([^'\"\n:]+)['\"]?"
)
#: Data that a library wants fetched before: what says so, and the command that fetches it.
_FETCHED = (
    (
        re.compile(r"Executable doesn't exist at \S*ms-playwright|Looks like Playwright was just installed"),
        "playwright's browsers",
        "playwright install",
    ),
    (
        re.compile(r"Resource \S*?(\w+)\S* not found\.\s+Please use the NLTK Downloader", re.DOTALL),
        "",
        "python -m nltk.downloader {name}",
    ),
    (
        re.compile(r"Can't find model '(\w+)'\. It doesn't seem to be a Python package"),
        "",
        "python -m spacy download {name}",
    ),
)
_LFS = re.compile(r"version https://git-lfs\.github\.com/spec")
#: Folders that a run fills: a file that is missing there was not written, which may be the code's fault.
_WRITTEN = frozenset(
    "build dist out output target tmp temp coverage htmlcov .cache cache __pycache__ .pytest_cache logs log artifacts".split()
)


def missing_program(failure: Failure, sources: Sources, here: Here) -> Missing | None:
    """The program that a failure could not start: one that is none of the tree's and not installed, and that others name too."""
    text = said(failure)
    for pattern in _PROGRAMS:
        for match in pattern.finditer(text):
            name = match[1]
            if pattern is _PROGRAMS[0] and not _STARTS.search(text):
                continue
            simulated = _plays_absent(sources) if pattern is _PROGRAMS[-1] else not real(failure, sources)
            if not here.has(name) and _is_needed(name, sources) and not simulated:
                return Missing("program", name, f"{name} is not installed here (install it where zwarm-ci runs)")
    return None


def _plays_absent(sources: Sources) -> bool:
    """Whether a test of the tree makes programs look absent: then who says that one is may just have been told so."""
    return any(is_test(path) and _PATCHES_WHICH.search(sources.text(path)) for path in sources.holding("which"))


def _is_needed(name: str, sources: Sources) -> bool:
    """Whether a program is meant: no file of the tree, and named by more than the line that failed (which may have a slip in it)."""
    word = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)")
    if any(PurePosixPath(path).stem == name or PurePosixPath(path).name == name for path in sources.paths):
        return False
    scripts = sources.text("pyproject.toml").partition("scripts]")[2].partition("\n[")[0]
    if re.search(rf"^[\"']?{re.escape(name)}[\"']?\s*=", scripts, re.MULTILINE):
        return False  # the repository's own
    if name in _COMMON:
        return True
    places = [
        *_SAYS_WHAT_IT_NEEDS,
        *(file.relative_to(sources.tree).as_posix() for file in workflow_files(sources.tree)),
    ]
    return any(word.search(sources.text(place)) for place in places)


def missing_module(failure: Failure, sources: Sources, here: Here) -> Missing | None:
    """The module or package that is not installed: one that the repository does not hold, but declares, or imports in a test."""
    text = said(failure)
    setup = toml("setup", here.install) if here.install else ""
    remedy = "" if setup else " (install what the repository declares)"
    for match in _PYTHON_MODULE.finditer(text):
        name = match[1]
        if not _holds(name, sources) and (why := declares(name, sources)):
            return Missing("module", name, f"{name} is not installed, but {why}{remedy}", setup)
    for match in _NODE_MODULE.finditer(text):
        said_name = match[1] or match[2] or match[3]
        package = _PACKAGE.fullmatch(said_name)
        if package and (why := depends(package[1], sources)):
            return Missing("module", package[1], f"{package[1]} is not installed, but {why}{remedy}", setup)
    return None


def _holds(name: str, sources: Sources) -> bool:
    """Whether a module of this name is the tree's own, or stands for the tree's own distribution."""
    modules = (PurePosixPath(path) for path in sources.paths if path.endswith((".py", ".pyi")))
    own = any(name == path.stem or name in path.parent.parts for path in modules)
    project = re.search(r"^name\s*=\s*[\"']([\w.-]+)", sources.text("pyproject.toml"), re.MULTILINE)
    return own or bool(project and normal(project[1]) == normal(name))


def missing_file(failure: Failure, sources: Sources, here: Here) -> Missing | None:
    """The file that git does not keep, and that the checkout has: one that was there before, not one that a run should write."""
    text = said(failure)
    if _LFS.search(text):
        return Missing("data", "Git LFS", "a file is still Git LFS's pointer, not its content (run `git lfs pull`)")
    for pattern, what, command in _FETCHED:
        match = pattern.search(text)
        if match and (what or _is_needed(match[1], sources)):
            name = what or match[1]
            return Missing("data", name, f"{name} is not here (run `{command.format(name=name)}` where zwarm-ci runs)")
    for match in _FILES.finditer(text):
        path = _inside(match[1], sources.tree, here)
        if path is None or not real(failure, sources):
            continue
        if module := _submodule(path, sources):
            return Missing(
                "data", path, f"{path} belongs to the submodule {module} (run `git submodule update --init`)"
            )
        there = here.top is not None and (here.top / path).is_file()
        if there and here.ignored(path) and not _WRITTEN & set(PurePosixPath(path).parts[:-1]):
            return Missing(
                "file",
                path,
                f"git ignores {path}, so a clean worktree lacks it",
                more("include", here.check.include, path),
            )
    return None


def _inside(name: str, tree: Path, here: Here) -> str | None:
    """A path that a message names, relative to the tree; None where it is elsewhere, or is there."""
    if not name or "\0" in name or len(name) > 1000:
        return None
    for base in (tree / here.check.workdir, tree):
        full = Path(tree.resolve(), base.resolve(), name)
        try:
            relative = full.resolve().relative_to(tree.resolve())
            if not full.exists():
                return relative.as_posix()
        except (ValueError, OSError, RuntimeError):
            continue
    return None


def _submodule(path: str, sources: Sources) -> str:
    modules = re.findall(r"^[^\S\n]*path\s*=\s*(\S+)\s*$", sources.text(".gitmodules"), re.MULTILINE)
    return next((module for module in modules if path == module or path.startswith(f"{module}/")), "")
