"""A workflow's step without a workflow: the variables, files and event that GitHub's runner gives, and what the step left in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPO, REPO_ID, OWNER = "octo/shop", 1296269, 583231
#: What starts the program in action.yml's own step; `-I` too, so that no file of the repository is a module of ours.
ENTRY = (sys.executable, "-I", "-m", "zwarm_ci", "action")
#: What tests let through of their own environment: where programs are, and what makes a fresh environment work.
_KEPT = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def user(login: str = "octocat", number: int = OWNER, kind: str = "User") -> dict[str, Any]:
    return {"id": number, "login": login, "type": kind}


def repository(name: str = REPO, number: int = REPO_ID) -> dict[str, Any]:
    return {
        "id": number, "full_name": name, "name": name.partition("/")[2], "default_branch": "main", "owner": user("octo", 1), "fork": False,
        "private": False,
    }  # fmt: skip


def push(sha: str, ref: str = "refs/heads/main", message: str = "a change") -> dict[str, Any]:
    return {
        "ref": ref, "before": "0" * 40, "after": sha, "repository": repository(), "sender": user(), "deleted": False,
        "head_commit": {"id": sha, "message": message},
    }  # fmt: skip


def pull(
    sha: str, *, head: tuple[str, int] = (REPO, REPO_ID), association: str = "OWNER", number: int = 7
) -> dict[str, Any]:
    found = {
        "number": number, "title": "a change", "body": "", "state": "open", "user": user(), "author_association": association, "labels": [],
        "head": {"sha": sha, "ref": "topic", "repo": repository(*head)},
        "base": {"sha": "0" * 40, "ref": "main", "repo": repository()},
        "updated_at": "2026-01-01T12:00:00Z", "created_at": "2026-01-01T12:00:00Z",
    }  # fmt: skip
    return {"action": "opened", "number": number, "pull_request": found, "repository": repository(), "sender": user()}


def comment(text: str, association: str = "NONE", number: int = 3) -> dict[str, Any]:
    who, at = user("mallory", 666), "2026-01-01T12:00:00Z"
    issue = {
        "number": number, "title": "it breaks", "body": "", "state": "open", "user": user(), "author_association": "OWNER", "labels": [],
        "created_at": at, "updated_at": at,
    }  # fmt: skip
    said = {"id": 99, "body": text, "user": who, "author_association": association, "created_at": at, "updated_at": at}
    return {"action": "created", "issue": issue, "comment": said, "repository": repository(), "sender": who}


@dataclass
class Step:
    """What a step printed and left."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Job:
    """A job's machine: its temporary folder, its checkout, and the environment of its steps."""

    folder: Path
    checkout: Path
    event: str
    payload: Mapping[str, Any]
    environ: dict[str, str] = field(default_factory=dict)
    steps: int = 0

    @property
    def temp(self) -> Path:
        return self.folder / "temp"

    def environment(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """All variables of the next step."""
        self.steps += 1
        self.temp.mkdir(parents=True, exist_ok=True)
        event = self.folder / "event.json"
        event.write_text(json.dumps(self.payload), encoding="utf-8")
        given = {name: os.environ[name] for name in _KEPT if name in os.environ}
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=self.checkout, capture_output=True, text=True, check=False
        )
        given |= {
            "CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(self.temp), "RUNNER_OS": "Linux", "GITHUB_REPOSITORY": REPO,
            "GITHUB_EVENT_NAME": self.event, "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": head.stdout.strip(), "GITHUB_RUN_ID": "4242",
            "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_WORKFLOW": "repair", "GITHUB_WORKSPACE": str(self.checkout),
            "GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_SERVER_URL": "http://127.0.0.1:9",
        }  # fmt: skip
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            file = self.folder / f"{name.lower()}_{self.steps}"
            file.touch()
            given[name] = str(file)
        wanted = {f"ZWARM_CI_INPUT_{name.upper().replace('-', '_')}": value for name, value in inputs.items()}
        return {**given, **self.environ, **wanted}

    def run(self, inputs: Mapping[str, str] | None = None, **more: str) -> Step:
        """One step, to its end."""
        env = {**self.environment(inputs or {}), **more}
        done = subprocess.run(
            ENTRY, cwd=self.checkout, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
        )  # fmt: skip
        return self.left(done.returncode, done.stdout.decode("utf-8", "replace"))

    def left(self, code: int, log: str) -> Step:
        """What the last step left."""
        outputs = (self.folder / f"github_output_{self.steps}").read_text(encoding="utf-8")
        summary = (self.folder / f"github_step_summary_{self.steps}").read_text(encoding="utf-8")
        return Step(code, log, parsed(outputs), summary)


def parsed(text: str) -> dict[str, str]:
    """GITHUB_OUTPUT as the runner reads it."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, mark, word = line.partition("<<")
        assert mark, line
        value: list[str] = []
        for inner in lines:
            if inner == word:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


def obeyed(log: str) -> list[str]:
    """Lines that the runner would take for commands: not those between `::stop-commands::WORD` and `::WORD::`."""
    found, word = [], ""
    for line in log.splitlines():
        text = line.strip()
        if word:
            word = "" if text == f"::{word}::" else word
        elif text.startswith("::"):
            found.append(text)
            word = text.removeprefix("::stop-commands::") if text.startswith("::stop-commands::") else ""
    return found
