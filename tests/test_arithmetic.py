"""No token is charged twice and none is lost, however turns, resumes, fresh sessions and ends of all kinds follow each other.

The two CLIs are played by models of their counters (how the real ones count is held by tests with their binaries): codex prints the
whole thread's count over all its processes, claude the count of this process. The executors make each turn's usage of it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zwarm_ci import pricing
from zwarm_ci.executors import cli
from zwarm_ci.executors.base import Executor, Order, Report, Workbench
from zwarm_ci.executors.claude import Claude
from zwarm_ci.executors.codex import Codex
from zwarm_ci.proc import Exit
from zwarm_ci.task import Task, Usage

End = Literal["normal", "failed", "interrupted", "killed"]
MODELS = {"codex": "gpt-5.1-codex-mini", "claude": "claude-sonnet-4-5-20250929"}
TASK = Task("t", "title", "f", "tests", ())


@dataclass(frozen=True)
class Turn:
    """What a session does in one turn: model calls, each with its tokens as the server counts them, and how it ends."""

    session: int
    calls: tuple[Usage, ...]
    end: End = "normal"
    fresh: bool = False


def calls() -> st.SearchStrategy[tuple[Usage, ...]]:
    few = st.integers(0, 5000)
    call = st.builds(lambda i, r, w, o, part: Usage(i, r, w, o, min(o, part)), few, few, few, st.integers(1, 5000), few)
    return st.lists(call, max_size=4).map(tuple)


def turns(*ends: End) -> st.SearchStrategy[list[Turn]]:
    one = st.builds(Turn, st.integers(0, 2), calls(), st.sampled_from(ends), st.booleans())
    return st.lists(one, min_size=1, max_size=10)


def total(of: Sequence[Usage]) -> Usage:
    return sum(of, Usage())


@dataclass
class FakeCodex:
    """Counts by thread, cached input included; the count goes on over processes. A killed call is in no count of its own."""

    turn: Turn
    threads: dict[str, Usage] = field(default_factory=dict)

    def play(self, argv: Sequence[str], env: Mapping[str, str], hear: Callable[[bytes], None]) -> int | None:
        resumed = argv[argv.index("resume") + 1] if "resume" in argv else ""
        thread = resumed or f"0199-{len(self.threads)}"
        assert not resumed or resumed in self.threads, "a thread that does not exist cannot go on"
        self.say(hear, {"type": "thread.started", "thread_id": thread})
        self.say(hear, {"type": "turn.started"})
        before = self.threads.get(thread, Usage())
        counted = self.turn.calls[:-1] if self.turn.end == "killed" else self.turn.calls
        self.threads[thread] = before + total(counted)
        record = Path(env["CODEX_HOME"]) / "sessions/2026/01/01" / f"rollout-now-{thread}.jsonl"
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a") as file:
            for number in range(len(counted)):
                info = {"total_token_usage": self.figures(before + total(counted[: number + 1]))}
                file.write(json.dumps({"type": "event_msg", "payload": {"type": "token_count", "info": info}}) + "\n")
        if self.turn.end == "normal":
            self.say(hear, {"type": "turn.completed", "usage": self.figures(self.threads[thread])})
        elif self.turn.end == "failed":
            self.say(hear, {"type": "error", "message": "Reconnecting... 1/5 (stream disconnected)"})
            self.say(hear, {"type": "turn.failed", "error": {"message": "no"}})
        return {"normal": 0, "failed": 1, "interrupted": 1, "killed": -9}[self.turn.end]

    @staticmethod
    def figures(usage: Usage) -> dict[str, int]:
        return {
            "input_tokens": usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
            "cached_input_tokens": usage.cache_read_tokens,
            "cache_write_input_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_output_tokens": usage.reasoning_tokens,
        }

    @staticmethod
    def say(hear: Callable[[bytes], None], event: object) -> None:
        hear(json.dumps(event).encode())


@dataclass
class FakeClaude:
    """Counts by process, disjoint buckets. Its messages say what they began with, in one event for each block; a killed one has no result."""

    turn: Turn
    sessions: dict[str, int] = field(default_factory=dict)
    messages: int = 0

    def play(self, argv: Sequence[str], env: Mapping[str, str], hear: Callable[[bytes], None]) -> int | None:
        resumed = "--resume" in argv
        session = argv[argv.index("--resume" if resumed else "--session-id") + 1]
        assert resumed == (session in self.sessions), "resumed and begun are different things"
        self.sessions[session] = self.sessions.get(session, 0) + 1
        record = Path(env["CLAUDE_CONFIG_DIR"]) / "projects" / "here" / f"{session}.jsonl"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.touch()
        model = MODELS["claude"]
        self.say(hear, {"type": "system", "subtype": "init", "session_id": session, "model": model})
        for call in self.turn.calls:
            self.messages += 1
            began = {"id": f"msg_{self.messages}", "model": model, "content": [], "usage": self.figures(call, 1)}
            for _ in range(3):
                self.say(hear, {"type": "assistant", "message": began, "session_id": session})
        if self.turn.end in {"normal", "failed"}:
            used = total(self.turn.calls)
            both = {
                model: {
                    "inputTokens": used.input_tokens, "cacheReadInputTokens": used.cache_read_tokens,
                    "cacheCreationInputTokens": used.cache_write_tokens, "outputTokens": used.output_tokens,
                }
            }  # fmt: skip
            failed = self.turn.end == "failed"
            result = {
                "type": "result", "subtype": "success", "is_error": failed, "result": "no" if failed else "done", "session_id": session,
                "usage": self.figures(used, used.output_tokens), "modelUsage": both, "total_cost_usd": float(bill("claude", used)),
            }  # fmt: skip
            self.say(hear, result)
        return {"normal": 0, "failed": 1, "interrupted": 0, "killed": -9}[self.turn.end]

    @staticmethod
    def figures(usage: Usage, output: int) -> dict[str, int]:
        return {
            "input_tokens": usage.input_tokens, "cache_read_input_tokens": usage.cache_read_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens, "output_tokens": output,
        }  # fmt: skip

    say = staticmethod(FakeCodex.say)


@dataclass
class Seat:
    """A session of ours as the loop keeps it between turns."""

    name: str
    number: int = 0
    native: str = ""
    total: Usage = Usage()


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ZWARM_CI_CODEX", "ZWARM_CI_CLAUDE"):
        monkeypatch.setenv(variable, shutil.which("true") or "")


def played(adapter: str, plan: Sequence[Turn]) -> Iterator[tuple[Turn, Report]]:
    """Each turn with the executor's report of it, in the order of the plan; sessions are resumed unless one begins afresh."""
    executor: Executor = Codex() if adapter == "codex" else Claude()
    fake: FakeCodex | FakeClaude = FakeCodex(plan[0]) if adapter == "codex" else FakeClaude(plan[0])
    seats: dict[int, Seat] = {}

    def run_lines(
        argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], on_line: Callable[[bytes], None], **_: object
    ) -> Exit:
        return Exit(tuple(argv), cwd, fake.play(argv, env, on_line), b"", b"", 0.1)

    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "run_lines", run_lines)
        root = Path(place)
        (root / "work").mkdir()
        for turn in plan:
            if turn.fresh or turn.session not in seats:
                seats[turn.session] = Seat(f"s{len(list(root.iterdir()))}")
            seat, fake.turn = seats[turn.session], turn
            seat.number += 1
            order = Order(
                seat.name, seat.number, MODELS[adapter], TASK, "go on", root / "work", Workbench(root, root, "HEAD", ()),
                root / seat.name, root / "tmp", 60, 60, native=seat.native, total=seat.total,
            )  # fmt: skip
            report = executor.turn(order, lambda line: None)
            seat.native, seat.total = report.native, report.total
            (root / seat.name).mkdir(exist_ok=True)
            yield turn, report


def without_reasoning(usage: Usage) -> Usage:
    return Usage(usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)


def bill(adapter: str, usage: Usage) -> Decimal:
    cost = pricing.cost(MODELS[adapter], usage, summed=True)
    assert cost is not None
    return cost


@pytest.mark.parametrize("adapter", ["codex", "claude"])
@settings(max_examples=25, deadline=None)
@given(plan=turns("normal", "failed"))
def test_each_turn_that_ends_is_charged_what_the_server_counted(adapter: str, plan: list[Turn]) -> None:
    charged = Decimal(0)
    for turn, report in played(adapter, plan):
        used = total(turn.calls)
        assert without_reasoning(report.usage) == without_reasoning(used)
        assert total([usage for _, usage in report.models]) == report.usage
        if adapter == "codex":
            assert report.usage == used
        elif turn.end == "normal":
            ours = sum((bill(adapter, usage) for _, usage in report.models), Decimal(0))
            assert not pricing.differs(ours, report.provider_cost_usd)
        assert report.lower_bound == (adapter == "codex" and turn.end == "failed")
        charged += sum((bill(adapter, usage) for _, usage in report.models), Decimal(0))
    assert charged == bill(adapter, total([call for turn in plan for call in turn.calls]))


@pytest.mark.parametrize("adapter", ["codex", "claude"])
@settings(max_examples=25, deadline=None)
@given(plan=turns("normal", "failed", "interrupted", "killed"))
def test_however_turns_end_nothing_is_charged_twice_and_what_is_missing_is_said(adapter: str, plan: list[Turn]) -> None:
    charged, served = Usage(), Usage()
    for turn, report in played(adapter, plan):
        used = total(turn.calls)
        charged += report.usage
        served += used
        assert (report.usage - used).total == 0, "never more than the server counted"
        if (used - report.usage).total:
            assert report.lower_bound
    assert (charged - served).total == 0


@settings(max_examples=100)
@given(counts=st.lists(calls(), min_size=1, max_size=8), cuts=st.sets(st.integers(0, 8)), forked=st.integers(0, 8))
def test_differences_of_a_count_are_its_parts(counts: list[tuple[Usage, ...]], cuts: set[int], forked: int) -> None:
    """A thread whose count is read at any moments; a fork goes on from its parent's count, as a resume does."""
    seen, charged, count = Usage(), Usage(), Usage()
    branch: Usage | None = None
    branched = Usage()
    for number, made in enumerate(counts):
        if number == forked:
            branch = count
            branched = seen  # what was charged of the parent so far
        count += total(made)
        if number in cuts or number == len(counts) - 1:
            charged += count - seen
            seen = count
    assert charged == total([call for made in counts for call in made])
    if branch is not None:
        more = Usage(7, 5, 3, 2, 1)
        child = branch + more
        assert child - branch == more
        assert (child - branched) == more + (branch - branched)
        assert (branched - child) == Usage(), "a count that went down is nothing that was used"
