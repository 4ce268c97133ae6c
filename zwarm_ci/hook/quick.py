"""A commit for which there is nothing to do ends here, before anything is imported: two git calls at the same time, a small file.

What is kept between commits lies in the user's cache: for each version of the settings files (by their blob ids) the globs of all
checks, and for each staged content that was green what else that depends on.
"""

from __future__ import annotations

import os
import sys

from zwarm_ci import __version__
from zwarm_ci.globs import SOURCES, meant

TYPE_CHECKING = False  # as in `typing`, whose import would be most of what this takes
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PREFIX = "ZWARM_CI_"
#: No settings: where two programs are, and what we are told ourselves when keys have left our environment.
NO_SETTINGS = ("ZWARM_CI_CODEX", "ZWARM_CI_CLAUDE", "ZWARM_CI_GATEWAY_FD")
TAG = "ZWARM_CI_TAG"  # what every process carries that a run of ours started
_FORM = "1"  # 1: of globs, one a line; of a green content, `mtime-in-ns size path` a line
_ABSENT = "0"
#: What git is told, and all that it sees of our environment; `GIT_INDEX_FILE` comes to it where it is this repository's.
_SEEN = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
_TOLD = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_STAGED = ("--no-pager", "diff", "--cached", "--raw", "-z", "--no-renames", "--no-relative", "--no-ext-diff", "--no-abbrev",
           "--ita-invisible-in-index", "--ignore-submodules=none")  # fmt: skip
_NAMES = ("HEAD", ":.zwarm/config.toml", ":pyproject.toml")
#: Variables by which another interpreter or program may be chosen.
_CHOOSING = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH")
_FIX = "--fix"
_MOST = 500  # files that are kept in a folder of the cache: a year of one person's commits
_READ = 1 << 16


class Staged:
    """What is staged: HEAD's commit, blob ids of the two settings files, git's list of what differs from HEAD, and the paths in it.

    `unmerged`: a merge is not resolved. `chosen`: what the environment says of interpreters and programs.
    """

    def __init__(self, head: str, config: str, project: str, raw: bytes, environ: Mapping[str, str]) -> None:
        self.chosen = b"\0".join(os.fsencode(environ.get(name, "")) for name in _CHOOSING)
        self.head, self.settings, self.raw = head, f"{config}-{project}-{__version__}", raw
        fields = raw.split(b"\0")
        self.paths = tuple(os.fsdecode(path) for path in fields[1::2])
        self.unmerged = any(meta.endswith(b" U") for meta in fields[::2])


def code(args: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """The exit code of `hook ARGS…` where it needs no more than a look; None = it does."""
    if TAG in environ:
        return 0  # a run of ours: what it commits is nobody's commit, and a hook in a hook would never end
    if args[:1] == ["commit-msg"] and len(args) == 2 and not args[1].startswith("-"):
        return None if _has_trailers(args[1]) else 0
    names = [arg for arg in args[1:] if arg != _FIX]
    if args[:1] != ["pre-commit"] or any(n.startswith("-") for n in names) or "PRE_COMMIT_TO_REF" in environ:
        return None
    if any(name.startswith(PREFIX) and name not in NO_SETTINGS for name in environ):  # settings, perhaps
        return None
    found = staged(environ)
    if found is None or found.unmerged:
        return None
    globs = known_globs(found)
    if globs is None:
        return None
    if not meant((*found.paths, *names), globs):
        return 0
    return 0 if _FIX not in args and is_green(found, names) else None


def staged(environ: Mapping[str, str]) -> Staged | None:
    """What git says is staged; None where git says no."""
    env = {name: environ[name] for name in _SEEN if name in environ} | _TOLD
    if index := index_file(environ):
        env["GIT_INDEX_FILE"] = index
    try:
        listing = _start((*_GIT, *_STAGED), env, b"")
        asking = _start(
            (*_GIT, "cat-file", "--batch-check=%(objectname) %(objecttype)"),
            env,
            "".join(f"{n}\n" for n in _NAMES).encode(),
        )
    except OSError:  # no git: the whole hook says it in words
        return None
    (raw, listed), (said, asked) = _end(listing), _end(asking)
    answers = [line.split() for line in said.decode("utf-8", "replace").splitlines()]
    if not listed or not asked or len(answers) != len(_NAMES):
        return None
    head, config, project = (a[0] if a[-1] in {"commit", "blob"} else _ABSENT for a in answers)
    return Staged(head, config, project, raw, environ)


def index_file(environ: Mapping[str, str]) -> str:
    """The index that git commits from, where it names one in this repository (`commit -a` and `commit PATH` have their own).

    A variable that leads into another repository, as when a hook goes elsewhere, is nobody's word: "" = none.
    """
    given = environ.get("GIT_INDEX_FILE")
    folder = _git_dir(_here()) if given else ""
    if not given or not folder:
        return ""
    index = os.path.realpath(given)
    return index if os.path.dirname(index) == os.path.realpath(folder) else ""


def known_globs(found: Staged) -> tuple[str, ...] | None:
    """Globs of the files that make a check run by these settings; None = nobody has looked yet."""
    form, *globs = _lines(os.path.join(folder(), "globs", found.settings)) or [""]
    return tuple(globs) if form == _FORM else None


def keep_globs(found: Staged, globs: Iterable[str] | None) -> None:
    """Know from now on what these settings make run; None = checks are detected, so any source may."""
    _keep("globs", found.settings, [_FORM, *dict.fromkeys(SOURCES if globs is None else globs)])


def is_green(found: Staged, names: Sequence[str]) -> bool:
    """Whether all that would run was green on this very content, and nothing that it depends on has changed since."""
    lines = _lines(os.path.join(folder(), "green", _digest(found, names))) or [""]
    return lines[0] == _FORM and all(stamp(line.split(" ", 2)[2]) == line for line in lines[1:])


def keep_green(found: Staged, names: Sequence[str], depends: Iterable[str]) -> None:
    """Know from now on that all was green; `depends` are paths outside of the tree."""
    _keep("green", _digest(found, names), [_FORM, *(stamp(path) for path in depends)])


def stamp(path: str) -> str:
    """When a file or folder was changed last, and its size; another line for another state."""
    try:
        state = os.stat(path)
    except OSError:
        return f"0 0 {path}"
    return f"{state.st_mtime_ns} {state.st_size} {path}"


def folder() -> str:
    """Where hooks keep what they know: in the user's cache, never in the repository."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "zwarm-ci", "hook")


def _digest(found: Staged, names: Sequence[str]) -> str:
    from hashlib import sha256

    top = os.fsencode(_git_dir(_here()))
    named = b"\0".join(os.fsencode(name) for name in sorted(names))
    facts = (top, found.head.encode(), found.settings.encode(), found.raw, named, found.chosen)
    return sha256(b"\0\0".join(facts)).hexdigest()


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted under us
        return ""


def _git_dir(where: str) -> str:
    """The git folder of the working tree that holds `where`; "" = there is none."""
    while True:
        place = os.path.join(where, ".git")
        if os.path.isdir(place):
            return place
        if os.path.isfile(place):
            named = (_lines(place) or [""])[0].removeprefix("gitdir: ")
            return os.path.join(where, named)
        above = os.path.dirname(where)
        if above == where:
            return ""
        where = above


def _has_trailers(file: str) -> bool:
    """Whether a message has a line below its first that looks like a trailer, or cannot be read here."""
    lines = _lines(file)
    return lines is None or any(_is_trailer(line) for line in lines[1:])


def _is_trailer(line: str) -> bool:
    token, colon, _ = line.partition(":")
    return bool(colon) and token.replace("-", "").isalnum()


def _lines(path: str) -> list[str] | None:
    """A small file's lines; None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read().split("\n")
    except OSError:
        return None


def _keep(kind: str, name: str, lines: Sequence[str]) -> None:
    """Write a file of the cache, whole or not at all, and let go of the oldest where there are too many."""
    place = os.path.join(folder(), kind)
    try:
        os.makedirs(place, exist_ok=True)
        temporary = os.path.join(place, f".{os.getpid()}.tmp")
        with open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write("\n".join(lines))
        os.replace(temporary, os.path.join(place, name))
        kept = [entry for entry in os.scandir(place) if entry.is_file()]
        for entry in sorted(kept, key=lambda e: e.stat().st_mtime_ns)[:-_MOST]:
            os.unlink(entry.path)
    except OSError:
        return  # without a cache the next commit looks at everything again, and nothing else


def _start(argv: Sequence[str], env: Mapping[str, str], said: bytes) -> tuple[int, int]:
    """Start a program with `said`, a few bytes, as its input: its number, and the pipe that it prints to."""
    theirs, ours = os.pipe()
    os.write(ours, said)
    os.close(ours)
    out, printed = os.pipe()
    null = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
    actions = [(os.POSIX_SPAWN_DUP2, theirs, 0), (os.POSIX_SPAWN_DUP2, printed, 1), null]
    try:
        return os.posix_spawnp(argv[0], list(argv), dict(env), file_actions=actions), out
    except OSError:
        os.close(out)
        raise
    finally:
        os.close(theirs)
        os.close(printed)


def _end(started: tuple[int, int]) -> tuple[bytes, bool]:
    """All that a started program prints, and whether it ended well."""
    pid, out = started
    printed = b"".join(_chunks(out))
    os.close(out)
    _, status = os.waitpid(pid, 0)
    return printed, status == 0


def _chunks(out: int) -> Iterator[bytes]:
    while chunk := os.read(out, _READ):
        yield chunk


def main(args: Sequence[str]) -> None:
    """End the program where there is nothing more to do."""
    ended = code(args, os.environ)
    if ended is not None:
        sys.exit(ended)
