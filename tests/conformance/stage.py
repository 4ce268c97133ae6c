"""Where the contracts over sessions are played: a worktree, an executor, and a model that says what the contract wrote.

A live stage has the real command line and the scripted server; a recorded one plays what was recorded there, with no binary
and no server. What holds after every turn, whatever the contract is about, is checked here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.fakemodel import Gate, Reply, Scenario, Script, Server, Shell, key_hash, serve
from tests.fakes.replay_cli import Ids, digest, session_of
from tests.support import Repo, belongings
from zwarm_ci import proc
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Conduct, Executor, Order, Report, Workbench
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.task import Endpoint, Failure, Task, Usage

Adapter = Literal["codex", "claude"]
ADAPTERS: tuple[Adapter, ...] = ("codex", "claude")
MODELS = {"codex": "gpt-5.5", "claude": "claude-sonnet-4-5"}
TOKEN = "zw-0123456789abcdef"  # worth nothing anywhere
#: What is in the user's own environment and must reach nothing of a session's.
SECRETS = {
    "OPENAI_API_KEY": "sk-decoy-openai-000000000000",
    "CODEX_API_KEY": "sk-decoy-codex-0000000000000",
    "ANTHROPIC_API_KEY": "sk-ant-decoy-0000000000000000",
    "GITHUB_TOKEN": "ghp_decoy000000000000000000000000000000",
    "GH_TOKEN": "gho_decoy000000000000000000000000000000",
    "ACTIONS_RUNTIME_TOKEN": "decoy-actions-runtime-token",
    "SOMETHING_ELSE": "decoy-of-the-users-shell",
}
FILES = {"calc.py": "def add(a, b):\n    return a - b\n", "README.md": "a calculator\n"}
_ROOT = Path(__file__).parents[2]


@dataclass
class Stage:
    """One contract's stage for one adapter. `real` is the command line, None = recordings are played."""

    adapter: Adapter
    contract: str
    place: Path
    recordings: Path
    environ: pytest.MonkeyPatch
    real: Path | None = None
    recording: bool = False
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))

    def __post_init__(self) -> None:
        self.playbook = self.place / "playbook"
        self.playbook.mkdir(parents=True)
        self.repo = Repo.make(self.place / "checkout", self.files)
        for name, value in SECRETS.items():
            self.environ.setenv(name, value)
        program = self.real if self.real and not self.recording else self._program()
        self.use(program)
        self._scenes: list[Scene] = []

    @property
    def live(self) -> bool:
        """There are a binary and a server."""
        return self.real is not None

    @property
    def patience(self) -> float:
        """Seconds for a limit that is to be reached; a real command line takes its time to start."""
        return 10.0 if self.live else 2.0

    def use(self, program: Path) -> None:
        """The program that the adapter starts from now on."""
        self.environ.setenv(f"ZWARM_CI_{self.adapter.upper()}", str(program))

    def script(self, name: str, text: str) -> Path:
        """A program of the contract's own, in Python."""
        path = self.place / name
        path.write_text(f"#!{sys.executable} -IS\n{text}", encoding="utf-8")
        path.chmod(0o755)
        return path

    def path(self, name: str, *, scene: int | None = None) -> str:
        """A file in the worktree of the next scene, or of the one named, as the model would name it."""
        return str(self.place / f"scene_{len(self._scenes) if scene is None else scene}" / "worktree" / name)

    def executor(self) -> Executor:
        """The executor under test."""
        return EXECUTORS[self.adapter]()

    @contextmanager
    def scene(self, *replies: Reply, name: str = "") -> Iterator[Scene]:
        """One session, to which the model says `replies`, one a call."""
        scene = Scene(self, name or self.contract, replies)
        self._scenes.append(scene)
        try:
            yield scene
        finally:
            scene.close()

    def _program(self) -> Path:
        folder = self.playbook
        if self.real:
            (folder / "real.txt").write_text(str(self.real), encoding="utf-8")
        recorded = json.loads((self.recordings / "version.json").read_text(encoding="utf-8"))
        (folder / "version.txt").write_text(recorded[self.adapter], encoding="utf-8")
        start = (
            f"import sys\nsys.path.insert(0, {str(_ROOT)!r})\nfrom pathlib import Path\n"
            f"from tests.fakes.replay_cli import main\nsys.exit(main(Path({str(folder)!r}), sys.argv[1:]))\n"
        )
        return self.script(self.adapter, start)


class Scene:
    """One session and its model.

    Attributes:
        order: what the next turn starts from; a contract may replace it. reports, lines: of the turns so far.
        billed: what each turn cost at the server.
    """

    def __init__(self, stage: Stage, name: str, replies: Sequence[Reply]) -> None:
        self.stage, self.name, self.replies = stage, name, replies
        place = stage.place / f"scene_{len(stage._scenes)}"
        user = open_repository(stage.repo.path)
        private = PrivateRepository.create(user, place / "private.git")
        self.worktree = private.worktree(user.head, place / "worktree").path
        self.checkout = belongings(stage.repo.path)
        self.order = _order(stage.adapter, place, self.worktree, Workbench(private.path, user.top, user.head, ()))
        self.reports: list[Report] = []
        self.lines: list[bytes] = []
        self.billed: list[Usage] = []
        self._ids = Ids(f"{stage.adapter} {name}")
        self.folder = stage.playbook / digest(self.worktree)
        self.folder.mkdir()
        self._server = serve(Scenario([Script(replies)])) if stage.live else None
        url = self._server.url if self._server else "http://127.0.0.1:9"  # nobody is asked in a recording
        self.order = replace(self.order, endpoint=Endpoint(url, TOKEN))
        if not stage.live:
            self._lay_out()

    @property
    def server(self) -> Server:
        """The model's server; a live stage's only."""
        assert self._server, "there is no server in a recording"
        return self._server

    def places(self) -> dict[str, str]:
        """What is of this machine and moment only, by the name that recordings have in its place; longer ones first."""
        url = self.order.endpoint.url if self.order.endpoint else "-"
        named = {
            "worktree": str(self.worktree),
            "session_folder": str(self.order.folder),
            "scratch": str(self.order.scratch),
            "place": str(self.stage.place),
            "dashed_place": re.sub(r"[^A-Za-z0-9]", "-", str(self.stage.place)),
            "url": url,
            "host": url.partition("//")[2],
            "python": sys.executable,
            **({"cli": str(self.stage.real.parents[2])} if self.stage.real else {}),
        }
        return dict(sorted(named.items(), key=lambda pair: -len(pair[1])))

    def turn(
        self,
        message: str = "repair it",
        *,
        alone: bool = True,
        heard: Callable[[bytes], None] = lambda _: None,
        **changes: Any,
    ) -> Report:
        """One turn to its end, and what holds after any. `alone`: no other session goes on; `heard` gets each line."""

        def on_line(line: bytes) -> None:
            self.lines.append(line)
            heard(line)

        order = replace(self.order, turn=len(self.reports) + 1, message=message, **changes)
        before = self._now_billed()
        files = _files(self.worktree)
        try:
            report = self.stage.executor().turn(order, on_line)
        finally:
            self.billed.append(self._now_billed() - before if self._server else self._recorded_bill())
            if self.stage.recording and self.given():
                self._keep(files)
        self.reports.append(report)
        self.order = replace(self.order, native=report.native or order.native, total=report.total)
        self._what_always_holds(report, alone=alone)
        return report

    def watched_turn(self, message: str = "repair it", **changes: Any) -> tuple[Report, list[Watched]]:
        """A turn whose processes are looked at while the model is waited for: the first reply's `hold` is this moment."""
        seen: list[Watched] = []
        report = self._turn_with(lambda: seen.extend(w for _, w in tagged()), message, changes)
        return report, seen if self._server else self.given()

    def signalled_turn(self, number: signal.Signals) -> Report:
        """A turn whose command line gets a signal while the model is waited for, from nobody of ours."""

        def kill() -> None:
            for pid, watched in tagged():
                with suppress(ProcessLookupError, FileNotFoundError):  # one that ended meanwhile
                    program = Path(f"/proc/{pid}/exe").readlink().name
                    if not program.startswith("python") and watched.argv[0]:
                        os.kill(pid, number)

        return self._turn_with(kill, "repair it", {}, opens=False)

    def plant(self, files: dict[str, str]) -> None:
        """Files that somebody wrote into the worktree before the turn."""
        for name, text in files.items():
            (self.worktree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.worktree / name).write_text(text, encoding="utf-8")

    def _turn_with(
        self, act: Callable[[], None], message: str, changes: dict[str, Any], *, opens: bool = True
    ) -> Report:
        """A turn; once the model was asked, and before it answers, `act` is called. Without a model it is not."""
        gate = self.replies[0].hold
        assert gate, "the first reply must hold"
        if not self._server:
            return self.turn(message, **changes)
        with ThreadPoolExecutor(1) as pool:
            turn = pool.submit(self.turn, message, **changes)
            try:
                self._server.wait(lambda log: any(r.kind == "turn" for r in log))
                act()
            finally:
                if opens:
                    gate.open()
            return turn.result()

    def given(self) -> list[Watched]:
        """What the program of a recording was started with, turn by turn."""
        return [
            Watched(tuple(g["argv"]), g["environ"], g["stdin"], g["home"])
            for g in (json.loads(p.read_text(encoding="utf-8")) for p in sorted(self.folder.glob("given_*.json")))
        ]

    def close(self) -> None:
        """End the server; keep the recording."""
        if self._server:
            self._server.close()
        if self.stage.recording:
            recording = {"turns": [json.loads(p.read_text()) for p in sorted(self.folder.glob("turn_*.json"))]}
            if recording["turns"]:
                to = self.stage.recordings / self.stage.adapter / f"{self.name}.json"
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_text(json.dumps(recording, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _now_billed(self) -> Usage:
        return self._server.billed() if self._server else Usage()

    def _lay_out(self) -> None:
        recorded = self.stage.recordings / self.stage.adapter / f"{self.name}.json"
        if recorded.exists():
            (self.folder / "recording.json").write_bytes(recorded.read_bytes())
        (self.folder / "places.json").write_text(json.dumps(self.places()), encoding="utf-8")

    def _recorded_bill(self) -> Usage:
        file = self.folder / "recording.json"
        if not file.exists():
            return Usage()
        turns = json.loads(file.read_text(encoding="utf-8"))["turns"]
        return Usage(**turns[len(self.billed)]["billed"])

    def _keep(self, before: dict[str, str]) -> None:
        from tests.record_cli import normal, turn_recording

        number = len(self.billed)
        shell = [c.command for r in self.replies for c in r.calls if isinstance(c, Shell)]
        places = self.places() | session_of(self.given()[-1].argv)
        kept = turn_recording(self.folder / f"captured_{number}", places, self.order.folder, self._ids)
        after = _files(self.worktree)
        kept["files"] = {n: after.get(n) for n in sorted(before | after) if before.get(n) != after.get(n)}
        kept["started"] = [normal(c, places, self._ids) for c in shell] if kept["interrupted"] is not None else []
        kept["billed"] = asdict(self.billed[-1])
        (self.folder / f"turn_{number:02}.json").write_text(json.dumps(kept), encoding="utf-8")

    def _what_always_holds(self, report: Report, *, alone: bool) -> None:
        assert belongings(self.stage.repo.path) == self.checkout, "the user's checkout was touched"
        assert not (alone and tagged()), "something of ours is alive"
        assert report.state in {"completed", "failed", "killed", "timed_out", "interrupted", "blocked"}
        assert min(asdict(report.usage).values()) >= 0
        for watched in self.given():
            assert not _leaks(" ".join(watched.argv)), "a secret is in the arguments"
            assert not _leaks(json.dumps(watched.environ)), "a secret is in the environment"
        assert not _leaks(report.message)
        if self._server:
            assert not [r.path for r in self._server.requests if r.kind in {"websocket", "connect", "unknown"}]
            assert {r.key for r in self._server.requests if r.provider} <= {key_hash(TOKEN)}
            assert not [r for r in self._server.requests if _leaks(r.text)], "a secret reached the model"


@dataclass(frozen=True, slots=True)
class Watched:
    """A process as others can see it. `stdin` and `home` (its text files) are known of a recording's program only."""

    argv: tuple[str, ...]
    environ: dict[str, str]
    stdin: str = ""
    home: dict[str, str] = field(default_factory=dict)


def _leaks(text: str) -> list[str]:
    return [name for name, value in SECRETS.items() if value in text]


def tagged() -> list[tuple[int, Watched]]:
    """Every live process that this test process started by way of the package."""
    found = []
    for pid, _ in proc.tagged(proc._run_tag):
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended meanwhile
            continue
        found.append((pid, Watched(tuple(argv), dict(e.split("=", 1) for e in environ if "=" in e))))
    return found


def alive(mark: str) -> list[str]:
    """Command lines of live processes, anybody's, that have `mark` in an argument."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in line:
                found.append(line)
    return found


def _order(adapter: Adapter, place: Path, worktree: Path, workbench: Workbench) -> Order:
    failure = Failure("tests", "test_calc.py::test_add", "assert -1 == 3")
    task = Task("t1", "test_add is red", "f", "tests", (failure,), "repair test_add")
    folder, scratch = place / "session", place / "scratch"
    folder.mkdir()
    scratch.mkdir()
    return Order(
        "s1", 1, MODELS[adapter], task, "", worktree, workbench, folder, scratch, 120.0, 60.0, conduct=Conduct()
    )  # fmt: skip


def _files(folder: Path) -> dict[str, str]:
    """Text files of a worktree by name, git's own left out."""
    return {
        p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8", errors="surrogateescape")
        for p in folder.rglob("*")
        if p.is_file() and p.name != ".git"
    }


__all__ = ["Gate", "Scene", "Stage", "Watched", "alive", "tagged"]
