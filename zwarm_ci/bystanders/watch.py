"""A moment before a turn, what is different after it, and what of that a person may have done meanwhile.

What starts programs (hooks, git's settings, start-up files, the environment of the checks) fails the turn whoever changed it.
Somebody who works in the checkout while a run goes on saves files, stages, commits and fetches: that is left for review, unless
the session's own events name the place, the same change stands in its worktree, or the checkout is CI's, where nobody works.
Sibling worktrees are not compared: what a session writes there goes through the same judgement as if their own had written it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zwarm_ci.bystanders import places
from zwarm_ci.bystanders.marks import Mark, Marks, changed, only_touched
from zwarm_ci.bystanders.records import Records
from zwarm_ci.errors import BlockedError
from zwarm_ci.inplace import is_disposable
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env, one_line
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import GuardFinding

GUARD = "bystanders"
_SHOWN = 5  # findings of one kind; more are counted
_COMPARED = 200  # changed files of the checkout whose content is compared with the session's
_PROBE = Path(__file__).parent / "probe" / "zwarm_ci_compiled.py"
_PROBE_SECONDS = 60.0
_ALLOW = (
    "put it back as it was and run again; a sandbox (executor.sandbox, bubblewrap for claude) keeps a session inside"
)
#: Settings that people and their tools change with a push, a fetch or a clone, and that start nothing.
_HARMLESS = re.compile(
    r"(branch|gui)\..*|remote\.(.*)\.(url|fetch|pushurl|tagopt|prune)|submodule\.(.*)\.(active|url)|user\.(name|email)",
    re.IGNORECASE | re.DOTALL,
)
Level = Literal["refuse", "review"]


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stood before a turn. `spoiled`: what of the ground had changed by then; `config`: git's settings as text."""

    home: Marks
    settings: Marks
    config: bytes
    history: Marks
    staged: Marks
    files: Marks
    spoiled: frozenset[str]


@dataclass(frozen=True, slots=True)
class Turn:
    """What is known of a turn.

    Attributes:
        worktree: the session's. tree: what stood there afterwards.
        said: its commands and the paths that it changed, from its own events.
        left: names of processes that still ran when the executor had ended by itself; they were ended.
    """

    worktree: Path
    tree: str
    said: Sequence[str] = ()
    left: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """Findings of a turn. `spoiled`: why no result of this run can be believed any more, though this turn is not to blame; "" = it can."""

    findings: tuple[GuardFinding, ...]
    spoiled: str = ""

    @property
    def refused(self) -> tuple[GuardFinding, ...]:
        """Those after which the turn is not judged."""
        return tuple(f for f in self.findings if f.level == "refuse")


class Bystanders:
    """What stands about while sessions of one run work; asked by several threads."""

    def __init__(self, trees: Trees, checks: Sequence[Check], base: str) -> None:
        self._trees, self._checks, self._base = trees, tuple(checks), base
        self._user = trees.repo.user
        self._ground: places.Ground | None = None
        self._start: Marks = {}
        self._records: Records | None = None
        self._lock = threading.Lock()
        self._sound: set[tuple[str, Mark]] = set()
        self._known: frozenset[str] = frozenset()  # what was spoiled when it was last looked at

    def begin(self) -> Moment:
        """Look at everything before a turn. The run's ground is what the first turn finds; it is large, and looked at again after turns."""
        user = self._user
        with self._lock:
            if self._ground is None:
                self._ground = places.Ground(self._trees, self._checks, self._base)
                self._records = Records(self._ground.folders)
                self._start = self._ground.look()
        config = user.common_dir / "config"
        staged, files = self._checkout()
        return Moment(
            places.start_up(), places.git_settings(user), config.read_bytes() if config.is_file() else b"", places.history(user),
            staged, files, self._known,
        )  # fmt: skip

    def compare(self, before: Moment, turn: Turn) -> Seen:
        """What is different after the turn."""
        spoiled = self._spoiled()
        fresh = [path for path in spoiled if path not in before.spoiled]
        findings = (
            *self._listed(fresh, "refuse", "what the checks run with was changed", self._mend(fresh)),
            *self._listed(
                changed(before.home, places.start_up()), "refuse", "a start-up file of the user's was changed"
            ),
            *self._git(before, turn),
            *self._files(before, turn),
            *_processes(turn),
        )
        return Seen(findings, self._why(spoiled) if spoiled and not fresh else "")

    def spoiled(self) -> str:
        """Why results are not comparable with those of the run's beginning any more; "" = they are."""
        found = self._spoiled()
        return self._why(found) if found else ""

    def _why(self, paths: Sequence[str]) -> str:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"environment: {self._shown(paths[0])}{more} changed while the run went on (run again, with nothing installed meanwhile)"

    def _spoiled(self) -> list[str]:
        """What of the ground is not as the run's first turn found it."""
        with self._lock:
            assert self._ground is not None
            now = self._ground.look()
            found = [p for p in changed(self._start, now) if not self._vouched(p, now)]
            compiled = {path for path in found if f"{os.sep}__pycache__{os.sep}" in path}
            looked_at = {path: now[path] for path in compiled if path in now and path.endswith(".pyc")}
            wrong = self._not_its_source(looked_at)
            spoiled = [path for path in found if path not in compiled or path in wrong]
            self._known = frozenset(spoiled)
            return spoiled

    def _vouched(self, path: str, now: Marks) -> bool:
        """Package managers share files between environments by hard links, so a ctime alone may be another environment's doing."""
        assert self._records is not None
        return only_touched(self._start.get(path), now.get(path)) and self._records.vouch_for(path)

    def _not_its_source(self, compiled: Mapping[str, Mark]) -> set[str]:
        """Compiled files that hold something else than their sources. Python writes them when it imports, so a new one alone says nothing."""
        assert self._ground is not None
        wrong: set[str] = set()
        by_python: dict[str, list[str]] = {}
        for path, mark in compiled.items():
            python = next(
                (p for f, p in self._ground.pythons.items() if path.startswith(os.path.realpath(f) + os.sep)), ""
            )
            if python and (path, mark) not in self._sound:
                by_python.setdefault(python, []).append(path)
        for python, paths in by_python.items():
            wrong |= _misread(python, paths, [f for f, p in self._ground.pythons.items() if p == python])
        self._sound |= {(path, mark) for path, mark in compiled.items() if path not in wrong}
        return wrong

    def _mend(self, paths: Iterable[str]) -> str:
        """Let an environment of ours that was changed be made again; what `allow` says of the rest."""
        assert self._ground is not None
        for folder in filter(None, self._ground.kept):
            if any(Path(path).is_relative_to(folder) for path in paths):
                (folder / "ready.json").unlink(missing_ok=True)
        return "reinstall it; a sandbox (executor.sandbox, bubblewrap for claude) keeps a session out of it"

    def _checkout(self) -> tuple[Marks, Marks]:
        """What is staged and what the files are; nothing where checks themselves run in the checkout."""
        if any(check.isolation == "inplace" for check in self._checks):
            return {}, {}
        return places.checkout(self._user)

    def _git(self, before: Moment, turn: Turn) -> Iterator[GuardFinding]:
        user = self._user
        odd = changed(before.settings, places.git_settings(user))
        config = str(user.common_dir / "config")
        if config in odd and self._harmless(before.config):
            odd.remove(config)
            yield from self._listed([config], self._blame(turn, "git"), "git's remotes or branches were set meanwhile")
        yield from self._listed(odd, "refuse", "hooks or settings of the user's repository were changed")
        moved = changed(before.history, places.history(user))
        what = "HEAD, branches or tags of the user's repository moved meanwhile"
        yield from self._listed(moved, self._blame(turn, "git"), what, plain=True)

    def _harmless(self, old: bytes) -> bool:
        """Whether nothing was set in the repository's config but what people's everyday commands set."""
        now = self._user.git.run("config", "--local", "--no-includes", "--list", "-z", check=False)
        then = self._user.git.run("config", "--file", "-", "--no-includes", "--list", "-z", stdin=old, check=False)
        if not now.ok or not then.ok:
            return False
        differing = set(now.stdout.split(b"\0")) ^ set(then.stdout.split(b"\0"))
        return all(_HARMLESS.fullmatch(os.fsdecode(entry.partition(b"\n")[0])) for entry in differing)

    def _files(self, before: Moment, turn: Turn) -> Iterator[GuardFinding]:
        staged, files = self._checkout()
        touched = sorted({*changed(before.files, files), *changed(before.staged, staged)})
        ours = [path for path in touched if self._blame(turn, path) == "refuse"]
        rest = [path for path in touched if path not in ours]
        copied = [path for path in rest[:_COMPARED] if self._stands_in(path, turn.tree)]
        yield from self._listed(ours, "refuse", "the session changed the checkout", plain=True)
        yield from self._listed(copied, "refuse", "the session's change was made in the checkout too", plain=True)
        others = [path for path in rest if path not in copied]
        yield from self._listed(others, "review", "changed in the checkout meanwhile", plain=True)

    def _stands_in(self, path: str, tree: str) -> bool:
        """Whether the checkout's file is what the session made of it."""
        repo = self._trees.repo
        made = repo.read(tree, path)
        if made is None or made == repo.read(self._base, path):
            return False
        with contextlib.suppress(OSError):
            return (self._user.top / path).read_bytes() == made
        return False

    def _blame(self, turn: Turn, word: str) -> Level:
        """`refuse` where nobody else is there, or a command or edit of the session's has both the checkout and `word` in it."""
        if is_disposable():
            return "refuse"
        # The session's own folder is below the checkout too, and its commands may well name that.
        top = re.compile(rf"{re.escape(str(self._user.top))}(?!/\.zwarm/sessions\b)(?![\w.-])")
        return "refuse" if any(top.search(text) and word in text for text in turn.said) else "review"

    def _listed(
        self, paths: Sequence[str], level: Level, what: str, allow: str = "", *, plain: bool = False
    ) -> Iterator[GuardFinding]:
        """A finding for each of the first paths, and one for the rest."""
        for path in paths[:_SHOWN]:
            shown = one_line(path) if plain else self._shown(path)
            yield GuardFinding(GUARD, level, shown, None, f"{what}: {shown}", allow or _ALLOW)
        if rest := len(paths) - _SHOWN if len(paths) > _SHOWN else 0:
            yield GuardFinding(GUARD, level, "", None, f"{what}: {rest} more", allow or _ALLOW)

    def _shown(self, path: str) -> str:
        """A path as a person of this checkout says it: from the top, or from the home."""
        for folder, name in ((str(self._user.top), ""), *((str(home), "~/") for home in places.homes())):
            if path.startswith(folder + os.sep):
                return one_line(name + path[len(folder) + 1 :])
        return one_line(path)


def _misread(python: str, paths: Sequence[str], sites: Sequence[str]) -> set[str]:
    """Compiled files that `python` reads otherwise than their sources; all of them where it cannot say."""
    # Nothing of the environment runs (-I -S), and no compiled file is read: the prefix names no folder.
    command = [python, "-I", "-S", "-B", "-X", f"pycache_prefix={os.devnull}", str(_PROBE), *sites]
    lines = "".join(f"{json.dumps(path)}\n" for path in paths).encode()
    try:
        ended = run(command, cwd=Path("/"), env=child_env(), stdin=lines, timeout=_PROBE_SECONDS)
        said = [str(json.loads(line)) for line in ended.stdout.splitlines()] if ended.ok else paths
    except (BlockedError, ValueError):
        return set(paths)
    return set(said)


def _processes(turn: Turn) -> Iterator[GuardFinding]:
    held = list(_holders(turn.worktree))
    for name in held:
        detail = f"{name} still runs in the session's worktree"
        yield GuardFinding(GUARD, "refuse", "", None, detail, "end it and run again")
    if turn.left:
        names = ", ".join(dict.fromkeys(one_line(name, 40) for name in turn.left))
        detail = f"left running when the session was over, and ended: {names}"
        yield GuardFinding(GUARD, "review", "", None, detail, "have the session end what it starts")


def _holders(worktree: Path) -> Iterator[str]:
    """Processes whose folder is in the worktree, though all that the session started has been ended. Not a person's shell."""
    top = os.path.realpath(worktree)
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                with contextlib.suppress(OSError):  # gone, or another user's
                    place = str(Path(entry.path, "cwd").readlink())
                    if (place == top or place.startswith(top + os.sep)) and not _has_terminal(entry.path):
                        yield one_line(Path(entry.path, "comm").read_text(encoding="utf-8", errors="replace"), 40)


def _has_terminal(process: str) -> bool:
    """Whether a process has a controlling terminal (field 7 of its stat, proc(5)): no session's has."""
    stat = Path(process, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return len(stat) > 4 and stat[4] != "0"
