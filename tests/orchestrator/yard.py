"""A repository with two faults, a program that stands in for codex and obeys its prompt, and the toolset over both."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests import gates
from tests.support import Repo
from tests.test_session_cli import CODEX
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.selection import Request
from zwarm_ci.sessions import Store, watch

CALC = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 3\n\n\ndef neg(a):\n    return -a\n"
TESTS = (
    "from calc import add, double, neg\n\n\ndef test_add():\n    assert add(2, 3) == 5\n\n\n"
    "def test_double():\n    assert double(4) == 8\n\n\ndef test_neg():\n    assert neg(1) == -1\n"
)
ADD, DOUBLE, NEG = (f"test_calc.py::test_{name}" for name in ("add", "double", "neg"))
CONFIG = (
    '[checks.tests]\nrun = "{python} -m pytest -q"\nkind = "pytest"\n\n[executor]\nladder = ["codex:gpt-5.1-codex-mini"]\n\n'
    "[verify]\nreruns = 0\nburn_in = 0\n"
)
FILES = {"calc.py": CALC, "test_calc.py": TESTS, ".gitignore": ".zwarm/*\n!.zwarm/config.toml\n"}


def replaced(old: str, new: str) -> str:
    """A line of a task that has the program edit calc.py."""
    return f"edit calc.py|{old}|{new}"


RIGHT_ADD, RIGHT_DOUBLE = replaced("a - b", "a + b"), replaced("a * 3", "a * 2")
#: One more verb for the program: replace a text in a file.
_EDIT = """    elif verb == "edit":
        name, old, new = rest.split("|")
        path = os.path.join(tree, name)
        text = open(path).read()
        assert old in text, text
        open(path, "w").write(text.replace(old, new))
        item(type="file_change", changes=[dict(path=path, kind="update")], status="completed")
    elif verb == "say":
"""


class Yard:
    """The repository and what is served over it."""

    def __init__(self, tmp: Path, files: dict[str, str] | None = None) -> None:
        self.tmp = tmp
        self.config = CONFIG.format(python=sys.executable)
        config = {".zwarm/config.toml": self.config}
        self.repo = Repo.make(tmp / "repo")
        self.repo.write({**FILES, **config, **(files or {})})
        self.repo.git("add", "-A")
        self.repo.git("commit", "-q", "-m", "first")
        self.codex = tmp / "codex"
        self.codex.write_text(CODEX.replace('    elif verb == "say":\n', _EDIT).format(python=sys.executable))
        self.codex.chmod(0o755)
        home = Path(os.environ["HOME"]) / ".codex"
        home.mkdir()
        (home / "auth.json").write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "x"}}')
        (tmp / "tmp").mkdir()
        self.store = Store(self.repo.path / ".zwarm")
        self.served: list[Toolset] = []

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to find the program."""
        return {"ZWARM_CI_CODEX": str(self.codex), "TMPDIR": str(self.tmp / "tmp")}

    def begin(self, words: str = "", **more: Any) -> Toolset:
        """The toolset of a new run in this process."""
        request = Request("orchestrate", self.repo.path, words=words)
        self.served.append(Toolset.begin(request, **more))
        return self.served[-1]

    def resume(self, run: str = "latest", **more: Any) -> Toolset:
        """The toolset of a run that goes on."""
        self.served.append(Toolset.resume(self.repo.path, run, **more))
        return self.served[-1]

    def close(self) -> None:
        """End whatever a test left."""
        for tools in self.served:
            tools.close()
        for meta in self.store.all()[0]:
            handle = meta.owner.pidfd() if meta.live and meta.owner.pid != os.getpid() else None
            if handle is not None:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)
            watch.sweep(meta)

    def gate(self) -> AbstractContextManager[Path]:
        """See `gates.gate`."""
        return gates.gate(self.tmp)

    def state(self, session_id: str) -> str:
        """How a session stands."""
        return self.store.load(session_id).state

    def at_gate(self, session_id: str) -> None:
        """See `gates.at_gate`."""
        gates.at_gate(self.store, session_id)


def good(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a call that went well."""
    assert answer["success"], answer
    return answer


def bad(answer: dict[str, Any]) -> str:
    """Why a call was refused, with what to do."""
    assert not answer["success"], answer
    return f"{answer['error']} ({answer['hint']})"


def done(tools: Toolset, task: str, **args: Any) -> str:
    """A session that was delegated to and whose turn has ended."""
    session: str = good(tools.call("delegate", {"task": task, **args}))["session_id"]
    assert not good(tools.call("wait", {"session_ids": [session]}))["pending"]
    return session
