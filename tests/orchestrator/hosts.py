"""A host whose script a test writes, over the yard's repository and its obedient sessions; `orchestrate` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes import host_cli
from tests.orchestrator import job
from tests.orchestrator.yard import RIGHT_ADD, RIGHT_DOUBLE, Yard
from tests.support import Said, zwarm

ADD, DOUBLE = "add", "double"
#: Two checks that take no time, since it is the host that is under test.
CHECKS = """\
[checks.add]
run = "grep -q 'a + b' calc.py"
[checks.double]
run = "grep -q 'a . 2' calc.py"
[executor]
ladder = ["codex:gpt-5.1-codex-mini"]
[verify]
reruns = 1
burn_in = 1
"""
Item = dict[str, Any]
#: What solves the yard's two faults in one session each.
DELEGATE_ADD: Item = {"tool": "delegate", "args": {"task": f"{RIGHT_ADD}\nsay add is right", "expects": [ADD]}}
DELEGATE_DOUBLE: Item = {
    "tool": "delegate",
    "args": {"task": f"{RIGHT_DOUBLE}\nsay double is right", "expects": [DOUBLE]},
}
EXIT: Item = {"tool": "exit", "args": {"summary": "both are repaired"}}
WAIT: Item = {"tool": "wait", "args": {"mode": "all"}}


def on(tool: str, *sessions: int, **args: Any) -> list[Item]:
    """A tool called on sessions by their number."""
    return [{"tool": tool, "args": {"session_id": f"${n}", **args}} for n in sessions]


#: The whole job.
JOB: list[Item] = [
    {"tool": "status", "args": {}}, DELEGATE_ADD, DELEGATE_DOUBLE, WAIT, *on("verify", 0, 1), *on("accept", 0, 1), EXIT,
]  # fmt: skip


class Stage:
    """The yard with a host in it."""

    def __init__(self, yard: Yard) -> None:
        self.yard, self.repo = yard, yard.repo
        self.folder = yard.tmp / "host"
        self.folder.mkdir()
        self.program = self.folder / "claude"
        root = Path(host_cli.__file__).parents[2]
        self.program.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(root)!r})\nfrom pathlib import Path\n"
            f"from tests.fakes.host_cli import main\nsys.exit(main(Path({str(self.folder)!r}), sys.argv[1:]))\n"
        )
        self.program.chmod(0o755)
        login = Path(os.environ["HOME"]) / ".claude"
        login.mkdir()
        (login / ".credentials.json").write_text('{"claudeAiOauth": {"accessToken": "x"}}')

    @property
    def env(self) -> dict[str, str]:
        return {**self.yard.env, "ZWARM_CI_CLAUDE": str(self.program)}

    def script(self, *items: Item) -> None:
        """What the host does, from the first call on."""
        (self.folder / "script.json").write_text(json.dumps(items))

    def run(self, *args: str, task: str = "repair add and double") -> Said:
        """`orchestrate` to its end."""
        task_args = () if "--resume" in args else ("--task", task)
        return zwarm("orchestrate", *task_args, "--yes", "--json", *args, cwd=self.repo.path, **self.env)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """`orchestrate`, left running."""
        return subprocess.Popen(
            [sys.executable, "-m", "zwarm_ci", "orchestrate", "--task", "repair add and double", "--yes", "--json", *args],
            cwd=self.repo.path, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    @property
    def prompts(self) -> list[dict[str, Any]]:
        """What the host was told and started with, turn by turn."""
        file = self.newest / "orchestrator" / "host" / "home" / ".claude" / "prompts.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]

    @property
    def newest(self) -> Path:
        """The folder of the newest run, ended or not."""
        return max((self.repo.path / ".zwarm" / "runs").glob("2*"))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The calls of the newest run, as its journal has them."""
        return job.steps(self.repo)

    @property
    def served(self) -> list[dict[str, Any]]:
        """Those that were not refused: a host that is quicker than its end gets nothing any more."""
        return [step for step in self.steps if step.get("success")]

    def noted(self, key: str) -> dict[str, Any]:
        """What the newest run has noted by that name, as its file has it now."""
        state = json.loads((self.newest / "orchestrator" / "state.json").read_text())["state"]
        return dict(json.loads(dict(state["notes"]).get(key, "{}")))

    def answers(self) -> list[dict[str, Any]]:
        """What the host's calls were answered, in the order of its own record."""
        (transcript,) = self.newest.glob("orchestrator/host/home/.claude/projects/*/*.jsonl")
        return [json.loads(line) for line in transcript.read_text().splitlines()]
