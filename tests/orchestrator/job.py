"""A job for a host: a repository with three red tests, sessions of a CLI that repair them, and a host's model that plans it all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conformance.stage import Adapter
from tests.fakemodel import Reply, Scenario, Script, Shell, Tool
from tests.fakemodel.scenario import Call
from tests.support import Repo
from zwarm_ci.task import Usage

KEYS = {"codex": "sk-of-a-test-00000000000000000001", "claude": "sk-ant-of-a-test-000000000000001"}
RUNGS = {"codex": "codex:mini", "claude": "claude:sonnet"}
USED = Usage(500, 400, 0, 50)
NAMES = ("alpha", "beta", "gamma")
RIGHT = {"alpha": "a + b", "beta": "a * b", "gamma": "max(a, b)"}
VALUES = {"alpha": (5, 42), "beta": (6, 400), "gamma": (3, 22)}
TASK = "Three functions are wrong: alpha.py, beta.py and gamma.py. Repair them; their tests say what is right."


def source(name: str, text: str) -> str:
    return f"def {name}(a, b):\n    return {text}\n"


def repository(place: Path) -> Repo:
    """Three modules, each with a red test."""
    files = {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p no:cacheprovider'\n"}
    for name in NAMES:
        files[f"{name}.py"] = source(name, "None")
        first, second = VALUES[name]
        files[f"test_{name}.py"] = (
            f"from {name} import {name}\n\n\ndef test_{name}():\n    assert {name}(2, 3) == {first}\n    assert {name}(20, 22) == {second}\n"
        )
    files["test_beta.py"] = files["test_beta.py"].replace("(20, 22)", "(20, 20)")
    return Repo.make(place, files)


def environ(url: str) -> dict[str, str]:
    """Keys and upstreams for both CLIs, at one scripted model."""
    return {
        "OPENAI_API_KEY": KEYS["codex"], "OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_API_KEY": KEYS["claude"], "ANTHROPIC_BASE_URL": url,
    }  # fmt: skip


def writes(name: str, text: str) -> Shell:
    """A session's edit."""
    return Shell(f"cat > {name}.py <<'EOF'\n{source(name, text)}EOF")


class Plan:
    """What a host's model says, one reply a step; calls of our tools in the host's own form."""

    def __init__(self, host: Adapter) -> None:
        self._host = host
        self.replies: list[Reply] = []

    def tool(self, name: str, **args: Any) -> Tool:
        if self._host == "claude":
            return Tool(f"mcp__zwarm__{name}", args)
        return Tool(name, args, "mcp__zwarm")

    def say(self, *calls: Call, text: str = "", **more: Any) -> None:
        """These calls; none = the turn ends with `text`."""
        self.replies.append(Reply(text, calls, usage=USED, **more))

    def late(self, make: Callable[[Ids], Sequence[Call]], **more: Any) -> None:
        """Calls that name sessions by their number, from 0."""
        self.replies.append(Reply(usage=USED, late=lambda text: make(Ids(text)), **more))

    def delegate(self, name: str, **more: Any) -> Tool:
        """A task as a good orchestrator gives it; its session's script is found by its first words."""
        task = f"Task {name}: {name}() in {name}.py returns the wrong thing. test_{name}.py must pass; change no test."
        return self.tool("delegate", task=task, expects=[f"test_{name}.py"], **more)


class Ids:
    """The ids of sessions in a conversation, in the order in which they were begun."""

    def __init__(self, text: str) -> None:
        found = re.findall(r'session_id[\\": ]+([0-9a-f]{12})[\\", ]+status[\\": ]+(?:pending|running)', text)
        self.all = tuple(dict.fromkeys(found))
        #: Every id that is named, in that order; after a compaction `status` alone names any.
        self.named = tuple(dict.fromkeys(re.findall(r'session_id[\\": ]+([0-9a-f]{12})', text)))

    def __getitem__(self, number: int) -> str:
        return str(self.all[number])


def scenario(plan: Plan, sessions: Mapping[str, Sequence[Reply]], **more: Any) -> Scenario:
    """The host's script, and one for each session by the words that its task begins with."""
    scripts = [Script(replies, rf"\bTask {name}\b", name) for name, replies in sessions.items()]
    return Scenario([Script(plan.replies, "Your task:|The run was interrupted", "host"), *scripts], **more)


def steps(repo: Repo) -> list[dict[str, Any]]:
    """The calls of the newest run, as its journal has them."""
    journal = max((repo.path / ".zwarm" / "runs").glob("2*")) / "journal.jsonl"
    found: dict[int, dict[str, Any]] = {}
    for line in journal.read_text().splitlines():
        entry = json.loads(line)
        if entry["kind"] == "tool_called":
            found[entry["step"]] = {**entry, "called_at": entry["at"]}
        elif entry["kind"] == "tool_answered":
            found[entry["step"]].update(entry)
    return [found[number] for number in sorted(found)]


def answered(step: Mapping[str, Any]) -> float:
    """Seconds that a call took."""
    return float(step["at"]) - float(step["called_at"])
