"""A CLI that says what a test tells it to, and writes down what it was given; started through ZWARM_CI_CODEX or ZWARM_CI_CLAUDE."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zwarm_ci.executors.base import Order, Workbench
from zwarm_ci.task import Endpoint, Task

_PROGRAM = """#!{python} -S
import json, os, signal, sys
from pathlib import Path
here = Path(__file__).resolve().parent
def end(*_):
    sys.stdout.buffer.write((here / "last.bin").read_bytes())
    sys.exit(1)
signal.signal(signal.SIGINT, end)
told = {{"argv": sys.argv[1:], "env": dict(os.environ), "stdin": sys.stdin.read(), "cwd": os.getcwd()}}
(here / "told.json").write_text(json.dumps(told))
for name, text in json.loads((here / "files.json").read_text()).items():
    path = Path(name.replace("$HOME", os.environ["HOME"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
sys.stdout.buffer.write((here / "stdout.bin").read_bytes())
sys.stdout.flush()
sys.stderr.write((here / "stderr.txt").read_text())
sys.stderr.flush()
if {hangs}:
    signal.pause()
if {code} < 0:
    os.kill(os.getpid(), -{code})
sys.exit({code})
"""


@dataclass(frozen=True)
class ToldCli:
    """The program's folder."""

    folder: Path

    def says(
        self,
        *events: dict[str, Any] | bytes,
        code: int = 0,
        stderr: str = "",
        hangs: bool = False,
        last: Sequence[dict[str, Any]] = (),
        files: dict[str, str] | None = None,
    ) -> None:
        """What it prints (an event as a line, bytes as they are), what it writes, and how it ends; a negative code is a signal.

        `last` is what it prints when it is interrupted.
        """
        (self.folder / "last.bin").write_bytes(b"".join(json.dumps(e).encode() + b"\n" for e in last))
        out = b"".join(e if isinstance(e, bytes) else json.dumps(e).encode() + b"\n" for e in events)
        (self.folder / "stdout.bin").write_bytes(out)
        (self.folder / "stderr.txt").write_text(stderr)
        (self.folder / "files.json").write_text(json.dumps(files or {}))
        program = self.folder / "program"
        program.write_text(_PROGRAM.format(python=sys.executable, hangs=hangs, code=code))
        program.chmod(0o755)

    @property
    def told(self) -> dict[str, Any]:
        """Its arguments, environment, standard input and folder, as it was last started."""
        given: dict[str, Any] = json.loads((self.folder / "told.json").read_text())
        return given

    @property
    def argv(self) -> Sequence[str]:
        """Its arguments."""
        given: list[str] = self.told["argv"]
        return given


def told_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> ToldCli:
    """A fresh one, found through `variable`."""
    folder = tmp_path / "cli"
    folder.mkdir()
    monkeypatch.setenv(variable, str(folder / "program"))
    return ToldCli(folder)


def order(tmp_path: Path, **changes: Any) -> Order:
    """A first turn with a gateway's endpoint."""
    worktree = tmp_path / "worktree"
    worktree.mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "session": "s1",
        "turn": 1,
        "model": "a-model",
        "task": Task("t1", "title", "f", "tests", ()),
        "message": "the prompt",
        "worktree": worktree,
        "workbench": Workbench(tmp_path, tmp_path, "base", ()),
        "folder": tmp_path / "state" / "s1",
        "scratch": tmp_path / "scratch",
        "timeout": 20.0,
        "silence": 20.0,
        "endpoint": Endpoint("http://127.0.0.1:9", "token-of-the-session"),
    }
    return Order(**{**given, **changes})
