"""A planning CLI in claude's clothes: it starts the MCP server that it is given and calls what its script says, a line a call.

The script lies beside the program that starts this; how far it came lies with the conversation, so that a resumed one goes on:
a call that got no answer is made again. Standard library only, for it is started as a program of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any


class Host:
    """One turn."""

    def __init__(self, here: Path, argv: list[str]) -> None:
        self.here, self.argv = here, argv
        self.session = self.flag("--resume") or self.flag("--session-id")
        folder = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", re.sub(r"[^A-Za-z0-9]", "-", str(Path.cwd())))
        folder.mkdir(parents=True, exist_ok=True)
        self.transcript = folder / f"{self.session}.jsonl"
        if self.flag("--resume") and not self.transcript.exists():
            sys.exit("No conversation found with session ID")
        self.transcript.touch()
        self.seen = [json.loads(line) for line in self.transcript.read_text().splitlines()]
        config = json.loads(Path(self.flag("--mcp-config")).read_text())["mcpServers"]["zwarm"]
        self.server = subprocess.Popen(
            [config["command"], *config["args"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **config["env"]},
        )  # fmt: skip
        self.number = 0
        self.ask(
            "initialize",
            {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "fake", "version": "1"}},
        )
        self.send({"method": "notifications/initialized"})

    def flag(self, name: str) -> str:
        return self.argv[self.argv.index(name) + 1] if name in self.argv else ""

    def send(self, message: dict[str, Any]) -> None:
        assert self.server.stdin
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.server.stdin.flush()

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        assert self.server.stdout
        for line in self.server.stdout:
            said = json.loads(line)
            if said.get("id") == self.number:
                return dict(said["result"])
        sys.exit("the server is gone")

    def turn(self, prompt: str) -> None:
        self.tell(type="system", subtype="init", session_id=self.session)
        with Path(os.environ["CLAUDE_CONFIG_DIR"], "prompts.jsonl").open("a") as file:
            file.write(json.dumps({"prompt": prompt, "argv": self.argv, "session": self.session}) + "\n")
        said = "nothing more to do"
        script = json.loads((self.here / "script.json").read_text())
        while len(self.seen) < len(script):
            item = script[len(self.seen)]
            if "say" in item:
                said = item["say"]
                self.keep(item)
                break
            if "gate" in item:
                Path(item["gate"]).read_bytes()  # until a test lets go
                self.keep(item)
            else:
                self.call(item["tool"], self.filled(item["args"]))
        self.tell(
            type="result", subtype="success", is_error=False, result=said, session_id=self.session, total_cost_usd=0.01, usage={},
            modelUsage={"claude-sonnet-4-5": {"inputTokens": 100, "outputTokens": 10}},
        )  # fmt: skip

    def call(self, tool: str, args: dict[str, Any]) -> None:
        block = {"type": "tool_use", "id": f"t{len(self.seen)}", "name": f"mcp__zwarm__{tool}", "input": args}
        self.tell(type="assistant", message={"id": f"m{len(self.seen)}", "content": [block]})
        if tool == "chat":  # asked once, whatever becomes of the answer
            self.keep({"tool": tool, "answer": {}})
        text = self.ask("tools/call", {"name": tool, "arguments": args})["content"][0]["text"]
        answer = {"type": "tool_result", "tool_use_id": block["id"], "content": text}
        self.tell(type="user", message={"content": [answer]})
        if tool != "chat":
            self.keep({"tool": tool, "answer": json.loads(text)})

    def filled(self, args: dict[str, Any]) -> dict[str, Any]:
        """`$0` is the first session that was delegated to."""
        ids = [s["answer"]["session_id"] for s in self.seen if s.get("tool") == "delegate" and s["answer"]["success"]]

        def value(given: Any) -> Any:
            return ids[int(given[1:])] if isinstance(given, str) and re.fullmatch(r"\$\d", given) else given

        return {key: value(given) for key, given in args.items()}

    def keep(self, record: dict[str, Any]) -> None:
        self.seen.append(record)
        with self.transcript.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def tell(self, **event: Any) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def main(here: Path, argv: list[str]) -> int:
    """Play one turn."""
    if "--version" in argv:
        sys.stdout.write("2.1.197 (Claude Code)\n")
        return 0
    Host(here, argv).turn(sys.stdin.read())
    return 0
