"""What it costs to wait for sessions: parallel sessions through our executors, the same ones bare, and polled every 15 seconds.

All ways run the same sessions on the same slots in one run. Without `--real` the sessions are those of a program that only
sleeps and prints; with it, real CLIs on a scripted model that thinks as long, and the bytes of their requests are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.executors import claude, codex
from zwarm_ci.executors.base import Executor, Order, Workbench
from zwarm_ci.executors.claude import Claude
from zwarm_ci.executors.codex import Codex
from zwarm_ci.task import Endpoint, Task

WALL, BUSY, BYTES = 1.10, 0.05, 1.10  # what may be spent beside the bare sessions
_EVERY = 15.0  # seconds between two looks, as the system does that this one continues
_MODELS = {"codex": "gpt-5.5", "claude": "claude-sonnet-4-5"}
_TASK = "Say done and nothing else."


@dataclass(frozen=True, slots=True)
class Plan:
    """Which sessions: how many, how many at once, how long each, with what, and where its model is ("" = it has none)."""

    sessions: int
    slots: int
    seconds: float
    adapter: str
    program: Path
    url: str = ""

    @property
    def prompt(self) -> str:
        """What a session is told."""
        return _TASK if self.url else f"{self.seconds}\n"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, of this process's and of its children's processor time; requests and their bytes, where counted."""

    wall: float
    own: float
    children: float
    calls: int = 0
    sent: int = 0


Session = Callable[[Path], None]


def measured(plan: Plan, session: Session) -> Cost:
    """Run all sessions, each in a folder of its own.

    Raises:
        SystemExit: one of them failed; its time would mean nothing.
    """
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(plan.slots) as pool:
        folders = [Path(place) / f"s{number}" for number in range(plan.sessions)]
        for folder in folders:
            (folder / "work").mkdir(parents=True)
        own, children, started = _used(resource.RUSAGE_SELF), _used(resource.RUSAGE_CHILDREN), time.monotonic()
        list(pool.map(session, folders))
        wall = time.monotonic() - started
        return Cost(wall, _used(resource.RUSAGE_SELF) - own, _used(resource.RUSAGE_CHILDREN) - children)


def _used(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def ours(plan: Plan) -> Session:
    """Through the executor, as the loop does it."""
    executor: Executor = Codex() if plan.adapter == "codex" else Claude()

    def session(folder: Path) -> None:
        bench = Workbench(folder, folder, "HEAD", ())
        order = Order(
            folder.name, 1, _MODELS[plan.adapter], Task("t", "t", "f", "tests", ()), plan.prompt, folder / "work", bench,
            folder / "session", folder / "tmp", plan.seconds * 10 + 60, plan.seconds * 5 + 60,
            endpoint=Endpoint(plan.url, "worth-nothing") if plan.url else None,
        )  # fmt: skip
        report = executor.turn(order, lambda _: None)
        if report.state != "completed":
            raise SystemExit(f"{folder.name}: {report.state}: {report.message}")

    return session


def bare(plan: Plan, wait: Callable[[subprocess.Popen[bytes]], int]) -> Session:
    """The CLI with a fresh home and nothing of ours; telemetry off, for it would go to the network."""

    def session(folder: Path) -> None:
        argv, env = _bare_command(plan, folder)
        with (
            (folder / "out").open("wb") as out,
            (folder / "err").open("wb") as err,
            (folder / "in").open("w+") as given,
        ):
            given.write(plan.prompt)
            given.seek(0)
            child = subprocess.Popen(argv, cwd=folder / "work", env=env, stdin=given, stdout=out, stderr=err)
            if code := wait(child):
                raise SystemExit(
                    f"{folder.name}: bare {plan.adapter} ended with {code}: {(folder / 'err').read_text()[-500:]}"
                )

    return session


def _bare_command(plan: Plan, folder: Path) -> tuple[list[str], Mapping[str, str]]:
    home, model = folder / "home", _MODELS[plan.adapter]
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "KEY": "worth-nothing"}
    if not plan.url:
        return [str(plan.program)], env
    if plan.adapter == "codex":
        provider = f'{{name="bare",base_url="{plan.url}/v1",env_key="KEY",wire_api="responses"}}'
        flags = [
            "-c",
            'model_provider="bare"',
            "-c",
            f"model_providers.bare={provider}",
            "-c",
            "analytics.enabled=false",
        ]
        argv = [str(plan.program), "exec", "--json", "--skip-git-repo-check", "--sandbox", "workspace-write", *flags]
        return [*argv, "--disable", "plugins", "-m", model, "-"], env
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    argv = [str(plan.program), "-p", "--output-format", "stream-json", "--verbose", "--model", model]
    argv += ["--permission-mode", "acceptEdits", "--allowedTools", "Bash"]
    return argv, env | quiet | {"ANTHROPIC_BASE_URL": plan.url, "ANTHROPIC_API_KEY": "worth-nothing"}


def polled(child: subprocess.Popen[bytes]) -> int:
    """Look every 15 seconds."""
    while child.poll() is None:
        time.sleep(_EVERY)
    return child.returncode


def counted(plan: Plan, session: Callable[[Plan], Session]) -> Cost:
    """A measurement with a model server of its own, in its own process, and what that got."""
    server = [sys.executable, __file__, "--serve", str(plan.seconds)]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        url = child.stdout.readline().strip()
        there = Plan(plan.sessions, plan.slots, plan.seconds, plan.adapter, plan.program, url)
        cost = measured(there, session(there))
        calls, sent = json.loads(child.communicate()[0])
    return Cost(cost.wall, cost.own, cost.children, calls, sent)


def serve(seconds: float) -> None:
    """Be the model: one answer a conversation, after so many seconds, until standard input closes; then say what came."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests import fakemodel

    with fakemodel.serve(fakemodel.scenario(fakemodel.Reply("done", seconds=seconds))) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        posts = [request for request in server.requests if request.method == "POST"]
        print(json.dumps([len(posts), sum(request.body_bytes for request in posts)]))


def compare(plan: Plan, *, real: bool) -> bool:
    """Measure the three ways, print them; whether ours is within its bounds."""
    ways: dict[str, Callable[[Plan], Session]] = {
        "bare": lambda there: bare(there, lambda child: child.wait()),
        "ours": ours,
        f"polled every {_EVERY:.0f} s": lambda there: bare(there, polled),
    }
    costs = {name: counted(plan, way) if real else measured(plan, way(plan)) for name, way in ways.items()}
    first, own = costs["bare"], costs["ours"]
    print(f"{plan.adapter} ({plan.program.name}): {plan.sessions} sessions of {plan.seconds:g} s on {plan.slots} slots")
    print(f"{'':<20}{'wall s':>9}{'ratio':>8}{'own cpu':>9}{'children':>10}{'calls':>7}{'bytes':>10}")
    for name, cost in costs.items():
        shares = f"{cost.wall / first.wall:>8.3f}{cost.own / cost.wall:>9.2%}{cost.children:>8.1f} s"
        print(f"{name:<20}{cost.wall:>9.2f}{shares}{cost.calls:>7}{cost.sent:>10}")
    bounds = [
        (f"wall {own.wall / first.wall:.3f} of bare", own.wall <= WALL * first.wall, f"{WALL}"),
        (f"busy {own.own / own.wall:.2%} of a core", own.own < BUSY * own.wall, f"{BUSY:.0%}"),
    ]
    if real:
        bounds.append(
            (f"request bytes {own.sent / first.sent:.3f} of bare", own.sent <= BYTES * first.sent, f"{BYTES}")
        )
    for said, kept, bound in bounds:
        print(f"  {'kept' if kept else 'BROKEN'}: {said} (at most {bound})")
    return all(kept for _, kept, _ in bounds)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and judge: 1 where a bound was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=16, metavar="N", help="sessions in all [16]")
    parser.add_argument("--slots", type=int, default=4, metavar="N", help="sessions at once [4]")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="how long one takes at least [20]")
    parser.add_argument(
        "--real", default="", metavar="CLIS", help="real CLIs instead, e.g. codex,claude (as the executors find them)"
    )
    parser.add_argument("--serve", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.serve:
        serve(given.serve)
        return 0
    kept = True
    if given.real:
        for adapter in given.real.split(","):
            program = (codex.PROGRAM if adapter == "codex" else claude.PROGRAM).find()
            if program is None:
                parser.error(f"{adapter} is not installed")
            kept &= compare(Plan(given.sessions, given.slots, given.seconds, adapter, program), real=True)
    else:
        program = Path(__file__).with_name("slow_cli.py")
        with tempfile.TemporaryDirectory() as place:
            start = Path(place) / "slow-cli"
            start.write_text(f"#!{sys.executable}\n{program.read_text(encoding='utf-8')}")
            start.chmod(0o755)
            os.environ["ZWARM_CI_CODEX"] = str(start)
            kept = compare(Plan(given.sessions, given.slots, given.seconds, "codex", start), real=False)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
